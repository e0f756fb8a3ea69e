//! Which connection is closed. Times are in milliseconds.

use super::*;

/// Returns a function from milliseconds to moments of an arbitrary day.
fn day() -> impl Fn(u64) -> Instant {
    let start = Instant::now();
    move |millis| start + Duration::from_millis(millis)
}

/// Creates a full table in which connection N has waited since `since[N]`.
fn full(since: &[u64], at: impl Fn(u64) -> Instant) -> Table {
    let mut table = Table::new(since.len());
    for (id, since) in (0..).zip(since) {
        assert_eq!(table.admit(at(*since)), Admission::Slot(id));
    }
    table
}

#[test]
fn the_longest_waiting_stranger_is_closed_first_but_never_a_young_connection() {
    let at = day();
    let now = 10_000;
    let some = |millis: u64, id| Some((at(millis), id));
    for (stranger, proven, expected) in [
        (None, None, Victim::None),
        (some(9_000, 1), None, Victim::Now(1)),
        (some(9_000, 1), some(1, 2), Victim::Now(1)),
        (some(9_001, 1), some(9_000, 2), Victim::Now(2)),
        (some(9_001, 1), some(9_002, 2), Victim::Now(1)),
        (some(9_901, 1), some(9_902, 2), Victim::At(at(10_001))),
        (some(9_901, 1), some(9_900, 2), Victim::Now(2)),
        (None, some(9_900, 2), Victim::Now(2)),
        (None, some(9_950, 2), Victim::At(at(10_050))),
        // Its clock was read a moment later.
        (some(10_005, 1), None, Victim::At(at(10_105))),
    ] {
        assert_eq!(victim(stranger.as_ref(), proven.as_ref(), at(now)), expected, "{stranger:?} {proven:?}");
    }
}

#[test]
fn a_full_table_asks_one_connection_at_a_time_to_close() {
    let at = day();
    let mut table = full(&[0, 1, 2], &at);
    assert_eq!(table.admit(at(50)), Admission::Full(Some(at(100))));
    assert_eq!(table.admit(at(500)), Admission::AfterClosing(0));
    assert!(table.closes(0) && !table.closes(1));
    assert_eq!(table.admit(at(500)), Admission::Soon);
    table.closed(0);
    assert_eq!(table.admit(at(500)), Admission::Slot(3));
    assert_eq!(table.admit(at(500)), Admission::AfterClosing(1));
}

#[test]
fn a_connection_whose_caller_sends_in_time_stays_and_another_is_closed() {
    let at = day();
    let mut table = full(&[0, 1], &at);
    assert_eq!(table.admit(at(500)), Admission::AfterClosing(0));
    assert!(table.works(0), "the new connection has to search again");
    assert!(!table.closes(0));
    assert_eq!(table.admit(at(500)), Admission::AfterClosing(1));
    assert!(table.waits(1, false, at(501)), "the new connection is woken");
    assert!(!table.closes(1));
    assert_eq!(table.admit(at(502)), Admission::Full(Some(at(601))));
}

#[test]
fn a_connection_asked_to_close_stays_if_another_slot_becomes_free() {
    let at = day();
    let mut table = full(&[0, 1, 2], &at);
    assert_eq!(table.admit(at(500)), Admission::AfterClosing(0));
    table.closed(2);
    assert_eq!(table.admit(at(500)), Admission::Slot(3));
    assert!(!table.closes(0), "one slot is enough for one connection");
    assert_eq!(table.admit(at(500)), Admission::AfterClosing(0), "the next one asks again");
}

#[test]
fn a_connection_with_a_request_in_progress_is_never_chosen() {
    let at = day();
    let mut table = full(&[0, 1], &at);
    table.works(0);
    table.works(1);
    assert_eq!(table.admit(at(60_000)), Admission::Full(None));
    assert!(table.waits(1, true, at(60_000)), "the new one is woken");
    assert_eq!(table.admit(at(60_100)), Admission::AfterClosing(1));
}

#[test]
fn a_fresh_connection_outlives_idle_ones() {
    let at = day();
    // Silent connections, and ones that send a head or a body byte by byte, which does not change anything.
    let mut table = full(&[0; 1_000], &at);
    for opened in 0..2_000_u64 {
        let now = at(2_000 + opened / 10);
        let Admission::AfterClosing(gone) = table.admit(now) else { panic!("no victim") };
        assert!(gone < 1_000 || opened >= 1_000, "fresh connection {gone} is closed before the old ones");
        table.closed(gone);
        assert!(matches!(table.admit(now), Admission::Slot(_)));
    }
}

#[test]
fn a_request_may_start_while_fewer_than_its_share_are_in_progress() {
    let at = day();
    let mut table = full(&[0, 0, 0], &at);
    table.begins(0);
    table.begins(0);
    assert_eq!([1, 2, usize::MAX].map(|share| table.may_begin(share)), [false, true, true]);
    table.begins(1);
    assert!(!table.may_begin(2));
    table.finishes(0);
    table.finishes(0);
    assert_eq!([1, 2].map(|share| table.may_begin(share)), [false, true]);
    table.closed(1);
    assert!(table.may_begin(1), "a closed connection ends its request");
}

#[test]
fn a_closed_connection_leaves_nothing_behind() {
    let at = day();
    let mut table = full(&[0, 1], &at);
    table.begins(0);
    assert_eq!(table.admit(at(500)), Admission::AfterClosing(0));
    table.closed(0);
    table.closed(1);
    table.waits(1, true, at(600));
    assert!(table.rows.is_empty() && table.strangers.is_empty() && table.proven.is_empty());
    assert_eq!((table.asked, table.in_progress), (None, 0));
}
