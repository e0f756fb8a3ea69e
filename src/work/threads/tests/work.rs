//! What work may do, how it ends, and how it is cancelled.

use std::any::Any;
use std::future::pending;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::*;

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any(Self);
    }
}

/// Reports the name of the thread that drops it.
struct Dropped(Option<oneshot::Sender<Option<String>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let name = thread::current().name().map(str::to_owned);
        let _no_one_asks = self.0.take().map(|dropped| dropped.send(name));
    }
}

#[tokio::test]
async fn work_that_ends_at_once_needs_no_task() {
    let stepped = Stepped::new(1);
    let ended = stepped.start(async { 7 }).await.unwrap();
    assert!(matches!(ended, Progress::Ended(TaskOutcome::Ended(7))));
    let (release, released) = oneshot::channel();
    let Progress::Running(running) = stepped.start(released).await.unwrap() else { panic!("it has to wait") };
    release.send(8).unwrap();
    assert_eq!(running.await, TaskOutcome::Ended(Ok(8)));
}

#[tokio::test]
async fn work_can_use_timers_sockets_and_tasks() {
    let stepped = Stepped::new(1);
    let work = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = tokio::spawn(TcpStream::connect(address));
        listener.accept().await.unwrap();
        connecting.await.unwrap().unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::task::spawn_blocking(|| 7).await.unwrap() + tokio::task::block_in_place(|| 1)
    };
    assert_eq!(outcome(stepped.start(work)).await, TaskOutcome::Ended(8));
}

#[tokio::test]
async fn side_work_of_a_handler_does_not_delay_attempts() {
    let limits = Limits { threads: 2, cores: 2, keep_idle: KEEP_IDLE_THREAD };
    let stepped = Stepped::with(limits, 1);
    let gate = Gate::default();
    let held = gate.clone();
    let aside = async move {
        // The test holds the only thread for side work, and a second piece of work waits for it.
        let _never_awaited = tokio::task::spawn_blocking(move || held.block());
        let _waits = tokio::task::spawn_blocking(|| ());
    };
    assert_eq!(outcome(stepped.start(aside)).await, TaskOutcome::Ended(()));
    assert_eq!(outcome(stepped.start(async { 7 })).await, TaskOutcome::Ended(7));
    gate.open();
}

#[tokio::test]
async fn work_that_is_never_idle_yields_its_thread_to_others() {
    let stepped = Stepped::new(1);
    let busy = stepped.start(async {
        let semaphore = Semaphore::new(1);
        loop {
            let _always_free = semaphore.acquire().await.unwrap();
        }
    });
    let Progress::Running(busy) = busy.await.unwrap() else { panic!("it never ends") };
    assert_eq!(outcome(stepped.start(async { 7 })).await, TaskOutcome::Ended(7));
    drop(busy);
    stepped.no_poll().await;
}

#[tokio::test]
async fn cancelled_work_is_dropped_on_a_handlers_thread() {
    let stepped = Stepped::new(1);
    let (dropped, on_thread) = oneshot::channel();
    let work = async {
        let _dropped = Dropped(Some(dropped));
        pending::<()>().await;
    };
    let Progress::Running(running) = stepped.start(work).await.unwrap() else { panic!("it never ends") };
    drop(running);
    assert_eq!(on_thread.await.unwrap().as_deref(), Some("handler"));
}

#[tokio::test]
async fn cancelled_work_that_blocks_is_dropped_as_soon_as_it_yields() {
    let stepped = Stepped::new(1);
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let (dropped, on_thread) = oneshot::channel();
    let block = blocks(&gate, &entered);
    let news = stepped.start(async {
        let _dropped = Dropped(Some(dropped));
        block.await;
        pending::<()>().await;
    });
    seen.recv().await.unwrap();
    stepped.after(20);
    let Progress::Running(running) = news.await.unwrap() else { panic!("it blocks") };
    drop(running);
    gate.open();
    assert_eq!(on_thread.await.unwrap().as_deref(), Some("handler"));
}

#[tokio::test]
async fn work_that_panics_when_it_is_dropped_harms_no_other() {
    let stepped = Stepped::new(1);
    let bomb = async {
        let _bomb = Bomb;
        pending::<()>().await;
    };
    let Progress::Running(running) = stepped.start(bomb).await.unwrap() else { panic!("it never ends") };
    drop(running);
    assert_eq!(outcome(stepped.start(async { 7 })).await, TaskOutcome::Ended(7));
}

#[tokio::test]
async fn a_panic_with_any_payload_gives_a_text() {
    async fn panics(payload: impl Any + Send) -> TaskOutcome<()> {
        let stepped = Stepped::new(1);
        let outcome = outcome(stepped.start(async move { std::panic::panic_any(payload) })).await;
        assert_eq!(self::outcome(stepped.start(async { 7 })).await, TaskOutcome::Ended(7));
        outcome
    }
    assert_eq!(panics("text").await, TaskOutcome::Panicked("text".into()));
    assert_eq!(
        panics(String::from("string")).await,
        TaskOutcome::Panicked("message withheld because it may quote data".into())
    );
    assert_eq!(panics(7).await, TaskOutcome::Panicked("no message".into()));
    assert_eq!(panics(Bomb).await, TaskOutcome::Panicked("no message".into()));
}
