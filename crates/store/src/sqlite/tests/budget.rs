//! The budget for unfinished jobs, and the counts behind it.

use super::*;
use crate::tests::budget::{limit, over, sized};

async fn table(home: &Home, account: i64) -> (i64, i64) {
    let of = |column| {
        format!("SELECT coalesce(sum({column}), -1) FROM account_bytes WHERE account_id = {account}")
    };
    (home.number(&of("unfinished")).await, home.number(&of("stored")).await)
}

#[tokio::test]
async fn requests_beyond_the_budget_are_refused_within_one_transaction() {
    let home = Home::new();
    let store = home.serve().await;
    store.maintenance().set_budget(limit(1_000));
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 5).await;
        open.send(()).unwrap();
    };
    let ask = |account, bytes| store.jobs().accept(sized(&home, account, bytes), COMMIT_TIMEOUT);
    let (first, second, third, fourth, fifth, ()) =
        tokio::join!(ask(7, 598), ask(7, 598), ask(8, 598), ask(7, 398), ask(8, 2_000), release);
    assert!(first.is_ok() && third.is_ok() && fourth.is_ok());
    assert_eq!((second, fifth), (over(1_000), over(1_000)));
    assert_eq!((table(&home, 7).await, table(&home, 8).await), ((1_000, 1_000), (600, 600)));
    assert_eq!(count(&store, StateName::Queued).await, 3, "a refused request leaves no job");
    assert_eq!(home.number("SELECT count(*) FROM recent_keys").await, 3, "nor a key");
}

#[tokio::test]
async fn finishing_a_job_frees_its_bytes_and_retrying_it_takes_them_again() {
    let home = Home::new();
    let store = home.serve().await;
    store.maintenance().set_budget(limit(1));
    let ask = async || store.jobs().accept(sized(&home, 7, 10), COMMIT_TIMEOUT).await;
    for next in [AfterDelivery::Delivered, AfterDelivery::Gone, AfterDelivery::Dead { answer_lost: false }] {
        let delivering = home.delivering(&store).await;
        assert_eq!(ask().await, over(1), "{next:?}");
        store.jobs().sent(sent(delivering, next)).await.unwrap();
        assert_eq!(table(&home, 7).await.0, 0);
    }
    assert_eq!(store.jobs().retry_dead(None, false).await.unwrap().retried, 1);
    assert_eq!(ask().await, over(1));
    let [job] = due_deliveries(&store).await.try_into().unwrap();
    store.jobs().cancel(job.id).await.unwrap();
    assert!(ask().await.is_ok(), "a cancelled job is finished too");
}

#[tokio::test]
async fn wrong_byte_counts_do_not_prevent_writes() {
    let home = Home::new();
    let store = home.serve().await;
    let id = accept(&store, sized(&home, 7, 98)).await;
    home.run("UPDATE account_bytes SET unfinished = 1, stored = 1").await;
    store.jobs().cancel(id).await.unwrap();
    assert_eq!(table(&home, 7).await, (0, 1));
    assert!(store.jobs().accept(sized(&home, 7, 98), COMMIT_TIMEOUT).await.is_ok());
}

#[tokio::test]
async fn many_accounts_in_one_transaction_are_all_counted() {
    let home = Home::new();
    let store = home.serve().await;
    let open = hold(&store).await;
    let asked = (0..20).map(|account| store.jobs().accept(sized(&home, account, 8), COMMIT_TIMEOUT));
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
