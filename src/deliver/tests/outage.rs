//! Outages of Kommo, flapping, and storms of 429: the results of the jobs, and the pace of the calls.

use super::*;

/// The window of the rate limit: an account gets at most its rate of calls in it.
const WINDOW: Duration = Duration::from_millis(1_100);
const RATE: u32 = 7;

impl Home {
    /// Lets `span` pass, and sends what the limiter permits. Returns the number of calls.
    async fn pass_time(&self, sender: &Sender, span: Duration) -> usize {
        let before = self.simulator.calls().len();
        self.clock.advance(span);
        // Several steps, because one step may make jobs due that the next one finds.
        for _ in 0..3 {
            sender.step().await.unwrap();
            sender.idle().await;
        }
        self.simulator.calls().len() - before
    }

    async fn are_delivered(&self, jobs: &[JobId]) -> bool {
        for id in jobs {
            let state = self.job(*id).await.state.name();
            assert!(matches!(state, StateName::Delivering | StateName::Delivered), "{state:?}");
            if state == StateName::Delivering {
                return false;
            }
        }
        true
    }

    /// Sends, window by window, until all jobs are delivered. Returns the largest number of calls in one window.
    async fn deliver(&self, sender: &Sender, jobs: &[JobId]) -> usize {
        let mut most = 0;
        for _ in 0..200 {
            if self.are_delivered(jobs).await {
                return most;
            }
            most = most.max(self.pass_time(sender, WINDOW).await);
        }
        panic!("jobs are not delivered after 200 windows")
    }
}

#[tokio::test]
async fn the_backlog_of_an_outage_goes_out_at_the_accounts_rate() {
    let home = Home::new().await;
    let sender = home.sender(RATE).await;
    home.simulator.set_outage(Some(Fault::Reset));
    let mut jobs = Vec::new();
    for minute in 0..55 {
        // Ten at the start of the outage, and then two every five minutes.
        for _ in 0..if minute == 0 { 10 } else { usize::from(minute % 5 == 0) * 2 } {
            jobs.push(home.completed(&home.bot([])).await);
            sender.idle().await;
        }
        home.pass_time(&sender, Duration::from_secs(60)).await;
    }
    let during = home.simulator.calls().len();
    assert!(during <= jobs.len() * 75, "{during} calls for {} jobs", jobs.len());
    home.simulator.set_outage(None);
    let most = home.deliver(&sender, &jobs).await;
    assert_eq!(most, RATE as usize, "every window uses the full rate, and not more");
    // One call each, because the reset calls had not arrived.
    assert_eq!(home.simulator.calls().len() - during, jobs.len());
}

#[tokio::test]
async fn after_an_outage_only_a_job_that_fails_alone_waits_for_its_backoff() {
    let home = Home::new().await;
    let sender = home.sender(RATE).await;
    // Fails although the account accepts others.
    let alone = home.completed(&home.bot(vec![Fault::Status(503); 100])).await;
    sender.idle().await;
    home.completed(&home.bot([])).await;
    sender.idle().await;
    home.simulator.set_outage(Some(Fault::Reset));
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(home.completed(&home.bot([])).await);
        sender.idle().await;
    }
    for _ in 0..10 {
        home.pass_time(&sender, Duration::from_secs(60)).await;
    }
    let due_in = |state: State| match state {
        State::Delivering { due_at, .. } => due_at.since(home.clock.now()),
        _ => Duration::ZERO,
    };
    for id in &jobs {
        assert!(due_in(home.job(*id).await.state) > Duration::from_secs(50));
    }
    let attempts = home.job(alone).await.delivery_attempts;
    assert!(due_in(home.job(alone).await.state) > Duration::from_secs(50));
    home.simulator.set_outage(None);
    // The first continue that arrives shows the end of the outage.
    home.completed(&home.bot([])).await;
    sender.idle().await;
    home.deliver(&sender, &jobs).await;
    assert!(home.clock.now().since(START) < Duration::from_secs(610), "they did not wait for their backoff");
    assert_eq!(home.job(alone).await.delivery_attempts, attempts, "it waits alone");
}

#[tokio::test]
async fn a_flapping_kommo_is_called_at_its_rate_and_gets_every_continue() {
    let home = Home::new().await;
    let sender = home.sender(RATE).await;
    let mut jobs = Vec::new();
    let mut most = 0;
    for turn in 0..30 {
        home.simulator.set_outage((turn % 2 == 0).then_some(Fault::Status(503)));
        let before = home.simulator.calls().len();
        for _ in 0..3 {
            jobs.push(home.completed(&home.bot([])).await);
            sender.idle().await;
        }
        let at_once = home.simulator.calls().len() - before;
        let then = home.pass_time(&sender, 2 * WINDOW).await;
        most = most.max(at_once + then);
    }
    assert!(most <= 2 * RATE as usize, "{most} calls in two windows");
    home.simulator.set_outage(None);
    assert!(home.deliver(&sender, &jobs).await <= RATE as usize);
}

#[tokio::test]
async fn in_a_storm_of_429_each_account_gets_one_probe_and_other_accounts_are_not_delayed() {
    let home = Home::new().await;
    let mut stormy = Vec::new();
    for number in 2..8 {
        stormy.push(Simulator::start(Options { ..Options::numbered(number) }).await.unwrap());
    }
    let hosts: Vec<&Simulator> = stormy.iter().chain([&home.simulator]).collect();
    let account = |simulator: &&Simulator| LongLivedAccount {
        name: simulator.base_url().into(),
        origin: simulator.base_url().into(),
        token: simulator.options().access_token.clone().into(),
    };
    let sender = home.sender_for(hosts.iter().map(account).collect(), &hosts, RATE).await;
    let mut jobs = Vec::new();
    for (number, simulator) in stormy.iter().enumerate() {
        let header = (number % 2 == 0).then_some(2);
        simulator.set_outage(Some(Fault::TooManyRequests { header, body: (number % 3 == 0).then_some(3) }));
        for _ in 0..5 {
            let bot = simulator.bot(Plan::with_data(json!({})));
            jobs.push(home.completed_of(simulator.options().account_id, &bot).await);
            sender.idle().await;
        }
    }
    // The first call paused each account; the later jobs were not tried.
    assert!(stormy.iter().all(|simulator| simulator.calls().len() == 1));
    let calm = home.completed(&home.bot([])).await;
    sender.idle().await;
    assert_eq!(home.job(calm).await.state.name(), StateName::Delivered);
    for _ in 0..20 {
        let before: Vec<usize> = stormy.iter().map(|simulator| simulator.calls().len()).collect();
        home.pass_time(&sender, Duration::from_secs(1)).await;
        for (simulator, before) in stormy.iter().zip(before) {
            assert!(simulator.calls().len() - before <= 1, "a pause ended with more than one probe");
        }
    }
    for simulator in &stormy {
        simulator.set_outage(None);
    }
    // The longest pause without a hint is a minute.
    home.pass_time(&sender, Duration::from_secs(60)).await;
    home.deliver(&sender, &jobs).await;
    for id in jobs {
        assert_eq!(home.job(id).await.delivery_attempts, 1, "a 429 is not charged");
    }
}
