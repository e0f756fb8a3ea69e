//! The options of a client.

use std::time::Duration;

use model::{HostRules, Outgoing};

/// The options of a [`Client`](super::Client) with its own pace.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The maximum number of calls per second. Default: 7, which Kommo allows for all programs that call the account
    /// together.
    pub rate_per_second: u32,
    /// The hosts that may get the token. Default: the hosts of Kommo and amoCRM, over TLS, at public addresses.
    pub hosts: HostRules,
    /// The proxy and the trusted certificates. Default: no proxy, and only the system's certificates.
    pub outgoing: Outgoing,
    /// The maximum duration of one call. Default: 20 s.
    pub timeout: Duration,
    /// The limit on how long a call waits: for its turn, for the end of a pause, and for retries. Default: 60 s.
    pub patience: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        let allowed = ["*.kommo.com", "*.amocrm.ru", "*.amocrm.com"];
        Self {
            rate_per_second: 7,
            hosts: HostRules {
                allowed: allowed.iter().filter_map(|host| host.parse().ok()).collect(),
                insecure: false,
            },
            outgoing: Outgoing::default(),
            timeout: Duration::from_secs(20),
            patience: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_hosts_match_the_configuration() {
        let file: toml::Table = include_str!("../../../../config/default.toml").parse().unwrap();
        let configured: Vec<_> =
            file["delivery"]["allowed_hosts"].as_array().unwrap().iter().filter_map(|v| v.as_str()).collect();
        let ours = ClientOptions::default().hosts.allowed;
        assert_eq!(ours.iter().map(ToString::to_string).collect::<Vec<_>>(), configured);
    }
}
