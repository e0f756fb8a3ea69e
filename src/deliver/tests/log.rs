//! The log lines and metrics of finished jobs and of refused completions.

use metrics_exporter_prometheus::PrometheusBuilder;
use test_log::collect;

use super::*;

#[tokio::test]
async fn each_finished_job_has_one_line_and_a_refused_completion_counts_as_a_fallback() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let lines = collect(tracing::Level::INFO);
    let home = Home::new().await;
    let sender = home.sender(7).await;
    let mut jobs = Vec::new();
    for faults in [vec![], vec![Fault::Status(422)], vec![Fault::Status(422), Fault::Status(422)]] {
        jobs.push(home.completed(&home.bot(faults)).await.to_string());
        sender.idle().await;
        sender.step().await.unwrap();
        sender.idle().await;
    }
    let counted = metrics.render();
    assert!(counted.contains(r#"bridge_fallbacks_total{handler="any",reason="refused"} 2"#), "{counted}");
    assert_eq!(lines.with("the bot gets the fallback").len(), 2);
    let finished = lines.with("job finished");
    assert_eq!(finished.len(), 3, "{finished:#?}");
    for (line, (job, rest)) in finished.iter().zip(jobs.iter().zip([
        "state=\"delivered\" outcome=\"handler\" handler_attempts=0 delivery_attempts=1",
        "state=\"delivered\" outcome=\"fallback\" reason=\"refused\" handler_attempts=0 delivery_attempts=2",
        "state=\"dead\" outcome=\"fallback\" reason=\"refused\" handler_attempts=0 delivery_attempts=2",
    ])) {
        assert!(line.contains(job) && line.contains(rest), "{line}");
    }
    assert!(finished[2].contains("ERROR") && finished[2].contains("status=422 error="), "{}", finished[2]);
    let of_them = lines.with(&jobs[0]);
    assert_eq!(of_them.len(), 1, "an ordinary job has one line: {of_them:#?}");
}

#[tokio::test]
async fn a_stop_logs_the_continues_in_flight_and_nothing_if_there_are_none() {
    for (in_flight, expected) in [(false, &[][..]), (true, &["jobs=1"])] {
        let home = Home::new().await;
        let lines = collect(tracing::Level::WARN);
        let sender = home.sender(7).await;
        if in_flight {
            home.completed(&home.bot([Fault::Hang])).await;
            while home.simulator.calls().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        sender.hand_back().await;
        let logged = lines.with("still in flight");
        assert_eq!(logged.len(), expected.len(), "{logged:?}");
        assert!(expected.iter().all(|part| logged[0].contains(part)), "{logged:?}");
    }
}
