//! Which failed deliveries are due when an outage ends, however many one transaction examines.

use super::claims::claim_deliveries;
use super::*;

/// Adds a delivery that is due after `due` seconds, in this state.
async fn waiting(home: &Home, store: &Store, due: u64, delivery: Delivery) -> JobId {
    let job = home.delivering(store).await;
    let (id, due_at) = (job.id, home.now() + Duration::from_secs(due));
    store.jobs().sent(sent(job, AfterDelivery::Retry { due_at, delivery })).await.unwrap();
    id
}

#[tokio::test]
async fn a_delivery_that_failed_only_in_an_outage_is_due_when_it_ends() {
    let at = |seconds: u64| Some(START + Duration::from_secs(seconds));
    let failing = |failing_since: Option<Timestamp>, refused_at| Delivery {
        failures: u32::from(failing_since.is_some()),
        failing_since,
        refused_at,
        answer_lost: false,
    };
    for limit in [4, 5, 100] {
        let home = Home::new();
        let store = home.serve().await;
        // Four are due in the same millisecond. One transaction does not always examine all of them.
        let table = [
            ("failed in the outage", 40, failing(at(11), None), true),
            ("the first of several", 50, failing(at(5), None), false),
            ("failed before it", 50, failing(at(10), None), false),
            ("refused although others were not", 50, failing(at(12), at(12)), false),
            ("failed in it, among others", 50, failing(at(12), None), true),
            ("refused before, with its account", 60, failing(at(12), at(3)), true),
            ("refused with its account", 60, failing(None, at(12)), false),
            ("failed long ago, but due last", 60, failing(at(11), None), true),
        ];
        let mut jobs = Vec::new();
        for (what, due, delivery, expected) in table {
            jobs.push((what, waiting(&home, &store, due, delivery).await, expected));
        }
        let release = |origin: &str, since| store.0.release_failed_in_parts(origin.into(), since, limit);
        assert_eq!(release("https://other.kommo.com", at(10)).await, Ok(0));
        assert_eq!(store.delivery().due(home.now()).len(), 0);
        assert_eq!(release(ORIGIN, at(10)).await, Ok(4), "in parts of {limit}");
        assert_eq!(store.delivery().due(home.now()), [ORIGIN.into()]);
        let claimed: Vec<JobId> = due_deliveries(&store).await.into_iter().map(|job| job.id).collect();
        for (what, id, expected) in jobs {
            assert_eq!(claimed.contains(&id), expected, "{what}, in parts of {limit}");
        }
        assert_eq!(release(ORIGIN, None).await, Ok(2), "without a known success, all but refused ones");
    }
}

#[tokio::test]
async fn released_deliveries_go_out_in_the_order_of_their_age_behind_young_ones() {
    let home = Home::new();
    let store = home.serve().await;
    let failed = Delivery { failures: 1, failing_since: Some(START), ..Delivery::default() };
    let mut old = Vec::new();
    for due in [300, 200, 100] {
        old.push(waiting(&home, &store, due, failed).await);
        home.pass(Duration::from_secs(1));
    }
    home.pass(Duration::from_secs(61));
    let young = waiting(&home, &store, 100, failed).await;
    assert_eq!(store.jobs().release_failed(ORIGIN.into(), None).await, Ok(4));
    let expected = [[young].as_slice(), &old].concat();
    for id in expected {
        assert_eq!(claim_deliveries(&store, 1, LongestDue::default()).await, [id]);
    }
}
