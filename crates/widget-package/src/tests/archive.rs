//! The bytes of the zip.

use zip::{CompressionMethod, DateTime};

use super::*;
use crate::{Version, check, version_of};

#[test]
fn entries_are_deflated_in_order_and_without_timestamps() {
    let archive = build(&spec(Draft { locales: texts(&["en", "ru"]), ..draft() })).unwrap();
    let mut zip = ZipArchive::new(Cursor::new(&archive)).unwrap();
    let mut names = Vec::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        assert_eq!(entry.compression(), CompressionMethod::Deflated);
        assert_eq!(entry.last_modified(), Some(DateTime::default()));
        let name = String::from_utf8(entry.name_raw().to_vec()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name.ends_with(".js") || name.ends_with(".json") {
            assert!(!bytes.starts_with(b"\xef\xbb\xbf") && std::str::from_utf8(&bytes).is_ok(), "{name}");
        }
        names.push(name);
    }
    let expected = [
        "manifest.json",
        "script.js",
        "i18n/en.json",
        "i18n/ru.json",
        "images/logo.png",
        "images/logo_main.png",
        "images/logo_small.png",
        "images/logo_medium.png",
        "images/logo_min.png",
        "images/logo_dp.png",
    ];
    assert_eq!(names, expected);
}

#[test]
fn same_description_gives_the_same_bytes() {
    let make = |version: &str| build(&spec(Draft { version: Some(version.to_owned()), ..draft() })).unwrap();
    assert!(make("1.0.0") == make("1.0.0"));
    assert!(make("1.0.0") != make("1.0.1"));
}

#[test]
fn version_of_a_package_is_read_and_that_of_other_bytes_is_none() {
    let archive = build(&spec(Draft { version: Some("3.1.4".to_owned()), ..draft() })).unwrap();
    assert_eq!(version_of(&archive), Some("3.1.4".parse::<Version>().unwrap()));
    assert_eq!((version_of(b"no zip"), version_of(&packed(&Files::new()))), (None, None));
}

#[test]
fn built_packages_pass_the_check() {
    let many: Vec<String> =
        (0..50).map(|number| format!("group{}.field{number}=x{number}", number % 5)).collect();
    for draft in [
        draft(),
        Draft { url: "http://127.0.0.1:8080/widget_request/echo".to_owned(), insecure: true, ..draft() },
        Draft { locales: texts(&["ru"]), exits: texts(&["a=A", "b=B", "success=Done"]), ..draft() },
        Draft { fields: many, ..draft() },
        Draft { fields: texts(&["a=widget.name", "b=salesbot.x", "c=</script>", "d="]), ..draft() },
    ] {
        assert_eq!(check(&build(&spec(draft.clone())).unwrap()), [], "{draft:?}");
    }
}
