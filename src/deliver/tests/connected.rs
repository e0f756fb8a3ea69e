//! Deliveries to accounts that were connected by OAuth.

use super::*;
use crate::accounts::Callback;
use model::WaitCause;
use simulator::MovedAnswer;

/// Connects the account by an installation of its widget, after the bridge has seen a request from the account.
pub(super) async fn connect(home: &Home, sender: &Sender) {
    connect_at(&home.simulator, sender).await;
}

/// Like [`connect`], for the account of `simulator`.
pub(super) async fn connect_at(simulator: &Simulator, sender: &Sender) {
    let Options { client_uuid, account_id, .. } = simulator.options();
    sender.0.parts.accounts.was_seen(client_uuid, simulator.base_url(), AccountId(*account_id));
    let url: url::Url = simulator.install_callback_url().unwrap().parse().unwrap();
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let (code, referer) = (value("code").into(), value("referer"));
    let callback = Callback { code, referer, client_id: None, state: None, from_widget: true };
    sender.0.parts.accounts.connect(callback).await.unwrap();
}

fn refreshes(home: &Home) -> usize {
    let calls = home.simulator.oauth_calls();
    calls.iter().filter(|call| call.grant_type.as_deref() == Some("refresh_token")).count()
}

async fn state(home: &Home, id: JobId) -> StateName {
    home.job(id).await.state.name()
}

#[tokio::test]
async fn parallel_401s_cause_one_renewal_and_all_continues_arrive() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 1_000).await;
    connect(&home, &sender).await;
    home.simulator.expire_access_tokens();
    let mut jobs = Vec::new();
    for _ in 0..6 {
        jobs.push(home.completed(&home.bot([])).await);
    }
    sender.idle().await;
    for id in jobs {
        let job = home.job(id).await;
        assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivered, 1));
    }
    assert_eq!(refreshes(&home), 1);
}

#[tokio::test]
async fn a_renewal_keeps_the_accounts_pace() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 1).await;
    connect(&home, &sender).await;
    home.clock.advance(Duration::from_secs(86_400));
    // The token has expired: the renewal uses the only call of this window, and the continue waits for the next.
    let id = home.completed(&home.bot([])).await;
    // Callers share a renewal in progress, so this returns when the new tokens are stored.
    sender.0.parts.accounts.bearer(home.simulator.base_url()).await.unwrap();
    assert_eq!((refreshes(&home), home.simulator.calls().len()), (1, 0));
    let window = Duration::from_millis(1_100);
    assert_eq!(sender.0.parts.limiter.wait(home.simulator.base_url()), Some(window));
    home.clock.advance(window);
    sender.idle().await;
    assert_eq!(state(&home, id).await, StateName::Delivered);
    assert_eq!((refreshes(&home), home.simulator.calls().len()), (1, 1));
}

#[tokio::test]
async fn deliveries_wait_for_the_authorization_and_then_go_out_automatically() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 7).await;
    let id = home.completed(&home.bot([])).await;
    sender.idle().await;
    let job = home.job(id).await;
    assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivering, 0));
    assert_eq!(job.last_error.unwrap(), WaitCause::NotConnected.what());
    let waiting = sender.0.parts.health.waiting();
    assert!(waiting[0].why.contains("no account with this address is connected"), "{waiting:?}");
    assert!(home.simulator.calls().is_empty());

    connect(&home, &sender).await;
    // No time has passed: the pause ended because its cause did.
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(state(&home, id).await, StateName::Delivered);
    assert!(sender.0.parts.health.waiting().is_empty());
}

#[tokio::test]
async fn a_revoked_token_makes_deliveries_wait_for_an_operator() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 7).await;
    connect(&home, &sender).await;
    home.simulator.revoke_tokens();
    let id = home.completed(&home.bot([])).await;
    sender.idle().await;
    assert_eq!(state(&home, id).await, StateName::Delivering);
    assert!(sender.0.parts.health.waiting()[0].why.contains("Token has been revoked"));
    connect(&home, &sender).await;
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(state(&home, id).await, StateName::Delivered);
}

#[tokio::test]
async fn a_failed_renewal_is_retried_and_charges_no_attempt() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 7).await;
    connect(&home, &sender).await;
    home.simulator.expire_access_tokens();
    home.simulator.queue_oauth_faults([Fault::Status(503)]);
    let id = home.completed(&home.bot([])).await;
    sender.idle().await;
    let job = home.job(id).await;
    assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivering, 0));
    assert!(job.last_error.unwrap().contains("could not be renewed"));
    home.clock.advance(Duration::from_secs(5));
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(state(&home, id).await, StateName::Delivered);
}

#[tokio::test]
async fn a_403_without_json_counts_the_same_for_a_renewal_and_a_continue() {
    let home = Home::new().await;
    let other = Simulator::start(Options::numbered(2)).await.unwrap();
    let long_lived = LongLivedAccount {
        name: "other".into(),
        origin: other.base_url().into(),
        token: other.options().access_token.clone().into(),
    };
    let sender = home.sender_for(vec![long_lived], &[&home.simulator, &other], 7).await;
    connect(&home, &sender).await;
    home.simulator.expire_access_tokens();
    home.simulator.queue_oauth_faults([Fault::HtmlForbidden]);
    home.completed(&home.bot([])).await;
    sender.idle().await;
    let limiter = &sender.0.parts.limiter;
    assert_eq!(limiter.wait(home.simulator.base_url()), Some(Duration::from_secs(60)));
    assert_eq!((limiter.wait(other.base_url()), limiter.everybody_waits()), (Some(Duration::ZERO), None));

    let bot = other.bot(Plan::with_data(json!({})).faults([Fault::HtmlForbidden]));
    home.completed_of(other.options().account_id, &bot).await;
    sender.idle().await;
    assert_eq!(limiter.everybody_waits().unwrap().accounts.len(), 2);
}

#[tokio::test]
async fn a_job_that_is_refused_alone_causes_no_further_renewals() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 7).await;
    connect(&home, &sender).await;
    let bad = home.completed(&home.bot(vec![Fault::Unauthorized; 99])).await;
    sender.idle().await;
    let once = refreshes(&home);
    for _ in 0..10 {
        home.clock.advance(Duration::from_secs(60));
        let good = home.completed(&home.bot([])).await;
        for _ in 0..3 {
            home.clock.advance(Duration::from_millis(1));
            sender.step().await.unwrap();
            sender.idle().await;
        }
        assert_eq!(state(&home, good).await, StateName::Delivered);
    }
    assert!(home.job(bad).await.delivery_attempts > 5);
    // One renewal after the first refusal, and at most one more while the account could be the reason.
    assert!(once == 1 && refreshes(&home) <= 2, "{} renewals", refreshes(&home));
}

#[tokio::test]
async fn a_bot_of_an_account_that_has_moved_is_continued_at_the_new_address_only() {
    let home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    let sender = home.sender_for(Vec::new(), &[&home.simulator, &elsewhere], 7).await;
    connect(&home, &sender).await;
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    let bot = home.bot([]);
    home.completed(&bot).await;
    sender.idle().await;
    // The old address refused the old token and never sees the new one.
    assert_eq!(home.simulator.calls().iter().map(|call| call.authorized).collect::<Vec<_>>(), [false]);
    let arrived = elsewhere.calls();
    assert_eq!((arrived.len(), arrived[0].authorized), (1, true));
    assert!(bot.return_url().ends_with(&arrived[0].path));
    home.completed(&home.bot([])).await;
    sender.idle().await;
    assert_eq!((home.simulator.calls().len(), elsewhere.calls().len()), (1, 2));
}

#[tokio::test]
async fn a_bot_that_names_the_new_address_first_is_continued_there() {
    let home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    let sender = home.sender_for(Vec::new(), &[&home.simulator, &elsewhere], 7).await;
    connect(&home, &sender).await;
    home.clock.advance(Duration::from_secs(3_600));
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    let (ours, bot) = (home.simulator.options().account_id, elsewhere.bot(Plan::with_data(json!({}))));
    let id = home.completed_of(ours, &bot).await;
    sender.idle().await;
    assert_eq!(state(&home, id).await, StateName::Delivered);
    assert!(home.simulator.calls().is_empty() && sender.0.parts.health.waiting().is_empty());
}

#[tokio::test]
async fn an_account_that_is_not_at_a_bots_address_is_looked_up_once() {
    let home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    let sender = home.sender_for(Vec::new(), &[&home.simulator, &elsewhere], 7).await;
    connect(&home, &sender).await;
    home.clock.advance(Duration::from_secs(3_600));
    let (ours, bot) = (home.simulator.options().account_id, elsewhere.bot(Plan::with_data(json!({}))));
    let id = home.completed_of(ours, &bot).await;
    for _ in 0..3 {
        sender.step().await.unwrap();
        sender.idle().await;
        home.clock.advance(Duration::from_secs(60));
    }
    assert_eq!((state(&home, id).await, refreshes(&home)), (StateName::Delivering, 1));
    assert!(elsewhere.calls().is_empty() && elsewhere.oauth_calls().is_empty());
}

#[tokio::test]
async fn a_job_of_another_account_never_gets_the_token_of_the_address() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], 7).await;
    connect(&home, &sender).await;
    let stranger = home.completed_of(7, &home.bot([])).await;
    sender.idle().await;
    assert!(home.simulator.calls().is_empty());
    assert!(home.job(stranger).await.last_error.unwrap().contains("no account with this address"));
}

#[tokio::test]
async fn a_stranger_at_the_old_address_does_not_delay_jobs_at_the_new_one() {
    let home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    let sender = home.sender_for(Vec::new(), &[&home.simulator, &elsewhere], 7).await;
    connect(&home, &sender).await;
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    home.completed(&home.bot([])).await;
    sender.idle().await;
    let stranger = home.completed_of(7, &home.bot([])).await;
    sender.idle().await;
    let job = home.job(stranger).await;
    assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivering, 0));
    let arrived = elsewhere.calls().len();
    home.completed(&home.bot([])).await;
    sender.idle().await;
    assert_eq!(elsewhere.calls().len(), arrived + 1, "no time has passed, and no pause began");
}
