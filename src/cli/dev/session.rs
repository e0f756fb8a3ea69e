//! The loop of `dev`: reads lines, plays bots, and prints their events.

use std::io::Write;

use anyhow::Context;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::{JoinError, JoinSet};

use crate::cli::exit::{Failure, notice, print_until};
use crate::cli::sandbox::Sandbox;
use crate::cli::screen::Screen;
use crate::shutdown::Shutdown;
use model::clock::Clock;
use simulator::{Plan, TokenStyle};

use super::calls::Calls;
use super::event::Event;
use super::input::{HELP, Input, Line};
use super::player::{Played, Player, Request};
use super::render;

/// What the bots of a session need to know.
pub(super) struct Target {
    /// The name of the handler.
    pub(super) handler: &'static str,
    pub(super) answer_within: std::time::Duration,
    pub(super) calls: Calls,
}

/// A conversation with the handler.
pub(super) struct Session {
    sandbox: Sandbox,
    player: Player,
    events: UnboundedReceiver<Event>,
    /// The bots that wait.
    open: JoinSet<anyhow::Result<Played>>,
    json: bool,
    is_interactive: bool,
    lead: u32,
    /// The number of requests so far.
    requests: u32,
    /// The last request.
    last: Option<Request>,
    /// The last bot that was played to its end.
    played: Option<Played>,
    tally: Tally,
}

/// How the bots of a session fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    answered: u32,
    unanswered: u32,
    wrong_lines: u32,
}

/// What to do after an event.
enum Next {
    Continue,
    End,
}

impl Session {
    /// A session in `sandbox`, with bots about `lead`.
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub(super) fn new(sandbox: Sandbox, target: Target, lead: u32, json: bool) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let client =
            reqwest::Client::builder().no_proxy().build().context("cannot create the HTTP client")?;
        let player = Player {
            client,
            url: format!("{}/widget_request/{}", sandbox.public, target.handler),
            admin: sandbox.admin.clone(),
            calls: target.calls,
            answer_within: target.answer_within,
            clock: Clock::system(),
            events: sender,
        };
        Ok(Self {
            sandbox,
            player,
            events,
            open: JoinSet::new(),
            json,
            is_interactive: false,
            lead,
            requests: 0,
            last: None,
            played: None,
            tally: Tally::default(),
        })
    }

    /// Plays until the input ends. Returns the sandbox, for its stop.
    pub(super) async fn run(mut self, input: Input, shutdown: &Shutdown) -> (Result<(), Failure>, Sandbox) {
        self.is_interactive = input.is_interactive();
        let result = self.play(input, shutdown).await.map_err(Failure::from);
        let Self { sandbox, mut open, is_interactive, tally, .. } = self;
        open.shutdown().await;
        (result.and_then(|()| if is_interactive { Ok(()) } else { tally.into_result() }), sandbox)
    }

    async fn play(&mut self, input: Input, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut lines = input.read().context("cannot start to read the input")?;
        let stop = shutdown.asked();
        self.prompt().await;
        loop {
            // A script gets one answer after the other; a person need not wait.
            let reads = self.is_interactive || self.open.is_empty();
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => self.stopped(),
                why = self.sandbox.ended() => anyhow::bail!("the bridge ended: {why}"),
                Some(event) = self.events.recv() => self.print(shutdown, &event).await,
                Some(played) = self.open.join_next() => self.ended(shutdown, played).await,
                line = lines.recv(), if reads => self.take(shutdown, line).await,
            };
            match next {
                Ok(Next::Continue) => {}
                Ok(Next::End) => return Ok(()),
                // The output is no longer read, because the person stops.
                Err(_) if stop.is_cancelled() && self.is_interactive => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn stopped(&self) -> anyhow::Result<Next> {
        anyhow::ensure!(self.is_interactive, "stopped before every bot was continued");
        Ok(Next::End)
    }

    /// Handles a line; `None` is the end of the input.
    async fn take(
        &mut self,
        shutdown: &Shutdown,
        line: Option<Result<Line, String>>,
    ) -> anyhow::Result<Next> {
        match line {
            None | Some(Ok(Line::Quit)) => return Ok(Next::End),
            Some(Err(why)) => {
                self.tally.wrong_lines += 1;
                notice(&why);
            }
            Some(Ok(Line::Blank)) => {}
            Some(Ok(Line::Help)) => notice(HELP),
            Some(Ok(Line::Lead(lead))) => {
                self.lead = lead;
                notice(&format!("the bots now talk about lead {lead}"));
            }
            Some(Ok(Line::Data)) => match &self.played {
                None => notice("no bot was played to its end yet: type a message first"),
                Some(played) => {
                    let text = if self.json { data_json(played).to_string() } else { render::data(played) };
                    print_until(shutdown.asked(), text).await?;
                }
            },
            Some(Ok(Line::Replay)) => match self.last.clone() {
                None => notice("no request to send again yet: type a message first"),
                Some(last) => self.send(last.data, last.lead, true),
            },
            Some(Ok(Line::Send(data))) => self.send(data, self.lead, false),
        }
        if self.open.is_empty() {
            self.prompt().await;
        }
        Ok(Next::Continue)
    }

    /// Starts a bot.
    fn send(&mut self, data: Value, lead: u32, replay: bool) {
        self.requests += 1;
        let request = Request { number: self.requests, lead, data, replay };
        self.last = Some(request.clone());
        let claims = Map::from_iter([("entity_id".to_owned(), Value::from(lead.to_string()))]);
        let token = TokenStyle { claims, ..TokenStyle::default() };
        let bot = self.sandbox.simulator.bot(Plan { token, ..Plan::with_data(request.data.clone()) });
        self.open.spawn(self.player.clone().play(bot, request));
    }

    /// Takes a bot that was played to its end.
    async fn ended(
        &mut self,
        shutdown: &Shutdown,
        played: Result<anyhow::Result<Played>, JoinError>,
    ) -> anyhow::Result<Next> {
        let played = played.context("a bot was interrupted")??;
        while let Ok(event) = self.events.try_recv() {
            self.print(shutdown, &event).await?;
        }
        if played.is_answered {
            self.tally.answered += 1;
        } else {
            self.tally.unanswered += 1;
        }
        let last = played.last.clone();
        self.played = Some(played);
        self.print(shutdown, &last).await?;
        if self.open.is_empty() {
            self.prompt().await;
        }
        Ok(Next::Continue)
    }

    async fn print(&self, shutdown: &Shutdown, event: &Event) -> anyhow::Result<Next> {
        let text =
            if self.json { serde_json::to_string(event)? } else { render::lines(event, Screen::stdout()) };
        print_until(shutdown.asked(), text).await?;
        Ok(Next::Continue)
    }

    /// Shows a person that `dev` waits for a line. Writes on a separate thread: a paused terminal must not delay the bridge.
    async fn prompt(&self) {
        if self.is_interactive && Screen::stderr().width.is_some() {
            let write = || {
                let mut err = anstream::stderr();
                // If stderr cannot be written, there is nowhere to report it.
                let _unheard = err.write_all(b"> ").and_then(|()| err.flush());
            };
            let _unheard = tokio::task::spawn_blocking(write).await;
        }
    }
}

impl Tally {
    fn into_result(self) -> Result<(), Failure> {
        let Self { answered, unanswered, wrong_lines } = self;
        let mut wrong = Vec::new();
        if unanswered > 0 {
            wrong.push(format!(
                "{unanswered} of {} bots did not get the handler's answer",
                answered + unanswered
            ));
        }
        if wrong_lines > 0 {
            wrong.push(format!("{wrong_lines} lines were wrong and not sent"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::running(wrong.join("; "))) }
    }
}

/// The last request in full, and what its bot got, as an event.
fn data_json(played: &Played) -> Value {
    let body = played.sent.as_deref();
    let parsed = body.map(|body| serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)));
    json!({ "event": "data", "request": played.number, "sent": parsed, "completion": played.completion })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_fails_if_a_bot_or_a_line_failed() {
        let tally =
            |answered, unanswered, wrong_lines| Tally { answered, unanswered, wrong_lines }.into_result();
        assert_eq!(tally(3, 0, 0), Ok(()));
        assert_eq!(tally(0, 0, 0), Ok(()));
        let failed = |text: &str| Err(Failure::running(text.to_owned()));
        assert_eq!(tally(2, 1, 0), failed("1 of 3 bots did not get the handler's answer"));
        assert_eq!(
            tally(0, 1, 2),
            failed("1 of 1 bots did not get the handler's answer; 2 lines were wrong and not sent")
        );
    }
}
