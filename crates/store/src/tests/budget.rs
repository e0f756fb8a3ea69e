//! What an account may have unfinished, and how it is known.

use super::*;
use crate::sqlite::jobs::lane_reload::Refresh;

/// A request of `account` with about `bytes`.
fn sized(home: &Home, account: i64, bytes: usize) -> NewJob {
    let mut request = home.request();
    request.request.account_id = AccountId(account);
    request.request.data = "x".repeat(bytes).into();
    request
}

fn limit(unfinished: u64) -> Budget {
    Budget { unfinished, ..Budget::default() }
}

fn over(limit: u64) -> Result<Accepted, StoreError> {
    Err(StoreError::OverBudget(OverBudget::Unfinished { limit }))
}

async fn table(home: &Home, account: i64) -> (i64, i64) {
    let of = |column| {
        format!("SELECT coalesce(sum({column}), -1) FROM account_bytes WHERE account_id = {account}")
    };
    (home.number(&of("unfinished")).await, home.number(&of("stored")).await)
}

#[tokio::test]
async fn of_the_requests_in_one_transaction_those_beyond_the_budget_are_refused() {
    let home = Home::new();
    let store = home.serve().await;
    store.set_budget(limit(1_000));
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 5).await;
        open.send(()).unwrap();
    };
    let ask = |account, bytes| store.accept(sized(&home, account, bytes), PATIENCE);
    let (first, second, third, fourth, fifth, ()) =
        tokio::join!(ask(7, 598), ask(7, 598), ask(8, 598), ask(7, 398), ask(8, 2_000), release);
    assert!(first.is_ok() && third.is_ok() && fourth.is_ok());
    assert_eq!((second, fifth), (over(1_000), over(1_000)));
    assert_eq!((table(&home, 7).await, table(&home, 8).await), ((1_000, 1_000), (600, 600)));
    assert_eq!(count(&store, StateName::Queued).await, 3, "a refused request leaves no job");
    assert_eq!(home.number("SELECT count(*) FROM recent_keys").await, 3, "nor a key");
}

#[tokio::test]
async fn a_finished_job_gives_its_bytes_back_and_a_retried_one_takes_them_again() {
    let home = Home::new();
    let store = home.serve().await;
    store.set_budget(limit(1));
    let ask = async || store.accept(sized(&home, 7, 10), PATIENCE).await;
    for next in [AfterDelivery::Delivered, AfterDelivery::Gone, AfterDelivery::Dead { answer_lost: false }] {
        let delivering = home.delivering(&store).await;
        assert_eq!(ask().await, over(1), "{next:?}");
        store.sent(sent(delivering, next)).await.unwrap();
        assert_eq!(table(&home, 7).await.0, 0);
    }
    assert_eq!(store.retry_dead(None, false).await.unwrap().retried, 1);
    assert_eq!(ask().await, over(1));
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    store.cancel(job.id).await.unwrap();
    assert!(ask().await.is_ok(), "a cancelled job is finished too");
}

#[tokio::test]
async fn after_a_restart_and_after_a_crash_it_is_known_without_a_look_at_the_jobs() {
    let home = Home::new();
    let store = home.serve().await;
    let id = accept(&store, sized(&home, 7, 98)).await;
    for crash in [false, true] {
        if crash {
            lock(&store.0.operations).take();
            let writer = lock(&store.0.writer).take();
            if let Some(writer) = writer {
                drop(writer.await.unwrap());
            }
        } else {
            store.close().await;
        }
        let store = home.serve().await;
        store.set_budget(limit(150));
        assert_eq!(store.accept(sized(&home, 7, 98), PATIENCE).await, over(150));
        assert_eq!(store.0.budgets.unfinished(), [(7, 100)].into());
        store.close().await;
    }
    let store = home.serve().await;
    store.cancel(id).await.unwrap();
    assert!(store.0.budgets.unfinished().is_empty());
}

#[tokio::test]
async fn what_a_visitor_cancels_counts_no_longer_after_the_next_look() {
    let home = Home::new();
    let store = home.serve().await;
    store.set_budget(limit(150));
    let id = accept(&store, sized(&home, 7, 98)).await;
    let visitor = home.open(Purpose::Visit).await.unwrap();
    visitor.cancel(id).await.unwrap();
    assert_eq!(store.accept(sized(&home, 7, 98), PATIENCE).await, over(150));
    store.ask(Refresh).await.unwrap();
    assert!(store.accept(sized(&home, 7, 98), PATIENCE).await.is_ok());
}

#[tokio::test]
async fn a_store_whose_bytes_are_wrong_is_written_all_the_same() {
    let home = Home::new();
    let store = home.serve().await;
    let id = accept(&store, sized(&home, 7, 98)).await;
    home.run("UPDATE account_bytes SET unfinished = 1, stored = 1").await;
    store.cancel(id).await.unwrap();
    assert_eq!(table(&home, 7).await, (0, 1));
    assert!(store.accept(sized(&home, 7, 98), PATIENCE).await.is_ok());
}

#[tokio::test]
async fn many_accounts_in_one_transaction_are_all_counted() {
    let home = Home::new();
    let store = home.serve().await;
    let open = hold(&store).await;
    let asked = (0..20).map(|account| store.accept(sized(&home, account, 8), PATIENCE));
    let release = async {
        gathered(&store, 20).await;
        open.send(()).unwrap();
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asked), release);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(
        home.number("SELECT count(*) FROM account_bytes WHERE unfinished = 10 AND stored = 10").await,
        20
    );
}
