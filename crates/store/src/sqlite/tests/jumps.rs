//! Someone sets the machine's clock by hours: schedules and leases follow the elapsed time.

use super::*;
use crate::tests::hand_over::Room;
use crate::tests::jumps::{SteppedMaintenance, THIRTY_DAYS, THREE_HOURS, jumps};

/// Covers every way to get a claim: from the store and from memory, by a worker and by the sender.
#[tokio::test]
async fn a_lease_keeps_its_length_after_the_clock_was_set() {
    for set in jumps() {
        let home = Home::new();
        let store = home.serve().await;
        home.clock.set(set);
        let claimed = [home.running(&store).await.id, home.delivering(&store).await.id];
        let waiting = home.running(&store).await;
        let sent = waiting.id;
        let (workers, senders) = (Room::with(1), Room::with(1));
        workers.offers_itself_to(store.work());
        senders.offers_itself_to(store.delivery());
        let request = home.request();
        store.jobs().handled(handled(waiting, AfterHandler::Deliver(prepared("hi")))).await.unwrap();
        accept(&store, request.clone()).await;
        store.probe().await.unwrap();
        assert_eq!((workers.taken().len(), senders.taken().len()), (1, 1));
        let mut maintenance = SteppedMaintenance::start(&home, &store, THIRTY_DAYS);
        maintenance.pass(30).await;
        let leases = "SELECT count(*) FROM jobs WHERE lease_until IS NOT NULL";
        assert_eq!(home.number(leases).await, 4, "all of {claimed:?}, {sent}, {}", request.id);
        maintenance.pass(20).await;
        assert_eq!(home.number(leases).await, 0);
        store.close().await;
    }
}

/// The machine's clock is set by hours while the bridge runs, and then the bridge restarts.
#[tokio::test]
async fn a_start_moves_the_times_of_unfinished_and_retriable_jobs() {
    type Moments = (String, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
    let home = Home::new();
    let store = home.serve().await;
    // The order matters, because each step claims the due jobs.
    home.dead(&store).await;
    home.delivering(&store).await;
    home.waiting(&store).await;
    home.running(&store).await;
    home.queued(&store).await;
    let failed = "UPDATE jobs SET failures = 1, failing_since = 5, refused_at = 6 WHERE state IN ('delivering', 'dead')";
    home.run(failed).await;
    let moments = async || {
        let sql = "SELECT state, waiting_since, answer_by, failing_since, refused_at FROM jobs ORDER BY id";
        sqlx::query_as::<_, Moments>(sql).fetch_all(&mut home.raw().await).await.unwrap()
    };
    let before = moments().await;
    home.clock.set(START + THREE_HOURS);
    store.close().await;
    home.restart(home.now());
    let _store = home.serve().await;
    let by = i64::try_from(THREE_HOURS.as_millis()).unwrap();
    let later = |moment: Option<i64>| moment.map(|moment| moment + by);
    for (before, after) in before.into_iter().zip(moments().await) {
        let (state, waiting_since, answer_by, failing_since, refused_at) = before;
        let expected = match &*state {
            // The job is finished: no customer waits for an answer, and a retry restarts the time budget.
            "dead" => (later(waiting_since), answer_by, failing_since, later(refused_at)),
            _ => (later(waiting_since), later(answer_by), later(failing_since), later(refused_at)),
        };
        assert_eq!((after.1, after.2, after.3, after.4), expected, "{state}");
    }
    let noted = home.number("SELECT steady_at FROM service").await;
    assert_eq!(
        noted,
        home.steady().as_millis(),
        "after a kill, the next start does not move the times again"
    );
}
