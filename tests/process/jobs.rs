//! Tests of `jobs …` beside a running bridge, and without one.

use serde_json::{Value, json};
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::home::Home;
use crate::serve::Serve;

/// Calls `serve` with a bot whose continues meet `faults`. Returns the bot and its job's id.
async fn ask(simulator: &Simulator, serve: &Serve, faults: Vec<Fault>) -> (Bot, String) {
    let bot = simulator.bot(Plan::with_data(json!({ "n": "1" })).faults(faults));
    let answer = bot.call(&serve.url("echo")).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = answer.json()["job_id"].as_str().unwrap().to_owned();
    (bot, id)
}

fn list(home: &Home, state: &str) -> Vec<String> {
    let page = home.run(&["jobs", "list", "--state", state, "--json"]).expect(0).json();
    let jobs = page["jobs"].as_array().unwrap();
    jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
}

fn show(home: &Home, id: &str) -> Value {
    home.run(&["jobs", "show", id, "--json"]).expect(0).json()
}

/// The faults that make a job dead: Kommo refuses the handler's completion, and then the fallback.
fn refused_twice() -> Vec<Fault> {
    vec![Fault::Status(400), Fault::Status(400)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_retried_and_cancelled_beside_a_running_bridge() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let serve = home.serve();
    let (good, delivered) = ask(&simulator, &serve, Vec::new()).await;
    good.continued().await;
    let (revived, dead) = ask(&simulator, &serve, refused_twice()).await;
    serve.reaches("dead", 1).await;
    serve.settled().await;
    assert_eq!(list(&home, "delivered"), [delivered.as_str()]);
    assert_eq!(list(&home, "dead"), [dead.as_str()]);

    let job = show(&home, &dead);
    assert_eq!((&job["state"], &job["outcome"]), (&json!("dead"), &json!("fallback")));
    let stages: Vec<&Value> = job["attempts"].as_array().unwrap().iter().map(|try_| &try_["stage"]).collect();
    assert_eq!(stages, ["handler", "delivery", "delivery"], "{job}");
    let text = home.run(&["jobs", "show", &dead]).expect(0).out;
    assert!(text.contains(&dead) && text.contains("400") && text.contains("fallback"), "{text}");
    let text = home.run(&["jobs", "list"]).expect(0).out;
    assert!(text.contains(&dead) && text.contains(&delivered), "{text}");

    // Either of its completions can be sent. Send the handler's.
    assert_eq!(job["handler_completion"]["data"]["n"], "1", "{job}");
    let send = ["jobs", "retry", "--send", "handler", &delivered, &dead];
    let moved = home.run(&send).expect(1);
    assert!(moved.out.contains(&format!("{dead} is now delivering")), "{}", moved.out);
    assert!(moved.err.contains(&format!("job {delivered} is delivered")), "{}", moved.err);
    assert_eq!(revived.continued().await.data["n"], "1");
    serve.settled().await;
    assert_eq!(show(&home, &dead)["outcome"], "handler");

    simulator.set_outage(Some(Fault::Status(503)));
    let (cancelled, id) = ask(&simulator, &serve, Vec::new()).await;
    serve.reaches("delivering", 1).await;
    home.run(&["jobs", "cancel", &id]).expect(0);
    simulator.set_outage(None);
    assert_eq!(show(&home, &id)["state"], "cancelled");
    serve.settled().await;
    assert!(cancelled.continues().is_empty());
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_retried_and_cancelled_without_a_bridge() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let home = Home::new(&simulator, "");
    let missing = home.run(&["jobs", "list"]).expect(1);
    assert!(missing.err.contains("bridge.db") && missing.err.contains("store.url"), "{}", missing.err);
    assert!(!home.path("bridge.db").exists(), "reading creates no store");

    let serve = home.serve();
    let (revived, _) = ask(&simulator, &serve, refused_twice()).await;
    let (_, _) = ask(&simulator, &serve, refused_twice()).await;
    serve.reaches("dead", 2).await;
    simulator.set_outage(Some(Fault::Status(503)));
    let (cancelled, id) = ask(&simulator, &serve, Vec::new()).await;
    serve.reaches("delivering", 1).await;
    serve.process.kill();

    home.run(&["jobs", "cancel", &id]).expect(0);
    let retried = home.run(&["jobs", "retry", "--dead", "--json"]).expect(0).json();
    assert_eq!(retried, json!({ "retried": 2, "superseded": 0 }));
    let stranger = "018bcfe5-687b-7000-8000-000000000001";
    let unknown = home.run(&["jobs", "show", stranger]).expect(1);
    assert!(unknown.err.contains(&format!("job {stranger} not found")), "{}", unknown.err);
    assert_eq!(list(&home, "dead"), Vec::<String>::new());

    simulator.set_outage(None);
    let serve = home.serve();
    revived.continued().await;
    serve.settled().await;
    assert_eq!((serve.count("delivered").await, serve.count("cancelled").await), (2, 1));
    assert!(cancelled.continues().is_empty());
    serve.stop();
}
