//! The allow-list of hosts. A look-up costs the same for one entry as for thousands, because the bridge checks each request
//! and each call.

use std::collections::BTreeSet;

use url::Url;

use super::HostPattern;
use crate::maps::HashMap;

/// The entries of `delivery.allowed_hosts`. Collect it from [`HostPattern`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    patterns: Vec<HostPattern>,
    /// The ports of the entries without `*.`, by host.
    single: HashMap<String, BTreeSet<Option<u16>>>,
    /// The positions of the entries with `*.`. There are few of them, so they are compared one by one.
    any_subdomain: Vec<usize>,
}

impl AllowedHosts {
    /// The entries, in their original order.
    pub fn iter(&self) -> impl Iterator<Item = &HostPattern> {
        self.patterns.iter()
    }

    /// Whether an entry matches the host and the port of `url`.
    pub(super) fn matches(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        // `Url::port` is `None` for the scheme's default port.
        let (port, written_out) = (url.port(), url.port_or_known_default());
        let is_single =
            self.single.get(host).is_some_and(|ports| ports.contains(&port) || ports.contains(&written_out));
        is_single
            || self.any_subdomain.iter().map(|position| &self.patterns[*position]).any(|pattern| {
                is_subdomain(host, &pattern.host) && (pattern.port == port || pattern.port == written_out)
            })
    }
}

impl FromIterator<HostPattern> for AllowedHosts {
    fn from_iter<I: IntoIterator<Item = HostPattern>>(patterns: I) -> Self {
        let mut allowed = Self::default();
        for (position, pattern) in patterns.into_iter().enumerate() {
            if pattern.any_subdomain {
                allowed.any_subdomain.push(position);
            } else {
                allowed.single.entry(pattern.host.clone()).or_default().insert(pattern.port);
            }
            allowed.patterns.push(pattern);
        }
        allowed
    }
}

impl<const N: usize> From<[HostPattern; N]> for AllowedHosts {
    fn from(patterns: [HostPattern; N]) -> Self {
        patterns.into_iter().collect()
    }
}

/// Whether `host` is one or more labels before `domain`. The host of a URL may contain other characters than letters,
/// digits, `-` and `_`, but the host of an account does not.
fn is_subdomain(host: &str, domain: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let labels = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    labels.is_some_and(|labels| !labels.is_empty() && labels.bytes().all(plain))
}
