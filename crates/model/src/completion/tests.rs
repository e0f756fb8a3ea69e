//! Completions within each limit and beyond it.

use serde_json::json;

use super::*;

#[test]
fn builds_the_body_of_a_continue() {
    let full = Completion::success()
        .data("reply", "Hi")
        .show(Show::text("Hello"))
        .show(Show::buttons("Pick", ["a", "b"]))
        .show(Show::buttons_url(
            "Open",
            [
                Button::Url("https://x.example/".into()),
                Button::Link { text: "t".into(), url: "https://y.example/".into() },
            ],
        ))
        .goto(Step::question(1))
        .check()
        .unwrap();
    let body: Value = serde_json::from_str(full.as_json()).unwrap();
    assert_eq!(
        body,
        json!({
            "data": {"status": "success", "reply": "Hi"},
            "execute_handlers": [
                {"handler": "show", "params": {"type": "text", "value": "Hello"}},
                {"handler": "show", "params": {"type": "buttons", "value": "Pick", "buttons": ["a", "b"]}},
                {"handler": "show", "params": {"type": "buttons_url", "value": "Open",
                    "buttons": ["https://x.example/", {"text": "t", "url": "https://y.example/"}]}},
                {"handler": "goto", "params": {"type": "question", "step": 1}},
            ]
        })
    );
    assert!(!full.is_data_alone());
    assert_eq!(CheckedCompletion::from_json(full.as_json()).unwrap(), full);
}

#[test]
fn data_alone_has_no_execute_handlers_key() {
    let alone = Completion::fail().check().unwrap();
    assert_eq!(alone.as_json(), r#"{"data":{"status":"fail"}}"#);
    assert_eq!(alone, CheckedCompletion::failed());
    assert!(alone.is_data_alone());
    let with_goto = alone.with_goto(Step::finish(2)).unwrap();
    assert!(!with_goto.is_data_alone());
    assert!(
        with_goto.as_json().contains(r#""params":{"type":"finish","step":2}"#),
        "{}",
        with_goto.as_json()
    );
}

#[test]
fn limits_are_inclusive_and_named() {
    let gotos = |n| (0..n).fold(Completion::new(), |c, _| c.goto(Step::answer(0)));
    assert!(gotos(10).check().is_ok());
    assert_eq!(gotos(11).check(), Err(CompletionError::TooManyHandlers { found: 11 }));

    let show = |text: String| Completion::new().show(Show::text(text)).check();
    assert!(show("x".repeat(80)).is_ok());
    assert!(show("я".repeat(80)).is_ok());
    assert_eq!(show("x".repeat(81)), Err(CompletionError::ShowTooLong { index: 0, found: 81 }));
    // An emoji outside the basic plane is two UTF-16 units.
    assert!(show("😀".repeat(40)).is_ok());
    assert_eq!(show("😀".repeat(41)), Err(CompletionError::ShowTooLong { index: 0, found: 82 }));

    let buttons =
        |n: usize| Completion::new().show(Show::buttons("?", (0..n).map(|i| i.to_string()))).check();
    assert!(buttons(25).is_ok());
    assert_eq!(buttons(26), Err(CompletionError::TooManyButtons { index: 0, found: 26 }));
    assert_eq!(buttons(0), Err(CompletionError::NoButtons { index: 0 }));
}

#[test]
fn data_is_an_object_or_an_array() {
    assert!(Completion::new().with_data(json!([1, 2])).check().is_ok());
    for (value, found) in [
        (json!("x"), "a string"),
        (json!(null), "null"),
        (json!(1), "a number"),
        (json!(true), "true or false"),
    ] {
        assert_eq!(Completion::new().with_data(value).check(), Err(CompletionError::Data { found }));
    }
    assert_eq!(
        Completion::new().with_data(json!([])).data("a", 1).check(),
        Err(CompletionError::Data { found: "an array" })
    );
    let unserialisable = std::collections::HashMap::from([(vec![1], 1)]);
    assert!(
        matches!(Completion::new().data("k", unserialisable).check(), Err(CompletionError::Value { key, .. }) if key == "k")
    );
}

#[test]
fn data_too_deep_to_read_back_is_refused() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    let deepest = Completion::new().with_data(nested(64)).check().unwrap();
    assert_eq!(CheckedCompletion::from_json(deepest.as_json()).unwrap(), deepest);
    assert_eq!(Completion::new().with_data(nested(65)).check(), Err(CompletionError::TooDeep));
    assert_eq!(Completion::new().with_data(nested(500)).check(), Err(CompletionError::TooDeep));
}

#[test]
fn completion_has_at_most_one_mebibyte() {
    let around = r#"{"data":{"text":""}}"#.len();
    let sized = |bytes: usize| Completion::new().data("text", "x".repeat(bytes - around));
    let largest = sized(1 << 20).check().unwrap();
    assert_eq!(largest.as_json().len(), 1 << 20);
    assert_eq!(sized((1 << 20) + 1).check(), Err(CompletionError::TooLarge { found: (1 << 20) + 1 }));
    // A completion refused with TooFew is sent again with a goto, even if that exceeds the limit.
    assert!(largest.with_goto(Step::question(1)).is_ok());
}

#[test]
fn float_that_json_cannot_express_is_a_mistake_and_not_null() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Completion::success().data("price", json!({})).data("price", vec![Some(number)]).check();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`price`") && error.contains("JSON cannot express"), "{error}");
    }
    let null = Completion::new().data("price", None::<f64>).check().unwrap();
    assert_eq!(null.as_json(), r#"{"data":{"price":null}}"#);
}

#[test]
fn json_from_outside_has_the_same_limits() {
    assert!(CheckedCompletion::from_json("{}").unwrap().is_data_alone());
    assert_eq!(
        CheckedCompletion::from_json(r#"{"execute_handlers":[]}"#),
        Err(CompletionError::EmptyHandlers)
    );
    for bad in [
        r#"{"execute_handlers":[{"handler":"set_tag","params":{}}]}"#,
        r#"{"execute_handlers":[{"handler":"goto","params":{"type":"question"}}]}"#,
        r#"{"execute_handlers":[{"handler":"goto","params":{"type":"start","step":1}}]}"#,
        r#"{"dta":{}}"#,
        "[]",
        "",
    ] {
        assert!(matches!(CheckedCompletion::from_json(bad), Err(CompletionError::Shape(_))), "{bad}");
    }
    let long = format!(
        r#"{{"execute_handlers":[{{"handler":"show","params":{{"type":"text","value":"{}"}}}}]}}"#,
        "x".repeat(81)
    );
    assert_eq!(
        CheckedCompletion::from_json(&long),
        Err(CompletionError::ShowTooLong { index: 0, found: 81 })
    );
}

#[test]
fn empty_strings_are_found_at_any_depth() {
    let completion = Completion::success().data("reply", "").data("a", json!({"b": ["x", ""], "c": 0}));
    assert_eq!(completion.empty_values(), ["a.b.1", "reply"].map(str::to_owned));
    let nested = |levels: usize| (0..levels).fold(json!(""), |inner, _| Value::Array(vec![inner]));
    assert_eq!(Completion::new().with_data(nested(64)).empty_values().len(), 1);
    assert_eq!(Completion::new().with_data(nested(500)).empty_values().len(), 0);
    assert_eq!(Completion::new().with_data(json!(vec![""; 1_000])).empty_values().len(), 20);
}

#[test]
fn errors_name_the_limit() {
    let text = CompletionError::ShowTooLong { index: 2, found: 81 }.to_string();
    assert!(text.contains("81") && text.contains("80") && text.contains("{{json.KEY}}"), "{text}");
}
