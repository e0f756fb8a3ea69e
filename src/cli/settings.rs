//! The settings for `widgets install`, from a file and from the command line.
//!
//! Errors name the place, never the value: it may be a password.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use kommo::WidgetSettings;

use super::exit::Usage;

/// The sources of the settings. `--set` overrides the file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file with the settings: TOML if its name ends in .toml, else JSON; `-` reads JSON from stdin
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// One setting, which overrides the file; repeatable. If each user has a value, the key contains the user's id:
    /// phones.504141=1039, agents.504141.login=me. Other users of this machine can see command lines, so put
    /// passwords into the file
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    /// Reads the file, and applies `--set`.
    ///
    /// # Errors
    /// The file cannot be read or does not hold an object, or an argument of `--set` is not a setting.
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
    let error = |why: String| Usage(format!("--settings: {shown}: {why}"));
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|cause| error(format!("cannot be read: {cause}")))?;
    // Some editors write a byte order mark before UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if file.extension().is_some_and(|extension| extension == "toml") {
        from_toml(text).map_err(error)
    } else {
        from_json(text).map_err(error)
    }
}

fn from_json(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err("is not a JSON object: write an object, like {\"login\": \"example\"}".to_owned()),
        Err(error) => Err(format!(
            "is not valid JSON at line {}, column {}; the name of a TOML file must end in .toml",
            error.line(),
            error.column()
        )),
    }
}

fn from_toml(text: &str) -> Result<Map<String, Value>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error's own text repeats the line, which may hold a password.
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        format!("is not valid TOML at line {line}")
    })?;
    match serde_json::to_value(table) {
        Ok(Value::Object(values)) => Ok(values),
        _ => Err("holds a value that JSON cannot express".to_owned()),
    }
}

/// Sets the value of `a.b.c=value`.
fn set(values: &mut Map<String, Value>, text: &str) -> Result<(), Usage> {
    let Some((path, value)) = text.split_once('=') else {
        return Err(Usage("--set: write KEY=VALUE, as in login=example or phones.504141=1039".to_owned()));
    };
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    if last.is_empty() || keys.contains(&"") {
        return Err(Usage(format!("--set: `{path}` is not a key: write one like login or phones.504141")));
    }
    let mut inside = values;
    for key in keys {
        let below = inside.entry(key).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(below) = below else {
            return Err(Usage(format!(
                "--set: `{path}`: `{key}` already has a value, so it cannot have keys below it"
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
    fn a_key_with_dots_sets_a_nested_value() {
        let set =
            ["login=example", "phones.504141=1039", "agents.5.login=me", "agents.5.password=a=b", "empty="];
        assert_eq!(
            json!(args(None, &set).read().unwrap()),
            json!({ "login": "example", "phones": { "504141": "1039" }, "empty": "",
                "agents": { "5": { "login": "me", "password": "a=b" } } })
        );
        for (wrong, part) in [
            (vec!["login"], "write KEY=VALUE"),
            (vec!["=x"], "is not a key"),
            (vec!["a..b=x"], "is not a key"),
            (vec!["a=hidden", "a.b=hidden"], "already has a value"),
        ] {
            let error = args(None, &wrong).read().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn a_file_is_json_or_toml_and_set_overrides_it() {
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
            ("b.json", "{\"password\":\n hidden}", "is not valid JSON at line 2"),
            ("c.json", "[\"hidden\"]", "is not a JSON object"),
            ("b.toml", "a = 1\npassword = hidden\n", "is not valid TOML at line 2"),
        ] {
            let error = args(Some(file(name, text)), &[]).read().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name) && !error.contains("hidden"), "{error}");
        }
        let error = args(Some(folder.path().join("none")), &[]).read().unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
