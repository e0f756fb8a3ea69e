//! Precedence of the layers; every key can be set from the environment.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::config::ordering_name;
use model::Step;

pub(super) type Reads = fn(&Config) -> String;

/// Each key except the secrets' files, as a variable, and its value afterwards.
const VARIABLES: &[(&str, &str, Reads, &str)] = &[
    ("SERVER__LISTEN", "0.0.0.0:1", |c| c.server.listen.to_string(), "0.0.0.0:1"),
    ("SERVER__PUBLIC_URL", "https://b.example", |c| format!("{:?}", c.server.public_url), "b.example"),
    ("SERVER__CALLBACK_URL", "http://127.0.0.1:9", |c| format!("{:?}", c.server.callback_url), "Some(9)"),
    ("SERVER__MAX_BODY", "1MiB", |c| c.server.max_body.to_string(), "1048576"),
    ("SERVER__ACK_DEADLINE", "1s", |c| format!("{:?}", c.server.ack_deadline), "1s"),
    ("SERVER__MAX_CONNECTIONS", "9", |c| c.server.max_connections.to_string(), "9"),
    ("SERVER__READ_TIMEOUT", "3s", |c| format!("{:?}", c.server.read_timeout), "3s"),
    ("ADMIN__LISTEN", "[::1]:2", |c| c.admin.listen.to_string(), "[::1]:2"),
    ("ADMIN__TOKEN", "123", |c| exposed(c.admin.token.as_ref()), "123"),
    ("ADMIN__READ_TOKEN", "456", |c| exposed(c.admin.read_token.as_ref()), "456"),
    ("ADMIN__SHOW_DATA", "never", |c| format!("{:?}", c.admin.show_data), "Never"),
    ("STORE__URL", "sqlite:x.db", |c| c.store.url.to_string(), "sqlite:x.db"),
    (
        "STORE__ENCRYPTION_KEY",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        |c| exposed(c.store.encryption_key.as_ref()),
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    ),
    (
        "STORE__PREVIOUS_ENCRYPTION_KEY",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        |c| exposed(c.store.previous_encryption_key.as_ref()),
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    ),
    ("STORE__RETENTION", "2d", |c| format!("{:?}", c.store.retention), "172800s"),
    ("STORE__BODY_RETENTION", "1d", |c| format!("{:?}", c.store.body_retention), "86400s"),
    ("STORE__BACKUP_FOLDER", "/backups", |c| format!("{:?}", c.store.backup_folder), "/backups"),
    ("STORE__BACKUP_EVERY", "1h", |c| format!("{:?}", c.store.backup_every), "3600s"),
    ("STORE__BACKUP_KEEP", "3", |c| c.store.backup_keep.to_string(), "3"),
    ("BUDGET__UNFINISHED", "1KiB", |c| c.budget.unfinished.to_string(), "1024"),
    ("BUDGET__STORED", "1MiB", |c| c.budget.stored.to_string(), "1048576"),
    (
        "BUDGET__REQUESTS",
        "9/2m",
        |c| format!("{:?}", c.budget.requests),
        "Some(RequestRate { requests: 9, span: 120s })",
    ),
    (
        "INTEGRATIONS__MAIN__CLIENT_UUID",
        "22222222-0c1e-4d57-8c6e-2f6f3f1f0d11",
        |c| c.integrations["main"].client_uuid.clone(),
        "22222222-0c1e-4d57-8c6e-2f6f3f1f0d11",
    ),
    (
        "INTEGRATIONS__MAIN__CLIENT_SECRET",
        "true",
        |c| exposed(Some(&c.integrations["main"].client_secret)),
        "true",
    ),
    (
        "INTEGRATIONS__MAIN__PREVIOUS_CLIENT_SECRET",
        "old",
        |c| exposed(c.integrations["main"].previous_client_secret.as_ref()),
        "old",
    ),
    (
        "INTEGRATIONS__MAIN__REDIRECT_URI",
        "https://b.example/oauth/callback",
        |c| format!("{:?}", c.integrations["main"].redirect_uri),
        "/oauth/callback",
    ),
    (
        "INTEGRATIONS__MAIN__INSTALL_WITHOUT_LINK",
        "true",
        |c| c.integrations["main"].install_without_link.to_string(),
        "true",
    ),
    (
        "ACCOUNTS__ONE__BASE_URL",
        "https://two.kommo.com",
        |c| c.accounts["one"].base_url.to_string(),
        "https://two.kommo.com/",
    ),
    ("ACCOUNTS__ONE__ACCESS_TOKEN", "t2", |c| exposed(Some(&c.accounts["one"].access_token)), "t2"),
    ("HANDLERS__GREET__KIND", "echo", |c| format!("{:?}", c.handlers["greet"].kind), "Some(\"echo\")"),
    ("HANDLERS__GREET__MAX_ATTEMPTS", "7", |c| c.handlers["greet"].policy.max_attempts.to_string(), "7"),
    (
        "HANDLERS__GREET__ATTEMPT_TIMEOUT",
        "1m",
        |c| format!("{:?}", c.handlers["greet"].policy.attempt_timeout),
        "60s",
    ),
    (
        "HANDLERS__GREET__ANSWER_WITHIN",
        "2m",
        |c| format!("{:?}", c.handlers["greet"].policy.answer_within),
        "120s",
    ),
    (
        "HANDLERS__GREET__FALLBACK",
        "{ data = { status = \"sorry\" } }",
        |c| c.handlers["greet"].policy.fallback.as_json().to_owned(),
        r#"{"data":{"status":"sorry"}}"#,
    ),
    (
        "HANDLERS__GREET__GOTO",
        "{ type = \"answer\", step = 2 }",
        |c| (c.handlers["greet"].policy.goto == Some(Step::answer(2))).to_string(),
        "true",
    ),
    ("HANDLERS__GREET__ORDERING", "conversation", |c| order(c, "greet"), "conversation, None"),
    ("HANDLERS__PATIENT__COALESCE", "2s", |c| order(c, "patient"), "conversation, Some(2s)"),
    (
        "HANDLERS__GREET__INTEGRATIONS",
        "[\"main\"]",
        |c| c.handlers["greet"].integrations.iter().flatten().cloned().collect(),
        "main",
    ),
    ("WORKERS__CONCURRENCY", "5", |c| c.workers.concurrency.to_string(), "5"),
    ("WORKERS__GRACE", "0s", |c| format!("{:?}", c.workers.grace), "0ns"),
    (
        "DELIVERY__ALLOWED_HOSTS",
        "[\"one.kommo.com\"]",
        |c| c.delivery.hosts.allowed.iter().map(ToString::to_string).collect(),
        "one.kommo.com",
    ),
    ("DELIVERY__INSECURE", "true", |c| c.delivery.hosts.insecure.to_string(), "true"),
    (
        "DELIVERY__PROXY",
        "http://u:p@proxy.example:3128",
        |c| format!("{:?}", c.delivery.outgoing.proxy),
        "http://proxy.example:3128",
    ),
    (
        "DELIVERY__ALLOW_PRIVATE_ADDRESSES",
        "true",
        |c| c.delivery.outgoing.allow_private_addresses.to_string(),
        "true",
    ),
    ("DELIVERY__REQUEST_TIMEOUT", "5s", |c| format!("{:?}", c.delivery.request_timeout), "5s"),
    ("DELIVERY__GIVE_UP_AFTER", "2h", |c| format!("{:?}", c.delivery.give_up_after), "7200s"),
    ("DELIVERY__CONCURRENCY", "8", |c| c.delivery.concurrency.to_string(), "8"),
    ("DELIVERY__RATE_PER_ACCOUNT", "3", |c| c.delivery.rate_per_account.to_string(), "3"),
    ("DELIVERY__RATE_TOTAL", "30", |c| format!("{:?}", c.delivery.rate_total), "Some(30)"),
    ("LOG__FORMAT", "json", |c| format!("{:?}", c.log.format), "Some(Json)"),
    ("LOG__FILTER", "warn,salesbot_bridge=debug", |c| c.log.filter.clone(), "warn,salesbot_bridge=debug"),
];

fn exposed(secret: Option<&secrecy::SecretString>) -> String {
    secret.unwrap().expose_secret().to_owned()
}

fn order(config: &Config, handler: &str) -> String {
    let ordering = config.handlers[handler].policy.ordering;
    format!("{}, {:?}", ordering_name(ordering), ordering.coalesce())
}

const ACCOUNT: &str = "[accounts.one]\nbase_url = \"https://one.kommo.com\"\naccess_token = \"t1\"\n";
/// Required by a redirect_uri.
const KEY: &str = "[store]\nencryption_key = \"QUJDRDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjA=\"\n";

fn all_variables() -> impl Iterator<Item = &'static (&'static str, &'static str, Reads, &'static str)> {
    VARIABLES.iter().chain(http_handlers::VARIABLES)
}

#[test]
fn every_key_can_be_set_from_the_environment() {
    let patient = "[handlers.patient]\nordering = \"conversation\"\n";
    let text = format!(
        "{MINIMAL}{KEY}[admin]\ntoken = \"full\"\n{ACCOUNT}{patient}[handlers.greet]\n{}",
        http_handlers::TOOL
    );
    let folder = Folder::with(&text);
    let before = folder.load(&[]).unwrap();
    for (key, text, reads, wanted) in all_variables() {
        let config =
            folder.load(&[(&format!("BRIDGE_{key}"), text)]).unwrap_or_else(|e| panic!("{key}: {e}"));
        let found = reads(&config);
        assert!(found.contains(wanted), "{key}: {found}");
        // A value that equals the default would prove nothing. Some keys have no default.
        if !found.contains("Some") && !key.contains("TOKEN") && !key.contains("KEY") && !key.contains("PREV")
        {
            assert_ne!(reads(&before), found, "{key}");
        }
    }
}

#[test]
fn the_table_of_variables_covers_every_key() {
    let schema = Config::schema().unwrap();
    let missing: Vec<String> = defaults::keys_of(&schema)
        .into_iter()
        // A secret's file, or a file that must exist.
        .filter(|(_, key)| !key.ends_with("_file"))
        .map(|(section, key)| (section.to_uppercase(), key.to_uppercase()))
        .filter(|(section, key)| {
            let fits = |name: &str| name.starts_with(section) && name.ends_with(&format!("__{key}"));
            !all_variables().any(|(name, ..)| fits(name))
        })
        .map(|(section, key)| format!("{section}__{key}"))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn later_layers_win() {
    let folder =
        Folder::with(&format!("{MINIMAL}[workers]\nconcurrency = 2\n[server]\nmax_body = \"2KiB\"\n"));
    let config = folder.load(&[("BRIDGE_WORKERS__CONCURRENCY", "3")]).unwrap();
    assert_eq!(config.workers.concurrency, 3, "the environment wins over the file");
    assert_eq!(config.server.max_body, 2_048, "the file wins over the default");
    assert_eq!(config.server.ack_deadline, Duration::from_millis(1_800), "the default");
}

#[test]
fn the_environment_alone_is_enough() {
    let env = [
        ("BRIDGE_INTEGRATIONS__MAIN__CLIENT_UUID", ID),
        ("BRIDGE_INTEGRATIONS__MAIN__CLIENT_SECRET", "s"),
        ("PATH", "/bin"),
        ("BRIDGE_PORT", "tcp://10.0.0.1:80"),
        ("BRIDGE_CONFIG", ""),
    ];
    assert_eq!(Config::load(&Sources { file: None, env: owned(&env) }).unwrap().integrations.len(), 1);
}

#[test]
fn the_argument_for_the_file_wins_over_the_variable() {
    let (one, two) =
        (Folder::with(MINIMAL), Folder::with(&MINIMAL.replace(ID, "22222222-0c1e-4d57-8c6e-2f6f3f1f0d11")));
    let variable = one.path("bridge.toml").display().to_string();
    let mut sources = Sources { file: None, env: owned(&[("BRIDGE_CONFIG", &variable)]) };
    assert_eq!(Config::load(&sources).unwrap().integrations["main"].client_uuid, ID);
    sources.file = Some(two.path("bridge.toml"));
    assert_eq!(
        Config::load(&sources).unwrap().integrations["main"].client_uuid,
        "22222222-0c1e-4d57-8c6e-2f6f3f1f0d11"
    );
}

#[test]
fn part_of_a_table_can_be_set() {
    let folder =
        Folder::with(&format!("{MINIMAL}[handlers.greet]\nfallback = {{ data = {{ a = 1, b = 2 }} }}\n"));
    let config = folder.load(&[("BRIDGE_HANDLERS__GREET__FALLBACK__DATA__A", "x")]).unwrap();
    assert_eq!(config.handlers["greet"].policy.fallback.as_json(), r#"{"data":{"a":"x","b":2}}"#);
}

#[test]
fn handlers_named_like_a_secret_and_its_file_stay_two_handlers() {
    let folder = Folder::with(&format!("{MINIMAL}[handlers.photo]\nkind = \"echo\"\n"));
    let config = folder.load(&[("BRIDGE_HANDLERS__PHOTO_FILE__KIND", "echo")]).unwrap();
    let names: Vec<_> = config.handlers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["photo", "photo_file"]);
}

#[test]
fn relative_paths_are_relative_to_the_file_or_to_the_working_directory() {
    let backups = "backup_folder = \"backups\"\n";
    let folder = Folder::with(&format!("{MINIMAL}[store]\nurl = \"sqlite://data/x.db\"\n{backups}"));
    let in_folder = |name: &str| format!("sqlite:{}", folder.path(name).display());
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.store.url, in_folder("data/x.db"));
    assert_eq!(config.store.backup_folder, Some(folder.path("backups")));
    let env = [("BRIDGE_STORE__URL", "sqlite:y.db"), ("BRIDGE_STORE__BACKUP_FOLDER", "elsewhere")];
    let config = folder.load(&env).unwrap();
    assert_eq!(
        (config.store.url.as_str(), config.store.backup_folder),
        ("sqlite:y.db", Some("elsewhere".into()))
    );
    folder.write("bridge.toml", MINIMAL);
    assert_eq!(folder.load(&[]).unwrap().store.url, in_folder("data/bridge.db"), "the default");
    assert_eq!(Config::from_toml(MINIMAL).unwrap().store.url, "sqlite:data/bridge.db", "there is no file");
}
