//! The fast path: a free worker or sender gets the job from memory, already claimed in the store.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;

/// A room with free permits. It counts the permits and keeps the jobs that it takes.
pub(crate) struct Room<J> {
    pub(crate) free: AtomicUsize,
    asked: AtomicUsize,
    taken: Mutex<Vec<J>>,
}

/// Gives the permit back unless the job arrives.
struct HeldPermit<J: Send + 'static>(Option<Arc<Room<J>>>);

impl<J: Send + 'static> Drop for HeldPermit<J> {
    fn drop(&mut self) {
        if let Some(room) = &self.0 {
            room.free.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl<J: Send + 'static> Room<J> {
    pub(crate) fn with(free: usize) -> Arc<Self> {
        Arc::new(Self { free: free.into(), asked: 0.into(), taken: Mutex::default() })
    }

    pub(crate) fn offers_itself_to(self: &Arc<Self>, lanes: &Lanes<J>) {
        let room = self.clone();
        lanes.hand_over_to(Box::new(move |_| {
            room.asked.fetch_add(1, Ordering::SeqCst);
            let free = |free: usize| free.checked_sub(1);
            room.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).ok()?;
            let mut permit = HeldPermit(Some(room.clone()));
            let take = Box::new(move |job| {
                let room = permit.0.take().unwrap();
                room.taken.lock().unwrap().push(job);
            });
            Some(Slot { lease: LEASE, take })
        }));
    }

    pub(crate) fn taken(&self) -> Vec<J> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    pub(crate) fn free(&self) -> usize {
        self.free.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_free_worker_gets_the_accepted_job_as_a_claim_would_return_it() {
    let home = Home::new();
    let store = home.serve().await;
    let room = Room::with(1);
    room.offers_itself_to(store.work());
    let request = home.request();
    accept(&store, request.clone()).await;
    store.probe().await.unwrap();
    let [job] = room.taken().try_into().unwrap();
    let expected = RunningJob {
        id: request.id,
        fence: Fence(1),
        handler: request.handler,
        request: request.request.into(),
        received_at: request.received_at,
        waiting_since: START,
        answer_by: request.answer_by,
        attempts: 0,
        crashes: 0,
        last_error: None,
        is_ordered: false,
    };
    assert_eq!(job, expected);
    let lease_until = home.now() + LEASE;
    assert_eq!(stored_job(&store, job.id).await.state, State::Running { lease_until });
    assert_eq!(store.work().due(home.now()).len(), 0);
    assert_eq!((count(&store, StateName::Queued).await, count(&store, StateName::Running).await), (0, 1));
    assert_eq!(store.jobs().handled(handled(job, AfterHandler::HandBack)).await, Ok(Written::Done));
}

#[tokio::test]
async fn a_duplicate_is_not_handed_over() {
    let home = Home::new();
    let store = home.serve().await;
    let room = Room::with(2);
    room.offers_itself_to(store.work());
    let request = home.request();
    accept(&store, request.clone()).await;
    let again = home.repeated(&request);
    store.jobs().accept(again, COMMIT_TIMEOUT).await.unwrap();
    store.probe().await.unwrap();
    assert_eq!((room.taken().len(), room.free()), (1, 1));
}

#[tokio::test]
async fn no_job_is_overtaken() {
    let home = Home::new();
    let store = home.serve().await;
    let older = home.queued(&store).await;
    let room = Room::with(1);
    room.offers_itself_to(store.work());
    let newer = home.queued(&store).await;
    assert_eq!((room.taken().len(), room.free()), (0, 1));
    let claimed = store.jobs().claim_work("greet".into(), 9, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [older, newer]);
    let next = home.queued(&store).await;
    store.probe().await.unwrap();
    assert_eq!(room.taken()[0].id, next);
}

#[tokio::test]
async fn no_job_is_overtaken_within_a_batch() {
    let home = Home::new();
    let store = home.serve().await;
    let room = Room::with(0);
    room.offers_itself_to(store.work());
    let open = hold(&store).await;
    let release = async {
        gathered(&store, 4).await;
        open.send(()).unwrap();
    };
    let other = NewJob { handler: handler("other"), ..home.request() };
    let (first, second, third, fourth, ()) = tokio::join!(
        store.jobs().accept(home.request(), COMMIT_TIMEOUT),
        store.jobs().accept(home.request(), COMMIT_TIMEOUT),
        store.jobs().accept(other, COMMIT_TIMEOUT),
        store.jobs().accept(home.request(), COMMIT_TIMEOUT),
        release
    );
    assert!([first, second, third, fourth].iter().all(Result::is_ok));
    assert_eq!(
        room.asked.load(Ordering::SeqCst),
        2,
        "once for each lane: later jobs wait behind the first one"
    );
}

#[tokio::test]
async fn a_free_sender_gets_the_delivery_with_the_next_fence() {
    let home = Home::new();
    let store = home.serve().await;
    let room = Room::with(1);
    room.offers_itself_to(store.delivery());
    let job = home.running(&store).await;
    let id = job.id;
    store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("yes")))).await.unwrap();
    let [job] = room.taken().try_into().unwrap();
    let expected = DeliveringJob {
        id,
        fence: Fence(2),
        handler: handler("greet"),
        account_id: AccountId(7),
        entity: Some(Entity { kind: EntityKind::Lead, id: 5 }),
        return_url: return_url(ORIGIN, 0),
        received_at: START,
        waiting_since: START,
        handler_attempts: 1,
        prepared: prepared("yes"),
        attempts: 0,
        delivery: Delivery::default(),
        tried: false,
        superseded_by: None,
        due_at: START,
        last_run: Some(HandlerRun { started_at: START, duration: Duration::from_millis(12) }),
    };
    assert_eq!(job, expected);
    let State::Delivering { lease_until, .. } = stored_job(&store, id).await.state else { panic!() };
    assert_eq!(lease_until, Some(home.now() + LEASE));
    assert_eq!(store.delivery().due(home.now()).len(), 0);
    assert_eq!(
        store.jobs().claim_deliveries(ORIGIN.into(), 9, LongestDue::default(), LEASE).await,
        Ok(vec![])
    );
    assert_eq!(store.jobs().sent(sent(job, AfterDelivery::Delivered)).await, Ok(Written::Done));
    assert_eq!(state(&store, id).await, StateName::Delivered);
}

#[tokio::test]
async fn retries_and_stale_reports_hand_over_nothing() {
    let home = Home::new();
    let store = home.serve().await;
    let room = Room::with(1);
    room.offers_itself_to(store.delivery());
    let job = home.running(&store).await;
    store.jobs().cancel(job.id).await.unwrap();
    let stale = store.jobs().handled(handled(job, AfterHandler::Deliver(prepared("late")))).await;
    assert_eq!(stale, Ok(Written::Stale));
    let job = home.running(&store).await;
    let due_at = home.now();
    store.jobs().handled(handled(job, AfterHandler::Retry { due_at })).await.unwrap();
    assert_eq!((room.taken().len(), room.free()), (0, 1));
}
