//! The events in the life of a store.
//!
//! An operation refers to its job by an [`Index`] into the jobs that exist when it runs, so a life stays valid when
//! proptest removes other steps.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{Delivery, Duration, JobOrdering, Resend, RetryOptions, Timestamp, prepared};

/// One event.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Operations that share a transaction.
    Together(Vec<Step>),
    /// This many milliseconds pass.
    Pass(u64),
    /// Someone sets the calendar by this many milliseconds, forward or back.
    Jump(i64),
    /// The numbers of workers and senders that are free for jobs from memory.
    FreeRooms { workers: usize, senders: usize },
    /// The process dies, and another one opens the store.
    Crash,
    /// The store is closed and opened again. In between the calendar moves by this many milliseconds.
    Reopen(i64),
    /// Maintenance moves all idempotency keys, or stops halfway.
    MoveKeys { all: bool },
    /// Maintenance drops the bodies of jobs that finished more than this many milliseconds ago.
    DropBodies(u64),
    /// An operator erases the texts of an account; perhaps also those of its unfinished jobs, which are then cancelled.
    Erase { account: i64, cancels: bool },
    /// Maintenance adds jobs to the search index, and removes those that are deleted.
    IndexJobs,
    /// A command beside the bridge carries out an operator action.
    Observe(Step),
}

/// One operation.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Accept {
        lane: usize,
        /// Which of the lane's bots sends the request.
        bot: u64,
        account: i64,
        /// An earlier key, of that account or the other one; `None` for a new key.
        key: Option<Index>,
        answer_within: u64,
        token_life: u64,
        ordering: JobOrdering,
        /// Which lead the bot talks about; 0 for none.
        lead: i64,
    },
    /// A worker reports on a claim, even a void one.
    Handled {
        claim: Index,
        next: AfterWork,
        about: About,
    },
    /// The sender reports on a claim, even a void one.
    Sent {
        claim: Index,
        next: AfterCall,
        about: About,
    },
    /// All claims of a job that have not been reported on yet report in one transaction.
    Duel(Index),
    ClaimWork {
        lane: usize,
        limit: usize,
        lease: u64,
    },
    ClaimOverdue {
        limit: usize,
        lease: u64,
    },
    ClaimDeliveries {
        lane: usize,
        limit: usize,
        longest_due: usize,
        retries_first: bool,
        lease: u64,
    },
    Cancel(Index),
    /// A callback, or an operator, brings the completion.
    Complete {
        job_index: Index,
        is_operator: bool,
    },
    /// A callback reports that the handler failed.
    ClaimAwaiting {
        job_index: Index,
        lease: u64,
    },
    Retry {
        job_index: Index,
        /// What to send: the handler's completion (`true`), the fallback (`false`), or what was sent last (`None`).
        handlers: Option<bool>,
        force: bool,
    },
    RetryDead {
        lane: Option<usize>,
        force: bool,
    },
    /// Frees expired leases.
    Free,
    /// Deletes jobs that finished more than this many milliseconds ago.
    DeleteFinished(u64),
    Reload,
}

/// The content of a report apart from the next state.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) charged: bool,
    pub(super) error: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AfterWork {
    Deliver { fallback: bool },
    Retry(u64),
    AwaitCallback,
    HandBack,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AfterCall {
    Delivered,
    Gone,
    Dead { answer_lost: bool },
    Retry { after: u64, answer_lost: bool },
    Wait { failing: bool, keeps_place: bool },
    Replace { fallback: bool },
}

/// Returns the options of [`Step::Retry`].
pub(super) fn retry_options(handlers: Option<bool>, force: bool) -> RetryOptions {
    let send = match handlers {
        None => Resend::Last,
        Some(true) => Resend::Handler,
        Some(false) => Resend::Fallback(prepared("another fallback").completion),
    };
    RetryOptions { send, force }
}

/// Returns a delivery without consecutive failures, and the same delivery after Kommo has refused it because of its
/// account.
pub(super) fn calmed(delivery: Delivery, now: Timestamp) -> (Delivery, Delivery) {
    let calm = Delivery { failures: 0, failing_since: None, ..delivery };
    (calm, Delivery { refused_at: Some(now), ..calm })
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        30 => prop::collection::vec(step(), 1..2).prop_map(Event::Together),
        30 => prop::collection::vec(step(), 2..12).prop_map(Event::Together),
        12 => (1..20_000_u64).prop_map(Event::Pass),
        8 => (0..4_usize, 0..4_usize).prop_map(|(workers, senders)| Event::FreeRooms { workers, senders }),
        2 => Just(Event::Crash),
        1 => jump().prop_map(Event::Reopen),
        1 => jump().prop_map(Event::Jump),
        2 => any::<bool>().prop_map(|all| Event::MoveKeys { all }),
        3 => by_operators().prop_map(Event::Observe),
        2 => (0..40_000_u64).prop_map(Event::DropBodies),
        1 => (1..3_i64, any::<bool>()).prop_map(|(account, cancels)| Event::Erase { account, cancels }),
        3 => Just(Event::IndexJobs),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => accept(),
        12 => (any::<Index>(), after_work(), about())
            .prop_map(|(claim, next, about)| Step::Handled { claim, next, about }),
        12 => (any::<Index>(), after_call(), about())
            .prop_map(|(claim, next, about)| Step::Sent { claim, next, about }),
        4 => any::<Index>().prop_map(Step::Duel),
        12 => (0..2_usize, 1..5_usize, lease())
            .prop_map(|(lane, limit, lease)| Step::ClaimWork { lane, limit, lease }),
        4 => (1..5_usize, lease()).prop_map(|(limit, lease)| Step::ClaimOverdue { limit, lease }),
        12 => (0..2_usize, 1..5_usize, 0..4_usize, any::<bool>(), lease()).prop_map(|(lane, limit, longest_due, retries_first, lease)| {
            Step::ClaimDeliveries { lane, limit, longest_due, retries_first, lease }
        }),
        8 => by_operators(),
        5 => (any::<Index>(), any::<bool>())
            .prop_map(|(job_index, is_operator)| Step::Complete { job_index, is_operator }),
        4 => (any::<Index>(), lease()).prop_map(|(job_index, lease)| Step::ClaimAwaiting { job_index, lease }),
        3 => Just(Step::Free),
        2 => (0..40_000_u64).prop_map(Step::DeleteFinished),
        1 => Just(Step::Reload),
    ]
}

fn jump() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -90_000..90_000_i64]
}

fn by_operators() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<Index>().prop_map(Step::Cancel),
        4 => (any::<Index>(), prop::option::of(any::<bool>()), any::<bool>())
            .prop_map(|(job_index, handlers, force)| Step::Retry { job_index, handlers, force }),
        2 => (prop::option::of(0..2_usize), any::<bool>())
            .prop_map(|(lane, force)| Step::RetryDead { lane, force }),
    ]
}

fn accept() -> impl Strategy<Value = Step> {
    let key = prop_oneof![4 => Just(None), 1 => any::<Index>().prop_map(Some)];
    let order = (ordering(), 0..3_i64);
    (0..2_usize, 0..4_u64, 1..3_i64, key, 1..60_000_u64, 1..60_000_u64, order).prop_map(
        |(lane, bot, account, key, answer_within, token_life, (ordering, lead))| Step::Accept {
            lane,
            bot,
            account,
            key,
            answer_within,
            token_life,
            ordering,
            lead,
        },
    )
}

fn ordering() -> impl Strategy<Value = JobOrdering> {
    let coalesce = prop::option::of((1..5_000_u64).prop_map(Duration::from_millis));
    prop_oneof![
        1 => Just(JobOrdering::None),
        3 => coalesce.prop_map(|coalesce| JobOrdering::Conversation { coalesce }),
    ]
}

fn lease() -> impl Strategy<Value = u64> {
    1..30_000_u64
}

fn about() -> impl Strategy<Value = About> {
    (any::<bool>(), any::<bool>()).prop_map(|(charged, error)| About { charged, error })
}

fn after_work() -> impl Strategy<Value = AfterWork> {
    prop_oneof![
        6 => any::<bool>().prop_map(|fallback| AfterWork::Deliver { fallback }),
        2 => (0..90_000_u64).prop_map(AfterWork::Retry),
        4 => Just(AfterWork::AwaitCallback),
        1 => Just(AfterWork::HandBack),
    ]
}

fn after_call() -> impl Strategy<Value = AfterCall> {
    prop_oneof![
        4 => Just(AfterCall::Delivered),
        1 => Just(AfterCall::Gone),
        3 => any::<bool>().prop_map(|answer_lost| AfterCall::Dead { answer_lost }),
        4 => (0..90_000_u64, any::<bool>()).prop_map(|(after, answer_lost)| AfterCall::Retry { after, answer_lost }),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(failing, keeps_place)| AfterCall::Wait { failing, keeps_place }),
        3 => any::<bool>().prop_map(|fallback| AfterCall::Replace { fallback }),
    ]
}
