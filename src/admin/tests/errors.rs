//! Groups of errors through the API.

use super::*;

#[tokio::test]
async fn errors_are_listed_in_groups_and_a_group_is_retried() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let page = it.get("/api/v1/errors").await;
    assert_eq!(page["next_cursor"], Value::Null);
    let group = &page["errors"][0];
    assert_eq!((&group["stage"], &group["handler"]), (&json!("delivery"), &Value::Null), "{page}");
    assert_eq!((&group["failures"], &group["sample"]), (&json!(1), &json!(dead)), "{page}");
    assert_eq!(
        (group["last_day"].as_array().unwrap().len(), &group["last_day"][23]),
        (24, &json!(1)),
        "{page}"
    );
    let path = format!("/api/v1/errors/{}", group["id"]);
    assert_eq!(it.get(&path).await, *group);
    let explained = it.get(&format!("/api/v1/jobs/{dead}/explain")).await;
    assert_eq!(explained["error_group"], group["id"]);

    let retried = it.call("POST", &format!("{path}/retry"), "").await;
    assert_eq!((retried.status, retried.json()), (StatusCode::OK, json!({ "retried": 1, "superseded": 0 })));
    assert_eq!(it.ids("state=delivering").await, [dead.to_string()]);
}

#[tokio::test]
async fn pages_of_groups_follow_one_another_and_end() {
    let it = Fixture::new(None).await;
    for handler in ["echo", "greet", "other"] {
        it.jobs.make(handler, StateName::Dead).await;
        it.jobs.make(handler, StateName::Gone).await;
    }
    let all = it.get("/api/v1/errors").await;
    let all: Vec<&Value> = all["errors"].as_array().unwrap().iter().map(|group| &group["id"]).collect();
    let (mut seen, mut path) = (Vec::new(), "/api/v1/errors?limit=1".to_owned());
    loop {
        let page = it.get(&path).await;
        seen.extend(page["errors"].as_array().unwrap().iter().map(|group| group["id"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/errors?limit=1&cursor={next}");
    }
    assert_eq!(seen.iter().collect::<Vec<_>>(), all);
}

#[tokio::test]
async fn a_wrong_group_query_or_body_is_refused() {
    let it = Fixture::new(None).await;
    it.jobs.make("echo", StateName::Dead).await;
    for (method, path, body, status, part) in [
        ("GET", "/api/v1/errors/77", "", 404, "no group of errors `77`"),
        ("GET", "/api/v1/errors/greet", "", 404, "no group of errors `greet`"),
        ("POST", "/api/v1/errors/77/retry", "", 404, "no group of errors"),
        ("POST", "/api/v1/errors/1/retry", "{\"all\":true}", 400, "force"),
        ("GET", "/api/v1/errors?limit=0", "", 400, "`limit`"),
    ] {
        let detail = it.call(method, path, body).await.problem(status);
        assert!(detail.contains(part), "{path}: {detail}");
    }
}
