//! Deliveries to accounts that are never connected end after the retention, and not earlier.

use super::*;

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
    store.sqlite().end_unclaimed(store.sqlite().moment(), RETENTION).await.unwrap();
}

#[tokio::test]
async fn a_delivery_to_an_account_that_is_never_connected_ends_after_the_retention() {
    let home = Home::new();
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
    assert!(
        why.contains("was not connected within store.retention (1000 s)") && why.contains("retry"),
        "{why}"
    );
    assert_eq!(state(&store, young).await, StateName::Delivering);
    assert_eq!((count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await), (1, 1));
    let counted = "SELECT unfinished FROM account_bytes WHERE account_id = 7";
    let summed =
        "SELECT sum(octet_length(data) + octet_length(completion)) FROM jobs WHERE state = 'delivering'";
    assert_eq!(home.number(counted).await, home.number(summed).await);
    store.jobs().retry(old).await.unwrap();
    assert_eq!(state(&store, old).await, StateName::Delivering, "an operator may have connected the account");
}

#[tokio::test]
async fn a_delivery_to_a_known_account_waits_indefinitely() {
    let home = Home::new();
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

#[tokio::test]
async fn more_deliveries_than_a_transaction_holds_are_ended() {
    let home = Home::new();
    let store = serve(&home, &[]).await;
    let id = home.waiting(&store).await;
    let copies = "INSERT INTO jobs (id, state, handler, account_id, origin, return_url, received_at, waiting_since, answer_by, due_at, \
         outcome, data, completion) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
         SELECT randomblob(16), state, handler, account_id, origin, return_url, received_at, waiting_since, answer_by, due_at, outcome, \
         data, completion FROM jobs, n";
    assert_eq!(home.run(copies).await, 1_200);
    home.run("UPDATE job_counts SET jobs = 1201 WHERE state = 'delivering'").await;
    home.pass(BEYOND);
    end(&store).await;
    assert_eq!(
        (count(&store, StateName::Dead).await, count(&store, StateName::Delivering).await),
        (1_201, 0)
    );
    assert_eq!(state(&store, id).await, StateName::Dead);
}

/// The operator changes the job after maintenance has found it and before maintenance gives it up.
#[tokio::test]
async fn giving_up_counts_a_completion_that_was_changed_in_the_meantime() {
    let home = Home::new();
    let store = home.serve().await;
    let id = home.waiting(&store).await;
    let (url, clock) = (home.url(), home.clock.clock());
    store.maintenance().give_up_unknown(move |_, _| {
        let (url, clock) = (url.clone(), clock.clone());
        let operator = async move {
            let store = Store::open(&url, Role::Observer, clock).await.unwrap();
            let send = Resend::Fallback(prepared(&"sorry ".repeat(99)).completion);
            store.jobs().retry_with(id, RetryOptions { send, force: false }).await.unwrap();
            store.close().await;
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || runtime().block_on(operator)).join().unwrap();
        false
    });
    home.pass(BEYOND);
    end(&store).await;
    assert_eq!(state(&store, id).await, StateName::Dead);
    let counted = async |kind| home.number(&format!("SELECT {kind} FROM account_bytes")).await;
    let bodies =
        "SELECT octet_length(data) + octet_length(completion) + octet_length(handler_completion) FROM jobs";
    assert_eq!((counted("unfinished").await, counted("stored").await), (0, home.number(bodies).await));
}

/// Between the scan and the write, an operator cancels one of the jobs, and the sender claims the other.
#[tokio::test]
async fn a_job_cancelled_or_claimed_in_the_meantime_is_not_given_up() {
    let home = Home::new();
    let store = home.serve().await;
    let [cancelled, claimed] = [home.waiting(&store).await, home.waiting(&store).await];
    let file = home.file();
    store.maintenance().give_up_unknown(move |_, _| {
        let options = SqliteConnectOptions::new().filename(&file).busy_timeout(COMMIT_TIMEOUT);
        let meanwhile = async move {
            let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
            for (id, change) in [
                (cancelled, "state = 'cancelled', due_at = NULL, finished_at = 1, finished_service_at = 1"),
                (claimed, "lease_until = 9000000000000"),
            ] {
                let sql = AssertSqlSafe(format!("UPDATE jobs SET {change} WHERE id = ?"));
                sqlx::query(sql).bind(id.as_uuid()).execute(&mut raw).await.unwrap();
            }
        };
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(meanwhile);
        };
        std::thread::scope(|scope| scope.spawn(run).join().unwrap());
        false
    });
    home.pass(BEYOND);
    end(&store).await;
    assert_eq!(state(&store, cancelled).await, StateName::Cancelled);
    assert_eq!(state(&store, claimed).await, StateName::Delivering);
}
