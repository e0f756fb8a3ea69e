//! Valid requests are stored, answered, and distinguished by their `jti`.

use super::*;
use model::{Entity, EntityKind, Timestamp};

#[tokio::test]
async fn a_request_answered_200_is_in_the_store() {
    let bench = Bench::new().await;
    let answer = bench.post(form(&token(json!({})), RETURN_URL)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.body["duplicate"], false);

    let id: JobId = answer.body["job_id"].as_str().unwrap().parse().unwrap();
    let (job, attempts) = bench.store.jobs().get(id).await.unwrap().unwrap();
    let job = job.whole().unwrap();
    assert!(attempts.is_empty());
    assert_eq!(job.handler.as_str(), "greet");
    assert_eq!((job.received_at, job.answer_by), (NOW, NOW + Duration::from_secs(50)));
    let expected = WidgetRequest {
        account_id: AccountId(31_764_961),
        entity: Some(Entity { kind: EntityKind::Lead, id: 99 }),
        return_url: RETURN_URL.parse().unwrap(),
        data: json!({"name": "Ann"}),
        earlier: Vec::new(),
    };
    assert_eq!(job.request, expected);
}

#[tokio::test]
async fn a_request_that_cannot_be_committed_is_not_answered_200() {
    let bench = Bench::new().await;
    let body = form(&token(json!({})), RETURN_URL);
    let refuses = bench.store.maintenance().commit_refusal().await;
    refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = bench.post(body.clone()).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    refuses.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(bench.store.jobs().stats().await.unwrap().jobs.values().sum::<u64>(), 0);
    let answer = bench.post(body).await;
    assert_eq!((answer.status.as_u16(), &answer.body["duplicate"]), (200, &json!(false)));
}

#[tokio::test]
async fn json_is_accepted_like_a_form() {
    let bench = Bench::new().await;
    let body = json!({"token": token(json!({})), "return_url": RETURN_URL, "data": {"n": [1, null]}});
    let answer = bench.post(body.to_string()).await;
    assert_eq!(answer.status, 200);
    let id = answer.body["job_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        bench.store.jobs().get(id).await.unwrap().unwrap().0.whole().unwrap().request.data,
        json!({"n": [1, null]})
    );
}

#[tokio::test]
async fn the_jti_distinguishes_requests_and_the_return_url_does_not() {
    let bench = Bench::new().await;
    let first = bench.post(form(&token(json!({"jti": "1"})), RETURN_URL)).await;
    let again = bench.post(form(&token(json!({"jti": "1"})), RETURN_URL)).await;
    let next = bench.post(form(&token(json!({"jti": "2"})), RETURN_URL)).await;
    assert_eq!((again.status, &again.body["duplicate"]), (StatusCode::OK, &json!(true)));
    assert_eq!(again.body["job_id"], first.body["job_id"]);
    assert_eq!((next.status, &next.body["duplicate"]), (StatusCode::OK, &json!(false)));
    assert_eq!(bench.jobs().await, 2);
}

#[tokio::test]
async fn time_limits_of_a_job_count_from_its_receipt() {
    let bench = Bench::new().await;
    bench.clock.advance(Duration::from_secs(7));
    let answer = bench.post(form(&token(json!({})), RETURN_URL)).await;
    let id = answer.body["job_id"].as_str().unwrap().parse().unwrap();
    let (job, _) = bench.store.jobs().get(id).await.unwrap().unwrap();
    let job = job.whole().unwrap();
    assert_eq!(job.received_at, Timestamp::from_millis(1_700_000_007_000));
    assert_eq!(job.answer_by, Timestamp::from_millis(1_700_000_057_000));
}

#[tokio::test]
async fn a_valid_token_never_creates_a_second_job_even_with_a_slow_store() {
    let late = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hook = late.clone();
    let bench = Bench::with_clock(move |receiver, clock| {
        let slow = receiver.ack_deadline - Duration::from_secs(10);
        // This callback runs after the token was verified and before the job is stored.
        receiver.is_disabled = Arc::new(move |_, _| {
            if hook.load(std::sync::atomic::Ordering::Relaxed) {
                clock.advance(slow);
            }
            false
        });
    })
    .await;
    let first = bench.post(form(&token(json!({})), RETURN_URL)).await;
    // `exp` plus the clock skew.
    let end = Timestamp::from_millis(1_700_000_300_250) + crate::receive::token::MAX_CLOCK_SKEW;
    bench.clock.advance(end.since(NOW) - Duration::from_millis(1));
    late.store(true, std::sync::atomic::Ordering::Relaxed);
    let again = bench.post(form(&token(json!({})), RETURN_URL)).await;
    assert_eq!((again.status, &again.body["duplicate"]), (StatusCode::OK, &json!(true)), "{:?}", again.body);
    assert_eq!(again.body["job_id"], first.body["job_id"]);
    assert_eq!(bench.post(form(&token(json!({})), RETURN_URL)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_time_to_answer_is_measured_by_the_steady_clock() {
    let bench = Bench::new().await;
    bench.clock.set(NOW + Duration::from_secs(120));
    let answer = bench.post(form(&token(json!({})), RETURN_URL)).await;
    let id: JobId = answer.body["job_id"].as_str().unwrap().parse().unwrap();
    let job = bench.store.jobs().get(id).await.unwrap().unwrap().0.whole().unwrap();
    assert_eq!(job.received_at, NOW + Duration::from_secs(120), "by the calendar clock");
    assert_eq!(bench.store.work().deadline(), Some(NOW + Duration::from_secs(50)));
}
