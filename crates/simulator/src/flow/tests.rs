//! Steps as a widget writes them, and how a bot runs them.

use serde_json::{Value, json};

use super::*;

fn ask() -> Value {
    json!({ "handler": "widget_request", "params": { "url": "http://b.test/x", "data": { "m": "{{message_text}}" } } })
}

fn goto(step: u32) -> Value {
    json!({ "handler": "goto", "params": { "type": "question", "step": step } })
}

fn exit(code: &str) -> Value {
    json!({ "handler": "exits", "params": { "value": code } })
}

fn show(text: &str) -> Value {
    json!({ "handler": "show", "params": { "type": "text", "value": text } })
}

fn when(operation: &str, two: &str, result: Value) -> Value {
    json!({ "handler": "conditions", "params": { "logic": "and", "result": [result],
        "conditions": [{ "term1": "{{json.status}}", "term2": two, "operation": operation }] } })
}

fn flow(steps: &[Value]) -> Flow {
    let steps: Vec<_> = steps.iter().map(|question| json!({ "question": question, "require": [] })).collect();
    let variables = json!({ "message_text": "hi" }).as_object().unwrap().clone();
    Flow::new(Program::parse(&json!(steps).to_string()).unwrap(), variables)
}

fn exited(code: &str) -> Next {
    Next::Exit(code.to_owned())
}

fn usual() -> Flow {
    flow(&[json!([ask(), goto(1)]), json!([when("=", "success", exit("success")), exit("fail")])])
}

#[test]
fn bot_asks_and_leaves_by_the_exit_that_matches_the_continue() {
    for (data, expected) in [
        (json!({ "status": "success" }), "success"),
        (json!({ "status": "fail" }), "fail"),
        (json!({}), "fail"),
        (json!([]), "fail"),
    ] {
        let mut flow = usual();
        let asked = Next::Ask { url: "http://b.test/x".into(), data: json!({ "m": "hi" }) };
        assert_eq!(flow.run(), asked);
        assert_eq!(flow.resume(data, None), exited(expected));
    }
}

#[test]
fn handlers_of_the_continue_run_before_the_remaining_ones() {
    let mut flow = usual();
    flow.run();
    let handlers = vec![show("Hello {{json.name}}"), show("{{json.empty}}"), goto(1)];
    let next = flow.resume(json!({ "status": "success", "name": "Ann", "empty": "" }), Some(handlers));
    assert_eq!(next, exited("success"));
    assert_eq!(flow.said, ["Hello Ann", "{{json.empty}}"], "an empty value shows the placeholder");

    let finish = json!({ "handler": "goto", "params": { "type": "finish", "step": 0 } });
    let mut flow = usual();
    flow.run();
    assert_eq!(flow.resume(json!({}), Some(vec![finish])), exited("finish"));
}

#[test]
fn goto_an_earlier_step_asks_again() {
    let mut flow = usual();
    flow.run();
    assert!(matches!(flow.resume(json!({}), Some(vec![goto(0)])), Next::Ask { .. }));
    assert_eq!(flow.resume(json!({ "status": "success" }), None), exited("success"));
}

#[test]
fn conditions_compare_texts_and_numbers() {
    let rows = [
        ("=", "10", "10.0", true),
        ("=", "a", "b", false),
        ("!=", "a", "b", true),
        ("!=", "1", "1.0", false),
        (">", "10", "9", true),
        ("<", "10", "9", false),
        (">=", "9", "9", true),
        ("<=", "10", "9", false),
        (">", "b", "a", false),
    ];
    for (operation, one, two, holds) in rows {
        let mut flow = flow(&[json!([ask(), when(operation, two, exit("yes")), exit("no")])]);
        flow.run();
        let next = flow.resume(json!({ "status": one }), None);
        assert_eq!(next, exited(if holds { "yes" } else { "no" }), "{one} {operation} {two}");
    }
}

#[test]
fn logic_and_needs_all_conditions_logic_or_any() {
    let condition = |two: &str| json!({ "term1": "a", "term2": two, "operation": "=" });
    for (logic, expected) in [("and", "no"), ("or", "yes")] {
        let conditions = json!({ "handler": "conditions", "params": { "logic": logic,
            "conditions": [condition("a"), condition("b")], "result": [exit("yes")] } });
        assert_eq!(flow(&[json!([conditions, exit("no")])]).run(), exited(expected));
    }
}

#[test]
fn stuck_bot_reports_the_reason() {
    let rows = [
        (json!([show("x")]), "without an exit"),
        (json!([goto(7)]), "unknown step 7"),
        (json!([goto(0)]), "leads back endlessly"),
        (json!([{ "handler": "find" }]), "`find`"),
        (json!([{ "handler": "widget_request" }]), "no `url`"),
        (json!([{ "handler": "exits" }]), "no `value`"),
        (json!([{ "handler": "conditions" }]), "`logic`"),
        (json!([{ "handler": "goto", "params": { "type": "answer", "step": 0 } }]), "`answer`"),
        (json!([when("~", "a", exit("x"))]), "`~`"),
    ];
    for (question, reason) in rows {
        let Next::Stuck(why) = flow(std::slice::from_ref(&question)).run() else { panic!("{question}") };
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn invalid_steps_are_refused_with_the_reason() {
    let rows = [
        ("no json", "not a JSON array"),
        ("{}", "not a JSON array"),
        ("[]", "no steps"),
        (r#"[{"require":[]}]"#, "step 0 has no `question`"),
        (r#"[{"question":[]},{"question":[{}]}]"#, "step 1"),
        (&format!("[{}]", " ".repeat(64 * 1024)), "(limit: 65536)"),
    ];
    for (text, reason) in rows {
        let why = Program::parse(text).unwrap_err();
        assert!(why.contains(reason), "{why}");
    }
}
