//! Misbehaving handlers: they panic in every way, block their threads, and answer too late or with too much. Their bots
//! still get an answer or the fallback, the history records the attempts correctly, and other bots are not affected.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::pending;
use std::panic::panic_any;
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::time::{Duration, Instant};

use salesbot_bridge::{Completion, Context, Handler, HandlerError, Request, Show, Step};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use simulator::Plan;
use tokio::sync::Notify;

use crate::handlers::Does;
use crate::played::{bot, continued, kommo, one_more_continued};
use crate::setup::Setup;

/// Panics when it is dropped, with itself as the payload.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Self);
    }
}

/// Panics when it is deserialized.
struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("in decoding")
    }
}

impl Handler for Unreadable {
    type Input = Self;

    async fn handle(&self, _: Request<Self>, _: Context) -> Result<Completion, HandlerError> {
        Ok(Completion::success())
    }
}

/// An error that panics when it is formatted or dropped.
#[derive(Debug)]
struct Nasty(Option<Bomb>);

impl fmt::Display for Nasty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(_) => f.write_str("it goes off when it is dropped"),
            None => panic!("in an error's text"),
        }
    }
}

impl std::error::Error for Nasty {}

type Made = std::pin::Pin<Box<dyn Future<Output = Result<Completion, HandlerError>> + Send>>;
type Work = fn(Context) -> Made;

fn made(work: impl Future<Output = Result<Completion, HandlerError>> + Send + 'static) -> Made {
    Box::pin(work)
}

static POISONED: Mutex<()> = Mutex::new(());

/// Per handler: its name, its code, the result of its attempt (`ok` if the bot gets its answer), and a part of the
/// logged error.
fn rows() -> Vec<(&'static str, Work, &'static str, &'static str)> {
    vec![
        ("panics-with-a-number", |_| made(async { panic_any(7) }), "panic", "no message"),
        ("panics-with-a-bomb", |_| made(async { panic_any(Bomb) }), "panic", "no message"),
        ("panics-before-it-begins", |_| panic!("in making the future"), "panic", "in making the future"),
        (
            "panics-as-it-ends",
            |_| {
                made(async {
                    let _bomb = Bomb;
                    Ok(Completion::success())
                })
            },
            "panic",
            "no message",
        ),
        (
            "panics-under-a-lock",
            |_| {
                made(async {
                    let _held = POISONED.lock().map_err(|error| HandlerError::fail(error.to_string()))?;
                    panic!("under a lock")
                })
            },
            "panic",
            "under a lock",
        ),
        (
            "shows-an-error-that-panics",
            |_| made(async { Err(HandlerError::fail(Nasty(None))) }),
            "panic",
            "in an error's text",
        ),
        (
            "fails-with-a-bomb",
            |_| made(async { Err(HandlerError::fail(Nasty(Some(Bomb)))) }),
            "panic",
            "no message",
        ),
        (
            "hangs-with-a-bomb",
            |_| {
                made(async {
                    let _bomb = Bomb;
                    pending().await
                })
            },
            "timeout",
            "attempt_timeout",
        ),
        ("talks", |_| made(async { Err(HandlerError::fail("x".repeat(10 << 20))) }), "fail", "xxx"),
        ("shouts", |_| made(async { panic!("{}", "y".repeat(10 << 20)) }), "panic", "withheld"),
        (
            "waits-forever",
            |_| made(async { Err(HandlerError::retry_after(Duration::MAX, "busy")) }),
            "retry",
            "busy",
        ),
        (
            "allocates",
            |_| made(async { Ok(Completion::success().data("x", "x".repeat(30 << 20))) }),
            "fail",
            "1 MiB",
        ),
        (
            "divides-by-zero",
            |_| made(async { Ok(Completion::success().data("price", f64::NAN)) }),
            "fail",
            "`price`",
        ),
        (
            "exceeds",
            |_| made(async { Ok(Completion::success().data("list", [1.0, f64::INFINITY])) }),
            "fail",
            "`list`",
        ),
        (
            "has-keys-that-are-not-strings",
            |_| made(async { Ok(Completion::new().data("map", HashMap::from([((1, 2), 3)]))) }),
            "fail",
            "`map`",
        ),
        (
            "nests",
            |_| {
                made(async {
                    Ok(Completion::new().with_data((0..500).fold(json!(1), |inner, _| json!([inner]))))
                })
            },
            "fail",
            "64 levels",
        ),
        (
            "shows-too-much",
            |_| made(async { Ok(Completion::new().show(Show::text("x".repeat(81)))) }),
            "fail",
            "at most 80",
        ),
        (
            "has-one-instruction-too-many",
            |_| made(async { Ok((0..11).fold(Completion::new(), |all, _| all.goto(Step::finish(0)))) }),
            "fail",
            "at most 10",
        ),
        (
            "is-at-every-limit",
            |_| {
                made(async {
                    let buttons = Show::buttons("я".repeat(80), vec!["b"; 25]);
                    let shows = (0..9).fold(Completion::success(), |all, _| all.show(buttons.clone()));
                    Ok(shows.goto(Step::question(1)).data("long", "x".repeat(1_000_000)))
                })
            },
            "ok",
            "",
        ),
        (
            "cancels-itself",
            |context| {
                context.cancelled().cancel();
                made(async { Ok(Completion::success()) })
            },
            "ok",
            "",
        ),
        (
            "leaves-a-task-that-panics",
            |_| {
                tokio::spawn(async { panic!("in a task that is never awaited") });
                made(async { Ok(Completion::success()) })
            },
            "ok",
            "",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_of_a_misbehaving_handler_gets_an_answer_or_the_fallback() {
    let kommo = kommo().await;
    let mut setup = Setup::with(&[&kommo]).handler("unreadable", Unreadable);
    let rows: BTreeMap<&str, _> = rows()
        .into_iter()
        .map(|(name, work, result, expected_error)| (name, (work, result, expected_error)))
        .collect();
    let policy = r#"max_attempts = 1, fallback = { data = { status = "sorry" } }"#;
    for (name, (work, result, _)) in &rows {
        let work = *work;
        // A panic takes seconds on a busy machine if it prints its backtrace.
        let timeout = if *result == "timeout" { "2s" } else { "30s" };
        setup = setup.config(&format!("handlers.{name} = {{ {policy}, attempt_timeout = \"{timeout}\" }}"));
        setup = setup.handler(name, Does(move |_: Request<Value>, context: Context| work(context)));
    }
    let bridge = setup.config(&format!("handlers.unreadable = {{ {policy} }}")).start().await;
    let expected = rows.iter().map(|(name, (_, result, expected_error))| (*name, *result, *expected_error));
    let expected: Vec<_> = expected.chain([("unreadable", "panic", "in decoding")]).collect();
    let mut asked = Vec::new();
    for (name, ..) in &expected {
        let bot = bot(&kommo);
        asked.push((bridge.ask(&bot, name).await, bot));
        let other = self::bot(&kommo);
        bridge.ask(&other, "echo").await;
        assert_eq!(continued(&other).await.data["status"], "success", "beside {name}");
    }
    for ((name, result, expected_error), (id, bot)) in expected.into_iter().zip(asked) {
        let status = if result == "ok" { "success" } else { "sorry" };
        assert_eq!(continued(&bot).await.data["status"], status, "{name}");
        let job = bridge.in_state(&id, "delivered").await;
        let outcome = if result == "ok" { "handler" } else { "fallback" };
        assert_eq!((&job["outcome"], &job["handler_attempts"]), (&json!(outcome), &json!(1)), "{name}");
        assert_eq!(job["attempts"][0]["result"], result, "{name}");
        let error = job["last_error"].as_str().unwrap_or_default();
        assert!(
            error.contains(expected_error) && error.len() < 3_000,
            "{name}: {}",
            &error[..error.len().min(300)]
        );
        assert_eq!(bot.continues().len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_does_not_quote_the_customer() {
    let kommo = kommo().await;
    let policy = "handlers.{} = { max_attempts = 1 }";
    let words = |request: &Request<Value>| request.data["message"].as_str().unwrap_or_default().to_owned();
    let bridge = Setup::with(&[&kommo])
        .config(&["shows", "unwraps", "compares", "slices"].map(|name| policy.replace("{}", name)).join("\n"))
        .handler(
            "shows",
            Does(|request: Request<Value>, _| async move { panic!("{request:?} {}", request.data) }),
        )
        .handler(
            "unwraps",
            Does(move |request: Request<Value>, _| async move {
                let words: Result<(), String> = [Err(words(&request))].into_iter().collect();
                words.unwrap();
                Ok(Completion::success())
            }),
        )
        .handler(
            "compares",
            Does(move |request: Request<Value>, _| async move {
                assert_eq!(words(&request), "");
                Ok(Completion::success())
            }),
        )
        .handler(
            "slices",
            Does(move |request: Request<Value>, _| async move {
                Ok(Completion::new().data("cut", words(&request)[..1].to_owned()))
            }),
        )
        .start()
        .await;
    for name in ["shows", "unwraps", "compares", "slices"] {
        let bot = kommo.bot(Plan::with_data(json!({ "message": "éveryone is welcome" })));
        let id = bridge.ask(&bot, name).await;
        assert_eq!(continued(&bot).await.data, json!({ "status": "fail" }), "{name}");
        let mut job = bridge.in_state(&id, "delivered").await;
        // An operator may see the bot's data and its address. Everything else, and above all the error, must not contain
        // them.
        let url = job["return_url"].as_str().unwrap().to_owned();
        for key in ["data", "return_url", "continue_id"] {
            job[key] = Value::Null;
        }
        let shown = job.to_string();
        assert!(shown.contains("the handler panicked: "), "{name}: {shown}");
        assert!(!shown.contains("veryone") && !shown.contains(&url), "{name}: {shown}");
    }
}

/// A handler that blocks its thread until the test drops the sender. While one runs, the `Weak` has more than one owner.
fn blocking() -> (impl Handler, mpsc::Sender<()>, Weak<Mutex<mpsc::Receiver<()>>>) {
    let (hold, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let runs = Arc::downgrade(&held);
    let block = Does(move |_: Request<Value>, _: Context| {
        let held = held.clone();
        async move {
            let _released = held.lock().map(|held| held.recv());
            Ok(Completion::new().data("status", "late"))
        }
    });
    (block, hold, runs)
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_handlers_do_not_delay_others_and_their_late_answers_have_no_effect() {
    let kommo = kommo().await;
    let (block, hold, runs) = blocking();
    let timed = Does(|_: Request<Value>, _: Context| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(Completion::success())
    });
    let bridge = Setup::with(&[&kommo])
        .config(r#"handlers.block = { max_attempts = 1, attempt_timeout = "3s" }"#)
        .handler("block", block)
        .handler("timed", timed)
        .start()
        .await;
    let begun = Instant::now();
    // Many more than the machine has cores.
    let mut blocked = Vec::new();
    for _ in 0..24 {
        let bot = bot(&kommo);
        blocked.push((bridge.ask(&bot, "block").await, bot));
    }
    for name in ["echo", "timed"] {
        let other = bot(&kommo);
        bridge.ask(&other, name).await;
        assert_eq!(continued(&other).await.data["status"], "success");
    }
    assert!(begun.elapsed() < Duration::from_millis(2_900), "the other bots waited {:?}", begun.elapsed());
    for (id, bot) in &blocked {
        assert_eq!(continued(bot).await.data, json!({ "status": "fail" }));
        bridge.in_state(id, "delivered").await;
    }
    drop(hold);
    bridge.until("the late answers", || async { runs.strong_count() == 1 }).await;
    one_more_continued(&bridge, &kommo).await;
    for (id, bot) in &blocked {
        let job = bridge.job(id).await;
        assert_eq!((&job["state"], &job["outcome"]), (&json!("delivered"), &json!("fallback")), "{job:#}");
        assert_eq!((&job["handler_attempts"], &job["delivery_attempts"]), (&json!(1), &json!(1)), "{job:#}");
        assert_eq!(bot.continues().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_a_handler_leaves_behind_continues() {
    let kommo = kommo().await;
    let (may_end, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let leaves = {
        let (may_end, done) = (may_end.clone(), done.clone());
        Does(move |_: Request<Value>, context: Context| {
            let (may_end, done) = (may_end.clone(), done.clone());
            tokio::spawn(async move {
                may_end.notified().await;
                // The token tells the task that the attempt is over; the task may continue.
                context.cancelled().cancelled().await;
                done.notify_one();
            });
            async { Ok(Completion::success()) }
        })
    };
    let bridge = Setup::with(&[&kommo]).handler("leaves", leaves).start().await;
    let bot = bot(&kommo);
    let id = bridge.ask(&bot, "leaves").await;
    continued(&bot).await;
    bridge.in_state(&id, "delivered").await;
    may_end.notify_one();
    tokio::time::timeout(crate::bridge::TEST_TIMEOUT, done.notified()).await.unwrap();
}
