//! Checks the sections with names that the operator chooses: integrations and accounts.

use std::collections::{BTreeMap, HashMap};

use super::checker::{Checker, is_origin};
use super::raw;
use super::secret::Kind;
use super::secret_text::is_uuid;
use super::sections::{AccountConfig, IntegrationConfig};
use super::values::Text;
use model::HostRules;

pub(super) fn integrations(
    raw: BTreeMap<String, raw::Integration>,
    checker: &mut Checker<'_>,
) -> BTreeMap<String, IntegrationConfig> {
    if raw.is_empty() && !checker.problems.was_refused(&["integrations"]) {
        checker.refuse(
            &["integrations"],
            "at least one is needed: add [integrations.NAME] with client_uuid and client_secret",
        );
    }
    let mut checked: BTreeMap<String, IntegrationConfig> = BTreeMap::new();
    for (name, raw) in raw {
        let path = ["integrations", name.as_str(), "client_uuid"];
        let what = "the integration's id, from its page in Kommo";
        let client_uuid = checker.require(&path, raw.client_uuid, what);
        if let Some(why) = client_uuid.as_deref().and_then(wrong_id) {
            checker.refuse(&path, why);
        }
        let is_same = |other: &IntegrationConfig| {
            client_uuid.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(&other.client_uuid))
        };
        let twin = checked.iter().find(|(_, other)| is_same(other));
        if let Some((twin, _)) = twin {
            checker.refuse(
                &path,
                format!("integrations.{twin} has the same client_uuid; list each integration once"),
            );
        }
        let path = ["integrations", name.as_str(), "client_secret"];
        let given = raw.client_secret.is_some() || raw.client_secret_file.is_some();
        let client_secret =
            checker.secret(&path, raw.client_secret, raw.client_secret_file, Kind::ClientSecret);
        if !given {
            let what = "the integration's secret key, here or in the file that client_secret_file names";
            checker.require(&path, None::<()>, what);
        }
        let path = ["integrations", name.as_str(), "previous_client_secret"];
        let previous_client_secret = checker.secret(
            &path,
            raw.previous_client_secret,
            raw.previous_client_secret_file,
            Kind::ClientSecret,
        );
        let redirect_uri = raw.redirect_uri.map(|Text(uri)| uri);
        let install_without_link = raw.install_without_link.unwrap_or(false);
        if let (Some(client_uuid), Some(client_secret)) = (client_uuid, client_secret) {
            let integration = IntegrationConfig {
                client_uuid,
                client_secret,
                previous_client_secret,
                redirect_uri,
                install_without_link,
            };
            checked.insert(name, integration);
        }
    }
    checked
}

/// Returns why a text is not an integration's id; `None` if it is one. The reason does not repeat the text, which may
/// be a misplaced secret.
fn wrong_id(text: &str) -> Option<String> {
    if is_uuid(text) {
        return None;
    }
    let is_secret = text.len() > 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let hint = if is_secret { "; this looks like a secret key, which belongs in client_secret" } else { "" };
    Some(format!(
        "must be the integration's id, a UUID like \"9b2cf3a5-0c1e-4d57-8c6e-2f6f3f1f0d11\", in upper or lower case, without \
         quotes, braces or spaces{hint}"
    ))
}

/// `rules` is `None` if the rules themselves were refused.
pub(super) fn accounts(
    raw: BTreeMap<String, raw::Account>,
    rules: Option<&HostRules>,
    checker: &mut Checker<'_>,
) -> BTreeMap<String, AccountConfig> {
    let mut checked: BTreeMap<String, AccountConfig> = BTreeMap::new();
    let mut names: HashMap<url::Origin, String> = HashMap::new();
    for (name, raw) in raw {
        let path = ["accounts", name.as_str(), "base_url"];
        let what = "the account's address, like \"https://example.kommo.com\"";
        let base_url = checker.require(&path, raw.base_url, what).map(|Text(url)| url);
        if let Some(url) = &base_url {
            if !is_origin(url) {
                checker.refuse(&path, "must be only scheme and host, like \"https://example.kommo.com\"");
            } else if let Some(Err(refusal)) = rules.map(|rules| rules.check(url)) {
                checker.refuse(&path, format!("must not receive a bearer token: {refusal}"));
            }
            if let Some(twin) = names.get(&url.origin()) {
                checker
                    .refuse(&path, format!("accounts.{twin} has the same base_url; list each account once"));
            }
        }
        let path = ["accounts", name.as_str(), "access_token"];
        let given = raw.access_token.is_some() || raw.access_token_file.is_some();
        let access_token = checker.secret(&path, raw.access_token, raw.access_token_file, Kind::AccessToken);
        if !given {
            let what = "the account's long-lived token, here or in the file that access_token_file names";
            checker.require(&path, None::<()>, what);
        }
        if let (Some(base_url), Some(access_token)) = (base_url, access_token) {
            names.entry(base_url.origin()).or_insert_with(|| name.clone());
            checked.insert(name, AccountConfig { base_url, access_token });
        }
    }
    checked
}
