//! Continues that are too early, that reach something other than Kommo, that are superseded, or that wait while the
//! bridge stops.

use super::connected::connect;
use super::*;
use store::RetryOptions;

async fn state(home: &Home, id: JobId) -> StateName {
    home.job(id).await.state.name()
}

/// Lets time pass, and sends what is due.
async fn pass_time(home: &Home, sender: &Sender, millis: u64) {
    home.clock.advance(Duration::from_millis(millis));
    sender.step().await.unwrap();
    sender.idle().await;
}

#[tokio::test]
async fn a_bot_that_is_not_waiting_yet_is_continued_and_no_attempt_is_charged() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    let bot = home.bot(vec![Fault::Status(404), Fault::HtmlNotFound, Fault::Status(404)]);
    let id = home.completed(&bot).await;
    sender.idle().await;
    for (millis, calls) in [(499, 1), (1, 2), (999, 2), (1, 3), (1_999, 3)] {
        pass_time(&home, &sender, millis).await;
        let job = home.job(id).await;
        assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivering, 0), "{millis} ms");
        assert_eq!(home.simulator.calls().len(), calls, "{millis} ms");
    }
    pass_time(&home, &sender, 1).await;
    let job = home.job(id).await;
    assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivered, 1));
    assert_eq!(bot.continues().len(), 1);
}

#[tokio::test]
async fn a_bot_that_never_waits_is_gone_after_four_calls() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    let id = home.completed(&home.bot(vec![Fault::Status(404); 9])).await;
    sender.idle().await;
    for millis in [500, 1_000, 2_000] {
        assert_eq!(state(&home, id).await, StateName::Delivering);
        pass_time(&home, &sender, millis).await;
    }
    assert_eq!((state(&home, id).await, home.simulator.calls().len()), (StateName::Gone, 4));
}

#[tokio::test]
async fn a_web_page_instead_of_kommos_api_costs_attempts_but_not_the_answer() {
    let home = Home::new().await;
    let bot = home.bot(vec![Fault::HtmlOk, Fault::HtmlNotFound]);
    let id = home.completed(&bot).await;
    let sender = home.sender(7).await;
    // After three seconds, a 404 can no longer mean that the bot is not waiting yet.
    pass_time(&home, &sender, 3_000).await;
    let job = home.job(id).await;
    assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivering, 1));
    assert!(job.last_error.unwrap().contains("not Kommo's API"));
    for millis in [500, 1_000] {
        pass_time(&home, &sender, millis).await;
    }
    let job = home.job(id).await;
    assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivered, 3));
    assert_eq!(bot.continues().len(), 1);
}

#[tokio::test]
async fn a_success_of_another_server_may_hide_one_of_kommo() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    let id = home.completed(&home.bot(vec![Fault::HtmlOk, Fault::Status(404)])).await;
    sender.idle().await;
    pass_time(&home, &sender, 3_000).await;
    assert_eq!(state(&home, id).await, StateName::Delivered);
}

/// Returns a job that got `fault` on its first continue, and a newer job of the same bot.
async fn asked_twice(home: &Home, sender: &Sender, fault: Fault) -> [JobId; 2] {
    let bot = home.bot([fault]);
    let older = home.completed(&bot).await;
    sender.idle().await;
    home.clock.advance(Duration::from_secs(1));
    bot.next_wait(json!({}));
    let newer = home.completed(&bot).await;
    sender.idle().await;
    [older, newer]
}

#[tokio::test]
async fn a_late_answer_does_not_go_to_the_bots_next_question() {
    for fault in
        [Fault::Status(503), Fault::Status(404), Fault::TooManyRequests { header: None, body: Some(1) }]
    {
        let home = Home::new().await;
        let sender = home.sender(7).await;
        let [older, newer] = asked_twice(&home, &sender, fault.clone()).await;
        for _ in 0..3 {
            pass_time(&home, &sender, 1_000).await;
        }
        let job = home.job(older).await;
        assert_eq!((job.state.name(), state(&home, newer).await), (StateName::Gone, StateName::Delivered));
        let error = job.last_error.unwrap();
        assert!(error.contains("superseded") && error.contains(&newer.to_string()), "{fault}: {error}");
        // One call for each job, and none for the older one after the newer one came.
        assert_eq!(home.simulator.calls().len(), 2, "{fault}");
    }
}

#[tokio::test]
async fn a_first_continue_is_never_superseded_however_long_it_waited() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 7).await;
    let bot = home.bot([]);
    let older = home.completed(&bot).await;
    sender.idle().await;
    bot.next_wait(json!({}));
    let newer = home.completed(&bot).await;
    connect(&home, &sender).await;
    pass_time(&home, &sender, 60_000).await;
    for id in [older, newer] {
        assert_eq!(state(&home, id).await, StateName::Delivered);
    }
}

#[tokio::test]
async fn a_superseded_job_is_sent_if_an_operator_forces_its_retry() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    let bot = home.bot([Fault::Status(503)]);
    let older = home.completed(&bot).await;
    sender.idle().await;
    home.clock.advance(Duration::from_secs(1));
    home.store.jobs().cancel(home.completed(&bot).await).await.ok();
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(state(&home, older).await, StateName::Gone);
    bot.next_wait(json!({}));
    let forced = RetryOptions { force: true, ..RetryOptions::default() };
    home.store.jobs().retry_with(older, forced).await.unwrap();
    pass_time(&home, &sender, 2_000).await;
    assert_eq!(state(&home, older).await, StateName::Delivered);
}

#[tokio::test]
async fn a_delivery_that_waits_for_its_token_at_the_stop_does_not_count_as_sent() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 7).await;
    connect(&home, &sender).await;
    home.simulator.expire_access_tokens();
    home.clock.advance(Duration::from_secs(86_400));
    home.simulator.queue_oauth_faults([Fault::Hang]);
    let asked = home.simulator.oauth_calls().len();
    let id = home.completed(&home.bot(vec![Fault::Status(404); 9])).await;
    while home.simulator.oauth_calls().len() == asked {
        tokio::task::yield_now().await;
    }
    // Without the stop, the call to the token endpoint would last until the timeout of a request.
    tokio::time::timeout(LEASE / 2, sender.hand_back()).await.expect("the stop waited for the token");
    let State::Delivering { lease_until, .. } = home.job(id).await.state else { panic!() };
    assert_eq!(lease_until, None, "the delivery was not handed back");

    // The next start: Kommo answers 404, and no earlier continue had arrived.
    home.clock.advance(Duration::from_secs(3_600));
    let sender = home.sender(7).await;
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!((state(&home, id).await, home.simulator.calls().len()), (StateName::Gone, 1));
}

#[tokio::test]
async fn a_delivery_in_flight_at_the_stop_is_not_handed_back() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    let id = home.completed(&home.bot([Fault::Hang])).await;
    while home.simulator.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    sender.hand_back().await;
    let State::Delivering { lease_until, .. } = home.job(id).await.state else { panic!() };
    assert!(lease_until.is_some(), "the response is lost when the process ends");
}
