//! From a description to a package, or to everything that is wrong with it.

use super::*;
use crate::{Field, Mistakes};

fn mistakes(draft: Draft) -> Vec<(&'static str, String)> {
    let Mistakes(mistakes) = draft.check().expect_err("it should be refused");
    mistakes.into_iter().map(|mistake| (mistake.about, mistake.message)).collect()
}

#[test]
fn an_address_is_enough() {
    let spec = spec(draft());
    assert_eq!((spec.name(), spec.version().to_string().as_str()), ("Greet", "1.0.0"));
    assert_eq!(
        spec.fields().iter().map(Field::to_string).collect::<Vec<_>>(),
        ["message = {{message_text}}"]
    );
    let codes: Vec<&str> = spec.exits().iter().map(|exit| exit.code()).collect();
    assert_eq!(codes, ["success", "fail"]);
    assert_eq!(
        json_of(&plain(), "manifest.json")["widget"]["support"],
        json!({ "link": "https://bridge.example.com" })
    );
}

#[test]
fn each_mistake_is_named_with_its_option() {
    let some = |text: &str| Some(text.to_owned());
    let long = |count: usize| Some("x".repeat(count));
    let cases: Vec<(Draft, &str, &str)> = vec![
        (
            Draft { url: "http://bridge.example.com/widget_request/a".to_owned(), ..draft() },
            "url",
            "https://",
        ),
        (Draft { name: some(" "), ..draft() }, "name", "1 to 60"),
        (Draft { name: long(61), ..draft() }, "name", "1 to 60"),
        (Draft { name: some("two\nlines"), ..draft() }, "name", "one line"),
        (Draft { description: long(2_001), ..draft() }, "description", "1 to 2000"),
        (Draft { description: some("\u{1b}[31m"), ..draft() }, "description", "control"),
        (Draft { short_description: long(201), ..draft() }, "short-description", "1 to 200"),
        (Draft { support_email: some("help"), ..draft() }, "support-email", "help@example.com"),
        (Draft { support_email: some("@example.com"), ..draft() }, "support-email", "help@example.com"),
        (Draft { support_email: some("a@b@example.com"), ..draft() }, "support-email", "help@example.com"),
        (Draft { support_email: some("a b@example.com"), ..draft() }, "support-email", "help@example.com"),
        (Draft { support_email: some("a@example."), ..draft() }, "support-email", "help@example.com"),
        (Draft { support_link: some("example.com"), ..draft() }, "support-link", "https://"),
        (Draft { support_link: some("javascript:alert(1)"), ..draft() }, "support-link", "https://"),
        (Draft { support_link: some("https://u:p@example.com"), ..draft() }, "support-link", "https://"),
        (Draft { locales: texts(&["de"]), ..draft() }, "locale", "`de` is no language of Kommo"),
        (Draft { locales: texts(&["en", "es", "en"]), ..draft() }, "locale", "`en` is given twice"),
        (Draft { fields: texts(&["message"]), ..draft() }, "field", "`message` has no value"),
        (Draft { fields: texts(&["a b=c"]), ..draft() }, "field", "`a b` has a key"),
        (Draft { fields: texts(&["a=1", "a=2"]), ..draft() }, "field", "`a` and `a` are the same field"),
        (Draft { fields: texts(&["a.b=1", "a=2"]), ..draft() }, "field", "a value and an object"),
        (Draft { fields: texts(&["a.b=1", "a_b=2"]), ..draft() }, "field", "cannot tell apart"),
        (Draft { exits: texts(&["silent"]), ..draft() }, "exit", "`silent` has no title"),
        (Draft { exits: texts(&["a=A", "a=B"]), ..draft() }, "exit", "`a` is given twice"),
        (Draft { version: some("1.0"), ..draft() }, "version", "like 1.0.0"),
        (Draft { logo: Some(b"GIF89a".to_vec()), ..draft() }, "logo", "PNG or JPEG"),
    ];
    for (draft, about, said) in cases {
        let told = format!("{draft:?}");
        let [(named, message)] =
            <[_; 1]>::try_from(mistakes(draft)).unwrap_or_else(|all| panic!("{told}: {all:?}"));
        assert!(named == about && message.contains(said), "{told}: --{named}: {message}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let draft = Draft {
        url: "https://localhost/x".to_owned(),
        name: Some(String::new()),
        locales: texts(&["xx", "yy"]),
        fields: texts(&["a", "b=1", "b=2"]),
        exits: texts(&["A=1"]),
        version: Some("x".to_owned()),
        support_email: Some("x".to_owned()),
        ..Draft::default()
    };
    let told = draft.check().unwrap_err().to_string();
    assert_eq!(told.lines().count(), 9, "{told}");
    for option in ["--url", "--name", "--locale", "--field", "--exit", "--version", "--support-email"] {
        assert!(told.contains(&format!("{option}: ")), "{option} in\n{told}");
    }
}

#[test]
fn limits_hold_at_their_very_edge() {
    let fields = |count: usize| (0..count).map(|number| format!("f{number}=x")).collect::<Vec<_>>();
    assert_eq!(spec(Draft { fields: fields(50), ..draft() }).fields().len(), 50);
    assert_eq!(mistakes(Draft { fields: fields(51), ..draft() })[0].0, "field");
    let exits = |count: usize| (0..count).map(|number| format!("e{number}=x")).collect::<Vec<_>>();
    assert_eq!(spec(Draft { exits: exits(20), ..draft() }).exits().len(), 22);
    assert_eq!(mistakes(Draft { exits: exits(21), ..draft() })[0].0, "exit");
    let large = |count: usize| {
        (0..count).map(|number| format!("f{number}={}", "x".repeat(4_000))).collect::<Vec<_>>()
    };
    let archive = build(&spec(Draft { fields: large(15), ..draft() })).unwrap();
    assert_eq!(crate::check(&archive), []);
    let told = mistakes(Draft { fields: large(17), ..draft() });
    assert!(told[0].1.contains("more than 64 KiB"), "{told:?}");
}

#[test]
fn success_comes_first_and_fail_last_whatever_the_order() {
    let draft = Draft { exits: texts(&["fail=No", "b=B", "a=A", "success=Yes"]), ..draft() };
    let spec = spec(draft);
    let exits: Vec<(&str, &str)> = spec.exits().iter().map(|exit| (exit.code(), spec.title(exit))).collect();
    assert_eq!(exits, [("success", "Yes"), ("b", "B"), ("a", "A"), ("fail", "No")]);
}
