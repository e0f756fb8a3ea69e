//! Runs the `script.js` of an uploaded widget as Kommo's bot designer does, in a sandboxed engine: no
//! network, no files, and limits on memory, stack and time.

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
/// Extra time for a function of the engine that cannot be interrupted.
const EXTRA_TIME: Duration = Duration::from_secs(1);
/// The number of scripts that run at once, over all accounts of this process.
const MAX_RUNNING: usize = 4;
/// How long a script waits for a permit to run.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(6);

/// Checks the callbacks of the package's script, and returns the mistakes.
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

/// Calls `onSalesbotDesignerSave` for this handler with these settings, and returns its result.
pub(super) fn save(
    program: Option<&Path>,
    package: &Package,
    handler: &str,
    params: &Value,
) -> Result<String, String> {
    run(program, package, &format!("kommo.save({}, {})", Value::from(handler), parsed(params)))
}

/// A script, its environment, and the expression to evaluate.
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

    /// Loads the page and the script, creates the widget, and returns the string that `call` evaluates to. Ends at
    /// the time limit, unless the script is in a function of the engine that cannot be interrupted.
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

/// Runs the job in a process of `program`, or on a thread if there is none. At the time limit the process is killed;
/// a thread is left behind. Threads left behind count towards [`MAX_RUNNING`], which bounds the CPU time that they use.
fn run(program: Option<&Path>, package: &Package, call: &str) -> Result<String, String> {
    let job = Job::new(package, call);
    let permit = RunPermit::acquire(PERMIT_TIMEOUT)
        .ok_or("Too many scripts are running, and some do not end. Restart the simulator.")?;
    match program {
        Some(program) => {
            script_process::run(program, &job, TIME_LIMIT + EXTRA_TIME)?.unwrap_or_else(|| Err(too_long()))
        }
        None => within(TIME_LIMIT + EXTRA_TIME, move || {
            let _until_it_ends = permit;
            job.run()
        })?
        .unwrap_or_else(|| Err(too_long())),
    }
}

/// Runs `work` on a thread and returns its result; `None` if it takes longer than `time`.
pub(super) fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, String> {
    let (send, result) = mpsc::sync_channel(1);
    let script = thread::Builder::new().name("script".to_owned()).spawn(move || {
        // Fails if the caller no longer waits.
        let _ = send.send(work());
    });
    script.map_err(|error| format!("The script cannot be run: {error}."))?;
    match result.recv_timeout(time) {
        Ok(result) => Ok(Some(result)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("The script crashes the engine.".to_owned()),
    }
}

/// A permit to run a script. Dropping it releases it.
struct RunPermit;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

impl RunPermit {
    /// Waits for a permit, but no longer than `time`.
    fn acquire(time: Duration) -> Option<Self> {
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

impl Drop for RunPermit {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

fn too_long() -> String {
    format!("The script runs for more than {} seconds.", TIME_LIMIT.as_secs())
}

/// An expression that evaluates to `value`. A plain literal could set prototypes.
fn parsed(value: &Value) -> String {
    format!("JSON.parse({})", Value::from(value.to_string()))
}

/// Evaluates source as a page does: in sloppy mode, unless the source asks for strict mode.
fn eval<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, source: &str) -> Result<V, String> {
    let mut options = EvalOptions::default();
    options.strict = false;
    let result = ctx.eval_with_options::<rquickjs::Value, _>(source, options).catch(ctx);
    let value = result.map_err(|error| format!("The script fails: {}.", error.to_string().trim()))?;
    V::from_js(ctx, value).map_err(|error| format!("The script fails: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_cannot_be_interrupted_is_left_behind() {
        let (end, ends) = mpsc::channel::<()>();
        let stuck = within(Duration::from_millis(1), move || ends.recv().is_err());
        assert_eq!(stuck, Ok(None));
        drop(end);
        assert_eq!(within(Duration::from_secs(60), || 7), Ok(Some(7)));
        assert_eq!(
            within(Duration::from_secs(60), || -> u8 { panic!("played") }),
            Err("The script crashes the engine.".to_owned())
        );
    }
}
