//! Runs a package's script as the bot designer does, with limits on memory, stack and time, so that untrusted
//! packages can be checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rquickjs::{CatchResultExt, Context, Ctx, Function, Runtime};
use serde::Deserialize;
use serde_json::Value as Json;

/// The environment of the script.
const ENVIRONMENT: &str = include_str!("engine.js");
/// The memory limit, in bytes.
const MAX_MEMORY_BYTES: usize = 32 * 1024 * 1024;
/// The stack limit, in bytes.
const MAX_STACK_BYTES: usize = 256 * 1024;
/// The number of interrupt checks after which a script is stopped. The engine makes one every few thousand steps.
const MAX_INTERRUPT_CHECKS: u32 = 300;
/// The time limit of a run. Only a script inside a function of the engine that makes no interrupt checks reaches it.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The results of a script's callbacks.
#[derive(Debug, Deserialize)]
pub(super) struct Observed {
    /// The `typeof` of each callback.
    pub(super) kinds: BTreeMap<String, String>,
    /// The return value of each callback, if JSON can represent it.
    pub(super) returned: BTreeMap<String, Json>,
    /// The error that each callback threw.
    pub(super) thrown: BTreeMap<String, String>,
}

/// Runs `script` for the block `handler`, with the values `params` of its fields and the translations `texts` of one
/// language.
///
/// # Errors
/// The script did not run to its end; the text says why.
pub(super) fn observe(script: &[u8], handler: &str, params: &Json, texts: &Json) -> Result<Observed, String> {
    let (script, handler) = (script.to_vec(), handler.to_owned());
    let (params, texts) = (params.clone(), texts.clone());
    within(&LEFT_BEHIND, TIME_LIMIT, move || observe_here(&script, &handler, &params, &texts))?
        .unwrap_or_else(|| Err(format!("it runs for more than {} seconds", TIME_LIMIT.as_secs())))
}

/// Runs `work` on its own thread and returns the result. If it takes longer than `time`, returns `None` and leaves the
/// thread behind. `left_behind` counts the threads that were left behind and still run.
///
/// # Errors
/// There are already [`MAX_LEFT_BEHIND`] such threads, the thread cannot be started, or `work` panics.
fn within<T: Send + 'static>(
    left_behind: &'static AtomicUsize,
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, String> {
    if left_behind.load(Ordering::Relaxed) >= MAX_LEFT_BEHIND {
        return Err("scripts of earlier packages do not end: check this one in a new process".to_owned());
    }
    let (send, result) = mpsc::sync_channel(1);
    let fate = Arc::new(AtomicU8::new(RUNNING));
    let ending = Ending { fate: fate.clone(), left_behind };
    let engine = thread::Builder::new().name("script".to_owned()).spawn(move || {
        // Dropped at the end of the thread, even after a panic.
        let _ending = ending;
        // Fails if the caller no longer waits.
        let _ = send.send(work());
    });
    engine.map_err(|error| error.to_string())?;
    match result.recv_timeout(time) {
        Ok(result) => Ok(Some(result)),
        Err(RecvTimeoutError::Timeout) => {
            if fate.swap(LEFT, Ordering::AcqRel) == RUNNING {
                left_behind.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None)
        }
        Err(RecvTimeoutError::Disconnected) => Err("it crashes the engine".to_owned()),
    }
}

/// The number of threads that were left behind and still run.
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);
const MAX_LEFT_BEHIND: usize = 4;

/// The state of a thread: running, left behind, or ended.
const RUNNING: u8 = 0;
const LEFT: u8 = 1;
const ENDED: u8 = 2;

/// Records the end of a thread when dropped.
struct Ending {
    fate: Arc<AtomicU8>,
    left_behind: &'static AtomicUsize,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.fate.swap(ENDED, Ordering::AcqRel) == LEFT {
            self.left_behind.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn observe_here(script: &[u8], handler: &str, params: &Json, texts: &Json) -> Result<Observed, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.set_memory_limit(MAX_MEMORY_BYTES);
    runtime.set_max_stack_size(MAX_STACK_BYTES);
    let (mut asked, end) = (0_u32, Instant::now() + TIME_LIMIT);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        asked += 1;
        asked > MAX_INTERRUPT_CHECKS || Instant::now() >= end
    })));
    let context = Context::full(&runtime).map_err(|error| error.to_string())?;
    let report = context.with(|ctx| {
        report(&ctx, script, handler, params, texts).catch(&ctx).map_err(|error| error.to_string())
    })?;
    serde_json::from_str(&report).map_err(|error| error.to_string())
}

fn report<'js>(
    ctx: &Ctx<'js>,
    script: &[u8],
    handler: &str,
    params: &Json,
    texts: &Json,
) -> rquickjs::Result<String> {
    ctx.eval::<(), _>(ENVIRONMENT)?;
    ctx.eval::<(), _>(script)?;
    let observe: Function<'js> = ctx.globals().get("observe")?;
    observe.call((handler, ctx.json_parse(params.to_string())?, ctx.json_parse(texts.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_cannot_be_interrupted_is_left_behind_up_to_the_limit() {
        // Its own count, because other tests run scripts at the same time.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let ends: Vec<_> = (0..MAX_LEFT_BEHIND)
            .map(|_| {
                let (end, ends) = mpsc::channel::<()>();
                let stuck = within(&COUNT, Duration::from_millis(1), move || ends.recv().is_err());
                assert_eq!(stuck, Ok(None));
                end
            })
            .collect();
        assert!(within(&COUNT, Duration::from_secs(60), || 7).unwrap_err().contains("do not end"));
        drop(ends);
        let deadline = Instant::now() + Duration::from_secs(60);
        while COUNT.load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < deadline, "ended threads are still counted");
            thread::yield_now();
        }
        assert_eq!(within(&COUNT, Duration::from_secs(60), || 7), Ok(Some(7)));
        assert_eq!(
            within(&COUNT, Duration::from_secs(60), || -> u8 { panic!("played") }),
            Err("it crashes the engine".to_owned())
        );
    }
}
