//! Tests of the numbers that a running bridge shows: its metrics, the line of a finished job, and its history.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use simulator::{Fault, Options, Plan, Simulator};

use crate::home::Home;
use crate::serve::Serve;

/// Port 9 belongs to a service that hardly any machine has.
const CONFIG: &str = r#"log.format = "json"
    handlers.broken = { kind = "http", url = "http://127.0.0.1:9/", auth = "Bearer abcdefghijkl-of-a-tool", max_attempts = 1 }"#;

/// The type and the labels of each metric.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// The metrics in Prometheus text. A metric without samples has no labels.
fn live(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            metrics.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') && !line.is_empty() {
            let sample = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let is_part = |family: &str| ["_bucket", "_sum", "_count"].map(|end| format!("{family}{end}"));
            let family = metrics.iter_mut().find(|(family, (kind, _))| {
                *family == name || (kind == "histogram" && is_part(family).contains(&name.to_owned()))
            });
            let (_, (kind, known)) = family.unwrap_or_else(|| panic!("no type: {line}"));
            let names = labels.split("=\"").map(|before| before.rsplit([',', '{', '"']).next().unwrap());
            let names = names.filter(|name| !name.is_empty() && *name != "}");
            known.extend(names.filter(|name| kind != "histogram" || *name != "le").map(str::to_owned));
        }
    }
    metrics
}

/// The rows of `docs/metrics.md`.
fn documented() -> Metrics {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let &["", name, kind, labels, ..] = &cells[..] else { return None };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((name.to_owned(), (kind.to_owned(), labels)))
    };
    page.lines().filter_map(row).collect()
}

async fn metrics(serve: &Serve) -> String {
    let url = format!("http://{}/metrics", serve.admin);
    serve.client.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_live_metric_is_documented_and_a_job_leaves_its_traces() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })));
    bot.call(&serve.url("echo")).await.unwrap();
    serve.delivers(1).await;
    let refused = serve.client.post(serve.url("nothing")).send().await.unwrap();
    assert_eq!(refused.status(), 404);
    // The log and the counters follow the commit.
    serve.process.err.wait("job finished", |line| line.contains("job finished").then_some(()));
    let text = metrics(&serve).await;
    let (live, documented) = (live(&text), documented());
    assert!(live.len() > 35, "{live:#?}");
    for (name, (kind, labels)) in &live {
        let (known_kind, known_labels) =
            documented.get(name).unwrap_or_else(|| panic!("{name} is not in docs/metrics.md"));
        assert_eq!(kind, known_kind, "{name}");
        assert!(labels.is_empty() || labels == known_labels, "{name}: {labels:?} {known_labels:?}");
    }
    for sample in [
        "bridge_build_info{",
        "process_cpu_seconds_total ",
        r#"bridge_http_requests_total{listener="public",route="/widget_request/{handler}",status="200"} 1"#,
        r#"bridge_http_requests_total{listener="public",route="/widget_request/{handler}",status="404"} 1"#,
        r#"bridge_requests_total{handler="echo",outcome="accepted"} 1"#,
        r#"bridge_requests_total{handler="unknown",outcome="no_handler"} 1"#,
        r#"bridge_queue_wait_seconds_count{handler="echo"} 1"#,
        r#"bridge_handler_attempt_seconds_count{handler="echo"} 1"#,
        r#"bridge_handler_attempts_total{handler="echo",outcome="ok"} 1"#,
        "bridge_pace_wait_seconds_count 1",
        "bridge_delivery_attempt_seconds_count 1",
        r#"bridge_delivery_attempts_total{outcome="delivered"} 1"#,
        r#"bridge_jobs_finished_total{handler="echo",state="delivered",outcome="handler"} 1"#,
        r#"bridge_ack_seconds_bucket{le="1.8"} 1"#,
        r#"bridge_receipt_to_continue_seconds_bucket{le="58"} 1"#,
        r#"bridge_awaiting_callback_jobs{handler="echo"} 0"#,
        r#"bridge_paused_accounts{reason="too_many"} 0"#,
        "bridge_oldest_undelivered_seconds 0",
        "bridge_store_free_bytes ",
        "bridge_log_lines_dropped_total 0",
    ] {
        assert!(text.lines().any(|line| line.starts_with(sample)), "{sample} in {text}");
    }
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_a_finished_job_says_where_its_time_went() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, CONFIG);
    let serve = home.serve();
    let line = async |handler: &str, faults: &[Fault]| {
        let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })).faults(faults.to_vec()));
        let answer = bot.call(&serve.url(handler)).await.unwrap();
        let id = answer.json()["job_id"].as_str().unwrap().to_owned();
        let found =
            |line: &str| (line.contains("job finished") && line.contains(&id)).then(|| line.to_owned());
        let line: Value = serde_json::from_str(&serve.process.err.wait("job finished", found)).unwrap();
        assert_eq!(line["trace_id"], json!(id.replace('-', "")), "{line}");
        let ms = |field: &str| line[field].as_u64().unwrap_or_else(|| panic!("{field}: {line}"));
        assert_eq!(ms("queue_ms") + ms("handler_ms") + ms("delivery_ms"), ms("total_ms"), "{line}");
        line
    };
    let fine = line("echo", &[]).await;
    assert_eq!((&fine["outcome"], &fine["delivery_attempts"]), (&json!("handler"), &json!(1)), "{fine}");
    // The second delivery is claimed from the store.
    let retried = line("echo", &["503".parse().unwrap()]).await;
    assert_eq!(
        (&retried["outcome"], &retried["delivery_attempts"]),
        (&json!("handler"), &json!(2)),
        "{retried}"
    );
    let fallback = line("broken", &[]).await;
    assert_eq!(
        (&fallback["outcome"], &fallback["handler_attempts"]),
        (&json!("fallback"), &json!(1)),
        "{fallback}"
    );
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_history() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    for number in 0..3 {
        let bot = simulator.bot(Plan::with_data(json!({ "n": number.to_string() })));
        bot.call(&serve.url("echo")).await.unwrap();
    }
    serve.delivers(3).await;
    serve.stop();
    let serve = home.serve();
    let (status, history) =
        serve.get("/api/v1/history?window=14d&series=requests,continues,by_fallback,p50_ms").await;
    assert_eq!(status, 200, "{history}");
    let total = &history["total"];
    assert_eq!((&total["requests"], &total["continues"]), (&json!(3), &json!(3)), "{history}");
    assert_eq!(
        (&total["by_fallback"], history["step_seconds"].as_u64()),
        (&json!(0), Some(900)),
        "{history}"
    );
    assert!(total["p50_ms"].as_u64().is_some_and(|ms| ms > 0), "{history}");
    assert_eq!(history["series"]["requests"].as_array().unwrap().len(), 1_344);
    let (status, problem) = serve.get("/api/v1/history?window=3d").await;
    assert_eq!(status, 400, "{problem}");
    serve.stop();
}
