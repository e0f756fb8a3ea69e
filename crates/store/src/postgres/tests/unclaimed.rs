//! Deliveries to accounts that are never connected end after the retention, and not earlier.

use super::conformance::*;

const RETENTION: Duration = Duration::from_secs(1_000);
const BEYOND: Duration = Duration::from_secs(1_001);

/// Opens a store that knows the accounts at `ORIGIN` with these numbers.
async fn serve(home: &Home, known: &'static [i64]) -> Store {
    let store = home.serve().await;
    store.maintenance().give_up_unknown(move |origin, account_id| {
        assert_eq!(origin, ORIGIN);
        known.contains(&account_id.0)
    });
    store
}

async fn end(store: &Store) {
    store.postgres().end_unclaimed(store.postgres().moment(), RETENTION).await.unwrap();
}

#[tokio::test]
async fn a_delivery_to_an_account_that_is_never_connected_ends_after_the_retention() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = serve(&home, &[]).await;
    let old = home.waiting(&store).await;
    home.pass(RETENTION);
    let young = home.waiting(&store).await;
    end(&store).await;
    assert_eq!(state(&store, old).await, StateName::Delivering, "not before the retention");
    home.pass(Duration::from_secs(1));
    end(&store).await;
    let job = stored_job(&store, old).await;
    assert_eq!(job.state.name(), StateName::Dead);
    assert_eq!((job.delivery_attempts, attempts(&store, old).await.len()), (0, 1), "nothing is charged");
    let why = job.last_error.unwrap();
    assert!(why.contains("was not connected within store.retention (1000 s)"), "{why}");
    assert_eq!(state(&store, young).await, StateName::Delivering);
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await), (1, 1));
    let counted = "SELECT unfinished FROM account_bytes WHERE account_id = 7";
    let summed = "SELECT sum(body_bytes)::bigint FROM jobs WHERE state = 'delivering'";
    assert_eq!(home.number(counted).await, home.number(summed).await);
    let claimed = due_deliveries(&store).await;
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [young]);
    store.jobs().retry(old).await.unwrap();
    assert_eq!(due_deliveries(&store).await.len(), 1, "an operator may have connected the account");
}

#[tokio::test]
async fn a_delivery_to_a_known_account_waits_indefinitely() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = serve(&home, &[7]).await;
    let (ours, mut strange) = (home.waiting(&store).await, home.request());
    strange.request.account_id = AccountId(8);
    let strange = accept(&store, strange).await;
    let job = store.jobs().claim_work("greet".into(), 1, LEASE).await.unwrap().pop().unwrap();
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
    home.pass(BEYOND);
    end(&store).await;
    assert_eq!(state(&store, ours).await, StateName::Delivering);
    assert_eq!(state(&store, strange).await, StateName::Dead, "another account has the address");
}

#[tokio::test]
async fn claimed_deliveries_and_calendar_jumps_do_not_end_a_job() {
    let home = Home::new();
    if home.is_without_server() {
        return;
    }
    let store = serve(&home, &[]).await;
    let claimed = home.delivering(&store).await;
    let waiting = home.waiting(&store).await;
    home.clock.set(START + BEYOND + BEYOND);
    end(&store).await;
    assert_eq!(state(&store, waiting).await, StateName::Delivering);
    home.pass(BEYOND);
    end(&store).await;
    assert_eq!(state(&store, waiting).await, StateName::Dead);
    assert_eq!(state(&store, claimed.id).await, StateName::Delivering);
    assert_eq!(store.jobs().sent(sent(claimed, AfterDelivery::Delivered)).await, Ok(Written::Done));
}
