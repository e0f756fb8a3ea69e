//! Refused configurations: the error says which key, where and what is allowed.

use super::*;

/// Text after `MINIMAL` (lines 1 to 3 of the file), and what the refusal must say.
const FILES: &[(&str, &[&str])] = &[
    (
        "[server]\nlisten = 5",
        &["bridge.toml:5: server.listen: must be a string in quotes, not a whole number"],
    ),
    (
        "[server]\n\nlisten = \"localhost\"",
        &["bridge.toml:6: server.listen: must be an IP address and a port like \"127.0.0.1:8080\""],
    ),
    (
        "[server]\nlisen = \"x\"",
        &[
            "bridge.toml:5: server.lisen: unknown key (did you mean `listen`?)",
            "; allowed in [server]: `ack_deadline`, `callback_url`, `listen`, `max_body`, `max_connections`, `public_url`, `read_timeout`",
        ],
    ),
    (
        "[serve]\nlisten = 1",
        &["bridge.toml:4: serve: unknown key (did you mean `server`?)", "allowed here: `accounts`"],
    ),
    ("[server]\nzzzzzzzz = 1", &["server.zzzzzzzz: unknown key; allowed in [server]:"]),
    (
        "[integrations.\"a b\"]\nsecret = 1",
        &[
            "bridge.toml:5: integrations.\"a b\".secret: unknown key; allowed in [integrations.\"a b\"]: `client_secret`",
        ],
    ),
    ("[server]\nmax_body = \"1MB\"", &["bridge.toml:5: server.max_body: must be a size like"]),
    ("[server]\nmax_body = \"0B\"", &["server.max_body: must be a size from 1KiB to 64MiB"]),
    ("[server]\nack_deadline = \"2\"", &["server.ack_deadline: must be a duration like"]),
    (
        "[server]\nack_deadline = \"2m\"",
        &["bridge.toml:5: server.ack_deadline: must be a duration from 1ms to 1m"],
    ),
    ("[server]\nack_deadline = \"0s\"", &["must be a duration from 1ms to 1m"]),
    ("[server]\nmax_connections = 0", &["server.max_connections: must be a whole number from 1 to 1000000"]),
    (
        "[server]\nmax_connections = \"9\"",
        &["must be a whole number from 1 to 1000000, not a string in quotes"],
    ),
    (
        "[server]\npublic_url = \"https://a.example/bots/widget_request/greet\"",
        &["server.public_url: must be the part before /widget_request/NAME"],
    ),
    ("[server]\npublic_url = \"https://a.example/?a=b\"", &["server.public_url: must not have a query"]),
    (
        "[server]\ncallback_url = \"https://a.example/?a=b\"",
        &["server.callback_url: must be the part before /callback/"],
    ),
    (
        "[server]\ncallback_url = \"http://a.example/callback/x\"",
        &["server.callback_url: must be the part before /callback/"],
    ),
    ("[server]\npublic_url = \"ftp://a.example\"", &["server.public_url: must be a URL like"]),
    (
        "[server]\nlisten = \"127.0.0.1:9090\"",
        &["admin.listen: must differ from server.listen in address or port"],
    ),
    ("[server]\nlisten = \"0.0.0.0:9090\"", &["admin.listen: must differ from server.listen"]),
    (
        "[admin]\nlisten = \"0.0.0.0:9090\"",
        &["bridge.toml:4: admin.token: is required unless admin.listen is a loopback"],
    ),
    (
        "[admin]\ntoken = \"two words\"",
        &["bridge.toml:5: admin.token: contains, as character 4, a space: remove it"],
    ),
    (
        "[admin]\nread_token = \"reader\"",
        &["bridge.toml:5: admin.read_token: requires admin.token: without that, any program"],
    ),
    (
        "[admin]\ntoken = \"same\"\nread_token = \"same\"",
        &["bridge.toml:6: admin.read_token: must differ from admin.token"],
    ),
    ("[admin]\nshow_data = \"always\"", &["bridge.toml:5: admin.show_data: must be one of"]),
    (
        "[store]\nurl = \"postgres://u:p@h\"",
        &["bridge.toml:5: store.url: it names no database (expected postgres://"],
    ),
    ("[store]\nurl = \"postgres:db\"", &["bridge.toml:5: store.url: it does not start with postgres://"]),
    (
        "[store]\nurl = \"postgres://u:p@h/db\"\nbackup_folder = \"b\"",
        &["bridge.toml:6: store.backup_folder: is only for a SQLite store", "pg_dump"],
    ),
    ("[store]\nurl_file = \"no\"", &["bridge.toml:5: store.url_file: no cannot be read"]),
    (
        "[store]\nurl = \"sqlite:a.db\"\nurl_file = \"no\"",
        &["store.url: set either this or `url_file`, not both"],
    ),
    ("[store]\nurl = \"sqlite:a?mode=memory\"", &["bridge.toml:5: store.url: a store in memory would lose"]),
    ("[store]\nurl = \"sqlite::memory:\"", &["store.url: a store in memory would lose"]),
    ("[store]\nurl = \"bridge.db\"", &["store.url: must be `sqlite:` and the path of a file"]),
    ("[store]\nurl = \"sqlite:\"", &["store.url: must be `sqlite:` and the path"]),
    ("[store]\nurl = \"sqlite:~/bridge.db\"", &["store.url: `~` is not expanded: write the whole path"]),
    ("[store]\nurl = \"sqlite:$HOME/bridge.db\"", &["store.url: variables like `$HOME` are not expanded"]),
    (
        "[store]\nurl = \"sqlite:a.db?mode=rwc\"",
        &["store.url: options like `?mode=rwc` would become part of"],
    ),
    ("[admin]\ntoken_file = \"~/token\"", &["bridge.toml:5: admin.token_file: `~` is not expanded"]),
    ("[delivery]\nca_file = \"$HOME/ca.pem\"", &["bridge.toml:5: delivery.ca_file: variables like `$HOME`"]),
    ("[delivery]\nca_file = \"no.pem\"", &["bridge.toml:5: delivery.ca_file: no.pem cannot be read: "]),
    ("[delivery]\nca_file = \"bridge.toml\"", &["delivery.ca_file: bridge.toml: contains no certificate"]),
    (
        "[delivery]\nproxy = \"proxy.example:3128\"",
        &["bridge.toml:5: delivery.proxy: must be a URL of scheme, host"],
    ),
    (
        "[delivery]\nproxy = \"http://proxy.example:3128/x\"",
        &["delivery.proxy: must be a URL of scheme, host"],
    ),
    ("[delivery]\nallow_private_addresses = 1", &["delivery.allow_private_addresses: must be true or false"]),
    (
        "[server]\npublic_url = \"http://bots.example.com\"",
        &["bridge.toml:5: server.public_url: must begin with https://, because Kommo calls nothing else"],
    ),
    (
        "[integrations.b]\nclient_uuid = \"0123456789012345678901234567890123456789abcdefABCDEF\"\nclient_secret = \"c\"",
        &["integrations.b.client_uuid: must be the integration's id, a UUID like", "looks like a secret key"],
    ),
    (
        "[accounts.a]\nbase_url = \"https://a.kommo.com\"\naccess_token = \"Bearer eyJ\"",
        &["bridge.toml:6: accounts.a.access_token: begins with `Authorization:` or `Bearer `: remove that"],
    ),
    ("[store]\nencryption_key = \"c2hvcnQ=\"", &["store.encryption_key: must be 32 bytes in base64"]),
    (
        "[store]\nprevious_encryption_key = \"c2hvcnQ=\"",
        &["store.previous_encryption_key: must be 32 bytes in base64"],
    ),
    (
        "[integrations.b]\nclient_uuid = \"bbbbbbbb-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"c\"\nredirect_uri = \"https://b.example/oauth/callback\"",
        &["store.encryption_key: is required: integrations.b.redirect_uri connects accounts by OAuth"],
    ),
    (
        "[handlers.a]\nkind = \"echo\"\nintegrations = [\"main\", \"mian\"]",
        &["bridge.toml:6: handlers.a.integrations: entry 2 is an unknown integration; \
             expected names of [integrations.NAME]: `main`"],
    ),
    (
        "[handlers.a]\nintegrations = []",
        &[
            "bridge.toml:5: handlers.a.integrations: must have at least one entry (remove the key to allow all)",
        ],
    ),
    ("[handlers.a]\nintegrations = \"main\"", &["handlers.a.integrations: must be a list"]),
    ("[store]\nretention = \"0d\"", &["store.retention: must be a duration from 1s to 3650d"]),
    ("[store]\nbackup_every = \"1s\"", &["store.backup_every: must be a duration from 1m to 365d"]),
    ("[store]\nbackup_keep = 0", &["store.backup_keep: must be a whole number from 1 to 10000"]),
    ("[store]\nbackup_folder = \"~/backups\"", &["store.backup_folder: "]),
    (
        "[integrations.twin]\nclient_uuid = \"11111111-0C1E-4D57-8C6E-2F6F3F1F0D11\"\nclient_secret = \"x\"",
        &["bridge.toml:5: integrations.twin.client_uuid: integrations.main has the same"],
    ),
    (
        "[integrations.bare]",
        &[
            "bridge.toml:4: integrations.bare.client_uuid: is required: the integration's id",
            "integrations.bare.client_secret: is required: the integration's secret key",
        ],
    ),
    (
        "[integrations.no]\nclient_uuid = \"\"\nclient_secret = \"x\"",
        &["integrations.no.client_uuid: must be the integration's id, a UUID like"],
    ),
    ("[accounts.a]\nbase_url = \"https://a.kommo.com\"", &["accounts.a.access_token: is required"]),
    (
        "[accounts.a]\nbase_url = \"https://evil.example\"\naccess_token = \"x\"",
        &[
            "bridge.toml:5: accounts.a.base_url: must not receive a bearer token: its host and port are not in delivery.allowed_hosts",
        ],
    ),
    (
        "[accounts.a]\nbase_url = \"https://a.kommo.com/api\"\naccess_token = \"x\"",
        &["accounts.a.base_url: must be only scheme and host"],
    ),
    (
        "[accounts.a]\nbase_url = \"https://u:p@a.kommo.com\"\naccess_token = \"x\"",
        &["accounts.a.base_url: must be a URL like", "without a user name"],
    ),
    (
        "[accounts]\na = { base_url = \"https://a.kommo.com\", access_token = \"x\" }\n\
         b = { base_url = \"https://A.kommo.com:443/\", access_token = \"y\" }",
        &["bridge.toml:6: accounts.b.base_url: accounts.a has the same"],
    ),
    ("[handlers.\"a b\"]", &["bridge.toml:4: handlers.\"a b\": a handler's name is 1 to 64 ASCII letters"]),
    ("[handlers.a]\nkind = \"parrot\"", &["bridge.toml:5: handlers.a.kind: must be one of `echo`, `http`"]),
    ("[handlers.a]\nmax_attempts = 0", &["handlers.a.max_attempts: must be a whole number from 1 to 1000"]),
    (
        "[handlers.a]\nattempt_timeout = \"0s\"",
        &["handlers.a.attempt_timeout: must be a duration from 1ms to 1d"],
    ),
    (
        "[handlers.a]\nanswer_within = \"0s\"",
        &["handlers.a.answer_within: must be a duration from 1ms to 30d"],
    ),
    (
        "[handlers.a]\nordering = \"lead\"",
        &["bridge.toml:5: handlers.a.ordering: must be one of `none`, `conversation`"],
    ),
    (
        "[handlers.a]\ncoalesce = \"2s\"",
        &["bridge.toml:5: handlers.a.coalesce: needs an order: set handlers.a.ordering to \"conversation\""],
    ),
    (
        "[handlers.a]\nordering = \"conversation\"\ncoalesce = \"2h\"",
        &["handlers.a.coalesce: must be a duration from 0s to 1h"],
    ),
    (
        "[handlers.a]\nordering = \"conversation\"\ncoalesce = \"17s\"",
        &["handlers.a.coalesce: is too long: a first message waits up to 3 times this long"],
    ),
    ("[handlers.a]\nfallback = { data = 5 }", &["bridge.toml:5: handlers.a.fallback: data is a number"]),
    (
        "[handlers.a]\nfallback = { data = { a = [1, 1979-05-27] } }",
        &["bridge.toml:5: handlers.a.fallback.data: contains a date, inf or nan"],
    ),
    ("[handlers.a.fallback.data]\na.b = nan", &["handlers.a.fallback.data: contains a date, inf or nan"]),
    (
        "[handlers.a]\nfallback = { date = {} }",
        &["handlers.a.fallback.date: unknown key (did you mean `data`?)"],
    ),
    (
        "[handlers.a]\nfallback = { execute_handlers = [] }",
        &["handlers.a.fallback: execute_handlers is empty: Kommo would answer TooFew"],
    ),
    (
        "[handlers.a]\ngoto = { type = \"quest\", step = 1 }",
        &["handlers.a.goto.type: must be one of `question`"],
    ),
    (
        "[handlers.a]\ngoto = { type = \"question\" }",
        &["bridge.toml:5: handlers.a.goto: missing field `step`"],
    ),
    ("[handlers.a]\ngoto = \"question\"", &["handlers.a.goto: must be a table with the keys `step`, `type`"]),
    ("[workers]\nconcurrency = 0", &["workers.concurrency: must be a whole number from 1 to 100000"]),
    (
        "[workers]\nconcurrency = 1.5",
        &["workers.concurrency: must be a whole number", "not a number with a fraction"],
    ),
    ("[workers]\ngrace = \"2h\"", &["workers.grace: must be a duration from 0s to 1h"]),
    ("[delivery]\nallowed_hosts = []", &["delivery.allowed_hosts: must have at least one entry"]),
    (
        "[delivery]\nallowed_hosts = [\"*\"]",
        &["bridge.toml:5: delivery.allowed_hosts: entry 1 must be a host like"],
    ),
    ("[delivery]\nallowed_hosts = [5]", &["delivery.allowed_hosts: each entry must be a string in quotes"]),
    ("[delivery]\ninsecure = \"yes\"", &["delivery.insecure: must be true or false, not a string in quotes"]),
    ("[delivery]\nrate_per_account = 0", &["delivery.rate_per_account: must be a whole number from 1"]),
    ("[log]\nformat = \"xml\"", &["log.format: must be one of `text`, `json`"]),
    ("[log]\nfilter = \"info,=\"", &["bridge.toml:5: log.filter: must be a filter like \"info\""]),
    ("server = 5", &["bridge.toml:4: integrations.main.server: unknown key"]),
    ("[server]\nlisten = \"a", &["bridge.toml:5: invalid TOML: "]),
    ("[workers]\nconcurrency = 99999999999999999999", &["bridge.toml:5: invalid TOML: "]),
];

#[test]
fn a_refusal_says_which_key_where_and_what_is_allowed() {
    for (text, wanted) in FILES {
        let refusal = Folder::with(&format!("{MINIMAL}{text}\n")).refusal(&[]);
        for part in *wanted {
            assert!(refusal.contains(part), "{text}\ngave: {refusal}\nwanted: {part}");
        }
    }
}

#[test]
fn a_refused_variable_is_named_instead_of_a_line() {
    let cases = [
        (
            "BRIDGE_SERVER__LISEN",
            "x",
            "environment variable BRIDGE_SERVER__LISEN: server.lisen: unknown key (did",
        ),
        (
            "BRIDGE_WORKERS__CONCURRENCY",
            "many",
            "workers.concurrency: must be a whole number from 1 to 100000",
        ),
        (
            "BRIDGE_WORKERS__CONCURRENCY",
            "0",
            "environment variable BRIDGE_WORKERS__CONCURRENCY: workers.concurrency",
        ),
        ("BRIDGE_DELIVERY__INSECURE", "yes", "delivery.insecure: must be true or false"),
        (
            "BRIDGE_SERVER_LISTEN",
            "x",
            "server.listen: section and key are separated by two underscores: write BRIDGE_SERVER__LISTEN",
        ),
        ("BRIDGE_ADMIN__TOKEN", "", "admin.token: must not be empty"),
        ("BRIDGE_SERVER__LISTEN__PORT", "1", "server.listen: must be a string in quotes, not a table"),
    ];
    for (name, value, wanted) in cases {
        let refusal = Folder::with(MINIMAL).refusal(&[(name, value)]);
        assert!(refusal.contains(wanted), "{name}: {refusal}");
        assert!(refusal.contains(&format!("environment variable {name}: ")), "{refusal}");
    }
}

#[test]
fn all_problems_are_reported_together() {
    let text = "[server]\nlisten = \"x\"\nbody = 1\nack_deadline = \"1h\"\n[workers]\nconcurrency = 0\n";
    let refusal = Folder::with(text).refusal(&[("BRIDGE_LOG__FORMAT", "xml")]);
    assert!(refusal.starts_with("the configuration has 6 problems:\n"), "{refusal}");
    for key in ["server.listen", "server.body", "server.ack_deadline", "workers.concurrency", "log.format"] {
        assert_eq!(refusal.matches(&format!(" {key}: ")).count(), 1, "{key} in {refusal}");
    }
    assert!(refusal.contains("bridge.toml: integrations: at least one is needed"), "{refusal}");
}

#[test]
fn a_refused_value_is_not_also_reported_as_missing() {
    let refusal = Folder::with("server = 5\nintegrations = 5\n").refusal(&[]);
    assert_eq!(refusal.lines().count(), 3, "{refusal}");
    assert!(
        refusal.contains("bridge.toml:1: server: must be a table with the keys `ack_deadline`"),
        "{refusal}"
    );
}

#[test]
fn a_file_that_is_not_utf_8_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bridge.toml");
    std::fs::write(&file, b"\xff\xfe[server]\n").unwrap();
    let text = Config::load(&Sources { file: Some(file), env: Vec::new() }).unwrap_err().to_string();
    assert!(text.contains("/bridge.toml cannot be read: it is not UTF-8 text; save it as UTF-8"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources { file: Some("no/such.toml".into()), env: Vec::new() };
    let error = Config::load(&sources).unwrap_err();
    let here = std::env::current_dir().unwrap();
    let text = error.to_string();
    assert!(text.starts_with(&format!("{}/no/such.toml cannot be read: ", here.display())), "{text}");
    assert!(
        text.contains("/no does not exist; create it, or correct the path; set the path with --config")
            && !text.contains("runs as user")
            && !text.contains("no configuration file"),
        "{text}"
    );
    assert_eq!(error.problems().len(), 1);
}

#[test]
fn a_refusal_without_a_file_says_that_none_was_read() {
    let text = Config::load(&Sources::default()).unwrap_err().to_string();
    let here = std::env::current_dir().unwrap();
    let wanted = format!(
        "\nno configuration file was read: no --config, no BRIDGE_CONFIG, no ./bridge.toml in {}; write one with `init`, or \
         name one with --config",
        here.display()
    );
    assert!(text.starts_with("integrations: at least one is needed") && text.ends_with(&wanted), "{text}");
    assert!(!Folder::with("").refusal(&[]).contains("no configuration file"));
}

#[test]
fn a_path_in_the_variable_is_not_expanded() {
    let sources = Sources { file: None, env: owned(&[("BRIDGE_CONFIG", "~/bridge.toml")]) };
    let text = Config::load(&sources).unwrap_err().to_string();
    assert!(text.starts_with("~/bridge.toml: is not a usable path: `~` is not expanded"), "{text}");
}

#[test]
fn plain_http_is_allowed_only_for_loopback_and_tests() {
    for (url, insecure, expected) in [
        ("https://bots.example.com", false, true),
        ("http://127.0.0.1:8080", false, true),
        ("http://[::1]:8080", false, true),
        ("http://localhost", false, true),
        ("http://bots.example.com", false, false),
        ("http://10.0.0.1", false, false),
        ("http://localhost.example.com", false, false),
        ("http://bots.example.com", true, true),
    ] {
        let text = format!("[server]\npublic_url = \"{url}\"\n[delivery]\ninsecure = {insecure}\n");
        assert_eq!(load_with(&text).is_ok(), expected, "{url}");
    }
}

#[test]
fn two_listeners_with_port_0_do_not_collide() {
    let text = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    assert!(load_with(text).is_ok());
}
