//! Which jobs a later job with the same `return_url` supersedes, and what an operator may still do with them.

use super::*;

/// Returns another request of the bot that sent the first request.
pub(crate) fn again(home: &Home) -> NewJob {
    let mut request = home.request();
    request.request.return_url = return_url(ORIGIN, 0);
    request
}

#[tokio::test]
async fn superseded_dead_jobs_are_skipped_unless_forced() {
    let home = Home::new();
    let store = home.serve().await;
    let superseded = home.dead(&store).await;
    let dead = home.dead(&store).await;
    accept(&store, again(&home)).await;
    for handler_name in [None, Some(handler("greet"))] {
        let left = RetriedDead { retried: u64::from(handler_name.is_none()), superseded: 1 };
        assert_eq!(store.jobs().retry_dead(handler_name, false).await, Ok(left));
        assert_eq!(state(&store, superseded).await, StateName::Dead);
        assert_eq!(state(&store, dead).await, StateName::Delivering);
    }
    let none = RetriedDead::default();
    assert_eq!(store.jobs().retry_dead(Some(handler("unknown")), false).await, Ok(none));
    assert_eq!(store.jobs().retry_dead(None, true).await, Ok(RetriedDead { retried: 1, superseded: 0 }));
    assert_eq!(state(&store, superseded).await, StateName::Delivering);
}
