//! `dev` in scripts: `--message`, `--file` and a pipe, and their exit status.

use std::net::TcpListener;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::service::{Got, Service};
use super::{Place, events, names};
use crate::process::Process;

#[test]
fn without_a_url_the_bot_gets_its_message_back() {
    let ended = Place::new().run(&["--message", "hi"]).expect(0);
    for part in ["#1    0.00 s  → request \"hi\" (lead 1001)", "bot ← message: hi", "status success"] {
        assert!(ended.out.contains(part), "{part} in\n{}", ended.out);
    }
    assert_eq!(ended.err, "");
}

#[test]
fn the_events_show_the_answer_as_the_customer_sees_it() {
    let (place, service) = (Place::new(), Service::start());
    let arguments = ["--forward", &service.url, "--lead", "7", "--message", "Ann"];
    let ended = place.run(&arguments).expect(0);
    for part in [
        "(lead 7)",
        "handler 200 in ",
        "bot says: Hi Ann!  [Yes]  [No]",
        "bot ← reply: Hi Ann",
        ", status success, goes to question 1",
    ] {
        assert!(ended.out.contains(part), "{part} in\n{}", ended.out);
    }
    let request = service.got()[0].json();
    assert_eq!(request["data"]["input"], json!({ "message": "Ann" }));
    assert_eq!(request["data"]["entity"], json!({ "type": "lead", "id": 7 }));
}

#[test]
fn requests_are_signed_with_the_secret_of_a_file() {
    let (place, service) = (Place::new(), Service::start());
    let key = [7; 32];
    let secret = place.file("handler.whsec", &format!("whsec_{}\n", STANDARD.encode(key)));
    let secret = secret.to_str().unwrap();
    let ended = place.run(&["--forward", &service.url, "--secret-file", secret, "--message", "hi"]).expect(0);
    assert!(is_signed(&service.got()[0], &key));
    assert!(!ended.out.contains("whsec_") && !ended.err.contains("whsec_"), "{}{}", ended.out, ended.err);

    let auth = place.file("handler.auth", "Bearer app-1\n");
    place
        .run(&["--forward", &service.url, "--auth-file", auth.to_str().unwrap(), "--message", "hi"])
        .expect(0);
    let got = &service.got()[1];
    assert_eq!((got.header("authorization"), got.header("webhook-signature")), ("Bearer app-1", ""));
}

fn is_signed(got: &Got, key: &[u8]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(format!("{}.{}.", got.header("webhook-id"), got.header("webhook-timestamp")).as_bytes());
    mac.update(&got.body);
    got.header("webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[test]
fn an_answer_may_come_later() {
    let (place, service) = (Place::new(), Service::start());
    let mut command = place.command();
    command.args(["--forward", &service.url, "--message", "later", "--json"]);
    let mut dev = Process::start(command);
    dev.out.wait("the wait for the callback", |line| line.contains("\"event\":\"later\"").then_some(()));
    service.calls_back();
    let events = events(&dev.end().expect(0));
    assert_eq!(names(&events), ["request", "attempt", "later", "note", "callback", "answer"]);
    assert_eq!((&events[1]["status"], &events[1]["result"]), (&json!(202), &json!("accepted")));
    assert_eq!(events[3]["text"], "asking a colleague");
    assert_eq!((&events[5]["outcome"], &events[5]["data"]["reply"]), (&json!("handler"), &json!("Later")));
    place.assert_empty();
}

#[test]
fn a_failed_attempt_is_retried_and_the_script_succeeds() {
    let (place, service) = (Place::new(), Service::start());
    let ended = place.run(&["--forward", &service.url, "--message", "once", "--json"]).expect(0);
    let events = events(&ended);
    assert_eq!(names(&events), ["request", "attempt", "retry", "attempt", "answer"]);
    assert_eq!((&events[1]["status"], &events[3]["status"]), (&json!(503), &json!(200)));
    assert!(events[2]["fallback_in_ms"].as_u64().is_some_and(|ms| ms <= 50_000), "{}", events[2]);
}

#[test]
fn a_handler_that_fails_leads_to_a_fallback_with_advice_and_status_1() {
    let (place, service) = (Place::new(), Service::start());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nothing = format!("http://{free}/");
    for (url, message, error, advice) in [
        (
            &nothing,
            "hi",
            "Connection refused",
            "start your handler, or check the address and port in --forward",
        ),
        (&service.url, "500", "500 Internal Server Error", "look at the log of your handler"),
        (&service.url, "401", "401 Unauthorized", "verify signatures with the secret of this run"),
        (&service.url, "bad", "the response is not valid JSON", "print only JSON"),
        (&service.url, "big", "over 256 KiB", "return only what the bot needs"),
        (&service.url, "slow", "did not answer within", "answer faster, raise --timeout, or answer 202"),
        (&service.url, "later", "did not call back within --answer-within", "data.callback.url"),
    ] {
        let times = ["--answer-within", "2s", "--timeout", "400ms"];
        let arguments = [&["--forward", url, "--message", message], &times[..]].concat();
        let ended = place.run(&arguments).expect(1);
        for part in [error, advice, "the bot gets the fallback (", "status fail, with the fallback"] {
            assert!(ended.out.contains(part), "{message}: {part} in\n{}", ended.out);
        }
        for part in ["handlers.", "client error", "panicked", "src/"] {
            assert!(!ended.out.contains(part), "{message}: {part} in\n{}", ended.out);
        }
        assert!(ended.err.ends_with("1 of 1 bots did not get the handler's answer\n"), "{}", ended.err);
    }
}

#[test]
fn a_file_is_sent_line_by_line_with_its_commands() {
    let (place, service) = (Place::new(), Service::start());
    let lines = "one\n\n{\"message\": \"two\", \"n\": 2}\n/lead 9\n/replay\n//three\n/data\n";
    let file = place.file("lines.txt", lines);
    let arguments = ["--forward", &service.url, "--json", "--file", file.to_str().unwrap()];
    let ended = place.run(&arguments).expect(0);
    let got: Vec<_> = service.got().iter().map(Got::json).collect();
    let inputs: Vec<_> = got.iter().map(|request| request["data"]["input"].clone()).collect();
    // Kommo's bots send forms, in which every value is a string.
    let two = json!({ "message": "two", "n": "2" });
    assert_eq!(inputs, [json!({ "message": "one" }), two.clone(), two, json!({ "message": "/three" })]);
    let leads: Vec<_> = got.iter().map(|request| request["data"]["entity"]["id"].clone()).collect();
    assert_eq!(leads, [1001, 1001, 1001, 9], "a replay is about the lead of its request");
    assert_ne!(got[1]["data"]["job_id"], got[2]["data"]["job_id"], "a replay is a new bot");

    let events = events(&ended);
    let data = events.last().unwrap();
    assert_eq!((&data["event"], &data["request"]), (&json!("data"), &json!(4)));
    assert_eq!(data["completion"]["data"]["reply"], "Hi /three");
    let (shown, sent) = (&data["sent"]["data"], &got[3]["data"]);
    assert_eq!((&shown["job_id"], &shown["input"]), (&sent["job_id"], &sent["input"]));
    let token = sent["callback"]["url"].as_str().unwrap().rsplit('/').next().unwrap();
    assert!(!ended.out.contains(token), "the token of the callback is not shown");
}

#[test]
fn a_wrong_line_of_a_file_sends_nothing() {
    let (place, service) = (Place::new(), Service::start());
    let file = place.file("lines.txt", "hi\n{\"message\": \n");
    let file = file.to_str().unwrap();
    let ended = place.run(&["--forward", &service.url, "--file", file]).expect(2);
    assert!(
        ended.err.contains("lines.txt:2: ") && ended.err.contains("must be one JSON object"),
        "{}",
        ended.err
    );
    assert_eq!(service.got().len(), 0);
}

#[test]
fn a_pipe_is_sent_line_by_line_and_a_wrong_line_is_not_sent() {
    let (place, service) = (Place::new(), Service::start());
    let mut command = place.command();
    command.args(["--forward", &service.url]);
    let ended = place.run_with(command, "one\n{\"message\"\n/wrong\ntwo\n").expect(1);
    assert_eq!(service.got().len(), 2);
    for part in
        ["line 2 of the input: ", "line 3 of the input: unknown command `/wrong`", "2 lines were wrong"]
    {
        assert!(ended.err.contains(part), "{part} in\n{}", ended.err);
    }
    let mut command = place.command();
    command.args(["--file", "-"]);
    let ended = place.run_with(command, "one\n/quit\ntwo\n").expect(0);
    assert!(ended.out.contains("message: one") && !ended.out.contains("two"), "{}", ended.out);
}

#[test]
fn a_request_that_the_bridge_refuses_is_an_event_and_status_1() {
    let (place, service) = (Place::new(), Service::start());
    let file = place.file("large.txt", &"x".repeat(300 << 10));
    let ended = place.run(&["--forward", &service.url, "--file", file.to_str().unwrap()]).expect(1);
    assert!(ended.out.contains("the bridge refused the request with 413: "), "{}", ended.err);
    assert_eq!(service.got().len(), 0);
}

#[test]
fn a_wrong_option_is_named_and_nothing_starts() {
    let place = Place::new();
    for (arguments, part) in [
        (&["--forward", "http://93.184.215.14/"][..], "--forward: must begin with https://"),
        (&["--forward", "http://169.254.169.254/"], "--forward: cannot be called"),
        (&["--forward", "ftp://127.0.0.1/"], "--forward: must be a URL"),
        (&["--forward", "8000", "--preset", "other"], "--preset: must be one of"),
        (&["--forward", "8000", "--timeout", "soon"], "--timeout: must be a duration"),
        (&["--forward", "8000", "--secret-file", "none"], "--secret-file: "),
        (&["--answer-within", "soon"], "--answer-within: must be a duration"),
        (&["--preset", "dify"], "--forward <URL>"),
        (&["--file", "none"], "--file: cannot read none"),
        (&["--message", "{"], "--message: "),
    ] {
        let ended = place.run(arguments).expect(2);
        assert!(ended.err.contains(part), "{part} in\n{}", ended.err);
        assert_eq!(ended.out, "");
    }
}
