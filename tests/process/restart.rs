//! Tests of `kill -9` at random moments. The moments come from a seed, which the test prints.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use simulator::{Bot, Fault, Options, Plan, Simulator};

use crate::TEST_TIMEOUT;
use crate::home::Home;

const BOTS: usize = 300;
const KILLS: usize = 5;
const AT_ONCE: usize = 16;

/// Makes jobs queue for workers, deliveries slow, and retries wait.
const CONFIG: &str = r#"workers.concurrency = 4
    delivery.request_timeout = "1s"
    handlers.wait = { answer_within = "10m" }"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_bots_are_continued_despite_repeated_kills() {
    let given = env::var_os("PROCESS_TESTS_SEED").and_then(|seed| seed.into_string().ok()?.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| fastrand::u64(..));
    println!("to repeat this run: PROCESS_TESTS_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let options = Options { latency: Duration::from_millis(100), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let home = Home::new(&simulator, CONFIG);
    let bots: Vec<Bot> = (0..BOTS).map(|number| simulator.bot(plan(number))).collect();
    let mut unacknowledged: Vec<usize> = (0..BOTS).collect();
    let mut at_kills = BTreeMap::<String, usize>::new();

    for _ in 0..KILLS {
        let serve = home.serve_own();
        let (url, before) = (serve.url("wait"), serve.count("delivered").await);
        let (answers, delivered) = (random.usize(1..=BOTS / KILLS), random.u64(0..=20));
        let kill = async move || {
            serve.delivers(before + delivered).await;
            serve.process.kill();
        };
        unacknowledged = load(&url, &bots, unacknowledged, answers, kill).await;
        for state in states(&home) {
            *at_kills.entry(state).or_default() += 1;
        }
    }
    for state in ["queued", "running", "delivering"] {
        assert!(at_kills.contains_key(state), "no kill came while a job was {state}: {at_kills:?}");
    }

    let serve = home.serve_own();
    let unacknowledged = load(&serve.url("wait"), &bots, unacknowledged, 1, async || ()).await;
    assert!(unacknowledged.is_empty(), "a bridge that is not killed acknowledges everything");
    for (number, bot) in bots.iter().enumerate() {
        let continued = tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await;
        let data = continued.unwrap_or_else(|_| panic!("bot {number} hangs: {:?}", bot.report())).data;
        // A job that happened to run in three crashes in a row gets its fallback.
        let own = data["n"].as_str() == Some(&number.to_string());
        assert!(own || data == json!({ "status": "fail" }), "bot {number} got {data}");
    }
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, BOTS as u64, "one job per bot, and every job is delivered");

    // At least once: the bridge repeats a continue only if its response was lost, in a crash or by a fault. A repeat within
    // three seconds of its request gets more than one 404, so count bots instead of calls.
    let refused = simulator.calls().into_iter().filter(|call| call.status == Some(404)).map(|call| call.path);
    let repeats = refused.collect::<BTreeSet<_>>().len();
    let lost = (0..BOTS).filter(|number| plan(*number).faults.contains(&Fault::AnswerLost)).count();
    println!("at kills: {at_kills:?}; continues repeated: {repeats}, {lost} of them by a fault");
    assert!(repeats <= at_kills["delivering"] + lost, "{repeats} continues were repeated");
    serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_an_outage_of_kommo_loses_nothing() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    simulator.set_outage(Some(Fault::Status(503)));
    let home = Home::new(&simulator, "delivery.request_timeout = \"1s\"");
    let serve = home.serve();
    let bots: Vec<Bot> = (0..50).map(|number| simulator.bot(plan(number))).collect();
    for bot in &bots {
        assert_eq!(bot.call(&serve.url("echo")).await.unwrap().status, 200);
    }
    serve.process.kill();
    let serve = home.serve();
    simulator.set_outage(None);
    for bot in &bots {
        tokio::time::timeout(TEST_TIMEOUT, bot.continued()).await.unwrap();
    }
    serve.settled().await;
    assert_eq!(serve.count("delivered").await, 50);
    serve.stop();
}

fn plan(number: usize) -> Plan {
    let faults = match number % 7 {
        1 => vec![Fault::Status(500)],
        2 => vec![Fault::Hang],
        3 => vec![Fault::AnswerLost],
        4 => vec![Fault::Reset],
        5 => vec![Fault::Status(503), Fault::Status(503)],
        _ => Vec::new(),
    };
    let ms = (number % 5 * 20).to_string();
    Plan::with_data(json!({ "n": number.to_string(), "ms": ms })).faults(faults)
}

/// Lets the `unacknowledged` bots call, and returns those that are still unacknowledged. Calls `then` after `answers`
/// calls have ended, while others are in flight. Like Kommo, a bot may repeat a request that got no response.
async fn load(
    url: &str,
    bots: &[Bot],
    unacknowledged: Vec<usize>,
    answers: usize,
    then: impl AsyncFnOnce(),
) -> Vec<usize> {
    let call = async |number: usize| (number, bots[number].call(url).await);
    let mut calls = pin!(stream::iter(unacknowledged.clone()).map(call).buffer_unordered(AT_ONCE));
    let (mut acknowledged, mut then) = (Vec::new(), Some(then));
    for answered in 1.. {
        let Some((number, answer)) = calls.next().await else { break };
        match answer {
            Ok(answer) if answer.status == 200 => acknowledged.push(number),
            // Too slow: the bot calls again.
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.body),
            Err(_killed) => {}
        }
        if answered == answers
            && let Some(then) = then.take()
        {
            then().await;
        }
    }
    if let Some(then) = then {
        then().await;
    }
    unacknowledged.into_iter().filter(|number| !acknowledged.contains(number)).collect()
}

/// The states of the unfinished jobs in the store while no bridge serves it.
fn states(home: &Home) -> Vec<String> {
    let page = home.run(&["jobs", "list", "--limit", "500", "--json"]).expect(0).json();
    let jobs = page["jobs"].as_array().unwrap();
    let state = |job: &Value| job["state"].as_str().unwrap().to_owned();
    jobs.iter().map(state).filter(|state| !["delivered", "gone"].contains(&state.as_str())).collect()
}
