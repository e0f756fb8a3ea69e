//! The settings that a widget is installed with, from a file and from the command line.
//!
//! Errors name the place and never what stands there: it may be a password.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use kommo::WidgetSettings;

use super::exit::Usage;

/// Where settings come from. What `--set` says lies over the file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file with the settings: JSON, or TOML if it is called *.toml; `-` reads JSON from stdin
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// One setting; for users with their ids: phones.504141=1039, agents.504141.login=me. May be repeated.
    /// Other users of this machine can see it, so better put passwords into a file
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    /// Reads them.
    ///
    /// # Errors
    /// The file cannot be read or is no object of settings; or something after `--set` is no setting.
    pub(super) fn read(&self) -> Result<WidgetSettings, Usage> {
        let mut values = match &self.settings {
            Some(file) => read_file(file)?,
            None => Map::new(),
        };
        for text in &self.set {
            set(&mut values, text)?;
        }
        Ok(WidgetSettings::from(values))
    }
}

fn read_file(file: &Path) -> Result<Map<String, Value>, Usage> {
    let shown = if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() };
    let wrong = |why: String| Usage(format!("--settings: {shown}: {why}"));
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    // Some editors put a mark before UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if file.extension().is_some_and(|extension| extension == "toml") {
        from_toml(text).map_err(wrong)
    } else {
        from_json(text).map_err(wrong)
    }
}

fn from_json(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err("is no JSON object: write {\"login\": \"example\"}".to_owned()),
        Err(error) => Err(format!(
            "is no JSON: line {}, column {}; TOML has to be called *.toml",
            error.line(),
            error.column()
        )),
    }
}

fn from_toml(text: &str) -> Result<Map<String, Value>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // Its own text repeats the line.
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        format!("is no TOML: line {line}")
    })?;
    match serde_json::to_value(table) {
        Ok(Value::Object(values)) => Ok(values),
        _ => Err("holds something that JSON has no form for".to_owned()),
    }
}

/// Lays `a.b.c=value` over the values.
fn set(values: &mut Map<String, Value>, text: &str) -> Result<(), Usage> {
    let Some((path, value)) = text.split_once('=') else {
        return Err(Usage("--set: write KEY=VALUE, as in login=example or phones.504141=1039".to_owned()));
    };
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    if last.is_empty() || keys.contains(&"") {
        return Err(Usage(format!("--set: `{path}` is no key, like login or phones.504141")));
    }
    let mut inside = values;
    for key in keys {
        let below = inside.entry(key).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(below) = below else {
            return Err(Usage(format!(
                "--set: `{path}`: `{key}` has a value already, so nothing can be below it"
            )));
        };
        inside = below;
    }
    inside.insert(last.to_owned(), Value::String(value.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn args(settings: Option<PathBuf>, set: &[&str]) -> Args {
        Args { settings, set: set.iter().map(|text| (*text).to_owned()).collect() }
    }

    #[test]
    fn keys_with_dots_reach_users() {
        let set =
            ["login=example", "phones.504141=1039", "agents.5.login=me", "agents.5.password=a=b", "empty="];
        assert_eq!(
            json!(args(None, &set).read().unwrap()),
            json!({ "login": "example", "phones": { "504141": "1039" }, "empty": "",
                "agents": { "5": { "login": "me", "password": "a=b" } } })
        );
        for (wrong, part) in [
            (vec!["login"], "write KEY=VALUE"),
            (vec!["=x"], "is no key"),
            (vec!["a..b=x"], "is no key"),
            (vec!["a=hidden", "a.b=hidden"], "has a value already"),
        ] {
            let error = args(None, &wrong).read().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn files_are_json_or_toml_and_set_lies_over_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let expected = json!({ "login": "other", "phones": { "504141": "1039", "5": "1" } });
        for (name, text) in [
            ("a.json", r#"{"login": "example", "phones": {"504141": "1039"}}"#),
            ("marked.json", "\u{feff}{\"login\": \"example\", \"phones\": {\"504141\": \"1039\"}}"),
            ("a.toml", "login = \"example\"\n[phones]\n504141 = \"1039\"\n"),
        ] {
            let read = args(Some(file(name, text)), &["login=other", "phones.5=1"]).read().unwrap();
            assert_eq!(json!(read), expected, "{name}");
        }
        for (name, text, part) in [
            ("b.json", "{\"password\":\n hidden}", "is no JSON: line 2"),
            ("c.json", "[\"hidden\"]", "is no JSON object"),
            ("b.toml", "a = 1\npassword = hidden\n", "is no TOML: line 2"),
        ] {
            let error = args(Some(file(name, text)), &[]).read().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name) && !error.contains("hidden"), "{error}");
        }
        let error = args(Some(folder.path().join("none")), &[]).read().unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
