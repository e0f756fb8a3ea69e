//! Random callers of a [`LimiterState`]. Whatever they do, no second contains too many calls, no call starts in a pause
//! (even if it was reserved before), and neither side starves.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::*;
use model::JobId;

const ACCOUNTS: [&str; 3] = ["https://a.kommo.com", "https://b.kommo.com", "https://c.kommo.com"];
const SECOND: Duration = Duration::from_secs(1);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[derive(Clone, Debug)]
enum Act {
    Pass(u64),
    /// The sender asks for this many calls to an account.
    Reserve(usize, usize),
    /// A waiter asks for a call to an account.
    Waiter(usize, CallKind),
    /// A reserved call starts.
    Start(Index),
    /// A reserved call is released.
    Release(Index),
    Fine(Index),
    Unknown(Index),
    /// The response to a call of a job asks to wait: the cause, the milliseconds if Kommo names a time, and the job.
    Pause(Index, Cause, Option<u64>, u128),
    NewToken(usize),
    Renewal(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let cause = prop::sample::select(vec![
        Cause::TooMany,
        Cause::TooMany,
        Cause::Unauthorized,
        Cause::PaymentRequired,
        Cause::Forbidden,
        Cause::Blocked,
        Cause::NotConnected,
        Cause::NotRenewed,
    ]);
    let kind = prop::sample::select(vec![CallKind::Api, CallKind::Api, CallKind::Token]);
    prop_oneof![
        10 => (1..400_u64).prop_map(Act::Pass),
        1 => (1_000..100_000_u64).prop_map(Act::Pass),
        8 => (0..3_usize, 0..12_usize).prop_map(|(account, wanted)| Act::Reserve(account, wanted)),
        5 => (0..3_usize, kind).prop_map(|(account, kind)| Act::Waiter(account, kind)),
        16 => any::<Index>().prop_map(Act::Start),
        2 => any::<Index>().prop_map(Act::Release),
        6 => any::<Index>().prop_map(Act::Fine),
        2 => any::<Index>().prop_map(Act::Unknown),
        3 => (any::<Index>(), cause, prop::option::of(0..9_000_u64), 0..3_u128)
            .prop_map(|(call, cause, hint, job)| Act::Pause(call, cause, hint, job)),
        1 => (0..3_usize).prop_map(Act::NewToken),
        1 => (0..3_usize).prop_map(Act::Renewal),
    ]
}

struct Callers {
    state: LimiterState,
    now: Duration,
    reserved: Vec<(usize, Reservation)>,
    flying: Vec<(usize, Reservation)>,
    starts: Vec<(usize, Duration)>,
    /// The moment until which no call to the account may start, unless the pause ends early.
    quiet: [Duration; 3],
    /// The cause of the account's last pause.
    cause: [Option<Cause>; 3],
    /// The moment until which no call to any account may start.
    all_quiet: Duration,
}

impl Callers {
    fn new(rate: u32, total: Option<u32>) -> Self {
        Self {
            state: LimiterState::new(rate, total),
            now: Duration::ZERO,
            reserved: Vec::new(),
            flying: Vec::new(),
            starts: Vec::new(),
            quiet: [Duration::ZERO; 3],
            cause: [None; 3],
            all_quiet: Duration::ZERO,
        }
    }

    fn act(&mut self, act: Act) {
        let take = |from: &mut Vec<(usize, Reservation)>, which: Index| {
            (!from.is_empty()).then(|| from.swap_remove(which.index(from.len())))
        };
        match act {
            Act::Pass(millis) => self.now += ms(millis),
            Act::Reserve(account, wanted) => {
                let reservations = self.state.reserve(ACCOUNTS[account], wanted, self.now);
                assert!(reservations.len() <= wanted);
                assert!(
                    reservations.is_empty() || self.now >= self.quiet[account],
                    "a call was reserved in a pause"
                );
                self.reserved.extend(reservations.into_iter().map(|reservation| (account, reservation)));
            }
            Act::Waiter(account, kind) => {
                self.state.waiter_arrives(ACCOUNTS[account], self.now);
                let reservation = self.state.reserve_for_waiter(ACCOUNTS[account], kind, self.now);
                self.state.waiter_leaves(ACCOUNTS[account]);
                let is_held = kind == CallKind::Api && self.now < self.quiet[account];
                assert!(reservation.is_none() || !is_held, "a call was reserved in a pause");
                self.reserved.extend(reservation.map(|reservation| (account, reservation)));
            }
            Act::Start(which) => {
                let Some((account, mut reservation)) = take(&mut self.reserved, which) else { return };
                if !self.state.start(ACCOUNTS[account], &mut reservation, self.now) {
                    return;
                }
                assert!(self.now >= self.all_quiet, "a call started in the pause of all accounts");
                // A call for a token may start in a pause that waits for one.
                let needs_token = self.cause[account].is_some_and(Cause::ends_with_a_new_token);
                let may = needs_token && reservation.is_exempt;
                assert!(may || self.now >= self.quiet[account], "a call started in a pause of its account");
                self.starts.push((account, self.now));
                self.flying.push((account, reservation));
            }
            Act::Release(which) => {
                let Some((account, reservation)) = take(&mut self.reserved, which) else { return };
                self.state.release(ACCOUNTS[account], reservation);
            }
            Act::Fine(which) => {
                let Some((account, reservation)) = take(&mut self.flying, which) else { return };
                let ended =
                    self.state.succeeded(ACCOUNTS[account], reservation, Some(Timestamp::from_millis(0)));
                self.forget_ended_pauses(account, ended);
            }
            Act::Unknown(which) => {
                let Some((account, reservation)) = take(&mut self.flying, which) else { return };
                self.state.inconclusive(ACCOUNTS[account], reservation);
            }
            Act::Pause(which, cause, hint, number) => {
                let Some((account, reservation)) = take(&mut self.flying, which) else { return };
                let source = Source::Job(JobId::new(Timestamp::from_millis(0), number));
                let pause = Pause { cause, hint: hint.map(ms), source };
                let (was_on, began) = (
                    self.state.accounts[ACCOUNTS[account]].breaker.is_tripped(),
                    self.state.pause(ACCOUNTS[account], reservation, pause, self.now),
                );
                // Any other response to the probe shows that the IP address is not blocked.
                if self.state.everybody_waits().is_none() {
                    self.all_quiet = Duration::ZERO;
                }
                let Some(began) = began else {
                    assert!(was_on || cause != Cause::TooMany, "a 429 started no pause");
                    return;
                };
                assert!(began.alone.is_some() || !began.account.is_zero(), "a pause of zero length");
                self.quiet[account] = self.now + began.account;
                self.cause[account] = Some(cause);
                if let Some(everybody) = began.all_accounts {
                    assert!(!everybody.is_zero(), "a pause of zero length");
                    self.all_quiet = self.now + everybody;
                }
            }
            Act::NewToken(account) => {
                if self.state.resume_with_new_token(ACCOUNTS[account]) {
                    self.quiet[account] = Duration::ZERO;
                }
            }
            Act::Renewal(account) => {
                if self.state.resume_after_renewal(ACCOUNTS[account]) {
                    self.quiet[account] = Duration::ZERO;
                }
            }
        }
    }

    fn forget_ended_pauses(&mut self, account: usize, ended: Resumed) {
        if ended.account {
            self.quiet[account] = Duration::ZERO;
        }
        if ended.all_accounts {
            self.all_quiet = Duration::ZERO;
        }
    }

    fn max_in_a_second(&self, is_counted: impl Fn(usize) -> bool) -> usize {
        let starts: Vec<Duration> =
            self.starts.iter().filter(|(account, _)| is_counted(*account)).map(|(_, at)| *at).collect();
        let within = |from: Duration| starts.iter().filter(|at| **at >= from && **at < from + SECOND).count();
        starts.iter().map(|from| within(*from)).max().unwrap_or(0)
    }

    /// Ends all reservations and calls, and lets the longest pause pass.
    fn settle(&mut self) {
        for (account, reservation) in std::mem::take(&mut self.reserved) {
            self.state.release(ACCOUNTS[account], reservation);
        }
        for (account, reservation) in std::mem::take(&mut self.flying) {
            self.state.inconclusive(ACCOUNTS[account], reservation);
        }
        self.now += Duration::from_secs(2 * 60 * 60);
    }

    /// Runs a busy sender and a waiter at each account; all calls succeed. Returns the number of calls of each.
    fn run_busy(&mut self, span: Duration, order: &[usize]) -> [[usize; 2]; 3] {
        let (end, mut calls) = (self.now + span, [[0; 2]; 3]);
        ACCOUNTS.iter().for_each(|account| self.state.waiter_arrives(account, self.now));
        for turn in 0.. {
            if self.now >= end {
                break;
            }
            // The sender begins with another account each time.
            for offset in 0..3 {
                let account = order[(turn + offset) % 3];
                let name = ACCOUNTS[account];
                for (side, reservations) in [
                    self.state.reserve(name, 20, self.now),
                    self.state.reserve_for_waiter(name, CallKind::Api, self.now).into_iter().collect(),
                ]
                .into_iter()
                .enumerate()
                {
                    for mut reservation in reservations {
                        assert!(self.state.start(name, &mut reservation, self.now), "nothing pauses it");
                        self.state.succeeded(
                            name,
                            reservation,
                            (side == 0).then_some(Timestamp::from_millis(0)),
                        );
                        self.starts.push((account, self.now));
                        calls[account][side] += 1;
                    }
                }
            }
            self.now += ms(20);
        }
        calls
    }
}

proptest! {
    #[test]
    fn no_second_contains_more_calls_than_the_rate_whatever_callers_do(
        rate in 1..9_u32,
        total in prop::option::of(1..12_u32),
        acts in prop::collection::vec(act(), 0..300),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
    ) {
        let mut callers = Callers::new(rate, total);
        acts.into_iter().for_each(|act| callers.act(act));
        callers.settle();
        let calls = callers.run_busy(Duration::from_secs(20), &order);
        for (account, name) in ACCOUNTS.iter().enumerate() {
            prop_assert!(callers.max_in_a_second(|other| other == account) <= rate as usize, "{}", name);
            prop_assert!(calls[account][0] > 0, "the sender starves at {name}: {calls:?}");
            prop_assert!(calls[account][1] > 0, "the waiter starves at {name}: {calls:?}");
        }
        let total = total.map_or(usize::MAX, |total| total as usize);
        prop_assert!(callers.max_in_a_second(|_| true) <= total);
        // The callers together also reach at least 70% of the rate.
        let made: usize = calls.iter().flatten().sum();
        let possible = total.min(3 * rate as usize) * 20;
        prop_assert!(made * 10 >= possible * 7, "{made} of {possible}");
    }
}
