//! Handlers that block their threads.

use super::*;

#[tokio::test]
async fn all_attempts_behind_blocked_threads_start_after_20_ms() {
    let stepped = Stepped::new(512);
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let blocking: Vec<_> = (0..200).map(|_| stepped.start(blocks(&gate, &entered))).collect();
    let quick = stepped.start(async { 7 });
    seen.recv().await.unwrap();
    assert_eq!(stepped.count(), 1);
    stepped.after(20);
    for _ in 1..200 {
        seen.recv().await.unwrap();
    }
    assert_eq!(outcome(quick).await, TaskOutcome::Ended(7));
    assert!(stepped.count() <= 201, "{}", stepped.count());
    gate.open();
    for news in blocking {
        assert_eq!(outcome(news).await, TaskOutcome::Ended(()));
    }
}

#[tokio::test]
async fn the_number_of_threads_is_bounded_and_goes_back_down() {
    let limits = Limits { threads: 20, cores: 2, keep_idle: Duration::ZERO };
    let stepped = Stepped::with(limits, MAX_SIDE_THREADS);
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let blocking: Vec<_> = (0..20).map(|_| stepped.start(blocks(&gate, &entered))).collect();
    seen.recv().await.unwrap();
    let waiting = stepped.start(async { 7 });
    stepped.after(20);
    for _ in 1..20 {
        seen.recv().await.unwrap();
    }
    stepped.after(20);
    assert_eq!((stepped.count(), stepped.blocked()), (20, 20));
    // It waits for a thread. It is already reported, so that its time limit holds.
    let Progress::Running(waiting) = waiting.await.unwrap() else { panic!("it ran without a thread") };
    gate.open();
    assert_eq!(waiting.await, TaskOutcome::Ended(7));
    for news in blocking {
        assert_eq!(outcome(news).await, TaskOutcome::Ended(()));
    }
    while (stepped.count(), stepped.blocked()) != (0, 0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(outcome(stepped.start(async { 8 })).await, TaskOutcome::Ended(8));
}

#[tokio::test]
async fn a_blocked_attempt_is_reported_after_20_ms_so_its_time_limit_holds() {
    let stepped = Stepped::new(512);
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let mut news = stepped.start_as("slow", blocks(&gate, &entered));
    seen.recv().await.unwrap();
    stepped.after(19);
    assert!(news.try_recv().is_err() && stepped.blocking.lock().unwrap().is_empty());
    stepped.after(1);
    let Progress::Running(running) = news.await.unwrap() else { panic!("it has not ended") };
    stepped.after(20);
    assert_eq!(*stepped.blocking.lock().unwrap(), ["slow"], "once for each poll");
    gate.open();
    assert_eq!(running.await, TaskOutcome::Ended(()));
}

#[tokio::test]
async fn a_poll_of_15_ms_does_not_count_as_blocked_and_delays_no_other_attempt_longer() {
    let stepped = Stepped::new(512);
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let long = stepped.start(blocks(&gate, &entered));
    seen.recv().await.unwrap();
    let other = stepped.start(async { 7 });
    stepped.after(4);
    assert_eq!(stepped.count(), 1);
    stepped.after(1);
    assert_eq!(outcome(other).await, TaskOutcome::Ended(7));
    stepped.after(10);
    assert_eq!((stepped.count(), stepped.blocked()), (2, 0));
    gate.open();
    assert_eq!(outcome(long).await, TaskOutcome::Ended(()));
}

#[tokio::test]
async fn attempts_behind_long_polls_on_every_core_start_after_20_ms() {
    let stepped = Stepped::new(512);
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let mut long = Vec::new();
    for _ in 0..2 {
        long.push(stepped.start(blocks(&gate, &entered)));
        stepped.after(5);
        seen.recv().await.unwrap();
    }
    let other = stepped.start(async { 7 });
    // Now the polls have taken 9 and 14 ms.
    stepped.after(9);
    assert_eq!(stepped.count(), 2);
    stepped.after(11);
    assert_eq!(outcome(other).await, TaskOutcome::Ended(7));
    gate.open();
    for news in long {
        assert_eq!(outcome(news).await, TaskOutcome::Ended(()));
    }
}

#[tokio::test]
async fn ten_thousand_quick_attempts_run_on_one_thread() {
    let stepped = Stepped::new(512);
    let news: Vec<_> = (0..10_000).map(|number| stepped.start(async move { number })).collect();
    check(&stepped.threads.queue);
    for (number, news) in news.into_iter().enumerate() {
        assert_eq!(outcome(news).await, TaskOutcome::Ended(number));
    }
    assert_eq!(stepped.count(), 1);
}

#[tokio::test]
async fn the_watcher_sleeps_while_no_attempt_needs_it() {
    let stepped = Stepped::new(512);
    assert_eq!(stepped.after(0), NextCheck::OnPush);
    let waits = stepped.start(std::future::pending::<()>());
    let Progress::Running(waits) = waits.await.unwrap() else { panic!("it never ends") };
    stepped.no_poll().await;
    assert_eq!(stepped.after(5), NextCheck::Soon, "an attempt was pushed");
    assert_eq!(stepped.after(5), NextCheck::OnPush, "an attempt that waits costs nothing");
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let blocking = stepped.start(blocks(&gate, &entered));
    seen.recv().await.unwrap();
    assert_eq!(stepped.after(19), NextCheck::Soon);
    assert_eq!(stepped.after(1), NextCheck::OnPush, "nothing changes until it comes back");
    assert_eq!(stepped.blocked(), 1);
    gate.open();
    assert_eq!(outcome(blocking).await, TaskOutcome::Ended(()));
    drop(waits);
    let queue = stepped.threads.queue.clone();
    drop(stepped);
    assert_eq!(check(&queue), NextCheck::Never);
}

#[tokio::test]
async fn the_watchers_thread_replaces_blocked_threads() {
    let (named, mut names) = mpsc::unbounded_channel();
    let on_blocked = move |name: &HandlerName| drop(named.send(name.to_string()));
    let threads = HandlerThreads::start(Clock::system(), on_blocked).unwrap();
    // Twice, because the watcher sleeps in between.
    for _ in 0..2 {
        let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
        let blocking: Vec<_> =
            (0..40).map(|_| start_on(&threads, "blocks", blocks(&gate, &entered))).collect();
        let quick = start_on(&threads, "quick", async { 7 });
        for _ in 0..40 {
            seen.recv().await.unwrap();
        }
        assert_eq!(outcome(quick).await, TaskOutcome::Ended(7));
        for _ in 0..40 {
            assert_eq!(names.recv().await.unwrap(), "blocks");
        }
        gate.open();
        for news in blocking {
            assert_eq!(outcome(news).await, TaskOutcome::Ended(()));
        }
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_blocked_thread() {
    let stepped = Stepped::new(512);
    let (gate, (entered, mut seen)) = (Gate::default(), mpsc::unbounded_channel());
    let blocking = stepped.start(blocks(&gate, &entered));
    seen.recv().await.unwrap();
    drop(stepped);
    gate.open();
    assert_eq!(outcome(blocking).await, TaskOutcome::Ended(()));
}
