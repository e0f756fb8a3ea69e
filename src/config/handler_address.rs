//! The addresses that the bridge refuses to call for a handler.
//!
//! A handler may be anywhere, also in a private network. But cloud providers give away keys at link-local and similar
//! addresses to anyone who asks from inside the machine. And without encryption, anyone on the way to a public address can
//! read what customers write.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::is_public_address;

/// Why the bridge does not connect to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressRefusal {
    /// The metadata service of a cloud, or another link-local address.
    #[error("it is a link-local address or that of a cloud's metadata service, which handlers must not have")]
    Metadata,
    /// A public address without TLS.
    #[error("it is a public address, which is only called over https")]
    Unencrypted,
}

/// The metadata services that are not link-local, of Alibaba Cloud and AWS.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl AddressRefusal {
    /// Returns why the bridge does not connect to `address`; `None` if it does. `encrypted`: the URL begins with `https`.
    pub(crate) fn of(address: IpAddr, encrypted: bool) -> Option<Self> {
        let is_metadata = match address {
            IpAddr::V4(v4) => is_metadata_v4(v4),
            IpAddr::V6(v6) => {
                v6.is_unicast_link_local() || v6 == METADATA_V6 || embedded(v6).is_some_and(is_metadata_v4)
            }
        };
        if is_metadata {
            return Some(Self::Metadata);
        }
        (!encrypted && is_public_address(address)).then_some(Self::Unencrypted)
    }
}

fn is_metadata_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || address == METADATA_V4
}

/// The IPv4 address in an IPv6 address that leads to it: mapped, compatible, translated (NAT64) or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d] = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            [a, b, c, d]
        }
        _ => return None,
    };
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_refused_and_http_is_for_private_addresses() {
        use AddressRefusal::{Metadata, Unencrypted};
        for (address, https, http) in [
            ("127.0.0.1", None, None),
            ("0.0.0.0", None, None),
            ("10.1.2.3", None, None),
            ("172.16.0.1", None, None),
            ("192.168.1.1", None, None),
            ("100.64.0.1", None, None),
            ("93.184.215.14", None, Some(Unencrypted)),
            ("172.32.0.1", None, Some(Unencrypted)),
            ("169.254.169.254", Some(Metadata), Some(Metadata)),
            ("169.254.0.1", Some(Metadata), Some(Metadata)),
            ("100.100.100.200", Some(Metadata), Some(Metadata)),
            ("100.100.100.201", None, None),
            ("::1", None, None),
            ("::", None, None),
            ("fd12:3456::1", None, None),
            ("2606:4700::1111", None, Some(Unencrypted)),
            ("fe80::1", Some(Metadata), Some(Metadata)),
            ("febf::1", Some(Metadata), Some(Metadata)),
            ("fd00:ec2::254", Some(Metadata), Some(Metadata)),
            ("fd00:ec2::253", None, None),
            ("::ffff:169.254.169.254", Some(Metadata), Some(Metadata)),
            ("::169.254.169.254", Some(Metadata), Some(Metadata)),
            ("::ffff:100.100.100.200", Some(Metadata), Some(Metadata)),
            ("64:ff9b::a9fe:a9fe", Some(Metadata), Some(Metadata)),
            ("2002:a9fe:a9fe::1", Some(Metadata), Some(Metadata)),
            ("::ffff:10.0.0.1", None, None),
            ("::ffff:93.184.215.14", None, Some(Unencrypted)),
        ] {
            let address_of: IpAddr = address.parse().unwrap();
            assert_eq!(AddressRefusal::of(address_of, true), https, "{address}");
            assert_eq!(AddressRefusal::of(address_of, false), http, "{address}");
        }
    }
}
