//! The steps that the script returns for a bot.

use super::*;

#[test]
fn bot_calls_the_bridge_first_and_then_leaves_by_the_status() {
    let draft = Draft {
        fields: texts(&["message={{message_text}}", "lead.id={{lead.id}}"]),
        exits: texts(&["silent=Nothing to say", "fail=No answer"]),
        ..draft()
    };
    let leave_if = |code: &str| {
        json!({ "handler": "conditions", "params": {
            "logic": "and",
            "conditions": [{ "term1": "{{json.status}}", "term2": code, "operation": "=" }],
            "result": [{ "handler": "exits", "params": { "value": code } }],
        } })
    };
    let expected = json!([
        { "question": [
            { "handler": "widget_request", "params": {
                "url": URL,
                "data": { "message": "{{message_text}}", "lead": { "id": "{{lead.id}}" } },
            } },
            { "handler": "goto", "params": { "type": "question", "step": 1 } },
        ], "require": [] },
        { "question": [
            leave_if("success"),
            leave_if("silent"),
            leave_if("superseded"),
            { "handler": "exits", "params": { "value": "fail" } },
        ], "require": [] },
    ]);
    assert_eq!(saved(draft, &json!({})), expected);
}

#[test]
fn fields_nest_by_their_paths() {
    for (fields, expected) in [
        (&[][..], json!({ "message": "{{message_text}}" })),
        (&["a=1", "b="], json!({ "a": "1", "b": "" })),
        (
            &["lead[id]={{lead.id}}", "who={{contact.name}}", "lead.price:numeric={{lead.price}}"],
            json!({ "lead": { "id": "{{lead.id}}", "price": "{{lead.price}}" }, "who": "{{contact.name}}" }),
        ),
        (
            &["a.b.c.d.e=deep", "a.b.x=less"],
            json!({ "a": { "b": { "c": { "d": { "e": "deep" } }, "x": "less" } } }),
        ),
        // Names that every JavaScript object already has.
        (
            &["constructor.name=1", "toString=2", "hasOwnProperty=3", "a.valueOf.b=4"],
            json!({ "constructor": { "name": "1" }, "toString": "2", "hasOwnProperty": "3",
                    "a": { "valueOf": { "b": "4" } } }),
        ),
    ] {
        let draft = Draft { fields: texts(fields), ..draft() };
        assert_eq!(data(draft, &json!({})), expected, "{fields:?}");
    }
}

#[test]
fn no_text_of_a_description_becomes_code() {
    let nasty = [
        r#"say "hi" and 'bye' \ \" \u0041"#,
        "two\nlines\r\n\tand a tab",
        "</script><script>throw 1</script><!-- -->",
        "\u{2028}\u{2029}\u{feff}\u{0}\u{7f}",
        "Grüße 👋 привет 你好 é",
        "'@PACKAGE@' ${x} $& $1 `*/ //",
        "]}; throw new Error(1); var x = {",
        "{{lead.id}} & {{json.status}}",
    ];
    for value in nasty {
        let title: String = value.chars().filter(|letter| !letter.is_control()).take(60).collect();
        let draft = Draft {
            fields: vec![format!("message={value}")],
            exits: vec![format!("extra={title}")],
            ..draft()
        };
        let text = script_of(draft);
        let observed = engine::observe(text.as_bytes(), "greet", &json!({}), &json!({})).unwrap();
        let source: Json =
            serde_json::from_str(observed.returned["onSalesbotDesignerSave"].as_str().unwrap()).unwrap();
        assert_eq!(source[0]["question"][0]["params"]["data"], json!({ "message": value }));
        assert_eq!(observed.returned["salesbotDesignerSettings"]["exits"][1]["title"], title.trim());
        for forbidden in ["</script", "<!--", "\u{2028}", "\u{2029}", "\u{feff}"] {
            assert!(!text.contains(forbidden), "{value:?} brings {forbidden:?} into the script");
        }
    }
}

#[test]
fn value_from_the_bot_designer_overrides_the_default() {
    let fields = texts(&["message={{message_text}}", "lead.id={{lead.id}}"]);
    let own = |params: Json| data(Draft { fields: fields.clone(), ..draft() }, &params);
    let sent = |message: &str, id: &str| json!({ "message": message, "lead": { "id": id } });
    for (params, expected) in [
        (json!({ "message": "Hi", "lead_id": "7" }), sent("Hi", "7")),
        (json!({ "lead_id": "{{lead.cf.10929}}" }), sent("{{message_text}}", "{{lead.cf.10929}}")),
        (json!({ "message": "", "lead_id": 7.5 }), sent("", "7.5")),
        (json!({ "message": false, "lead_id": 0 }), sent("false", "0")),
        (json!({ "message": null, "lead_id": { "id": 1 } }), sent("{{message_text}}", "{{lead.id}}")),
        (
            json!({ "lead.id": "7", "lead": { "id": "7" }, "other": "x" }),
            sent("{{message_text}}", "{{lead.id}}"),
        ),
        (json!({ "message": "</script>\"\n" }), sent("</script>\"\n", "{{lead.id}}")),
        (json!(null), sent("{{message_text}}", "{{lead.id}}")),
        (json!([]), sent("{{message_text}}", "{{lead.id}}")),
    ] {
        assert_eq!(own(params.clone()), expected, "{params}");
    }
}

#[test]
fn callbacks_return_the_values_that_kommo_expects() {
    let observed = observe(draft(), &json!({}));
    for name in ["init", "render", "bind_actions", "settings", "onSave"] {
        assert_eq!(observed.returned[name], json!(true), "{name}");
    }
    assert_eq!(observed.kinds["destroy"], "function");
    assert!(observed.thrown.is_empty(), "{:?}", observed.thrown);
    assert!(observed.returned["onSalesbotDesignerSave"].is_string());
}

#[test]
fn exits_have_titles_in_the_users_language() {
    let draft =
        || Draft { locales: texts(&["es", "ru"]), exits: texts(&["silent=Nothing to say"]), ..draft() };
    let files = files(draft());
    let exits = |texts: &Json| {
        let observed = engine::observe(&files["script.js"], "greet", &json!({}), texts).unwrap();
        observed.returned["salesbotDesignerSettings"].clone()
    };
    let titled = |success: &str, superseded: &str, fail: &str| {
        json!({ "exits": [
            { "code": "success", "title": success },
            { "code": "silent", "title": "Nothing to say" },
            { "code": "superseded", "title": superseded },
            { "code": "fail", "title": fail },
        ] })
    };
    let spanish = titled("Éxito", "Unido a un mensaje posterior", "Error");
    let russian = titled("Успешно", "Объединено с более поздним сообщением", "Ошибка");
    assert_eq!(exits(&json_of(&files, "i18n/es.json")), spanish);
    assert_eq!(exits(&json_of(&files, "i18n/ru.json")), russian);
    assert_eq!(exits(&json!({})), spanish, "without texts: the package's first language");
}

#[test]
fn block_over_the_size_limit_is_not_saved() {
    let length = |message: &str| {
        let observed = observe(draft(), &json!({ "message": message }));
        let source = observed.returned.get("onSalesbotDesignerSave").and_then(Json::as_str).map(str::len);
        source.ok_or_else(|| observed.thrown["onSalesbotDesignerSave"].clone())
    };
    let around = length("").unwrap();
    // Letters of one to four bytes, because the limit counts bytes.
    for letter in ["x", "é", "你", "👋"] {
        let many = (65_536 - around) / letter.len();
        let rest = "x".repeat(65_536 - around - many * letter.len());
        assert_eq!(length(&format!("{}{rest}", letter.repeat(many))), Ok(65_536), "{letter}");
        let error = length(&format!("{}{rest}x", letter.repeat(many))).unwrap_err();
        assert!(error.contains("at most 64 KB"), "{error}");
    }
}

#[test]
fn script_avoids_syntax_that_old_browsers_lack() {
    let text = script_of(draft());
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    for modern in ["=>", "let ", "const ", "`", "class ", "..."] {
        assert!(!code.contains(modern), "{modern}");
    }
}

#[test]
fn endless_and_invalid_scripts_are_stopped_with_the_reason() {
    for (script, said) in [
        ("while (true) {}", "interrupted"),
        ("function f() { return f() + 1; } f();", "stack"),
        ("var a = []; while (true) { a.push(new Array(1e5).join('xy')); }", ""),
        ("define(", "unexpected token"),
        ("var x = 1;", "define once"),
        ("define([], function () { return {}; });", "constructor"),
        ("define([], function () { return function () {}; }); define([], function () {});", "define once"),
    ] {
        let error = engine::observe(script.as_bytes(), "greet", &json!({}), &json!({})).unwrap_err();
        assert!(error.contains(said), "{script}: {error}");
    }
}
