//! An account that has moved: its jobs name two addresses and wait in two lanes, but they belong to one account.

use super::connected::connect;
use super::*;
use simulator::MovedAnswer;

const WINDOW: Duration = Duration::from_millis(1_100);
const RATE: u32 = 7;
const MINUTE: Duration = Duration::from_secs(60);

/// An account, its new address, and a sender that knows both.
async fn moved() -> (Home, Simulator, Sender) {
    let home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    let sender = home.sender_for(Vec::new(), &[&home.simulator, &elsewhere], RATE).await;
    connect(&home, &sender).await;
    has_moved(&home, &elsewhere, &sender).await;
    (home, elsewhere, sender)
}

/// Moves the account, and renews its token so that the sender notices.
pub(super) async fn has_moved(home: &Home, elsewhere: &Simulator, sender: &Sender) {
    let (accounts, origin) = (&sender.0.parts.accounts, home.simulator.base_url());
    let stale = accounts.bearer(origin).await.unwrap();
    home.simulator.move_to(elsewhere, MovedAnswer::NotFound);
    accounts.renewed(origin, &stale).await.unwrap();
    assert_eq!(accounts.moved_to(origin).as_deref(), Some(elsewhere.base_url()));
    // The calls so far no longer count towards the rate.
    home.clock.advance(WINDOW);
}

impl Home {
    /// Stores a completion whose job names the new address.
    async fn completed_at_new_address(&self, elsewhere: &Simulator) -> JobId {
        let account_id = self.simulator.options().account_id;
        self.completed_of(account_id, &elsewhere.bot(Plan::with_data(json!({})))).await
    }
}

#[tokio::test]
async fn a_backlog_at_the_old_address_does_not_delay_jobs_at_the_new_one() {
    let (home, elsewhere, sender) = moved().await;
    let before = elsewhere.calls().len();
    for _ in 0..40 {
        home.completed(&home.bot([])).await;
    }
    sender.run_until_idle().await;
    home.clock.advance(MINUTE * 2);
    sender.run_until_idle().await;
    let fresh = home.completed_at_new_address(&elsewhere).await;
    for _ in 0..2 {
        home.clock.advance(WINDOW);
        sender.run_until_idle().await;
    }
    assert_eq!(home.job(fresh).await.state.name(), StateName::Delivered);
    assert_eq!(elsewhere.calls().len() - before, 4 * RATE as usize, "the full rate is used");
}

#[tokio::test]
async fn jobs_refused_at_the_old_address_go_out_when_the_account_takes_one_at_the_new_address() {
    let (home, elsewhere, sender) = moved().await;
    elsewhere.set_outage(Some(Fault::PaymentRequired));
    let refused = home.completed(&home.bot([])).await;
    // The account takes no other job, so the pauses grow.
    for _ in 0..6 {
        home.clock.advance(sender.run_until_idle().await.unwrap());
    }
    sender.run_until_idle().await;
    let health = &sender.0.parts.health;
    assert_eq!(health.waiting().len(), 1);
    let State::Delivering { due_at, .. } = home.job(refused).await.state else { panic!() };
    assert!(due_at.since(home.clock.now()) > MINUTE, "{due_at}");
    elsewhere.set_outage(None);
    let other = home.completed_at_new_address(&elsewhere).await;
    sender.run_until_idle().await;
    assert_eq!(home.job(other).await.state.name(), StateName::Delivered);
    assert_eq!(health.waiting(), [], "both addresses are one account, which no longer waits");
    // Waits until the release is written.
    home.store.probe().await.unwrap();
    sender.run_until_idle().await;
    assert_ne!(
        home.job(refused).await.state.name(),
        StateName::Delivering,
        "it goes out although no time has passed"
    );
}
