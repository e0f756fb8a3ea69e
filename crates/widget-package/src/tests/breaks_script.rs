//! Breaks each rule of the script: the check runs the script and must report it.

use super::*;
use crate::check;

/// What the check finds after replacing `from`, which must occur, in the script.
fn broken(from: &str, to: &str) -> Vec<String> {
    let mut files = plain();
    let script = String::from_utf8(files["script.js"].clone()).unwrap();
    assert!(script.contains(from), "the script has no `{from}`");
    files.insert("script.js".to_owned(), script.replace(from, to).into_bytes());
    check(&packed(&files)).iter().map(ToString::to_string).collect()
}

#[test]
fn each_rule_of_the_script_is_checked() {
    for (from, to, said) in [
        ("define(['jquery']", "defin(['jquery']", "script.js: fails: "),
        ("return function () {", "return {", "fails: "),
        ("'use strict';", "while (true) {}", "fails: "),
        ("this.callbacks =", "this.callback =", "`init` must be a function in this.callbacks"),
        ("init: yes,", "init: function () {},", "`init` must return true"),
        ("init: yes,", "", "`init` must be a function"),
        ("render: yes,", "render: function () { return 1; },", "`render` must return true"),
        ("bind_actions: yes,", "bind_actions: true,", "`bind_actions` must be a function"),
        ("settings: yes,", "settings: function () { return false; },", "`settings` must return true"),
        ("onSave: yes,", "onSave: function () { throw new Error('no'); },", "`onSave` throws Error: no"),
        ("destroy: function () {},", "", "`destroy` must be a function"),
        (
            "salesbotDesignerSettings: function",
            "other: function",
            "`salesbotDesignerSettings` must be a function",
        ),
        ("exits: PACKAGE.exits.map", "exit: PACKAGE.exits.map", "must return {exits: [{code, title}]}"),
        ("title: titleOf(exit, texts)", "title: ''", "each exit must have a code and a title"),
        ("{ code: exit.code, title", "{ code: 'success', title", "the exit `success` is declared twice"),
        (
            "{ code: exit.code, title",
            "{ code: exit.code + 's', title",
            "leaves by the exit \"fail\", which is not declared",
        ),
        ("onSalesbotDesignerSave: function", "save: function", "`onSalesbotDesignerSave` must be a function"),
        ("return source;", "return stepsFor(params);", "must return JSON as a string"),
        ("return source;", "return '{}';", "must return a JSON array"),
        ("return source;", "return source + new Array(70000).join(' ');", "bytes (limit: 65536)"),
        ("handler: 'widget_request'", "handler: 'show'", "must begin with a widget_request"),
        ("url: PACKAGE.url", "url: ''", "must begin with a widget_request"),
        ("data: dataFrom(params)", "data: 'x'", "must begin with a widget_request"),
        ("step: 1", "step: 0", "must go to step 1"),
        ("step: 1", "step: 2", "a goto to a step that does not exist"),
        ("type: 'question'", "type: 'questions'", "a goto to a step that does not exist"),
        ("question: [ask, goOn]", "question: [ask]", "must go to step 1"),
        ("exits.concat([leaveBy('fail')])", "exits", "must end with an exit"),
        ("leaveBy('fail')", "leaveBy('lost')", "leaves by the exit \"lost\", which is not declared"),
        (
            "result: [leaveBy(code)]",
            "result: [leaveBy('lost')]",
            "leaves by the exit \"lost\", which is not declared",
        ),
        (", require: [] }", " }", "must return steps of the form"),
    ] {
        let found = broken(from, to);
        assert!(
            found.iter().any(|finding| finding.contains(said)),
            "{from} → {to}: no `{said}` in {found:#?}"
        );
    }
}
