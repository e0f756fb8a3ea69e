//! How calls leave this machine: `delivery.proxy`, `delivery.ca_file`, `delivery.allow_private_addresses`, and the same keys
//! of a handler.

use secrecy::{ExposeSecret, SecretString};

use super::checker::Checker;
use super::source::Sources;
use super::{ca_file, raw, secret};
use model::{Authorities, Outgoing, Proxy, ProxyUrl};

/// The value that selects the environment's proxy.
const FROM_ENVIRONMENT: &str = "env";
/// The variables that name a proxy for https. The first one that is set wins, as in other programs.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// The variables that list hosts to call without the proxy.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// How calls leave, and the variable that names a proxy which is not used.
pub(super) struct Checked {
    pub(super) outgoing: Outgoing,
    pub(super) ignored_proxy: Option<String>,
}

/// The keys of `[delivery]` that decide how calls leave. `insecure` implies private addresses.
pub(super) struct Written {
    pub(super) proxy: Option<SecretString>,
    pub(super) proxy_file: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) allow_private_addresses: Option<bool>,
}

impl From<&mut raw::Delivery> for Written {
    fn from(raw: &mut raw::Delivery) -> Self {
        Self {
            proxy: raw.proxy.take(),
            proxy_file: raw.proxy_file.take(),
            ca_file: raw.ca_file.take(),
            allow_private_addresses: raw.allow_private_addresses,
        }
    }
}

pub(super) fn outgoing(
    written: Written,
    insecure: bool,
    sources: &Sources,
    checker: &mut Checker<'_>,
) -> Option<Checked> {
    let Written { proxy, proxy_file, ca_file, allow_private_addresses } = written;
    let given = proxy.is_some() || proxy_file.is_some();
    let proxy = self::proxy(&["delivery", "proxy"], proxy, proxy_file, sources, checker);
    let authorities = ca_file.and_then(|file| authorities(&["delivery", "ca_file"], &file, checker));
    let path = ["delivery", "allow_private_addresses"];
    let private = checker.require(&path, allow_private_addresses, "true or false")?;
    let named = PROXIES.into_iter().find(|name| sources.variable(name).is_some());
    Some(Checked {
        outgoing: Outgoing { proxy, authorities, allow_private_addresses: private || insecure },
        ignored_proxy: named.filter(|_| !given).map(str::to_owned),
    })
}

/// The proxy of the key at `path`; `None` if there is none, or it is refused.
pub(super) fn proxy(
    path: &[&str],
    value: Option<SecretString>,
    file: Option<String>,
    sources: &Sources,
    checker: &mut Checker<'_>,
) -> Option<Proxy> {
    let text = checker.secret(path, value, file, secret::Kind::Proxy)?;
    match read(text.expose_secret(), sources) {
        Ok(proxy) => proxy,
        Err(why) => {
            checker.refuse(path, why);
            None
        }
    }
}

/// Returns the proxy that `text` names; `None` if it selects the environment's and the environment names none.
///
/// # Errors
/// `text` is not a proxy. The error repeats none of it, because it may contain a password.
fn read(text: &str, sources: &Sources) -> Result<Option<Proxy>, String> {
    if text != FROM_ENVIRONMENT {
        let url = ProxyUrl::read(text).ok_or_else(|| format!("must be {}", ProxyUrl::ALLOWED))?;
        return Ok(Some(Proxy { url, except: None, variable: None }));
    }
    let first =
        |names: &[&'static str]| names.iter().find_map(|name| Some((*name, sources.variable(name)?.trim())));
    let Some((variable, named)) = first(&PROXIES) else { return Ok(None) };
    // Like other programs, treat a proxy without a scheme as http.
    let url = if named.contains("://") {
        ProxyUrl::read(named)
    } else {
        ProxyUrl::read(&format!("http://{named}"))
    };
    let Some(url) = url else {
        return Err(format!(
            "\"env\" uses the proxy in the variable {variable}, which must be {}",
            ProxyUrl::ALLOWED
        ));
    };
    let except = first(&EXCEPTIONS).map(|(_, hosts)| hosts.to_owned());
    Ok(Some(Proxy { url, except, variable: Some(variable.to_owned()) }))
}

/// The certificates in the file that the key at `path` names; `None` if it is refused.
pub(super) fn authorities(path: &[&str], written: &str, checker: &mut Checker<'_>) -> Option<Authorities> {
    let origin = checker.tree.nearest_origin(path);
    let read = paths::literal(written).map_err(|why| why.to_string()).and_then(|written| {
        let file = paths::absolute(&origin.resolve(written));
        ca_file::read(&file).map(|certificates| Authorities { file, certificates })
    });
    read.map_err(|why| checker.refuse(path, why)).ok()
}
