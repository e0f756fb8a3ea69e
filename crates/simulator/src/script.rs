//! Runs the `script.js` of an uploaded widget as Kommo's bot designer does, in an engine that has no
//! way out: no network, no files, and limits on memory, stack and time.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, Context, Ctx, Runtime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::package::{Mistake, Package, mistake};
use super::{package_manifest, script_process};

const PAGE: &str = include_str!("page.js");
const FILE: &str = "script.js";
const MAX_MEMORY_BYTES: usize = 32 * 1024 * 1024;
const MAX_STACK_BYTES: usize = 256 * 1024;
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// How much longer a script may be in a function of the engine that cannot be interrupted.
const EXTRA_TIME: Duration = Duration::from_secs(1);
/// Scripts that run at once, in all accounts of this process.
const MAX_RUNNING: usize = 4;
/// How long a script waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(6);

/// What is wrong with the callbacks of the package's script.
pub(super) fn check(program: Option<&Path>, package: &Package) -> Vec<Mistake> {
    let handlers =
        Value::from_iter(package_manifest::handlers(&package.manifest).map(|(code, _)| code.as_str()));
    let call = format!("kommo.check({handlers})");
    match run(program, package, &call) {
        Ok(found) => {
            let found: Vec<(String, String)> = serde_json::from_str(&found).unwrap_or_default();
            found.into_iter().map(|(place, detail)| mistake(format!("{FILE}: {place}"), detail)).collect()
        }
        Err(detail) => vec![mistake(FILE, detail)],
    }
}

/// What `onSalesbotDesignerSave` returns for this handler and these values of its settings.
pub(super) fn save(
    program: Option<&Path>,
    package: &Package,
    handler: &str,
    params: &Value,
) -> Result<String, String> {
    run(program, package, &format!("kommo.save({}, {})", Value::from(handler), parsed(params)))
}

/// A script, what surrounds it, and the expression that is wanted of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Job {
    script: String,
    texts: Value,
    settings: Value,
    call: String,
}

impl Job {
    fn new(package: &Package, call: &str) -> Self {
        let settings = package.manifest["settings"].as_object().into_iter().flatten();
        Self {
            script: package.script.clone(),
            texts: package.i18n.values().next().cloned().unwrap_or_default(),
            settings: settings.map(|(key, _)| (key.clone(), Value::from(""))).collect(),
            call: call.to_owned(),
        }
    }

    /// Loads the page and the script, makes the widget, and gives the string that the call comes to. Ends at its time,
    /// unless the script is in a function of the engine that never asks whether to go on.
    pub(super) fn run(&self) -> Result<String, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        runtime.set_memory_limit(MAX_MEMORY_BYTES);
        runtime.set_max_stack_size(MAX_STACK_BYTES);
        let end = Instant::now() + TIME_LIMIT;
        runtime.set_interrupt_handler(Some(Box::new(move || Instant::now() >= end)));
        let context = Context::full(&runtime).map_err(|error| error.to_string())?;
        let result = context.with(|ctx| {
            eval::<()>(&ctx, PAGE)?;
            eval::<()>(&ctx, &self.script)?;
            let start = format!("kommo.start({}, {})", parsed(&self.texts), parsed(&self.settings));
            eval::<()>(&ctx, &start)?;
            eval::<String>(&ctx, &self.call)
        });
        if Instant::now() >= end {
            return Err(too_long());
        }
        result
    }
}

/// Runs the job in a process of `program`, which is killed when its time is over; without one, on a thread, which is
/// left behind then. Few run at once: those that were left behind count, so that they can use only so much of a machine.
fn run(program: Option<&Path>, package: &Package, call: &str) -> Result<String, String> {
    let job = Job::new(package, call);
    let turn =
        Turn::take(TURN_TIMEOUT).ok_or("Too many scripts run; some do not end. Restart the simulator.")?;
    match program {
        Some(program) => {
            script_process::run(program, &job, TIME_LIMIT + EXTRA_TIME)?.unwrap_or_else(|| Err(too_long()))
        }
        None => within(TIME_LIMIT + EXTRA_TIME, move || {
            let _until_it_ends = turn;
            job.run()
        })?
        .unwrap_or_else(|| Err(too_long())),
    }
}

/// What `work` comes to; `None` if it takes longer.
pub(super) fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, String> {
    let (send, result) = mpsc::sync_channel(1);
    let script = thread::Builder::new().name("script".to_owned()).spawn(move || {
        let _nobody_waits = send.send(work());
    });
    script.map_err(|error| format!("It cannot be run: {error}."))?;
    match result.recv_timeout(time) {
        Ok(result) => Ok(Some(result)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("It makes the engine fail.".to_owned()),
    }
}

/// The right to run a script, given back when it is dropped.
struct Turn;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl Turn {
    /// Waits for one, but no longer than `time`.
    fn take(time: Duration) -> Option<Self> {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |running: &mut usize| *running >= MAX_RUNNING;
        let (mut running, _) =
            ENDED.wait_timeout_while(running, time, full).unwrap_or_else(PoisonError::into_inner);
        if full(&mut running) {
            return None;
        }
        *running += 1;
        Some(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

fn too_long() -> String {
    format!("It runs for more than {} seconds.", TIME_LIMIT.as_secs())
}

/// An expression for a value. As a literal it could set prototypes.
fn parsed(value: &Value) -> String {
    format!("JSON.parse({})", Value::from(value.to_string()))
}

/// As a page runs a script: sloppy unless it asks for strict.
fn eval<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, source: &str) -> Result<V, String> {
    let mut options = EvalOptions::default();
    options.strict = false;
    let ignored = ctx.eval_with_options::<rquickjs::Value, _>(source, options).catch(ctx);
    let value = ignored.map_err(|error| format!("It fails: {}.", error.to_string().trim()))?;
    V::from_js(ctx, value).map_err(|error| format!("It fails: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_interrupted_is_left_behind() {
        let (end, ends) = mpsc::channel::<()>();
        let stuck = within(Duration::from_millis(1), move || ends.recv().is_err());
        assert_eq!(stuck, Ok(None));
        drop(end);
        assert_eq!(within(Duration::from_secs(60), || 7), Ok(Some(7)));
        assert_eq!(
            within(Duration::from_secs(60), || -> u8 { panic!("played") }),
            Err("It makes the engine fail.".to_owned())
        );
    }
}
