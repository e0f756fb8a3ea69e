//! Tools that have their own ids of conversations.

use super::*;

#[tokio::test]
async fn dify_gets_its_conversation_id_back_until_it_forgets_it() {
    let tool = Tool::start().await;
    let fixture = Fixture::with_preset(&tool, Preset::Dify);
    let answer = |id: &str| json!({ "answer": "Hi Ann", "conversation_id": id }).to_string();
    tool.answers(200, &answer("c-1"));
    tool.answers(200, &answer("c-1"));
    tool.answers(404, "{}");
    tool.answers(200, &answer("c-2"));
    assert_eq!(data_of(fixture.run().await), json!({ "status": "success", "reply": "Hi Ann" }));
    fixture.run().await.unwrap();
    assert!(fixture.run().await.unwrap_err().is_retryable());
    fixture.run().await.unwrap();
    fixture.run().await.unwrap();
    let ids: Vec<Value> = tool.got().iter().map(|got| got.json()["conversation_id"].clone()).collect();
    assert_eq!(ids, ["", "c-1", "c-1", "", "c-2"]);
    assert!(tool.got().iter().all(|got| got.json()["user"] == "31764961:lead:345"));
}

#[tokio::test]
async fn typebot_continues_its_chat_until_the_flow_ends() {
    let tool = Tool::start().await;
    let fixture = Fixture::with_preset(&tool, Preset::Typebot);
    let said = json!([{ "type": "text", "content": { "type": "markdown", "markdown": "Hi Ann" } }]);
    let input = json!({ "type": "text input" });
    tool.answers(200, &json!({ "sessionId": "s-1", "messages": said, "input": input }).to_string());
    tool.answers(200, &json!({ "messages": said, "input": input }).to_string());
    tool.answers(200, &json!({ "messages": said }).to_string());
    tool.answers(200, &json!({ "sessionId": "s-2", "messages": said, "input": input }).to_string());
    for _ in 0..4 {
        assert_eq!(data_of(fixture.run().await)["reply"], "Hi Ann");
    }
    let paths: Vec<String> = tool.got().into_iter().map(|got| got.path).collect();
    let (start, continues) = ("/api/v1/typebots/a-bot/startChat", "/api/v1/sessions/s-1/continueChat");
    assert_eq!(paths, [start, continues, continues, start]);
}

#[tokio::test]
async fn a_request_without_an_entity_is_a_conversation_of_its_own() {
    let tool = Tool::start().await;
    let fixture = Fixture::with_preset(&tool, Preset::Dify);
    let request = WidgetRequest { entity: None, ..request(json!("Hi")) };
    for _ in 0..2 {
        tool.answers(200, r#"{"answer":"x","conversation_id":"c-1"}"#);
        let context = fixture.context(1);
        fixture.handler.run(&request, ReceivedAt(fixture.time.now()), context).await.unwrap();
    }
    let id = fixture.context(1).job_id().to_string();
    for got in tool.got() {
        assert_eq!((&got.json()["conversation_id"], &got.json()["user"]), (&json!(""), &json!(id)));
    }
}
