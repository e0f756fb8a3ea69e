//! Runs the `script.js` of an uploaded widget as Kommo's bot designer does, in an engine that has no
//! way out: no network, no files, and limits on memory, stack and time.

use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, Context, Ctx, Runtime};
use serde_json::Value;

use super::package::{Mistake, Package, mistake};

const PAGE: &str = include_str!("page.js");
const FILE: &str = "script.js";
const MEMORY: usize = 32 * 1024 * 1024;
const STACK: usize = 256 * 1024;
const TIME: Duration = Duration::from_secs(2);

/// What is wrong with the callbacks of the package's script.
pub(super) fn check(package: &Package) -> Vec<Mistake> {
    let handlers: Vec<_> =
        package.manifest["salesbot_designer"].as_object().into_iter().flat_map(|all| all.keys()).collect();
    let call = format!("kommo.check({})", Value::from_iter(handlers.into_iter().map(String::as_str)));
    match run(package, &call) {
        Ok(found) => {
            let found: Vec<(String, String)> = serde_json::from_str(&found).unwrap_or_default();
            found.into_iter().map(|(place, detail)| mistake(format!("{FILE}: {place}"), detail)).collect()
        }
        Err(detail) => vec![mistake(FILE, detail)],
    }
}

/// What `onSalesbotDesignerSave` returns for this handler and these values of its settings.
pub(super) fn save(package: &Package, handler: &str, params: &Value) -> Result<String, String> {
    run(package, &format!("kommo.save({}, {})", Value::from(handler), parsed(params)))
}

/// Loads the page and the script, makes the widget, and gives the string that `call` comes to.
fn run(package: &Package, call: &str) -> Result<String, String> {
    let texts = package.i18n.values().next().cloned().unwrap_or_default();
    let settings = package.manifest["settings"].as_object().into_iter().flatten();
    let settings: Value = settings.map(|(key, _)| (key.clone(), Value::from(""))).collect();
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let end = Instant::now() + TIME;
    runtime.set_interrupt_handler(Some(Box::new(move || Instant::now() >= end)));
    let context = Context::full(&runtime).map_err(|error| error.to_string())?;
    let result = context.with(|ctx| {
        eval::<()>(&ctx, PAGE)?;
        eval::<()>(&ctx, &package.script)?;
        eval::<()>(&ctx, &format!("kommo.start({}, {})", parsed(&texts), parsed(&settings)))?;
        eval::<String>(&ctx, call)
    });
    if Instant::now() >= end {
        return Err(format!("It runs for more than {} seconds.", TIME.as_secs()));
    }
    result
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
