//! The waits of deliveries, which the owner stores for the commands beside it.

use model::{ALL_ACCOUNTS, AccountWait, WaitCause};

use super::*;

pub(crate) const OLD: &str = "https://old.kommo.com";

pub(crate) fn wait(cause: WaitCause) -> AccountWait {
    let until = (cause != WaitCause::NotConnected).then_some(START + Duration::from_secs(30));
    AccountWait { cause, why: format!("why {cause}"), advice: "do that".into(), since: START, until }
}

#[tokio::test]
async fn a_wait_is_stored_until_it_ends_or_the_bridge_starts() {
    let home = Home::new();
    let store = home.serve().await;
    for cause in WaitCause::ALL {
        store.accounts().write_waits(vec![(ORIGIN.into(), Some(wait(cause)))]).await.unwrap();
        assert_eq!(store.accounts().waits().await.unwrap(), [(ORIGIN.to_owned(), wait(cause))], "{cause}");
    }
    let both = vec![(ORIGIN.into(), None), (ALL_ACCOUNTS.into(), Some(wait(WaitCause::Blocked)))];
    store.accounts().write_waits(both).await.unwrap();
    let waits = store.accounts().waits_at(ORIGIN).await.unwrap();
    assert_eq!((waits.account, waits.all_accounts), (None, Some(wait(WaitCause::Blocked))));
    store.accounts().ask_resume(ORIGIN.into()).await.unwrap();
    store.close().await;
    let store = home.serve().await;
    assert_eq!(store.accounts().waits().await.unwrap(), []);
    assert_eq!(store.accounts().take_resumes().await.unwrap(), Vec::<Arc<str>>::new());
}

#[tokio::test]
async fn resuming_an_account_several_times_tries_it_once() {
    let home = Home::new();
    let store = home.serve().await;
    let observer = home.open(Role::Observer).await.unwrap();
    for origin in [ORIGIN, OLD, ORIGIN] {
        observer.accounts().ask_resume(origin.into()).await.unwrap();
    }
    let mut taken = store.accounts().take_resumes().await.unwrap();
    taken.sort();
    assert_eq!(taken, [OLD.into(), ORIGIN.into()]);
    assert_eq!(store.accounts().take_resumes().await.unwrap(), Vec::<Arc<str>>::new());
}

#[tokio::test]
async fn waiting_and_claimed_deliveries_count_and_finished_ones_do_not() {
    let home = Home::new();
    let store = home.serve().await;
    let there = async || {
        let found = store.jobs().with_deliveries(&[ORIGIN.into(), OLD.into()]).await.unwrap();
        found.into_iter().map(|origin| origin.to_string()).collect::<Vec<_>>()
    };
    home.dead(&store).await;
    home.queued(&store).await;
    assert_eq!(there().await, Vec::<String>::new());
    let job = home.delivering(&store).await;
    assert_eq!(there().await, [ORIGIN]);
    store.jobs().sent(sent(job, AfterDelivery::Delivered)).await.unwrap();
    assert_eq!(there().await, Vec::<String>::new());
    let id = home.waiting(&store).await;
    assert_eq!(there().await, [ORIGIN]);
    store.jobs().cancel(id).await.unwrap();
    assert_eq!(there().await, Vec::<String>::new());
}
