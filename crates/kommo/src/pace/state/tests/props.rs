//! Random callers of a [`LimiterState`]: whatever they do, no second sees too many calls, no call starts in a pause, whenever it
//! was reserved, and no side starves.

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
    /// The sender asks for so many calls.
    Reserve(usize, usize),
    /// A waiter asks for a call.
    Waiter(usize, CallKind),
    /// A reserved call goes out.
    Start(Index),
    /// A reserved call does not go out.
    Release(Index),
    Fine(Index),
    Unknown(Index),
    /// 429, or another reason to wait; with so many milliseconds if Kommo says how long, to one of a few jobs.
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
    /// Until when no call to the account may start, unless something has ended the pause.
    quiet: [Duration; 3],
    /// Why it is quiet.
    cause: [Option<Cause>; 3],
    /// Until when no call to any account may start.
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
                assert!(reservations.is_empty() || self.now >= self.quiet[account], "a pause does not hold");
                self.reserved.extend(reservations.into_iter().map(|reservation| (account, reservation)));
            }
            Act::Waiter(account, kind) => {
                self.state.waiter_arrives(ACCOUNTS[account], self.now);
                let reservation = self.state.reserve_for_waiter(ACCOUNTS[account], kind, self.now);
                self.state.waiter_leaves(ACCOUNTS[account]);
                let is_held = kind == CallKind::Api && self.now < self.quiet[account];
                assert!(reservation.is_none() || !is_held, "a pause does not hold");
                self.reserved.extend(reservation.map(|reservation| (account, reservation)));
            }
            Act::Start(which) => {
                let Some((account, mut reservation)) = take(&mut self.reserved, which) else { return };
                if !self.state.start(ACCOUNTS[account], &mut reservation, self.now) {
                    return;
                }
                assert!(self.now >= self.all_quiet, "it starts in the pause of all");
                // A call for a token may start while there is none.
                let needs_token = self.cause[account].is_some_and(Cause::ends_with_a_new_token);
                let may = needs_token && reservation.is_exempt;
                assert!(may || self.now >= self.quiet[account], "it starts in a pause of its account");
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
                self.go_on_after(account, ended);
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
                // Any answer but a block shows that the address is not blocked, if it is the answer to the probe.
                if self.state.everybody_waits().is_none() {
                    self.all_quiet = Duration::ZERO;
                }
                let Some(began) = began else {
                    assert!(was_on || cause != Cause::TooMany, "a 429 that pauses nothing");
                    return;
                };
                assert!(began.alone.is_some() || !began.account.is_zero(), "a pause of no time");
                self.quiet[account] = self.now + began.account;
                self.cause[account] = Some(cause);
                if let Some(everybody) = began.all_accounts {
                    assert!(!everybody.is_zero(), "a pause of no time");
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

    fn go_on_after(&mut self, account: usize, ended: Resumed) {
        if ended.account {
            self.quiet[account] = Duration::ZERO;
        }
        if ended.all_accounts {
            self.all_quiet = Duration::ZERO;
        }
    }

    fn most_in_a_second(&self, is_meant: impl Fn(usize) -> bool) -> usize {
        let starts: Vec<Duration> =
            self.starts.iter().filter(|(account, _)| is_meant(*account)).map(|(_, at)| *at).collect();
        let within = |from: Duration| starts.iter().filter(|at| **at >= from && **at < from + SECOND).count();
        starts.iter().map(|from| within(*from)).max().unwrap_or(0)
    }

    /// All that is under way ends, one way or the other, and the longest pause passes.
    fn settle(&mut self) {
        for (account, reservation) in std::mem::take(&mut self.reserved) {
            self.state.release(ACCOUNTS[account], reservation);
        }
        for (account, reservation) in std::mem::take(&mut self.flying) {
            self.state.inconclusive(ACCOUNTS[account], reservation);
        }
        self.now += Duration::from_secs(2 * 60 * 60);
    }

    /// A sender with much to do and a waiter, at each account; all calls are answered well. Returns how many calls
    /// each of them made.
    fn go_on(&mut self, span: Duration, order: &[usize]) -> [[usize; 2]; 3] {
        let (end, mut calls) = (self.now + span, [[0; 2]; 3]);
        ACCOUNTS.iter().for_each(|account| self.state.waiter_arrives(account, self.now));
        for turn in 0.. {
            if self.now >= end {
                break;
            }
            // The sender begins at another account each time.
            for offset in 0..3 {
                let account = order[(turn + offset) % 3];
                let name = ACCOUNTS[account];
                for (who, reservations) in [
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
                            (who == 0).then_some(Timestamp::from_millis(0)),
                        );
                        self.starts.push((account, self.now));
                        calls[account][who] += 1;
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
    fn no_second_sees_more_than_the_rate_whatever_callers_do(
        rate in 1..9_u32,
        total in prop::option::of(1..12_u32),
        acts in prop::collection::vec(act(), 0..300),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
    ) {
        let mut callers = Callers::new(rate, total);
        acts.into_iter().for_each(|act| callers.act(act));
        callers.settle();
        let calls = callers.go_on(Duration::from_secs(20), &order);
        for (account, name) in ACCOUNTS.iter().enumerate() {
            prop_assert!(callers.most_in_a_second(|other| other == account) <= rate as usize, "{}", name);
            prop_assert!(calls[account][0] > 0, "the sender starves at {name}: {calls:?}");
            prop_assert!(calls[account][1] > 0, "who waits starves at {name}: {calls:?}");
        }
        let total = total.map_or(usize::MAX, |total| total as usize);
        prop_assert!(callers.most_in_a_second(|_| true) <= total);
        // The rate is also used: no caller may exceed it, but together they reach it.
        let made: usize = calls.iter().flatten().sum();
        let possible = total.min(3 * rate as usize) * 20;
        prop_assert!(made * 10 >= possible * 7, "{made} of {possible}");
    }
}
