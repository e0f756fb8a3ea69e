//! Runs a package's script as the bot designer does, with limits on memory, stack and time, so that a package
//! from anywhere can be looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rquickjs::{CatchResultExt, Context, Ctx, Function, Runtime};
use serde::Deserialize;
use serde_json::Value as Json;

/// What surrounds the script.
const SURROUNDINGS: &str = include_str!("engine.js");
/// The most memory, in bytes.
const MAX_MEMORY_BYTES: usize = 32 * 1024 * 1024;
/// The deepest stack, in bytes.
const MAX_STACK_BYTES: usize = 256 * 1024;
/// How often the engine may ask whether to go on, which it does after some thousand steps each.
const MAX_INTERRUPT_CHECKS: u32 = 300;
/// How long all of it may take. Only a script that is in a function of the engine which never asks takes that long.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What the callbacks of a script did.
#[derive(Debug, Deserialize)]
pub(super) struct Observed {
    /// What each is, in the words of `typeof`.
    pub(super) kinds: BTreeMap<String, String>,
    /// What each returned, if that can be said in JSON.
    pub(super) returned: BTreeMap<String, Json>,
    /// What each threw.
    pub(super) thrown: BTreeMap<String, String>,
}

/// Runs `script` for the block `handler`: with the `params` that a person gave it, and `texts`, the file of one
/// language.
///
/// # Errors
/// It could not be run to its end, and why.
pub(super) fn observe(script: &[u8], handler: &str, params: &Json, texts: &Json) -> Result<Observed, String> {
    let (script, handler) = (script.to_vec(), handler.to_owned());
    let (params, texts) = (params.clone(), texts.clone());
    within(&LEFT_BEHIND, TIME_LIMIT, move || observe_here(&script, &handler, &params, &texts))?
        .unwrap_or_else(|| Err(format!("it runs for more than {} seconds", TIME_LIMIT.as_secs())))
}

/// What `work` comes to on a thread of its own, where it is left behind if it takes longer: `None`. `left_behind` counts
/// those; only so many may be there, and after that nothing is run until one of them has ended.
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
        let _however_it_ends = ending;
        let _nobody_waits = send.send(work());
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
        Err(RecvTimeoutError::Disconnected) => Err("it makes the engine fail".to_owned()),
    }
}

/// Threads that were left behind and run still.
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);
const MAX_LEFT_BEHIND: usize = 4;

/// What became of a thread: it runs, it was left behind, or it has ended.
const RUNNING: u8 = 0;
const LEFT: u8 = 1;
const ENDED: u8 = 2;

/// Notes the end of a thread.
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
    ctx.eval::<(), _>(SURROUNDINGS)?;
    ctx.eval::<(), _>(script)?;
    let observe: Function<'js> = ctx.globals().get("observe")?;
    observe.call((handler, ctx.json_parse(params.to_string())?, ctx.json_parse(texts.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_interrupted_is_left_behind_and_only_so_much_of_it() {
        // The other tests run scripts at the same time.
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
            assert!(Instant::now() < deadline, "they have ended, and are counted still");
            thread::yield_now();
        }
        assert_eq!(within(&COUNT, Duration::from_secs(60), || 7), Ok(Some(7)));
        assert_eq!(
            within(&COUNT, Duration::from_secs(60), || -> u8 { panic!("played") }),
            Err("it makes the engine fail".to_owned())
        );
    }
}
