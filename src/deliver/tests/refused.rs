//! Jobs that Kommo refuses although it accepts others, and accounts that it refuses: which jobs wait, and which are
//! charged.

use super::*;
use kommo::pace::{Cause, Pause, Source};
use store::LongestDue;

const MINUTE: Duration = Duration::from_secs(60);
/// `delivery.give_up_after` of these senders.
const HOUR: Duration = Duration::from_secs(3_600);

const REFUSALS: [Fault; 4] =
    [Fault::HtmlForbidden, Fault::Forbidden, Fault::Unauthorized, Fault::PaymentRequired];

fn account(simulator: &Simulator) -> LongLivedAccount {
    LongLivedAccount {
        name: simulator.base_url().into(),
        origin: simulator.base_url().into(),
        token: simulator.options().access_token.clone().into(),
    }
}

impl Home {
    async fn with(&self, others: &[&Simulator]) -> Sender {
        let all: Vec<&Simulator> = others.iter().copied().chain([&self.simulator]).collect();
        self.sender_for(all.iter().copied().map(account).collect(), &all, 7).await
    }

    /// A job that Kommo refuses each time it is sent.
    async fn refused(&self, sender: &Sender, fault: &Fault) -> JobId {
        let id = self.completed(&self.bot(vec![fault.clone(); 500])).await;
        sender.idle().await;
        id
    }

    /// A job of the account `of`, which Kommo accepts.
    async fn good(&self, sender: &Sender, of: &Simulator) -> JobId {
        let id = self.completed_of(of.options().account_id, &of.bot(Plan::with_data(json!({})))).await;
        sender.idle().await;
        id
    }

    /// Lets `span` pass, and sends what the limiter permits.
    async fn wait_and_send(&self, sender: &Sender, span: Duration) {
        self.clock.advance(span);
        for _ in 0..3 {
            // Consecutive steps must not have the same time.
            self.clock.advance(Duration::from_millis(1));
            sender.step().await.unwrap();
            sender.idle().await;
        }
    }

    async fn is(&self, id: JobId, state: StateName) -> bool {
        self.job(id).await.state.name() == state
    }

    /// Lets minutes pass until the job is dead. Returns how many.
    async fn minutes_until_dead(&self, sender: &Sender, id: JobId) -> u32 {
        for minute in 0..200 {
            if self.is(id, StateName::Dead).await {
                return minute;
            }
            self.wait_and_send(sender, MINUTE).await;
        }
        panic!("the job is not given up");
    }
}

#[tokio::test]
async fn a_job_that_is_always_refused_delays_no_others_and_ends_dead() {
    for (fault, turns) in REFUSALS.into_iter().zip([200, 60, 60, 60]) {
        let home = Home::new().await;
        let other = Simulator::start(Options::numbered(2)).await.unwrap();
        let sender = home.with(&[&other]).await;
        let bad = home.refused(&sender, &fault).await;
        let mut held_up = None;
        for turn in 0..turns {
            home.wait_and_send(&sender, Duration::from_secs(3)).await;
            // The other account has a bot every 3 s, this one every 30 s.
            let elsewhere = home.good(&sender, &other).await;
            assert!(home.is(elsewhere, StateName::Delivered).await, "{fault}: in turn {turn}");
            if turn % 10 == 9 {
                let beside = home.good(&sender, &home.simulator).await;
                home.wait_and_send(&sender, Duration::ZERO).await;
                if !home.is(beside, StateName::Delivered).await {
                    assert!(turn < 20 && fault != Fault::Reset, "{fault}: delayed again in turn {turn}");
                    held_up = Some(beside);
                }
            }
        }
        if let Some(held_up) = held_up {
            assert!(home.is(held_up, StateName::Delivered).await, "{fault}");
        }
        assert!(home.is(bad, StateName::Delivering).await, "{fault}");
        assert!(home.job(bad).await.delivery_attempts > 0, "{fault}: nothing was charged");
        assert!(sender.0.parts.health.waiting().is_empty(), "{fault}: the account does not wait");
        let minutes = home.minutes_until_dead(&sender, bad).await;
        let passed = Duration::from_secs(3 * turns) + MINUTE * minutes;
        assert!(passed >= HOUR && passed < HOUR + MINUTE * 4, "{fault}: {passed:?}");
        let error = home.job(bad).await.last_error.unwrap();
        assert!(error.contains("takes other jobs"), "{fault}: {error}");
    }
}

#[tokio::test]
async fn jobs_of_an_account_that_refuses_all_calls_are_not_charged_and_go_out_afterwards() {
    for fault in REFUSALS {
        let home = Home::new().await;
        let sender = home.with(&[]).await;
        home.simulator.set_outage(Some(fault.clone()));
        let mut jobs = Vec::new();
        for _ in 0..4 {
            jobs.push(home.good(&sender, &home.simulator).await);
        }
        for _ in 0..60 {
            home.wait_and_send(&sender, MINUTE * 5).await;
        }
        let calls = home.simulator.calls().len();
        assert!((5..30).contains(&calls), "{fault}: {calls} calls in five hours");
        home.simulator.set_outage(None);
        // The longest pause is an hour.
        home.wait_and_send(&sender, HOUR).await;
        home.wait_and_send(&sender, MINUTE).await;
        for id in jobs {
            let job = home.job(id).await;
            assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivered, 1), "{fault}");
        }
    }
}

#[tokio::test]
async fn a_refused_job_does_not_delay_later_jobs() {
    for fault in REFUSALS {
        let home = Home::new().await;
        let sender = home.with(&[]).await;
        let bad = home.refused(&sender, &fault).await;
        for _ in 0..60 {
            home.wait_and_send(&sender, MINUTE * 5).await;
        }
        let calls = home.simulator.calls().len();
        assert!((5..30).contains(&calls), "{fault}: {calls} calls in five hours");
        assert_eq!(home.job(bad).await.delivery_attempts, 0, "{fault}: the account may be the reason");
        assert_eq!(sender.0.parts.health.waiting().len(), 1, "{fault}");
        let later = home.good(&sender, &home.simulator).await;
        home.wait_and_send(&sender, Duration::ZERO).await;
        assert!(home.is(later, StateName::Delivered).await, "{fault}");
        // The job that waited for the account is also tried at once.
        assert!(home.simulator.calls().len() >= calls + 2, "{fault}");
        assert_eq!(home.job(bad).await.delivery_attempts, 1, "{fault}: now the job is the reason");
    }
}

#[tokio::test]
async fn a_restart_neither_extends_the_time_budget_of_a_refused_job_nor_pauses_its_account() {
    let home = Home::new().await;
    let mut sender = home.with(&[]).await;
    let bad = home.refused(&sender, &Fault::Forbidden).await;
    home.wait_and_send(&sender, MINUTE).await;
    home.good(&sender, &home.simulator).await;
    home.wait_and_send(&sender, Duration::ZERO).await;
    assert_eq!(home.job(bad).await.delivery_attempts, 1, "it is refused alone");
    for _ in 0..5 {
        // A new process, without any evidence.
        sender = home.with(&[]).await;
        home.wait_and_send(&sender, MINUTE * 10).await;
        assert!(home.is(bad, StateName::Delivering).await);
        let beside = home.good(&sender, &home.simulator).await;
        home.wait_and_send(&sender, Duration::ZERO).await;
        assert!(home.is(beside, StateName::Delivered).await, "the account was paused again");
    }
    let minutes = home.minutes_until_dead(&sender, bad).await;
    assert!((9..12).contains(&minutes), "{minutes} after 50");
}

#[tokio::test]
async fn calls_that_are_refused_together_cause_one_pause_and_blame_no_job() {
    let home = Home::new().await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(home.completed(&home.bot([Fault::Forbidden])).await);
    }
    let sender = home.with(&[]).await;
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(home.simulator.calls().len(), 5);
    home.wait_and_send(&sender, MINUTE).await;
    home.wait_and_send(&sender, Duration::from_millis(1_100)).await;
    for id in jobs {
        let job = home.job(id).await;
        assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivered, 1));
    }
}

#[tokio::test]
async fn a_permit_from_before_a_pause_is_not_used_and_its_job_keeps_its_place() {
    for cause in
        [Cause::TooMany, Cause::Unauthorized, Cause::PaymentRequired, Cause::Forbidden, Cause::Blocked]
    {
        let home = Home::new().await;
        let id = home.completed(&home.bot([])).await;
        let sender = home.with(&[]).await;
        let (origin, limiter) = (home.simulator.base_url(), &sender.0.parts.limiter);
        let [mut other, reserved] = limiter.acquire_now(origin, 2).try_into().ok().unwrap();
        let job = home
            .store
            .jobs()
            .claim_deliveries(origin.into(), 1, LongestDue::default(), LEASE)
            .await
            .unwrap()
            .remove(0);
        other.start().unwrap();
        other.pause(Pause { cause, hint: None, source: Source::Call }).unwrap();
        sender.start(job, reserved);
        sender.idle().await;
        assert!(home.simulator.calls().is_empty(), "{cause:?}: a call after the pause began");
        let job = home.job(id).await;
        let State::Delivering { due_at, lease_until: None, .. } = job.state else { panic!("{cause:?}") };
        assert_eq!((due_at, job.delivery_attempts), (job.received_at, 0), "{cause:?}");
        home.wait_and_send(&sender, MINUTE).await;
        assert!(home.is(id, StateName::Delivered).await, "{cause:?}");
    }
}

#[tokio::test]
async fn all_accounts_wait_only_after_two_of_them_in_a_row_get_a_403_without_json() {
    let home = Home::new().await;
    let others = [
        Simulator::start(Options::numbered(2)).await.unwrap(),
        Simulator::start(Options::numbered(3)).await.unwrap(),
    ];
    let sender = home.with(&[&others[0], &others[1]]).await;
    let refuse = async |simulator: &Simulator| {
        let bot = simulator.bot(Plan::with_data(json!({})).faults([Fault::HtmlForbidden]));
        let id = home.completed_of(simulator.options().account_id, &bot).await;
        sender.idle().await;
        id
    };
    let waits = || sender.0.parts.limiter.everybody_waits();
    refuse(&home.simulator).await;
    let between = home.good(&sender, &others[1]).await;
    assert!(home.is(between, StateName::Delivered).await);
    refuse(&others[0]).await;
    assert_eq!(waits(), None, "a continue succeeded in between");

    refuse(&others[1]).await;
    let all = waits().unwrap();
    assert_eq!((all.accounts.len(), all.left), (2, Some(MINUTE)));
    assert!(
        all.to_string().contains("403") && all.to_string().contains("blocks the bridge's IP address"),
        "{all}"
    );
    home.wait_and_send(&sender, MINUTE).await;
    home.wait_and_send(&sender, Duration::from_millis(2_200)).await;
    home.wait_and_send(&sender, Duration::from_millis(1_100)).await;
    assert_eq!(waits(), None);
    assert_eq!(home.store.jobs().stats().await.unwrap().jobs[&StateName::Delivered], 4);
}

#[tokio::test]
async fn a_job_that_was_refused_with_its_account_does_not_starve_in_a_full_lane() {
    let home = Home::new().await;
    let sender = home.with(&[]).await;
    // Refused once, together with the account.
    let early = home.completed(&home.bot([Fault::Forbidden])).await;
    sender.idle().await;
    assert!(home.is(early, StateName::Delivering).await);
    home.wait_and_send(&sender, MINUTE).await;
    for second in 0..30 {
        if home.is(early, StateName::Delivered).await {
            return;
        }
        // More than the rate of 7 allows.
        for _ in 0..10 {
            home.completed(&home.bot([])).await;
        }
        home.wait_and_send(&sender, Duration::from_millis(1_100)).await;
        assert!(second < 29, "the refused job starves");
    }
}
