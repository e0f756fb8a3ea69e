//! How calls to Kommo leave this machine: `delivery.proxy`, `delivery.ca_file`, `delivery.allow_private_addresses`.

use secrecy::{ExposeSecret, SecretString};

use super::check::Checker;
use super::source::Sources;
use super::{ca_file, raw, secret};
use model::{Authorities, Outgoing, Proxy, ProxyUrl};

/// In place of an address: the one that the environment names.
const FROM_ENVIRONMENT: &str = "env";
/// The variables that name a proxy for https, as other programs read them: the first that is set counts.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// The variables that list the hosts that are called directly.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];
const PROXY: [&str; 2] = ["delivery", "proxy"];

/// How calls leave, and the variable that names a proxy that is not used.
pub(super) struct Checked {
    pub(super) outgoing: Outgoing,
    pub(super) ignored_proxy: Option<String>,
}

/// The values of `[delivery]` that are about it. `insecure` implies private addresses.
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
    let text = checker.secret(&PROXY, proxy, proxy_file, secret::Kind::Proxy);
    let proxy = text.and_then(|text| match read(text.expose_secret(), sources) {
        Ok(proxy) => proxy,
        Err(why) => {
            checker.refuse(&PROXY, why);
            None
        }
    });
    let authorities = ca_file.and_then(|file| authorities(&file, checker));
    let path = ["delivery", "allow_private_addresses"];
    let private = checker.need(&path, allow_private_addresses, "true or false")?;
    let named = PROXIES.into_iter().find(|name| sources.variable(name).is_some());
    Some(Checked {
        outgoing: Outgoing { proxy, authorities, allow_private_addresses: private || insecure },
        ignored_proxy: named.filter(|_| !given).map(str::to_owned),
    })
}

/// The proxy that `text` names; `None` if it is that of the environment, and that names none.
///
/// # Errors
/// It names no proxy; the text repeats nothing of it, because it may hold a password.
fn read(text: &str, sources: &Sources) -> Result<Option<Proxy>, String> {
    if text != FROM_ENVIRONMENT {
        let url = ProxyUrl::read(text).ok_or_else(|| format!("must be {}", ProxyUrl::ALLOWED))?;
        return Ok(Some(Proxy { url, except: None, variable: None }));
    }
    let first =
        |names: &[&'static str]| names.iter().find_map(|name| Some((*name, sources.variable(name)?.trim())));
    let Some((variable, named)) = first(&PROXIES) else { return Ok(None) };
    // As other programs read it: without a scheme it is http.
    let url = if named.contains("://") {
        ProxyUrl::read(named)
    } else {
        ProxyUrl::read(&format!("http://{named}"))
    };
    let Some(url) = url else {
        return Err(format!(
            "\"env\" takes the proxy of the variable {variable}, which must be {}",
            ProxyUrl::ALLOWED
        ));
    };
    let except = first(&EXCEPTIONS).map(|(_, hosts)| hosts.to_owned());
    Ok(Some(Proxy { url, except, variable: Some(variable.to_owned()) }))
}

fn authorities(written: &str, checker: &mut Checker<'_>) -> Option<Authorities> {
    let path = ["delivery", "ca_file"];
    let origin = checker.tree.nearest_origin(&path);
    let read = paths::literal(written).map_err(|why| why.to_string()).and_then(|_| {
        let file = paths::absolute(&secret::absolute(written, origin));
        ca_file::read(&file).map(|certificates| Authorities { file, certificates })
    });
    read.map_err(|why| checker.refuse(&path, why)).ok()
}
