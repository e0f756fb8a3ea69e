//! Ready lanes, parking and freeing; and a property test of any order of events against a simple model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// Returns a queue in which these lanes are due, the first one longest.
fn due(lanes: &[&str]) -> LaneQueue {
    let mut queue = LaneQueue::default();
    for (ms, lane) in (0..).zip(lanes) {
        queue.add(lane, at(ms));
    }
    queue.begin(NOW, Duration::ZERO);
    queue
}

/// Runs a round that claims for each lane that it finds. Returns the lanes in order. The claimed jobs stay due.
fn round(queue: &mut LaneQueue, elapsed: Duration) -> Vec<String> {
    queue.begin(NOW, elapsed);
    std::iter::from_fn(|| queue.take()).map(|lane| lane.to_string()).collect()
}

#[test]
fn the_ready_queue_is_round_robin() {
    let mut queue = due(&["a", "b", "c"]);
    assert_eq!(queue.take().as_deref(), Some("a"));
    // It was just served, and its next job is older than the other lanes' jobs.
    queue.set("a", Some(at(0)));
    assert_eq!(round(&mut queue, secs(0)), ["b", "c", "a"]);
    assert_eq!(queue.take(), None);
}

#[test]
fn lanes_freed_by_one_event_take_turns_whatever_the_age_of_their_jobs() {
    let mut queue = due(&["backlog", "fresh"]);
    let mut served = Vec::new();
    for second in 0..4 {
        // The first lane uses up what both may send until the next second.
        for _ in 0..2 {
            let lane = queue.take().unwrap();
            if served.len() > second {
                queue.park(&lane, Some(secs(60)), secs(0));
            } else {
                queue.set(&lane, Some(at(i64::from(*lane == *"fresh"))));
                served.push(lane.to_string());
            }
        }
        for lane in ["backlog", "fresh"] {
            let _should_wake = queue.freed(lane);
        }
        queue.begin(NOW, secs(0));
    }
    assert_eq!(served, ["backlog", "fresh", "backlog", "fresh"]);
}

#[test]
fn a_lane_that_is_put_back_stays_first() {
    let mut queue = due(&["a", "b"]);
    queue.take();
    queue.put_back("a");
    assert_eq!(queue.next_poll(NOW, secs(0)), Some(Duration::ZERO));
    assert_eq!(round(&mut queue, secs(0)), ["a", "b"]);
}

#[test]
fn a_parked_lane_is_not_checked_before_its_time() {
    let mut queue = due(&["a"]);
    queue.take();
    queue.park("a", Some(secs(30)), secs(0));
    assert!(!queue.add("a", at(0)), "another job is not a reason to check a parked lane");
    assert_eq!(queue.next_poll(NOW, secs(10)), Some(secs(20)));
    assert!(round(&mut queue, Duration::from_millis(29_999)).is_empty());
    assert_eq!(round(&mut queue, secs(30)), ["a"]);
}

#[test]
fn only_its_own_event_frees_a_parked_lane() {
    let mut queue = due(&["a"]);
    queue.take();
    queue.park("a", None, secs(0));
    assert!(!queue.freed("b"));
    assert!(round(&mut queue, secs(1)).is_empty());
    assert!(queue.freed("a"));
    assert_eq!(round(&mut queue, secs(1)), ["a"]);
}

#[test]
fn an_event_between_asking_and_parking_is_noticed() {
    for until in [None, Some(secs(30))] {
        let mut queue = due(&["a"]);
        queue.take();
        assert!(queue.freed("a"));
        queue.park("a", until, secs(0));
        assert_eq!(queue.next_poll(NOW, secs(0)), Some(Duration::ZERO));
        assert_eq!(round(&mut queue, secs(0)), ["a"]);
    }
}

#[test]
fn a_lane_with_an_alias_is_freed_by_events_of_both_names() {
    for event in ["old", "new"] {
        let mut queue = due(&["old"]);
        queue.take();
        queue.ask_as("old", &"new".into());
        queue.park("old", None, secs(0));
        assert!(queue.freed(event), "{event}");
        assert_eq!(round(&mut queue, secs(0)), ["old"]);
    }
}

#[test]
fn a_free_permit_brings_back_the_lane_that_has_waited_longest_for_one() {
    let mut queue = due(&["a", "b"]);
    for lane in ["a", "b"] {
        queue.take();
        queue.park_for_place(lane, secs(0));
    }
    assert!(queue.freed("c"));
    assert_eq!(round(&mut queue, secs(0)), ["a"]);
    queue.park_for_place("a", secs(0));
    assert!(queue.freed("c"));
    assert_eq!(round(&mut queue, secs(0)), ["b"]);
}

#[test]
fn a_lane_whose_claim_failed_joins_the_next_round() {
    let mut queue = due(&["a"]);
    queue.take();
    assert_eq!(round(&mut queue, secs(0)), ["a"]);
}

#[test]
fn a_missed_event_delays_a_lane_by_seconds_only() {
    let mut queue = due(&["a", "b", "c"]);
    queue.take();
    queue.park("a", None, secs(0));
    queue.take();
    queue.park_for_place("b", secs(0));
    queue.take();
    queue.park("c", Some(secs(3_600)), secs(0));
    assert_eq!(round(&mut queue, MAX_PARKED_FOR_EVENT), ["a", "b"]);
    assert!(round(&mut queue, MAX_PARKED).contains(&"c".into()));
}

#[test]
fn a_reload_changes_when_a_lane_is_due_but_does_not_unpark_it() {
    let mut queue = due(&["parked", "gone"]);
    queue.take();
    queue.park("parked", Some(secs(30)), secs(0));
    let known = [("parked", 5), ("later", 5_000), ("new", 0)];
    queue.replace(known.map(|(lane, ms)| (lane.into(), at(ms))).into());
    assert_eq!(round(&mut queue, secs(0)), ["new"]);
    assert_eq!(queue.due_at("parked"), Some(at(5)));
    queue.set("new", None);
    assert_eq!(queue.next_poll(NOW, secs(0)), Some(secs(4)));
    assert_eq!(queue.due_at("gone"), None);
}

#[derive(Clone, Debug)]
enum Event {
    Add(usize, i64),
    Set(usize, Option<i64>),
    Replace(Vec<(usize, i64)>),
    Pass(u64),
    Freed(usize),
    /// A round, and what the room does with each lane that it takes.
    Round(Vec<Done>),
}

#[derive(Clone, Copy, Debug)]
enum Done {
    Park(Option<u64>),
    ParkAs(usize, Option<u64>),
    FreedThenPark(Option<u64>),
    ForPlace,
    Served(Option<i64>),
    Fails,
    PutBack,
}

const LANES: [&str; 4] = ["a", "b", "c", "d"];

fn event() -> impl Strategy<Value = Event> {
    let lane = 0..LANES.len();
    let ms = 0..3_000_i64;
    prop_oneof![
        3 => (lane.clone(), ms.clone()).prop_map(|(lane, due)| Event::Add(lane, due)),
        1 => (lane.clone(), prop::option::of(ms.clone())).prop_map(|(lane, due)| Event::Set(lane, due)),
        1 => prop::collection::vec((lane.clone(), ms.clone()), 0..4).prop_map(Event::Replace),
        2 => (0..4_000_u64).prop_map(Event::Pass),
        2 => lane.prop_map(Event::Freed),
        4 => prop::collection::vec(done(), 4).prop_map(Event::Round),
    ]
}

fn done() -> impl Strategy<Value = Done> {
    let until = || prop::option::of(0..9_000_u64);
    prop_oneof![
        3 => until().prop_map(Done::Park),
        1 => (0..LANES.len(), until()).prop_map(|(name, until)| Done::ParkAs(name, until)),
        1 => until().prop_map(Done::FreedThenPark),
        2 => Just(Done::ForPlace),
        3 => prop::option::of(0..3_000_i64).prop_map(Done::Served),
        1 => Just(Done::Fails),
        1 => Just(Done::PutBack),
    ]
}

/// A lane of the simple model.
#[derive(Clone, Copy, Debug)]
struct Known {
    due: i64,
    /// It is not checked until then, unless it is freed.
    parked: Option<u64>,
    /// It waits for a permit, so the queue may leave it unchecked until then.
    for_place: Option<u64>,
    /// Another name whose events free it.
    alias: Option<usize>,
}

impl Known {
    fn due(due: i64) -> Self {
        Self { due, parked: None, for_place: None, alias: None }
    }

    fn free(&mut self) {
        (self.parked, self.for_place) = (None, None);
    }
}

proptest! {
    /// The next round contains each lane that is due and not parked, and no parked lane. The exception is lanes that
    /// wait for a permit: the queue may choose which of them it frees.
    #[test]
    fn a_round_contains_every_lane_that_can_proceed_and_no_parked_lane(events in prop::collection::vec(event(), 1..60)) {
        let mut queue = LaneQueue::default();
        let mut model: BTreeMap<usize, Known> = BTreeMap::new();
        let mut elapsed = 0_u64;
        for event in events {
            // The calendar advances with the elapsed time.
            let now = |elapsed: u64| at(i64::try_from(elapsed).unwrap());
            match event {
                Event::Add(lane, due) => {
                    queue.add(LANES[lane], at(due));
                    let known = model.entry(lane).or_insert(Known::due(due));
                    known.due = known.due.min(due);
                }
                Event::Set(lane, due) => {
                    queue.set(LANES[lane], due.map(at));
                    match due {
                        None => drop(model.remove(&lane)),
                        Some(due) => model.entry(lane).or_insert(Known::due(due)).due = due,
                    }
                }
                Event::Replace(lanes) => {
                    let lanes: BTreeMap<usize, i64> = lanes.into_iter().collect();
                    queue.replace(lanes.iter().map(|(lane, due)| (LANES[*lane].into(), at(*due))).collect());
                    model.retain(|lane, _| lanes.contains_key(lane));
                    for (lane, due) in lanes {
                        model.entry(lane).or_insert(Known::due(due)).due = due;
                    }
                }
                Event::Pass(ms) => elapsed += ms,
                Event::Freed(name) => {
                    queue.freed(LANES[name]);
                    free(&mut model, name);
                }
                Event::Round(dones) => {
                    queue.begin(now(elapsed), Duration::from_millis(elapsed));
                    // A lane freed during the round joins the next one.
                    let may_go = |known: &Known| {
                        known.due <= i64::try_from(elapsed).unwrap()
                            && known.parked.max(known.for_place).is_none_or(|until| until <= elapsed)
                    };
                    let expected: Vec<usize> =
                        model.iter().filter(|(_, known)| may_go(known)).map(|(lane, _)| *lane).collect();
                    let mut taken = Vec::new();
                    for done in dones {
                        let Some(lane) = queue.take() else { break };
                        let lane = LANES.iter().position(|name| **name == *lane).unwrap();
                        prop_assert!(!taken.contains(&lane), "a lane appears twice in a round");
                        taken.push(lane);
                        let known = model.get(&lane).unwrap();
                        let is_parked = known.parked.is_some_and(|until| until > elapsed);
                        prop_assert!(!is_parked, "{} is parked: {:?}", LANES[lane], known);
                        let ended = apply(&mut queue, &mut model, lane, done, elapsed);
                        if ended {
                            break;
                        }
                    }
                    // Lanes that the round did not take are in the next one. This finds lanes that the round missed.
                    let rest: Vec<usize> = std::iter::from_fn(|| queue.take())
                        .map(|lane| LANES.iter().position(|name| **name == *lane).unwrap())
                        .collect();
                    let missed = |lane: &&usize| !taken.contains(*lane) && !rest.contains(*lane);
                    prop_assert_eq!(expected.iter().find(missed), None, "a lane was missed");
                }
            }
            for (lane, known) in &model {
                prop_assert_eq!(queue.due_at(LANES[*lane]), Some(at(known.due)));
            }
            prop_assert_eq!(queue.all().count(), model.len());
            prop_assert!(queue.is_consistent());
        }
    }
}

fn free(model: &mut BTreeMap<usize, Known>, name: usize) {
    let concerned = |(lane, known): &(&usize, &mut Known)| **lane == name || known.alias == Some(name);
    model.iter_mut().filter(concerned).for_each(|(_, known)| known.free());
}

/// Applies the step to the queue and the model. Returns whether it ends the round.
fn apply(
    queue: &mut LaneQueue,
    model: &mut BTreeMap<usize, Known>,
    lane: usize,
    done: Done,
    elapsed: u64,
) -> bool {
    let name = LANES[lane];
    let moment = Duration::from_millis(elapsed);
    let known = model.get_mut(&lane).unwrap();
    known.free();
    let until = |ms: Option<u64>| ms.map(|ms| moment + Duration::from_millis(ms));
    match done {
        Done::Park(ms) => {
            queue.park(name, until(ms), moment);
            known.parked = Some(elapsed + ms.unwrap_or(5_000));
        }
        Done::ParkAs(other, ms) => {
            queue.ask_as(name, &LANES[other].into());
            queue.park(name, until(ms), moment);
            known.parked = Some(elapsed + ms.unwrap_or(5_000));
            known.alias = Some(other);
        }
        Done::FreedThenPark(ms) => {
            queue.freed(name);
            queue.park(name, until(ms), moment);
            free(model, lane);
        }
        // The queue may free it at any event.
        Done::ForPlace => {
            queue.park_for_place(name, moment);
            known.for_place = Some(elapsed + 5_000);
        }
        Done::Served(due) => {
            queue.set(name, due.map(at));
            match due {
                Some(due) => known.due = due,
                None => drop(model.remove(&lane)),
            }
        }
        Done::Fails => {}
        Done::PutBack => {
            queue.put_back(name);
            return true;
        }
    }
    false
}

impl LaneQueue {
    /// Whether each lane is in the collection of its state, and in no other.
    fn is_consistent(&self) -> bool {
        let count = |of: fn(&LaneState) -> bool| self.lanes.values().filter(|lane| of(&lane.state)).count();
        count(|state| matches!(state, LaneState::Later)) == self.later.len()
            && count(|state| matches!(state, LaneState::Ready)) == self.ready.len()
            && count(|state| matches!(state, LaneState::Parked { .. })) == self.parked.len()
            && count(|state| matches!(state, LaneState::Parked { permit_turn: Some(_), .. }))
                == self.permit_waiters.len()
            && self.lanes.values().filter(|lane| lane.alias.is_some()).count()
                == self.aliases.values().map(Vec::len).sum::<usize>()
    }
}
