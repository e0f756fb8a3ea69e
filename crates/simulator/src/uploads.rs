//! Widgets that were uploaded, and bots that have a block of one.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::account::{Account, lock};
use super::bot::Bot;
use super::flow::{Flow, Next, Program};
use super::package::{Mistake, Package, mistake};
use super::package_manifest::{handlers, rises};
use super::plan::Plan;
use super::widget_data::{Widget, field};
use super::{Simulator, package, script};

/// A widget of the account that came as a package.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UploadedWidget {
    /// Its code: `widget_1` for the first that is uploaded, and so on.
    pub code: String,
    /// The code of its first handler in the bot designer.
    pub handler: String,
    /// Every handler of it.
    pub handlers: Vec<String>,
    /// Its version.
    pub version: String,
}

/// Every mistake in a package, each with the file and the key that it is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the package is refused: {}", .mistakes.join("; "))]
pub struct UploadError {
    /// One sentence a mistake, as in `manifest.json: widget.version: It must …`.
    pub mistakes: Vec<String>,
}

/// A bot with one block of an uploaded widget, as a person puts it together in the designer.
#[derive(Debug, Clone, Default)]
pub struct WidgetOrder {
    /// The widget's code.
    pub widget: String,
    /// Which of its handlers; `None` takes the first.
    pub handler: Option<String>,
    /// Values of the handler's settings, placeholders allowed; the others have their defaults.
    pub settings: Map<String, Value>,
    /// What the bot knows, by whole names: `message_text`, `lead.id`.
    pub variables: Map<String, Value>,
    /// All else about the bot. Its `data` come from the widget.
    pub plan: Plan,
}

#[derive(Debug)]
pub(super) struct Upload {
    pub(super) widget: UploadedWidget,
    package: Package,
}

impl Simulator {
    /// Takes a widget package as Kommo does on its page of integrations: checks the files, the
    /// manifest and the script, which is run for up to 2 seconds, and puts the widget among those of
    /// the account, installed. It blocks the thread meanwhile.
    ///
    /// # Errors
    ///
    /// The package breaks rules; the error names them all.
    pub fn upload_widget(&self, zip: &[u8]) -> Result<UploadedWidget, UploadError> {
        upload(&self.account, zip, None).map_err(UploadError::new)
    }

    /// Takes a newer package of a widget that is there. Bots keep the block as it was.
    ///
    /// # Errors
    ///
    /// As [`upload_widget`](Self::upload_widget); and there is no such widget, or its version did
    /// not rise.
    pub fn update_widget(&self, code: &str, zip: &[u8]) -> Result<UploadedWidget, UploadError> {
        upload(&self.account, zip, Some(code)).map_err(UploadError::new)
    }

    /// The widgets that were uploaded, by their codes.
    #[must_use]
    pub fn uploaded_widgets(&self) -> Vec<UploadedWidget> {
        lock(&self.account.uploads).values().map(|upload| upload.widget.clone()).collect()
    }

    /// A bot that starts now: it asks the bridge whose address the widget wrote into its steps, waits
    /// for continues, and leaves by an exit. [`Bot::ended`] waits for that.
    ///
    /// # Errors
    ///
    /// There is no such widget or handler, or its script gives no steps that ask; the text says why.
    pub fn widget_bot(&self, order: WidgetOrder) -> Result<Bot, String> {
        let playing = play(&self.account, order)?;
        let (bot, stop) = (playing.bot.clone(), self.stop_token.clone());
        self.tasks.spawn(async move { stop.run_until_cancelled(playing.run()).await });
        Ok(bot)
    }
}

impl UploadError {
    fn new(mistakes: Vec<Mistake>) -> Self {
        let named =
            |Mistake { place, detail }| if place.is_empty() { detail } else { format!("{place}: {detail}") };
        Self { mistakes: mistakes.into_iter().map(named).collect() }
    }
}

/// Checks a package and keeps its widget; `code` is that of the widget that it replaces.
pub(super) fn upload(
    account: &Account,
    zip: &[u8],
    code: Option<&str>,
) -> Result<UploadedWidget, Vec<Mistake>> {
    let package = package::open(zip, code.is_some())?;
    let mistakes = script::check(account.options.script_program.as_deref(), &package);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let manifest = &package.manifest;
    let version = manifest["widget"]["version"].as_str().unwrap_or_default().to_owned();
    let mut uploads = lock(&account.uploads);
    if let Some(code) = code {
        let Some(known) = uploads.get(code) else {
            return Err(vec![mistake("", format!("There is no uploaded widget `{code}` to replace."))]);
        };
        let old = &known.widget.version;
        if !rises(old, &version) {
            let detail = format!("It is {version}; it must be above {old}, the version that is there.");
            return Err(vec![mistake("manifest.json: widget.version", detail)]);
        }
    }
    let code = code.map_or_else(|| format!("widget_{}", uploads.len() + 1), str::to_owned);
    let handlers: Vec<_> = handlers(manifest).map(|(code, _)| code.clone()).collect();
    let widget = UploadedWidget {
        code: code.clone(),
        handler: handlers.first().cloned().unwrap_or_default(),
        handlers,
        version,
    };
    list(account, &widget, manifest);
    uploads.insert(code, Arc::new(Upload { widget: widget.clone(), package }));
    Ok(widget)
}

/// Puts the widget among those that the API shows, as one of the own integration.
fn list(account: &Account, widget: &UploadedWidget, manifest: &Value) {
    let mut widgets = lock(&account.widgets);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = manifest["settings"].as_object().into_iter().flatten();
    let fields = fields.map(|(key, setting)| {
        field(key, &text(&setting["name"]), &text(&setting["type"]), setting["required"] == true)
    });
    let known = widgets.iter().find(|known| known.code == widget.code);
    let id = known.or(widgets.last()).map_or(1, |known| known.id + i64::from(known.code != widget.code));
    let settings = known.and_then(|known| known.settings.clone());
    let new = Widget {
        client_uuid: Some(account.options.client_uuid.clone()),
        settings: Some(settings.unwrap_or_default()),
        ..Widget::new(id, &widget.code, &widget.version, Value::from(0), fields.collect())
    };
    widgets.retain(|known| known.code != widget.code);
    widgets.push(new);
    widgets.sort_by_key(|widget| widget.id);
}

/// A bot and its way through the steps.
#[derive(Debug)]
pub(super) struct Playing {
    pub(super) bot: Bot,
    flow: Flow,
    url: String,
}

/// Puts a bot together; it has gone as far as its first request and has not sent it.
pub(super) fn play(account: &Arc<Account>, order: WidgetOrder) -> Result<Playing, String> {
    let code = &order.widget;
    let upload = lock(&account.uploads).get(code).cloned();
    let upload =
        upload.ok_or_else(|| format!("there is no uploaded widget `{code}`; upload its package first"))?;
    let handler = order.handler.as_ref().unwrap_or(&upload.widget.handler);
    let settings = upload.package.manifest["salesbot_designer"][handler]["settings"].as_object();
    let settings = settings.ok_or_else(|| format!("the widget `{code}` has no handler `{handler}`"))?;
    if let Some(unknown) = order.settings.keys().find(|key| !settings.contains_key(*key)) {
        return Err(format!("the handler `{handler}` has no setting `{unknown}`"));
    }
    let params: Value = settings
        .iter()
        .map(|(key, setting)| {
            (key.clone(), order.settings.get(key).unwrap_or(&setting["default_value"]).clone())
        })
        .collect();
    let program = account.options.script_program.as_deref();
    let steps = script::save(program, &upload.package, handler, &params)
        .map_err(|why| format!("script.js: {why}"))?;
    let mut flow = Flow::new(Program::parse(&steps)?, order.variables);
    match flow.run() {
        Next::Ask { url, data } => {
            let bot = Bot::scripted(account, Plan { data, ..order.plan });
            Ok(Playing { bot, flow, url })
        }
        Next::Exit(exit) => Err(format!("the bot leaves by `{exit}` before it asks")),
        Next::Stuck(why) => Err(format!("the bot does not come to ask: {why}")),
    }
}

impl Playing {
    /// Plays the bot to its end. A bot that nobody continues waits for ever.
    pub(super) async fn run(mut self) {
        loop {
            // What came of it is in the bot's report; Kommo's bots wait on whatever it was.
            let _in_the_report = self.bot.call(&self.url).await;
            let with = self.bot.continued().await;
            let next = self.flow.resume(with.data, with.execute_handlers);
            self.bot.say(std::mem::take(&mut self.flow.said));
            match next {
                Next::Ask { url, data } => {
                    self.url = url;
                    self.bot.next_wait(data);
                }
                Next::Exit(exit) => return self.bot.end(Ok(exit)),
                Next::Stuck(why) => return self.bot.end(Err(why)),
            }
        }
    }
}
