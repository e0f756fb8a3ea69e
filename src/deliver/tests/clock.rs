//! Changes of the machine's clock while continues are retried.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

/// More than `give_up_after`, which is an hour.
const HOURS: Duration = Duration::from_secs(2 * 3_600);

fn jumps() -> [Timestamp; 2] {
    [START + HOURS, START - HOURS]
}

#[tokio::test]
async fn setting_the_clock_does_not_end_retries() {
    for set in jumps() {
        let home = Home::new().await;
        let sender = home.sender(7).await;
        home.simulator.set_outage(Some(Fault::Status(503)));
        let id = home.completed(&home.bot([])).await;
        sender.idle().await;
        home.clock.set(set);
        for attempts in 2..5 {
            home.clock.advance(Duration::from_secs(60));
            sender.step().await.unwrap();
            sender.idle().await;
            let job = home.job(id).await;
            assert_eq!((job.state.name(), job.delivery_attempts), (StateName::Delivering, attempts), "{set}");
        }
        home.simulator.set_outage(None);
        home.clock.advance(Duration::from_secs(60));
        sender.step().await.unwrap();
        sender.idle().await;
        assert_eq!(home.job(id).await.state.name(), StateName::Delivered);
    }
}

#[tokio::test]
async fn an_outage_ends_in_a_dead_letter_after_an_hour_even_if_the_clock_is_set_back() {
    let home = Home::new().await;
    let sender = home.sender(7).await;
    home.simulator.set_outage(Some(Fault::Status(503)));
    let id = home.completed(&home.bot([])).await;
    sender.idle().await;
    home.clock.set(START - HOURS);
    home.clock.advance(Duration::from_secs(3_600));
    sender.step().await.unwrap();
    sender.idle().await;
    assert_eq!(home.job(id).await.state.name(), StateName::Dead);
}

#[tokio::test]
async fn the_receipt_to_continue_metric_ignores_clock_changes() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let home = Home::new().await;
    let sender = home.sender(7).await;
    home.completed(&home.bot([Fault::Status(503)])).await;
    sender.idle().await;
    home.clock.set(START + HOURS);
    home.clock.advance(Duration::from_secs(5));
    sender.step().await.unwrap();
    sender.idle().await;
    let text = handle.render();
    assert!(text.lines().any(|line| line == "bridge_receipt_to_continue_seconds_sum 5"), "{text}");
}

#[tokio::test]
async fn a_refused_job_is_recognized_even_if_the_clock_changes() {
    for set in jumps() {
        let home = Home::new().await;
        let sender = home.sender(1).await;
        home.clock.set(set);
        let refused = home.completed(&home.bot(vec![Fault::Forbidden; 9])).await;
        sender.idle().await;
        let other = home.completed(&home.bot([])).await;
        for _ in 0..4 {
            home.clock.advance(Duration::from_secs(3_600));
            sender.step().await.unwrap();
            sender.idle().await;
            if let State::Delivering { due_at, .. } = home.job(refused).await.state {
                assert!(due_at.since(home.clock.now()) <= Duration::from_secs(3_600), "{set}: {due_at}");
            }
        }
        assert_eq!(home.job(other).await.state.name(), StateName::Delivered, "{set}");
        assert_eq!(home.job(refused).await.state.name(), StateName::Dead, "{set}");
    }
}

#[tokio::test]
async fn setting_the_clock_forward_does_not_prolong_the_wait_of_a_job() {
    let home = Home::new().await;
    let sender = home.sender(1).await;
    home.clock.set(START + HOURS);
    let refused = home.completed(&home.bot(vec![Fault::Forbidden; 9])).await;
    sender.idle().await;
    let mut alone = 0;
    for _ in 0..4 {
        home.clock.advance(Duration::from_secs(900));
        sender.step().await.unwrap();
        sender.idle().await;
        let State::Delivering { due_at, .. } = home.job(refused).await.state else { panic!() };
        let wait = due_at.since(home.clock.now());
        assert!(wait < HOURS, "{wait:?}");
        alone += u32::from(!wait.is_zero());
    }
    assert!(alone > 0, "it never waited alone");
}
