//! The configuration for the page of settings: adds which files of secrets SIGHUP reads again.

use std::collections::HashMap;

use crate::admin::{Settings, SettingsSource};
use crate::config::Config;
use crate::listed_setting::{ListedSetting, SecretFileUse};

use super::secrets::is_read_again;

/// The settings of `config`.
pub(super) fn settings(config: &Config) -> Settings {
    let files: HashMap<String, SecretFileUse> = config
        .secret_files
        .iter()
        .map(|file| {
            let again = is_read_again(&file.path);
            let used = if again { SecretFileUse::StartAndSignal } else { SecretFileUse::Start };
            (file.file_key(), used)
        })
        .collect();
    let values = config
        .settings
        .iter()
        .map(|one| ListedSetting { secret_file: files.get(&one.key).copied(), ..one.clone() });
    let was_read = config.file.is_some() || config.from_text;
    let source = config.read_from();
    Settings {
        source: if was_read { SettingsSource::Read(source) } else { SettingsSource::Nothing(source) },
        values: values.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_secret_says_when_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for (name, secret) in [
            ("token", "s3cret-token"),
            ("proxy", "http://user:s3cret@proxy:1"),
            ("auth", "Bearer s3cret"),
            ("key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        ] {
            std::fs::write(folder.path().join(name), secret).unwrap();
        }
        let at = folder.path().display();
        let config = Config::from_toml(&format!(
            "store.encryption_key_file = \"{at}/key\"\nadmin.token_file = \"{at}/token\"\n\
             [integrations.main]\nclient_uuid = \"9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11\"\nclient_secret = \"s3cret\"\n\
             [handlers.a-b]\nkind = \"http\"\nurl = \"http://127.0.0.1:1\"\nauth_file = \"{at}/auth\"\nproxy_file = \"{at}/proxy\"\n"
        ));
        let config = match config {
            Ok(config) => config,
            Err(error) => panic!("{error}"),
        };
        let found = settings(&config);
        assert_eq!(found.source, SettingsSource::Read("the given TOML".to_owned()));
        let of = |key: &str| found.values.iter().find(|one| one.key == key).unwrap().secret_file;
        for (key, expected) in [
            ("admin.token_file", Some(SecretFileUse::StartAndSignal)),
            ("handlers.a-b.auth_file", Some(SecretFileUse::StartAndSignal)),
            ("handlers.a-b.proxy_file", Some(SecretFileUse::Start)),
            ("store.encryption_key_file", Some(SecretFileUse::Start)),
            ("integrations.main.client_secret", None),
        ] {
            assert_eq!(of(key), expected, "{key}");
        }
        assert!(!format!("{found:?}").contains("s3cret"), "{found:?}");
    }
}
