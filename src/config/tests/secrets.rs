//! Secrets are read from files, and printed nowhere.

use secrecy::ExposeSecret;

use super::*;

/// Each secret's key, with the table that it requires.
const SECRETS: &[(&str, &str)] = &[
    ("[admin]", "token"),
    ("[admin]\ntoken = \"the-full-one\"", "read_token"),
    ("[store]", "encryption_key"),
    ("[store]", "previous_encryption_key"),
    ("[integrations.b]\nclient_uuid = \"bbbbbbbb-0c1e-4d57-8c6e-2f6f3f1f0d11\"", "client_secret"),
    (
        "[integrations.b]\nclient_uuid = \"bbbbbbbb-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"c\"",
        "previous_client_secret",
    ),
    ("[accounts.a]\nbase_url = \"https://a.kommo.com\"", "access_token"),
];

/// A valid secret of a handler over HTTP.
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn the_secrets_of_a_handler_can_come_from_files() {
    let folder = Folder::with(&format!(
        "{MINIMAL}[handlers.a]\nkind = \"http\"\nurl = \"https://a.example/\"\nsecret_file = \"new\"\n\
         previous_secret_file = \"old\"\nauth_file = \"auth\"\n"
    ));
    folder.write("new", &format!("{WEBHOOK_SECRET}\n"));
    folder.write("old", WEBHOOK_SECRET);
    folder.write("auth", "Bearer app-1\n");
    let config = folder.load(&[]).unwrap();
    let http = config.handlers["a"].http.as_ref().unwrap();
    let exposed =
        |secret: &Option<secrecy::SecretString>| secret.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!(
        (exposed(&http.secret), exposed(&http.previous_secret)),
        (WEBHOOK_SECRET.into(), WEBHOOK_SECRET.into())
    );
    assert_eq!(exposed(&http.auth), "Bearer app-1");
    let keys: Vec<String> = config.secret_files.iter().map(|file| file.key()).collect();
    assert_eq!(keys, ["handlers.a.secret", "handlers.a.previous_secret", "handlers.a.auth"]);
    folder.write("new", "whsec_hidden");
    let refusal = folder.refusal(&[]);
    assert!(
        refusal.contains("handlers.a.secret_file: new must be `whsec_`") && !refusal.contains("hidden"),
        "{refusal}"
    );
}

#[test]
fn the_secrets_of_a_handler_are_masked() {
    let shown = effective(
        &format!(
            "{MINIMAL}[handlers.a]\nkind = \"http\"\nurl = \"https://a.example/\"\nsecret = \"{WEBHOOK_SECRET}\"\n\
             previous_secret = \"{WEBHOOK_SECRET}\"\nauth = \"Bearer hidden\"\nproxy = \"http://u:hidden@p:1\"\n"
        ),
        &[],
    );
    for text in [shown.show(), shown.show_json().to_string(), format!("{shown:?}")] {
        assert!(!text.contains("MfKQ9r8") && !text.contains("hidden"), "{text}");
    }
    assert!(shown.show().contains("preset = \"bridge\""), "{}", shown.show());
}

const VALUE: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn exposed(config: &Config, key: &str) -> String {
    let secret = match key {
        "token" => config.admin.token.as_ref(),
        "read_token" => config.admin.read_token.as_ref(),
        "encryption_key" => config.store.encryption_key.as_ref(),
        "previous_encryption_key" => config.store.previous_encryption_key.as_ref(),
        "client_secret" => Some(&config.integrations["b"].client_secret),
        "previous_client_secret" => config.integrations["b"].previous_client_secret.as_ref(),
        _ => Some(&config.accounts["a"].access_token),
    };
    secret.unwrap().expose_secret().to_owned()
}

#[test]
fn every_secret_can_come_from_a_file_beside_the_configuration() {
    for (table, key) in SECRETS {
        let folder = Folder::with(&format!("{MINIMAL}{table}\n{key}_file = \"the.secret\"\n"));
        for ending in ["", "\n", "\r\n"] {
            folder.write("the.secret", &format!("{VALUE}{ending}"));
            assert_eq!(exposed(&folder.load(&[]).unwrap(), key), VALUE, "{key}");
        }
    }
}

#[test]
fn a_file_without_a_secret_is_refused_by_name() {
    for (table, key) in SECRETS {
        let folder = Folder::with(&format!("{MINIMAL}{table}\n{key}_file = \"the.secret\"\n"));
        let refusal = folder.refusal(&[]);
        let wanted = format!("{key}_file: the.secret cannot be read: ");
        assert!(refusal.contains(&wanted), "{refusal}");
        folder.write("the.secret", "\n");
        let refusal = folder.refusal(&[]);
        assert!(refusal.contains(&format!("{key}_file: the.secret is empty")), "{refusal}");
        assert!(!refusal.contains("is missing"), "{refusal}");
    }
}

#[test]
fn stray_text_around_a_secret_is_refused_from_every_source() {
    for (table, key) in SECRETS {
        let section = table.trim_start_matches('[').split(']').next().unwrap();
        let variable = format!("BRIDGE_{}__{key}", section.replace('.', "__")).to_uppercase();
        let by_file = Folder::with(&format!("{MINIMAL}{table}\n{key}_file = \"the.secret\"\n"));
        for (dirty, part) in [
            (format!("\u{feff}{VALUE}"), "begins with a byte order mark"),
            (format!("\"{VALUE}\""), "remove the quotes"),
            (format!(" {VALUE}"), "begins with a space"),
            (format!("{VALUE}\n\n"), "ends with a line break"),
            (format!("{}\n{}", &VALUE[..9], &VALUE[9..]), "contains, as character 10, a line break"),
            (format!("Bearer {VALUE}"), "remove that"),
            (format!("{key}={VALUE}"), "keep only what follows it"),
            ("the-secret-key".to_owned(), "is a placeholder"),
        ] {
            by_file.write("the.secret", &dirty);
            let refusal = by_file.refusal(&[]);
            let place = format!(".{key}_file: the.secret {part}");
            assert!(
                part.starts_with("remove") || part.starts_with("keep") || refusal.contains(&place),
                "{refusal}"
            );
            assert!(refusal.contains(part) && !refusal.contains("MDEyMz"), "{key}: {refusal}");
            let in_place =
                Folder::with(&format!("{MINIMAL}{table}\n{key} = {}\n", toml::Value::from(dirty.clone())));
            let refusal = in_place.refusal(&[]);
            assert!(refusal.contains(part) && !refusal.contains("MDEyMz"), "{key}: {refusal}");
            let refusal = Folder::with(&format!("{MINIMAL}{table}\n")).refusal(&[(&variable, &dirty)]);
            assert!(refusal.contains(part) && !refusal.contains("MDEyMz"), "{variable}: {refusal}");
            assert!(refusal.contains(&format!("environment variable {variable}: ")), "{refusal}");
        }
    }
}

#[test]
fn a_reread_secret_file_with_stray_text_is_refused() {
    for (table, key) in SECRETS {
        let folder = Folder::with(&format!("{MINIMAL}{table}\n{key}_file = \"the.secret\"\n"));
        folder.write("the.secret", VALUE);
        let config = folder.load(&[]).unwrap();
        let [file] = config.secret_files.as_slice() else { panic!("{key}") };
        assert!(file.read().is_ok());
        for dirty in
            [format!("\u{feff}{VALUE}"), format!("{VALUE} "), format!("Bearer {VALUE}"), "\"".to_owned()]
        {
            folder.write("the.secret", &dirty);
            let why = file.read().unwrap_err().to_string();
            assert!(why.starts_with(&format!("{} ", folder.path("the.secret").display())), "{why}");
            assert!(!why.contains(VALUE), "{why}");
        }
        std::fs::write(folder.path("the.secret"), [0xff, 0xfe, b'a', 0]).unwrap();
        assert!(file.read().unwrap_err().to_string().contains("is not UTF-8 text"));
    }
}

#[test]
fn the_environments_proxy_is_used_only_on_request() {
    let folder = Folder::with(MINIMAL);
    folder.write("proxy.url", "http://u:hidden@by-file.example:1\n");
    let by_file = folder.path("proxy.url").display().to_string();
    let here = ("HTTPS_PROXY", "proxy.example:3128");
    let route = |env: &[(&str, &str)]| {
        let delivery = folder.load(env).unwrap().delivery;
        (delivery.outgoing.to_string(), delivery.ignored_proxy)
    };
    let directly = "directly, without a proxy; to public addresses only";
    assert_eq!(route(&[]), (directly.into(), None));
    assert_eq!(route(&[here]), (directly.into(), Some("HTTPS_PROXY".into())));
    assert_eq!(route(&[("https_proxy", ""), ("all_proxy", "x")]).1, Some("all_proxy".into()));
    let (shown, ignored) = route(&[here, ("BRIDGE_DELIVERY__PROXY_FILE", &by_file)]);
    assert!(shown.starts_with("through the proxy http://by-file.example:1;") && ignored.is_none(), "{shown}");
    let on_request = ("BRIDGE_DELIVERY__PROXY", "env");
    let (shown, ignored) = route(&[on_request, here, ("NO_PROXY", "a.kommo.com")]);
    let wanted =
        "through the proxy http://proxy.example:3128 from HTTPS_PROXY (except to hosts in NO_PROXY);";
    assert!(shown.starts_with(wanted) && ignored.is_none(), "{shown}");
    assert_eq!(route(&[on_request]), (directly.into(), None), "the environment names none");
    let refusal = folder.refusal(&[on_request, ("HTTPS_PROXY", "ftp://hidden@x")]);
    assert!(refusal.contains("the proxy in the variable HTTPS_PROXY, which must be"), "{refusal}");
    assert!(!refusal.contains("hidden"));
    let shown =
        Effective::load(&folder.sources(&[("BRIDGE_DELIVERY__PROXY", "http://u:hidden@x:1")])).unwrap();
    assert!(!shown.show().contains("hidden") && !format!("{:?}", shown.config).contains("hidden"));
}

#[test]
fn certificates_in_a_file_beside_the_configuration_are_trusted() {
    let folder = Folder::with(&format!("{MINIMAL}[delivery]\nca_file = \"ca.pem\"\n"));
    folder.write("ca.pem", include_str!("ca.pem"));
    let authorities = folder.load(&[]).unwrap().delivery.outgoing.authorities.unwrap();
    assert_eq!((authorities.file, authorities.certificates.len()), (folder.path("ca.pem"), 1));
}

#[test]
fn a_file_named_by_a_variable_may_be_outside_the_configurations_folder() {
    let (folder, elsewhere) = (Folder::with(MINIMAL), Folder::with(""));
    elsewhere.write("token", "abc\n");
    let path = elsewhere.path("token").display().to_string();
    let config = folder.load(&[("BRIDGE_ADMIN__TOKEN_FILE", &path)]).unwrap();
    assert_eq!(exposed(&config, "token"), "abc");
}

#[test]
fn secret_and_file_conflict_in_one_layer_and_the_later_layer_wins() {
    let folder = Folder::with(&format!("{MINIMAL}[admin]\ntoken = \"t\"\ntoken_file = \"f\"\n"));
    let refusal = folder.refusal(&[]);
    assert!(
        refusal.contains("bridge.toml:5: admin.token: set either this or `token_file`, not both"),
        "{refusal}"
    );

    let folder = Folder::with(&format!("{MINIMAL}[admin]\ntoken_file = \"gone\"\n"));
    let config = folder.load(&[("BRIDGE_ADMIN__TOKEN", "later")]).unwrap();
    assert_eq!(exposed(&config, "token"), "later");
    let env = [("BRIDGE_ADMIN__TOKEN", "x"), ("BRIDGE_ADMIN__TOKEN_FILE", "y")];
    assert!(folder.refusal(&env).contains("not both"));
}

#[test]
fn no_refusal_repeats_a_value() {
    let files = [
        "[accounts]\nmain = \"hidden-1\"",
        "[accounts]\nmain = [\"hidden-1\"]",
        "[accounts.main]\nbase_url = \"https://hidden-1@a.kommo.com\"\naccess_token = { a = \"hidden-1\" }",
        "[accounts.main]\nbase_url = \"hidden-1\"\naccess_token = [\"hidden-1\"]",
        "[admin]\ntoken = \"hidden-1 \"",
        "[admin]\ntokens = \"hidden-1\"",
        "[store]\nencryption_key = \"hidden-1\"\nurl = \"postgres://hidden-1@h/x\"",
        "[handlers.a]\nkind = \"hidden-1\"",
        "[integrations.a]\nclient_secret = hidden-1",
        "[integrations.a]\nclient_secret = \"hidden-1",
        "[integrations.a]\nclient_secret = 'hidden-1\n'",
        "[integrations.a]\nclient_secret = \"hidden-1\" \"hidden-1\"",
        "[integrations.a]\nclient_secret = \"\\hidden-1\"",
        "[integrations.a]\nclient_secret = 7234567",
        "[integrations.a]\nclient_secret = 7234567.5",
        "[integrations.a]\nclient_secret = 7234567x",
        "[integrations.a]\nclient_secret = 72345677234567723456772345677234567",
        "[integrations.a]\nclient_secret = 0x72345677234567723456772345677234567",
        "[integrations.a]\nclient_secret = [72345677234567723456772345677234567]",
        "[server]\nlisten = \"hidden-1\"\nmax_body = \"hidden-1\"\nmax_connections = \"hidden-1\"",
        "[delivery]\nallowed_hosts = [\"hidden-1 \"]",
    ];
    for text in files {
        let error =
            Folder::with(&format!("{text}\n")).load(&[("BRIDGE_ADMIN__TOKEN", "hidden-1 x")]).unwrap_err();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hidden-1") && !shown.contains("7234567"), "{text}: {shown}");
        }
    }
}

#[test]
fn no_secret_is_printed() {
    let folder = Folder::with("");
    let mut text = format!("{MINIMAL}[admin]\ntoken = \"hidden-0\"\n[store]\nencryption_key = \"{VALUE}\"\n");
    text.push_str("[integrations.b]\nclient_uuid = \"bbbbbbbb-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret_file = \"f\"\n");
    text.push_str("previous_client_secret = \"hidden-2\"\n");
    text.push_str("[accounts.a]\nbase_url = \"https://a.kommo.com\"\naccess_token = \"hidden-3\"\n");
    folder.write("bridge.toml", &text);
    folder.write("f", "hidden-1");
    let effective = Effective::load(&folder.sources(&[])).unwrap();
    let shown = [
        effective.show(),
        effective.show_json().to_string(),
        format!("{effective:?}"),
        format!("{:?}", effective.config),
    ];
    for text in shown {
        for secret in ["hidden", VALUE, "s3cret-of-main"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert_eq!(effective.show().matches("\"***\"").count(), 5);
}

#[test]
fn the_files_that_contain_secrets_are_listed() {
    let account = "[accounts.a]\nbase_url = \"https://a.kommo.com\"\n";
    let integration = "[integrations.main]\nclient_uuid = \"11111111-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret_file = \"c.secret\"\n";
    let folder = Folder::with(&format!(
        "{integration}{account}access_token_file = \"t.secret\"\n[handlers.log_file]\nkind = \"echo\"\n"
    ));
    folder.write("t.secret", VALUE);
    folder.write("c.secret", VALUE);
    let files = |env: &[(&str, &str)]| -> Vec<String> {
        let loaded = Effective::load(&folder.sources(env)).unwrap();
        let name = |file: &std::path::PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
        loaded.secret_files().iter().map(name).collect()
    };
    assert_eq!(files(&[]), ["c.secret", "t.secret"]);
    assert_eq!(
        files(&[("BRIDGE_ACCOUNTS__A__ACCESS_TOKEN", "t")]),
        ["c.secret"],
        "secrets in the environment are not in a file"
    );
    folder.write("bridge.toml", &format!("{}{account}access_token = \"t\"\n", integration));
    assert_eq!(files(&[]), ["bridge.toml", "c.secret"]);
}
