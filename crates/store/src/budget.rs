//! How much each account may still send: `budget.unfinished` and `budget.requests`, counted in memory.
//!
//! The writer checks the budget before it stores a request and updates the counts after COMMIT. So a request that is
//! refused, or that fails, costs its account nothing. The same transactions keep the bytes in the table `account_bytes`.
//! The bridge reads that table at start, and every few seconds because a command beside the bridge may have cancelled
//! jobs. Each start sets the count of requests to zero.

mod limits;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::maps::HashMap;
use model::{Budget, RequestRate, Timestamp};

pub(crate) use limits::{Limits, low_water};

/// How long an account that has used up its bytes should wait. Some of its jobs may be finished by then.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request is refused even though the store has room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// The account's unfinished jobs take all the bytes that they may.
    #[error(
        "the unfinished jobs of this account take all {limit} bytes that budget.unfinished and the size of the disk \
         allow; send the request again once some of them are finished"
    )]
    Unfinished {
        /// The current limit in bytes.
        limit: u64,
    },
    /// The account has sent as many requests as it may.
    #[error(
        "this account has sent the {limit} requests that budget.requests allows; send the request again later"
    )]
    Requests {
        /// The allowed requests per span.
        limit: u32,
        /// The time until the span ends.
        retry_after: Duration,
    },
}

impl OverBudget {
    /// How long the account should wait before it sends the request again.
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Unfinished { .. } => RETRY_AFTER,
            Self::Requests { retry_after, .. } => *retry_after,
        }
    }
}

/// An account's use of its budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    /// Bytes of its unfinished jobs.
    unfinished: u64,
    /// Requests in the span that ends at `until`.
    requests: u32,
    until: Timestamp,
}

impl Usage {
    /// Decides whether a request of `bytes` may be stored. A request larger than the whole budget is admitted if the
    /// account has nothing else unfinished; otherwise its bot could never be served.
    fn decide(
        &self,
        bytes: u64,
        limits: &Limits,
        rate: Option<RequestRate>,
        now: Timestamp,
    ) -> Result<(), OverBudget> {
        if let Some(RequestRate { requests: limit, .. }) = rate
            && now < self.until
            && self.requests >= limit
        {
            return Err(OverBudget::Requests { limit, retry_after: self.until.since(now) });
        }
        let limit = limits.unfinished;
        if self.unfinished > 0 && self.unfinished.saturating_add(bytes) > limit {
            return Err(OverBudget::Unfinished { limit });
        }
        Ok(())
    }

    fn change(&mut self, change: Change, rate: Option<RequestRate>, now: Timestamp) {
        self.unfinished = self.unfinished.saturating_add_signed(change.unfinished);
        let Some(RequestRate { span, .. }) = rate.filter(|_| change.requests > 0) else { return };
        if now >= self.until {
            (self.requests, self.until) = (0, now + span);
        }
        self.requests = self.requests.saturating_add(change.requests);
    }
}

/// The changes of one transaction to one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Bytes of its unfinished jobs.
    pub(crate) unfinished: i64,
    /// Bytes of all its jobs.
    pub(crate) stored: i64,
    /// New requests.
    pub(crate) requests: u32,
}

/// The changes of one transaction, by account. Every statement that inserts or deletes a job, changes its bodies, or
/// moves it between finished and unfinished must be recorded here.
#[derive(Debug, Default)]
pub(crate) struct Changes(HashMap<i64, Change>);

impl Changes {
    /// Records a request that became a job.
    pub(crate) fn accepted(&mut self, account: i64, bytes: i64) {
        self.grew(account, bytes);
        self.of(account).requests += 1;
    }

    /// Records that a body of an unfinished job grew, or shrank if `bytes` is negative.
    pub(crate) fn grew(&mut self, account: i64, bytes: i64) {
        let change = self.of(account);
        change.unfinished += bytes;
        change.stored += bytes;
    }

    /// Records that a job of `bytes` finished.
    pub(crate) fn finished(&mut self, account: i64, bytes: i64) {
        self.of(account).unfinished -= bytes;
    }

    /// Records that a finished job of `bytes` is unfinished again.
    pub(crate) fn revived(&mut self, account: i64, bytes: i64) {
        self.of(account).unfinished += bytes;
    }

    /// Records that a finished job of `bytes` was deleted, or its bodies were dropped.
    pub(crate) fn dropped(&mut self, account: i64, bytes: i64) {
        self.of(account).stored -= bytes;
    }

    /// Returns the accounts whose bytes change.
    pub(crate) fn bytes(&self) -> Vec<(i64, Change)> {
        let all = self.0.iter().map(|(account, change)| (*account, *change));
        all.filter(|(_, change)| (change.unfinished, change.stored) != (0, 0)).collect()
    }

    fn of(&mut self, account: i64) -> &mut Change {
        self.0.entry(account).or_default()
    }
}

/// The budgets of all accounts and their use.
#[derive(Default)]
pub(crate) struct Budgets(Mutex<State>);

#[derive(Default)]
struct State {
    budget: Budget,
    limits: Limits,
    /// Whether the disk allows less than the budget.
    is_below_budget: bool,
    /// Accounts with unfinished jobs, or with requests in the current span.
    used: HashMap<i64, Usage>,
}

impl Budgets {
    /// Sets the budget of every account.
    pub(crate) fn set(&self, budget: Budget) {
        let mut state = self.lock();
        state.limits = Limits::new(&budget, None);
        state.budget = budget;
    }

    /// Sets the room on the disk in bytes. If the limits have become lower than the budget, or no longer are, returns
    /// the new limits and whether they are lower.
    pub(crate) fn set_room(&self, room: u64) -> Option<(Limits, bool)> {
        let mut state = self.lock();
        let limits = Limits::new(&state.budget, Some(room));
        let is_below_budget =
            limits.unfinished < state.budget.unfinished || limits.stored < state.budget.stored;
        state.limits = limits;
        (std::mem::replace(&mut state.is_below_budget, is_below_budget) != is_below_budget)
            .then_some((limits, is_below_budget))
    }

    /// Returns the current limits.
    pub(crate) fn limits(&self) -> Limits {
        self.lock().limits
    }

    /// Starts to admit requests to the running transaction.
    pub(crate) fn admission(&self, now: Timestamp) -> Admission<'_> {
        Admission { state: self.lock(), so_far: HashMap::new(), now }
    }

    /// Applies the changes of a transaction after COMMIT. `all` is the content of the table at the start of the
    /// transaction, if the transaction read it.
    pub(crate) fn apply_after_commit(
        &self,
        all: Option<HashMap<i64, u64>>,
        changes: Changes,
        now: Timestamp,
    ) {
        if all.is_none() && changes.0.is_empty() {
            return;
        }
        let mut state = self.lock();
        let rate = state.budget.requests;
        if let Some(all) = all {
            state.used.retain(|_, usage| now < usage.until);
            state.used.values_mut().for_each(|usage| usage.unfinished = 0);
            for (account, unfinished) in all {
                state.used.entry(account).or_default().unfinished = unfinished;
            }
        }
        for (account, change) in changes.0 {
            state.used.entry(account).or_default().change(change, rate, now);
        }
    }

    /// The bytes of each account's unfinished jobs, without accounts that have none.
    #[cfg(test)]
    pub(crate) fn unfinished(&self) -> std::collections::BTreeMap<i64, u64> {
        let state = self.lock();
        let all = state.used.iter().map(|(account, usage)| (*account, usage.unfinished));
        all.filter(|(_, unfinished)| *unfinished > 0).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Budgets::admission`]. The budgets count nothing before COMMIT, so this remembers what it has admitted.
pub(crate) struct Admission<'b> {
    state: MutexGuard<'b, State>,
    so_far: HashMap<i64, Usage>,
    now: Timestamp,
}

impl Admission<'_> {
    /// Admits a request of `account` with `bytes`.
    ///
    /// # Errors
    /// The account's budget does not allow it.
    pub(crate) fn admit(&mut self, account: i64, bytes: u64) -> Result<(), OverBudget> {
        let State { budget, limits, used, is_below_budget: _ } = &*self.state;
        let known = || used.get(&account).copied().unwrap_or_default();
        let usage = self.so_far.entry(account).or_insert_with(known);
        usage.decide(bytes, limits, budget.requests, self.now)?;
        let change = Change { unfinished: signed(bytes), stored: 0, requests: 1 };
        usage.change(change, budget.requests, self.now);
        Ok(())
    }
}

/// Converts a number of bytes to the type of the table's column.
pub(crate) fn signed(bytes: impl TryInto<i64>) -> i64 {
    bytes.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: RequestRate = RequestRate { requests: 2, span: Duration::from_secs(60) };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn usage(unfinished: u64, requests: u32, until: i64) -> Usage {
        Usage { unfinished, requests, until: at(until) }
    }

    #[test]
    fn a_request_is_admitted_while_the_budget_has_room_for_it() {
        let limits = Limits { unfinished: 100, ..Limits::default() };
        let bytes = Err(OverBudget::Unfinished { limit: 100 });
        let requests = |millis| {
            let retry_after = Duration::from_millis(millis);
            Err(OverBudget::Requests { limit: 2, retry_after })
        };
        for (usage, size, rate, expected) in [
            (usage(0, 0, 0), 1, None, Ok(())),
            (usage(60, 0, 0), 40, None, Ok(())),
            (usage(60, 0, 0), 41, None, bytes),
            (usage(100, 0, 0), 0, None, Ok(())),
            (usage(200, 0, 0), 0, None, bytes),
            (usage(u64::MAX, 0, 0), u64::MAX, None, bytes),
            // A request larger than the budget, with nothing else unfinished.
            (usage(0, 0, 0), 101, None, Ok(())),
            (usage(1, 0, 0), 101, None, bytes),
            (usage(0, 1, 11_000), 1, Some(RATE), Ok(())),
            (usage(0, 2, 11_000), 1, Some(RATE), requests(1_000)),
            (usage(0, 2, 10_000), 1, Some(RATE), Ok(())),
            (usage(0, 9, 10_001), 1, Some(RATE), requests(1)),
            (usage(0, 9, 11_000), 1, None, Ok(())),
        ] {
            assert_eq!(usage.decide(size, &limits, rate, at(10_000)), expected, "{usage:?} {size} {rate:?}");
        }
    }

    #[test]
    fn a_span_of_requests_starts_with_a_request_and_expires() {
        let request = Change { requests: 1, ..Change::default() };
        let mut usage = Usage::default();
        usage.change(request, Some(RATE), at(5_000));
        assert_eq!(usage, self::usage(0, 1, 65_000));
        usage.change(request, Some(RATE), at(64_999));
        assert_eq!(usage, self::usage(0, 2, 65_000));
        usage.change(Change { unfinished: 7, ..Change::default() }, Some(RATE), at(70_000));
        assert_eq!(usage, self::usage(7, 2, 65_000), "only a request starts a span");
        usage.change(request, Some(RATE), at(70_000));
        assert_eq!(usage, self::usage(7, 1, 130_000));
        usage.change(request, None, at(999_000));
        assert_eq!(usage, self::usage(7, 1, 130_000));
    }

    #[test]
    fn admitted_requests_count_within_their_transaction_and_elsewhere_only_after_commit() {
        let budgets = Budgets::default();
        budgets.set(Budget { unfinished: 100, requests: Some(RATE), ..Budget::default() });
        for _ in 0..2 {
            let mut admission = budgets.admission(at(0));
            assert_eq!(admission.admit(7, 60), Ok(()));
            assert_eq!(admission.admit(7, 60), Err(OverBudget::Unfinished { limit: 100 }));
            assert_eq!(admission.admit(8, 60), Ok(()), "each account has its own budget");
            assert_eq!(admission.admit(7, 40), Ok(()));
            let retry_after = RATE.span;
            assert_eq!(admission.admit(7, 0), Err(OverBudget::Requests { limit: 2, retry_after }));
        }
        let mut changes = Changes::default();
        changes.accepted(7, 60);
        budgets.apply_after_commit(None, changes, at(0));
        assert_eq!(budgets.admission(at(0)).admit(7, 60), Err(OverBudget::Unfinished { limit: 100 }));
        assert_eq!(budgets.unfinished(), [(7, 60)].into());
    }

    #[test]
    fn bytes_read_from_the_table_replace_the_count_of_bytes_but_not_of_requests() {
        let budgets = Budgets::default();
        budgets.set(Budget { requests: Some(RATE), ..Budget::default() });
        let accept = |account| {
            let mut changes = Changes::default();
            changes.accepted(account, 10);
            changes
        };
        budgets.apply_after_commit(None, accept(7), at(0));
        budgets.apply_after_commit(Some([(8, 5)].into()), accept(7), at(1));
        assert_eq!(budgets.unfinished(), [(7, 10), (8, 5)].into());
        assert!(budgets.admission(at(2)).admit(7, 0).is_err(), "both requests still count");
        budgets.apply_after_commit(Some(HashMap::new()), Changes::default(), at(60_000));
        assert!(budgets.lock().used.is_empty(), "accounts whose span has ended are forgotten");
    }
}
