//! Configurations that a program passes as text.

use super::*;

fn refusal(text: &str) -> String {
    Config::from_toml(text).unwrap_err().to_string()
}

#[test]
fn text_takes_the_place_of_the_file() {
    let config = Config::from_toml(&format!("{MINIMAL}[workers]\nconcurrency = 3\n")).unwrap();
    assert_eq!(config.workers.concurrency, 3);
    assert_eq!(config.server.listen.port(), 8080, "the default");
    assert_eq!((config.file.as_deref(), &*config.read_from()), (None, "the given TOML"));
}

#[test]
fn each_problem_names_its_line_in_the_text() {
    let text = format!("{MINIMAL}[workers]\nconcurrency = \"many\"\n[server]\nlistne = \"127.0.0.1:1\"\n");
    let lines: Vec<String> = refusal(&text).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for expected in
        ["line 7 of the given TOML: server.listne: ", "line 5 of the given TOML: workers.concurrency: "]
    {
        assert!(lines.iter().any(|line| line.trim().starts_with(expected)), "{expected}: {lines:#?}");
    }
}

#[test]
fn missing_key_and_broken_toml_name_the_text() {
    let missing = refusal("");
    assert!(missing.starts_with("the given TOML: integrations: at least one is needed"), "{missing}");
    assert!(!missing.contains("no configuration file"), "{missing}");
    let broken = refusal("[server]\nlisten = \n");
    assert!(broken.starts_with("line 2 of the given TOML: "), "{broken}");
}

#[test]
fn handler_remembers_its_line_in_the_text() {
    let config = Config::from_toml(&format!("{MINIMAL}[handlers.greet]\nmax_attempts = 2\n")).unwrap();
    assert_eq!(config.handlers["greet"].place.as_deref(), Some("line 4 of the given TOML"));
}

#[test]
fn mark_and_line_ends_of_other_editors_change_nothing() {
    let text = format!("{MINIMAL}[workers]\nconcurrency = 3\n[server]\nlistne = \"x\"\n");
    let crlf = text.replace('\n', "\r\n");
    for text in [crlf.clone(), format!("\u{feff}{text}"), format!("\u{feff}{crlf}")] {
        let error = refusal(&text);
        assert!(error.contains("line 7 of the given TOML: server.listne: "), "{error}");
    }
    let fine = format!("\u{feff}{MINIMAL}[workers]\nconcurrency = 3\n").replace('\n', "\r\n");
    assert_eq!(Config::from_toml(&fine).unwrap().workers.concurrency, 3);
}

#[test]
fn no_error_quotes_a_secret() {
    for text in [
        "[integrations.main]\nclient_secret = 424242424242\n",
        "[integrations.main]\nclient_secret = [\"424242424242\"]\n",
        "[integrations.main]\nclient_secret = { text = \"424242424242\" }\n",
        "[integrations.main]\nclient_secret = 424242424242x\n",
        "[integrations.main]\nclient_secret = \"424242424242\n",
        "[integrations.main]\nclient_secret = '424242424242' '424242424242'\n",
        "[integrations.main]\nclient_secret = 424242424242424242424242424242\n",
        "[accounts.a]\naccess_token = 4242424242.42\n",
        "[accounts.a]\naccess_token = true\nclient_secret = \"424242424242\"\n",
        "integrations = \"424242424242\"\n",
        "admin.token = 424242424242\n",
        "admin.token = [424242424242, 1]\n",
        "admin = 424242424242\n",
    ] {
        let error = refusal(text);
        assert!(!error.contains("4242"), "{text}: {error}");
    }
}
