//! Which lanes the sender checks, when, and which of their jobs go first.

use super::*;
use simulator::MovedAnswer;

const WINDOW: Duration = Duration::from_millis(1_100);
const RATE: u32 = 7;

impl Sender {
    /// How often the sender asked the limiter since the last call of this function.
    fn limiter_queries(&self) -> usize {
        self.0.limiter_queries.swap(0, Ordering::Relaxed)
    }

    /// Sends what can go now. Returns the time until more can go without another event.
    pub(super) async fn run_until_idle(&self) -> Option<Duration> {
        let (lanes, clock) = (self.0.parts.store.delivery(), &self.0.parts.clock);
        for _ in 0..100 {
            self.step().await.unwrap();
            self.idle().await;
            // A call that just ended may have freed a lane.
            let next = lanes.next_poll(clock.now(), clock.elapsed());
            if next != Some(Duration::ZERO) {
                return next;
            }
        }
        panic!("the sender polls in a busy loop")
    }
}

impl Home {
    /// A job of an account without a token, at its own address.
    async fn unconnected(&self, number: usize) -> JobId {
        let url = format!("http://a{number}.kommo.com/api/v4/salesbot/1/continue/2");
        self.completed_at(&url, 90_000 + i64::try_from(number).unwrap()).await
    }

    async fn calls_of(&self, sender: &Sender) -> usize {
        sender.run_until_idle().await;
        self.simulator.calls().len()
    }
}

/// How often the sender asks the limiter for one fresh job while `waiting` other accounts wait.
async fn limiter_queries_beside(waiting: usize) -> usize {
    let home = Home::new().await;
    let sender = home.sender(RATE).await;
    for number in 0..waiting {
        home.unconnected(number).await;
        // Two, so that one still waits while the other is tried.
        home.unconnected(number).await;
        sender.run_until_idle().await;
    }
    sender.limiter_queries();
    let fresh = home.completed(&home.bot([])).await;
    sender.run_until_idle().await;
    assert_eq!(home.job(fresh).await.state.name(), StateName::Delivered);
    sender.limiter_queries()
}

#[tokio::test]
async fn waiting_accounts_do_not_add_limiter_queries_for_a_fresh_job() {
    let alone = limiter_queries_beside(0).await;
    assert_eq!(alone, 1, "the job was handed over");
    assert_eq!(limiter_queries_beside(30).await, alone);
}

/// How often the sender asks the limiter for each of several jobs that wait for their account's rate, while `waiting`
/// accounts wait for a token.
async fn limiter_queries_of_a_backlog_beside(waiting: usize) -> Vec<usize> {
    let home = Home::new().await;
    let sender = home.sender(1).await;
    for number in 0..waiting {
        home.unconnected(number).await;
        home.unconnected(number).await;
    }
    for _ in 0..4 {
        home.completed(&home.bot([])).await;
    }
    sender.run_until_idle().await;
    let mut queries = Vec::new();
    for calls in 2..=4 {
        sender.limiter_queries();
        home.clock.advance(WINDOW);
        assert_eq!(home.calls_of(&sender).await, calls);
        queries.push(sender.limiter_queries());
    }
    queries
}

#[tokio::test]
async fn waiting_accounts_do_not_add_limiter_queries_for_a_claim() {
    let alone = limiter_queries_of_a_backlog_beside(0).await;
    // Once for the claim, once for the time until the next one, and once when the call has ended.
    assert!(alone.iter().all(|queries| *queries <= 3), "{alone:?}");
    assert_eq!(limiter_queries_of_a_backlog_beside(30).await, alone);
}

#[tokio::test]
async fn a_waiting_account_is_probed_when_its_pause_is_over() {
    let home = Home::new().await;
    let sender = home.sender(RATE).await;
    home.unconnected(1).await;
    assert_eq!(sender.run_until_idle().await, Some(Duration::from_secs(30)));
    home.clock.advance(Duration::from_millis(29_999));
    sender.limiter_queries();
    sender.run_until_idle().await;
    assert_eq!(sender.limiter_queries(), 0);
    home.clock.advance(Duration::from_millis(1));
    // The probe does not find a token either, so the next pause is twice as long.
    assert_eq!(sender.run_until_idle().await, Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_backlog_goes_out_as_fast_as_the_window_allows() {
    let home = Home::new().await;
    let mut jobs = Vec::new();
    for _ in 0..100 {
        jobs.push(home.completed(&home.bot([])).await);
    }
    let sender = home.sender(RATE).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (sender, stop) = (sender.clone(), stop.clone());
        async move { sender.run(stop, Duration::ZERO).await }
    });
    let mut windows = 0;
    let sending = async {
        while home.simulator.calls().len() < jobs.len() {
            // Everything that this window allows goes out before any time passes.
            let expected = jobs.len().min((windows + 1) * RATE as usize);
            while home.simulator.calls().len() < expected {
                home.store.probe().await.unwrap();
            }
            home.clock.advance(WINDOW);
            windows += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sending).await.expect("a window passed without calls");
    stop.cancel();
    home.clock.advance(Duration::from_millis(1));
    running.await.unwrap();
    assert_eq!(windows, 15);
}

#[tokio::test]
async fn a_stale_backlog_does_not_delay_a_fresh_job() {
    let home = Home::new().await;
    let mut stale = Vec::new();
    for _ in 0..60 {
        stale.push(home.completed(&home.bot([])).await);
    }
    home.clock.advance(Duration::from_secs(600));
    let sender = home.sender(RATE).await;
    sender.run_until_idle().await;
    let fresh = home.completed(&home.bot([])).await;
    home.clock.advance(WINDOW);
    sender.run_until_idle().await;
    assert_eq!(home.job(fresh).await.state.name(), StateName::Delivered);
    assert_eq!(home.simulator.calls().len(), 2 * RATE as usize, "the backlog uses the rest of the rate");
}

#[tokio::test]
async fn a_stale_backlog_gets_every_fourth_call_despite_endless_fresh_jobs() {
    let home = Home::new().await;
    let mut stale = Vec::new();
    for _ in 0..4 {
        stale.push(home.completed(&home.bot([])).await);
    }
    home.clock.advance(Duration::from_secs(600));
    let sender = home.sender(1).await;
    let mut left_after_each_call = Vec::new();
    for _ in 0..12 {
        home.completed(&home.bot([])).await;
        home.completed(&home.bot([])).await;
        sender.run_until_idle().await;
        let left = async || {
            let mut left = 0;
            for id in &stale {
                left += usize::from(home.job(*id).await.state.name() == StateName::Delivering);
            }
            left
        };
        left_after_each_call.push(left().await);
        home.clock.advance(WINDOW);
    }
    assert_eq!(left_after_each_call, [4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1]);
}

#[tokio::test]
async fn connecting_an_account_wakes_only_its_own_lane() {
    let home = Home::new().await;
    let sender = home.sender_for(Vec::new(), &[&home.simulator], RATE).await;
    for number in 0..10 {
        home.unconnected(number).await;
    }
    let id = home.completed(&home.bot([])).await;
    sender.run_until_idle().await;
    sender.limiter_queries();
    super::connected::connect(&home, &sender).await;
    sender.run_until_idle().await;
    assert_eq!(home.job(id).await.state.name(), StateName::Delivered);
    assert!(sender.limiter_queries() <= 3);
}

#[tokio::test]
async fn a_lane_at_an_old_address_resumes_when_its_account_has_moved() {
    let home = Home::new().await;
    let elsewhere = Simulator::start(options(&home.clock)).await.unwrap();
    let sender = home.sender_for(Vec::new(), &[&home.simulator, &elsewhere], RATE).await;
    super::connected::connect(&home, &sender).await;
    home.clock.advance(Duration::from_secs(3_600));
    let id = home.completed(&home.bot([Fault::Forbidden])).await;
    assert_eq!(sender.run_until_idle().await, Some(Duration::from_secs(60)), "the old address is paused");
    home.simulator.move_to(&elsewhere, MovedAnswer::NotFound);
    // A bot names the new address first, so the sender looks the account up, and finds it there.
    let ours = home.simulator.options().account_id;
    home.completed_of(ours, &elsewhere.bot(Plan::with_data(json!({})))).await;
    sender.run_until_idle().await;
    assert_eq!(elsewhere.calls().len(), 2, "{:?}", home.job(id).await.last_error);
}
