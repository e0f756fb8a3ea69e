//! Validation of descriptions: accepted with defaults, or refused with every mistake.

use super::*;
use crate::{Field, Mistakes};

fn mistakes(draft: Draft) -> Vec<(&'static str, String)> {
    let Mistakes(mistakes) = draft.check().expect_err("it should be refused");
    mistakes.into_iter().map(|mistake| (mistake.about, mistake.message)).collect()
}

#[test]
fn address_alone_is_enough() {
    let spec = spec(draft());
    assert_eq!((spec.name(), spec.version().to_string().as_str()), ("Greet", "1.0.0"));
    assert_eq!(
        spec.fields().iter().map(Field::to_string).collect::<Vec<_>>(),
        ["message = {{message_text}}"]
    );
    let codes: Vec<&str> = spec.exits().iter().map(|exit| exit.code()).collect();
    assert_eq!(codes, ["success", "superseded", "fail"]);
    assert_eq!(
        json_of(&plain(), "manifest.json")["widget"]["support"],
        json!({ "link": "https://bridge.example.com" })
    );
}

#[test]
fn every_mistake_names_its_option() {
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
        (Draft { locales: texts(&["de"]), ..draft() }, "locale", "unknown language `de`"),
        (Draft { locales: texts(&["en", "es", "en"]), ..draft() }, "locale", "`en` is given twice"),
        (Draft { fields: texts(&["message"]), ..draft() }, "field", "`message` has no value"),
        (Draft { fields: texts(&["a b=c"]), ..draft() }, "field", "`a b` has an invalid key"),
        (Draft { fields: texts(&["a=1", "a=2"]), ..draft() }, "field", "`a` and `a` are the same field"),
        (Draft { fields: texts(&["a.b=1", "a=2"]), ..draft() }, "field", "a value and an object"),
        (Draft { fields: texts(&["a.b=1", "a_b=2"]), ..draft() }, "field", "cannot tell apart"),
        (Draft { exits: texts(&["silent"]), ..draft() }, "exit", "`silent` has no title"),
        (Draft { exits: texts(&["a=A", "a=B"]), ..draft() }, "exit", "`a` is given twice"),
        (Draft { version: some("1.0"), ..draft() }, "version", "like 1.0.0"),
        (Draft { logo: Some(b"GIF89a".to_vec()), ..draft() }, "logo", "neither a PNG nor a JPEG"),
    ];
    for (draft, about, said) in cases {
        let shown = format!("{draft:?}");
        let [(named, message)] =
            <[_; 1]>::try_from(mistakes(draft)).unwrap_or_else(|all| panic!("{shown}: {all:?}"));
        assert!(named == about && message.contains(said), "{shown}: --{named}: {message}");
    }
}

#[test]
fn all_mistakes_are_reported_together() {
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
    let report = draft.check().unwrap_err().to_string();
    assert_eq!(report.lines().count(), 9, "{report}");
    for option in ["--url", "--name", "--locale", "--field", "--exit", "--version", "--support-email"] {
        assert!(report.contains(&format!("{option}: ")), "{option} in\n{report}");
    }
}

#[test]
fn limits_are_exact() {
    let fields = |count: usize| (0..count).map(|number| format!("f{number}=x")).collect::<Vec<_>>();
    assert_eq!(spec(Draft { fields: fields(50), ..draft() }).fields().len(), 50);
    assert_eq!(mistakes(Draft { fields: fields(51), ..draft() })[0].0, "field");
    let exits = |count: usize| (0..count).map(|number| format!("e{number}=x")).collect::<Vec<_>>();
    assert_eq!(spec(Draft { exits: exits(20), ..draft() }).exits().len(), 23);
    assert_eq!(mistakes(Draft { exits: exits(21), ..draft() })[0].0, "exit");
    let large = |count: usize| {
        (0..count).map(|number| format!("f{number}={}", "x".repeat(4_000))).collect::<Vec<_>>()
    };
    let archive = build(&spec(Draft { fields: large(15), ..draft() })).unwrap();
    assert_eq!(crate::check(&archive), []);
    let found = mistakes(Draft { fields: large(17), ..draft() });
    assert!(found[0].1.contains("larger than 64 KiB"), "{found:?}");
}

#[test]
fn success_is_the_first_exit_and_the_other_standard_ones_are_the_last() {
    for (given, expected) in [
        (
            &["fail=No", "b=B", "a=A", "success=Yes"][..],
            &[
                ("success", "Yes"),
                ("b", "B"),
                ("a", "A"),
                ("superseded", "Joined into a later message"),
                ("fail", "No"),
            ][..],
        ),
        (
            &["superseded=Later", "b=B"],
            &[("success", "Success"), ("b", "B"), ("superseded", "Later"), ("fail", "Failure")],
        ),
    ] {
        let spec = spec(Draft { exits: texts(given), ..draft() });
        let exits: Vec<(&str, &str)> =
            spec.exits().iter().map(|exit| (exit.code(), spec.title(exit))).collect();
        assert_eq!(exits, expected);
    }
}
