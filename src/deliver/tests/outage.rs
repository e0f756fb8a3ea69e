//! Kommo away, now here and now away, and refusing in a storm: what comes of the jobs, and at which pace.

use super::*;

/// The span in which an account gets no more calls than its rate.
const WINDOW: Duration = Duration::from_millis(1_100);
const RATE: u32 = 7;

impl Home {
    /// Lets `span` pass and sends what may go; says how many calls that made.
    async fn pass_time(&self, sender: &Sender, span: Duration) -> usize {
        let before = self.simulator.calls().len();
        self.clock.advance(span);
        // More than once: what is claimed in one step may bring forward what the next one finds.
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

    /// Sends in windows of the pace until all are delivered; says the most calls of one window.
    async fn deliver(&self, sender: &Sender, jobs: &[JobId]) -> usize {
        let mut most = 0;
        for _ in 0..200 {
            if self.are_delivered(jobs).await {
                return most;
            }
            most = most.max(self.pass_time(sender, WINDOW).await);
        }
        panic!("they are not delivered after 200 windows")
    }
}

#[tokio::test]
async fn after_an_outage_what_came_before_and_during_it_goes_out_at_the_accounts_pace() {
    let home = Home::new().await;
    let sender = home.sender(RATE).await;
    home.simulator.set_outage(Some(Fault::Reset));
    let mut jobs = Vec::new();
    for minute in 0..55 {
        // Ten before anybody knew, and two every five minutes.
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
    assert_eq!(most, RATE as usize, "it neither storms nor dawdles");
    // Each once: what was reset had not arrived.
    assert_eq!(home.simulator.calls().len() - during, jobs.len());
}

#[tokio::test]
async fn a_kommo_that_comes_and_goes_is_called_at_its_pace_and_gets_everything() {
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
async fn in_a_storm_of_429_each_account_is_probed_by_one_call_and_an_account_beside_them_is_not_held_up() {
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
    // One call told each account to wait; what came behind it was not even tried.
    assert!(stormy.iter().all(|simulator| simulator.calls().len() == 1));
    let calm = home.completed(&home.bot([])).await;
    sender.idle().await;
    assert_eq!(home.job(calm).await.state.name(), StateName::Delivered);
    for _ in 0..20 {
        let before: Vec<usize> = stormy.iter().map(|simulator| simulator.calls().len()).collect();
        home.pass_time(&sender, Duration::from_secs(1)).await;
        for (simulator, before) in stormy.iter().zip(before) {
            assert!(simulator.calls().len() - before <= 1, "a pause ended with more than a probe");
        }
    }
    for simulator in &stormy {
        simulator.set_outage(None);
    }
    // The longest pause without a hint is a minute.
    home.pass_time(&sender, Duration::from_secs(60)).await;
    home.deliver(&sender, &jobs).await;
    for id in jobs {
        assert_eq!(home.job(id).await.delivery_attempts, 1, "a 429 burns no attempt");
    }
}
