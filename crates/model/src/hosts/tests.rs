//! The allow-list and the address rules as tables.

use super::*;

fn rules(allowed: &[&str], insecure: bool) -> HostRules {
    HostRules { allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(), insecure }
}

#[test]
fn only_allowed_hosts_over_https_get_a_bearer() {
    use HostRefusal::*;
    let rules = rules(&["*.kommo.com", "one.example.org:8443"], false);
    let table = [
        ("https://a.kommo.com/x", Ok(())),
        ("https://A.KOMMO.com:443/x", Ok(())),
        ("https://a.b.kommo.com/", Ok(())),
        ("https://one.example.org:8443/", Ok(())),
        ("https://one.example.org/", Err(NotAllowed)),
        ("https://kommo.com/", Err(NotAllowed)),
        ("https://a.kommo.com:8443/", Err(NotAllowed)),
        ("https://a.kommo.com./", Err(NotAllowed)),
        ("https://akommo.com/", Err(NotAllowed)),
        ("https://a.kommo.com.evil.org/", Err(NotAllowed)),
        ("https://evil.org/a.kommo.com", Err(NotAllowed)),
        ("https://`a.kommo.com/", Err(NotAllowed)),
        ("https://a$(b).kommo.com/", Err(NotAllowed)),
        ("https://a_b-1.kommo.com/", Ok(())),
        ("https://evil.org#.kommo.com", Err(NotAllowed)),
        ("https://a.kommo.com@evil.org/", Err(Credentials)),
        ("https://user:pass@a.kommo.com/", Err(Credentials)),
        ("http://a.kommo.com/", Err(Scheme)),
        ("ftp://a.kommo.com/", Err(Scheme)),
        ("https://2130706433/", Err(IpLiteral)),
        ("https://0x7f.1/", Err(IpLiteral)),
        ("https://[::ffff:127.0.0.1]/", Err(IpLiteral)),
        ("https://127.0.0.1/", Err(IpLiteral)),
    ];
    for (url, expected) in table {
        assert_eq!(rules.check(&Url::parse(url).unwrap()), expected, "{url}");
    }
}

#[test]
fn allow_list_applies_even_if_insecure() {
    let rules = rules(&["127.0.0.1:8090", "[::1]:80"], true);
    for (url, allowed) in [
        ("http://127.0.0.1:8090/", true),
        ("https://127.0.0.1:8090/", true),
        ("http://[::1]/", true),
        ("http://127.0.0.1:8091/", false),
        ("http://127.0.0.1/", false),
        ("http://localhost:8090/", false),
    ] {
        assert_eq!(rules.check(&Url::parse(url).unwrap()).is_ok(), allowed, "{url}");
    }
}

#[test]
fn entries_for_one_host_differ_by_port_and_stay_in_order() {
    let texts = ["a.kommo.com:8443", "*.kommo.com:9443", "a.kommo.com", "b.kommo.com:443"];
    let rules = rules(&texts, false);
    for (url, allowed) in [
        ("https://a.kommo.com:8443/", true),
        ("https://a.kommo.com/", true),
        ("https://a.kommo.com:443/", true),
        ("https://a.kommo.com:9443/", true),
        ("https://a.kommo.com:7443/", false),
        ("https://b.kommo.com/", true),
        ("https://b.kommo.com:8443/", false),
        ("https://c.kommo.com/", false),
        ("https://c.kommo.com:9443/", true),
        ("https://kommo.com:9443/", false),
    ] {
        assert_eq!(rules.check(&Url::parse(url).unwrap()).is_ok(), allowed, "{url}");
    }
    assert_eq!(rules.allowed.iter().map(ToString::to_string).collect::<Vec<_>>(), texts);
}

#[test]
fn pattern_is_a_host_with_an_optional_port() {
    for good in ["*.kommo.com", "a.kommo.com", "127.0.0.1:8090", "[::1]:8090", "a.kommo.com:443"] {
        assert_eq!(good.parse::<HostPattern>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "*",
        "*.",
        "https://a.kommo.com",
        "a.kommo.com/",
        "a.kommo.com/x",
        "u@a.com",
        "a.*.com",
        "*.127.0.0.1",
        "a b",
    ] {
        assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
    }
}

#[test]
fn private_addresses_are_not_public() {
    for public in ["8.8.8.8", "1.1.1.1", "100.63.0.1", "2606:4700::1", "64:ff9b::808:808", "::ffff:8.8.8.8"] {
        assert!(is_public_address(public.parse().unwrap()), "{public}");
    }
    for private in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:c0a8:101::",
    ] {
        assert!(!is_public_address(private.parse().unwrap()), "{private}");
    }
}
