//! Random days of a sender with all kinds of lanes: an account that has moved and so has two lanes, one that Kommo
//! refuses at times, one that is never refused, one without a token, and handlers that make calls. The clock advances
//! only to the times at which the sender wants to be woken, so a missed wake-up shows up as a delay.

use proptest::prelude::*;

use super::connected::connect;
use super::*;
use kommo::pace::CallKind;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// The longest delay that the rate alone causes.
const MAX_RATE_DELAY: Duration = Duration::from_secs(30);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
enum Event {
    /// A completion for one of the lanes.
    Job(usize),
    /// An account starts or stops refusing all calls.
    Outage(usize, Option<Fault>),
    /// A handler calls an account successfully.
    Call(usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let fault = prop::sample::select(vec![
        None,
        None,
        Some(Fault::HtmlForbidden),
        Some(Fault::HtmlForbidden),
        Some(Fault::Forbidden),
        Some(Fault::PaymentRequired),
        Some(Fault::TooManyRequests { header: None, body: None }),
        Some(Fault::TooManyRequests { header: Some(7), body: None }),
    ]);
    prop_oneof![
        6 => (0..LANES).prop_map(Event::Job),
        2 => (0..2_usize, fault).prop_map(|(account, fault)| Event::Outage(account, fault)),
        1 => (0..3_usize).prop_map(Event::Call),
        4 => (0..40_000_u64).prop_map(Event::Pass),
    ]
}

/// The old and the new address of the account that has moved, two more accounts, and one that is not connected.
const LANES: usize = 5;

struct Day {
    home: Home,
    sender: Sender,
    /// The account that has moved, at its new address; one that is refused at times; and one that is never refused.
    accounts: [Simulator; 3],
    /// Each job, its lane, and its time of arrival.
    jobs: Vec<(JobId, usize, Duration)>,
    /// The number of outages of each of the first two accounts.
    outages: [usize; 2],
    /// When all accounts last waited.
    all_waited: Duration,
}

impl Day {
    async fn begin() -> Self {
        let home = Home::new().await;
        let mut accounts = Vec::new();
        for number in 1..=3 {
            let options = if number == 1 { options(&home.clock) } else { Options::numbered(number) };
            accounts.push(Simulator::start(options).await.unwrap());
        }
        let accounts: [Simulator; 3] = accounts.try_into().ok().unwrap();
        let long_lived = |simulator: &Simulator| LongLivedAccount {
            name: simulator.base_url().into(),
            origin: simulator.base_url().into(),
            token: simulator.options().access_token.clone().into(),
        };
        let hosts = [&home.simulator, &accounts[0], &accounts[1], &accounts[2]];
        let sender = home.sender_for(accounts[1..].iter().map(long_lived).collect(), &hosts, 7).await;
        connect(&home, &sender).await;
        super::moved::has_moved(&home, &accounts[0], &sender).await;
        Self { home, sender, accounts, jobs: Vec::new(), outages: [0; 2], all_waited: Duration::ZERO }
    }

    fn now(&self) -> Duration {
        self.home.clock.clock().elapsed()
    }

    async fn apply(&mut self, event: Event) {
        match event {
            Event::Job(lane) => {
                let ours = self.home.simulator.options().account_id;
                let id = match lane {
                    0 => self.home.completed(&self.home.bot([])).await,
                    4 => self.home.completed_at("http://a.kommo.com/api/v4/salesbot/1/continue/2", 999).await,
                    lane => {
                        let simulator = &self.accounts[lane - 1];
                        let number = if lane == 1 { ours } else { simulator.options().account_id };
                        self.home.completed_of(number, &simulator.bot(Plan::with_data(json!({})))).await
                    }
                };
                self.jobs.push((id, lane, self.now()));
            }
            Event::Outage(account, fault) => {
                self.outages[account] += usize::from(fault.is_some());
                self.accounts[account].set_outage(fault);
            }
            Event::Call(account) => {
                let (limiter, origin) = (&self.sender.0.parts.limiter, self.accounts[account].base_url());
                if let Ok(mut permit) = limiter.acquire(origin, CallKind::Api, Duration::ZERO).await
                    && permit.start().is_ok()
                {
                    permit.succeeded();
                }
            }
            Event::Pass(millis) => self.pass_time(Duration::from_millis(millis)).await,
        }
        self.run_until_idle().await;
    }

    /// Sends what the limiter permits. Returns how long the sender would wait.
    async fn run_until_idle(&mut self) -> Option<Duration> {
        let mut wait = Some(Duration::ZERO);
        for turn in 0.. {
            assert!(turn < 100, "the sender polls in a busy loop");
            let next = self.sender.step().await.unwrap();
            self.sender.idle().await;
            // A call that just ended may have freed a lane, so stop only if two steps in a row return the same.
            if next == wait && next != Some(Duration::ZERO) {
                break;
            }
            wait = next;
        }
        // If only one account was refused, a pause of all accounts delays no other.
        if self.sender.0.parts.limiter.everybody_waits().is_some_and(|waits| waits.accounts.len() > 1) {
            self.all_waited = self.now();
        }
        wait
    }

    /// Lets time pass. Advances the clock only to the times at which the sender wants to be woken.
    async fn pass_time(&mut self, mut left: Duration) {
        while !left.is_zero() {
            let wait = self.run_until_idle().await.unwrap_or(left).min(left);
            self.home.clock.advance(wait);
            left -= wait;
        }
    }

    async fn waiting(&self, of: impl Fn(usize) -> bool) -> usize {
        let mut waiting = 0;
        for (id, lane, _) in &self.jobs {
            let waits = of(*lane) && self.home.job(*id).await.state.name() == StateName::Delivering;
            waiting += usize::from(waits);
        }
        waiting
    }

    /// Checks that the account that is never refused is delayed only while all accounts wait.
    async fn check_unrefused_account(&self) -> Result<(), TestCaseError> {
        for (id, lane, came) in &self.jobs {
            if *lane == 3 && self.now() > self.all_waited.max(*came) + MAX_RATE_DELAY {
                let state = self.home.job(*id).await.state.name();
                prop_assert_eq!(state, StateName::Delivered, "an account that is never refused is delayed");
            }
        }
        Ok(())
    }

    /// Ends all outages, and checks the final state.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        self.accounts.iter().for_each(|account| account.set_outage(None));
        let before = self.now();
        // By then every pause has ended with a probe.
        while self.waiting(|lane| lane != 4).await > 0 {
            prop_assert!(self.now() < before + MAX_PAUSE + MINUTE, "a job is left behind");
            let wait = self.run_until_idle().await.unwrap_or(SECOND);
            self.home.clock.advance(wait);
            self.run_until_idle().await;
        }
        for (id, lane, _) in &self.jobs {
            // If an account has several outages, it may take some jobs and refuse others in between.
            let is_certain = match lane {
                0 | 1 => self.outages[0] <= 1,
                2 => self.outages[1] <= 1,
                lane => *lane == 3,
            };
            let job = self.home.job(*id).await;
            prop_assert!(!is_certain || job.delivery_attempts == 1, "lane {}: {:?}", lane, job.last_error);
        }
        prop_assert!(self.sender.0.parts.limiter.everybody_waits().is_none());
        let waiting = self.sender.0.parts.health.waiting();
        let unconnected = usize::from(self.jobs.iter().any(|(_, lane, _)| *lane == 4));
        prop_assert_eq!(waiting.len(), unconnected, "{:?}", waiting);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(32), ..ProptestConfig::default() })]

    #[test]
    fn outages_of_some_accounts_never_lose_or_charge_jobs_or_delay_other_accounts(
        events in prop::collection::vec(event(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut day = Day::begin().await;
            for event in events {
                day.apply(event).await;
                day.check_unrefused_account().await?;
            }
            day.finish().await
        })?;
    }
}
