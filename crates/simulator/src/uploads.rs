//! Uploaded widgets, and the bots that run a block of such a widget.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::account::{Account, lock};
use super::bot::Bot;
use super::flow::{Flow, Next, Program};
use super::package::{Mistake, Package, mistake};
use super::package_manifest::{handlers, is_higher};
use super::plan::Plan;
use super::widget_data::{Widget, field};
use super::{Simulator, package, script};

/// A widget that was uploaded to the account as a package.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UploadedWidget {
    /// The widget's code: `widget_1` for the first upload, and so on.
    pub code: String,
    /// The code of its first handler in the bot designer.
    pub handler: String,
    /// The codes of all its handlers.
    pub handlers: Vec<String>,
    /// The widget's version.
    pub version: String,
}

/// The mistakes in a package, each with its file and key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the package is refused: {}", .mistakes.join("; "))]
pub struct UploadError {
    /// One sentence for each mistake, like `manifest.json: widget.version: It must …`.
    pub mistakes: Vec<String>,
}

/// A bot with one block of an uploaded widget, as a user would build it in the designer.
#[derive(Debug, Clone, Default)]
pub struct WidgetOrder {
    /// The widget's code.
    pub widget: String,
    /// The code of the handler; `None` selects the first.
    pub handler: Option<String>,
    /// Values of the handler's settings, which may contain placeholders. Missing ones get their defaults.
    pub settings: Map<String, Value>,
    /// The bot's variables by full name: `message_text`, `lead.id`.
    pub variables: Map<String, Value>,
    /// Everything else about the bot. The widget overrides its `data`.
    pub plan: Plan,
}

#[derive(Debug)]
pub(super) struct Upload {
    pub(super) widget: UploadedWidget,
    package: Package,
}

impl Simulator {
    /// Uploads a widget package, as on Kommo's page of integrations: checks the files, the manifest and
    /// the script, then adds the widget to the account, installed. Blocks the thread while it waits for up
    /// to 6 seconds for other scripts, and runs the script for up to 3 seconds.
    ///
    /// # Errors
    ///
    /// The package breaks rules. The error lists all mistakes in the files and the manifest or, if there are
    /// none, those in the script.
    pub fn upload_widget(&self, zip: &[u8]) -> Result<UploadedWidget, UploadError> {
        upload(&self.account, zip, None).map_err(UploadError::new)
    }

    /// Uploads a newer package of an existing widget. Existing bots keep their block.
    ///
    /// # Errors
    ///
    /// The same as [`upload_widget`](Self::upload_widget); also if there is no such widget, or the version
    /// is not higher than the current one.
    pub fn update_widget(&self, code: &str, zip: &[u8]) -> Result<UploadedWidget, UploadError> {
        upload(&self.account, zip, Some(code)).map_err(UploadError::new)
    }

    /// The uploaded widgets, ordered by code.
    #[must_use]
    pub fn uploaded_widgets(&self) -> Vec<UploadedWidget> {
        lock(&self.account.uploads).values().map(|upload| upload.widget.clone()).collect()
    }

    /// Starts a bot in the background. It calls the bridge at the address in its steps, waits for
    /// continues, and leaves by an exit; [`Bot::ended`] waits for that.
    ///
    /// # Errors
    ///
    /// There is no such widget or handler, or the script's steps do not lead to a request; the text says
    /// why.
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

/// Checks a package and stores its widget. `code` is the code of the widget to replace, if any.
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
            return Err(vec![mistake(
                "",
                format!("Unknown widget `{code}`: only an uploaded widget can be replaced."),
            )]);
        };
        let old = &known.widget.version;
        if !is_higher(old, &version) {
            let detail = format!("It is {version}; it must be higher than the current version {old}.");
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

/// Adds the widget to those that the API shows, as a widget of the account's own integration.
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

/// A bot and its progress through the steps.
#[derive(Debug)]
pub(super) struct Playing {
    pub(super) bot: Bot,
    flow: Flow,
    url: String,
}

/// Creates a bot and runs its steps up to the first request, which it does not send.
pub(super) fn play(account: &Arc<Account>, order: WidgetOrder) -> Result<Playing, String> {
    let code = &order.widget;
    let upload = lock(&account.uploads).get(code).cloned();
    let upload = upload.ok_or_else(|| format!("unknown widget `{code}`: upload its package first"))?;
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
        Next::Exit(exit) => Err(format!("the bot leaves by the exit `{exit}` before it calls the bridge")),
        Next::Stuck(why) => Err(format!("the bot is stuck before it calls the bridge: {why}")),
    }
}

impl Playing {
    /// Plays the bot to its end. If no continue comes, the bot waits indefinitely.
    pub(super) async fn run(mut self) {
        loop {
            // The bot's report has the result. Like Kommo's bots, this one waits in any case.
            let _ = self.bot.call(&self.url).await;
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
