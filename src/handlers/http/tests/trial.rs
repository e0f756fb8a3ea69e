//! The test of a handler.

use super::*;

#[tokio::test]
async fn the_result_of_a_test_contains_no_secret_that_the_tool_repeats() {
    let tool = Tool::start().await;
    let auth = Some("Bearer a-secret-of-the-tool".to_owned().into());
    let it = Fixture::new(&HttpHandlerConfig {
        auth,
        secret: Some(SECRET.to_owned().into()),
        ..config(&tool.url)
    });
    let test =
        async || it.handler.test(json!({ "message": "ping" }), false, Duration::from_secs(5)).await.unwrap();
    tool.answers(200, r#"{"data":{"got":"a-secret-of-the-tool"}}"#);
    let answered = test().await;
    assert!(matches!(&answered.meaning, Meaning::Answer(body) if body.contains("…")), "{answered:?}");
    tool.answers(400, &format!("bad signature, expected one of {SECRET}"));
    for trial in [answered, test().await] {
        let shown = format!("{trial:?}");
        assert!(!shown.contains("a-secret-of-the-tool") && !shown.contains(SECRET), "{shown}");
    }
    assert_eq!(tool.got()[0].header("authorization"), "Bearer a-secret-of-the-tool");
}
