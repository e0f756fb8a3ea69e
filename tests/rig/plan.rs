//! The plan of a generation, as a pure function of its seed.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Fault, Plan};

/// The plan of one store.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    pub birth: Birth,
    pub lives: Vec<Life>,
}

/// The store that the first life finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// No store.
    Empty,
    /// A store with only the first migration, and queued jobs.
    Old { jobs: usize },
}

/// One process, from its start to its kill.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    pub program: Program,
    pub bots: Vec<BotPlan>,
    pub end: End,
}

/// The program that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `salesbot-bridge` as it is shipped.
    Plain,
    /// The same with the handlers of [`super::handlers`], which are slow and ask for retries.
    Own,
}

/// The time of the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This long after the start of the process, whether it is ready or not.
    Start(Duration),
    /// `then` after `answers` bots have got an answer.
    Load { answers: usize, then: Duration },
}

/// One bot: its request, and the faults of its continues.
#[derive(Clone, Debug, PartialEq)]
pub struct BotPlan {
    pub handler: BotHandler,
    /// How long the handler works. A callback with a completion comes after [`CALLBACK_DELAY`] times as much.
    pub ms: u64,
    /// How many attempts fail first.
    pub fails: u32,
    pub faults: Vec<Fault>,
    /// Calls again in a later life if it got no 200.
    pub persists: bool,
    /// Calls again in a later life even after a 200, as Kommo was seen to do.
    pub repeats: bool,
}

/// The handler that a bot calls. Only [`Program::Own`] has `Work` and `Old`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BotHandler {
    Echo,
    /// [`super::handlers::Work`].
    Work,
    /// The same under the name that the jobs of the first version have. No bot calls it.
    Old,
    /// [`super::service`], over HTTP.
    Http(HttpAnswer),
}

/// How much longer a callback takes than an answer, so that kills find jobs that await one.
pub const CALLBACK_DELAY: u32 = 25;

/// How the service answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpAnswer {
    /// In the response, at once.
    AtOnce,
    /// In the response, after `ms`.
    Slow,
    /// 202, and a callback later.
    Later,
    /// A callback, and then 202.
    Overtaking,
    /// 500 for the first `fails` attempts, and then as `AtOnce`.
    FailingFirst,
    /// 202 and a callback with an error, for the first `fails` attempts, and then as `Later`.
    ErrorFirst,
}

impl HttpAnswer {
    pub const ALL: [Self; 6] =
        [Self::AtOnce, Self::Slow, Self::Later, Self::Overtaking, Self::FailingFirst, Self::ErrorFirst];

    /// The name in the bot's data, from which the service learns what to do.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Slow => "slow",
            Self::Later => "later",
            Self::Overtaking => "overtaking",
            Self::FailingFirst => "failing_first",
            Self::ErrorFirst => "error_first",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.name() == name)
    }

    /// Whether its first attempts fail. No other is ever tried again.
    pub const fn has_failures(self) -> bool {
        matches!(self, Self::FailingFirst | Self::ErrorFirst)
    }
}

/// The number of lives at the beginning that are killed while the store is created or migrated.
const BIRTH_LIVES: usize = 3;

impl Generation {
    pub fn new(seed: u64, kills: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let birth = match seed.is_multiple_of(2) {
            true => Birth::Empty,
            false => Birth::Old { jobs: random.usize(1..=40) },
        };
        let lives = (0..kills).map(|number| life(&mut random, number)).collect();
        Self { birth, lives }
    }
}

fn life(random: &mut fastrand::Rng, number: usize) -> Life {
    let program = if random.bool() { Program::Plain } else { Program::Own };
    let end = if number < BIRTH_LIVES {
        End::Start(Duration::from_micros(random.u64(0..40_000)))
    } else if random.u8(0..5) == 0 {
        End::Start(Duration::from_micros(random.u64(0..100_000)))
    } else {
        End::Load { answers: random.usize(0..120), then: Duration::from_micros(random.u64(0..15_000)) }
    };
    let bots = match end {
        End::Start(_) => 0,
        // Enough so that some are still calling when the kill comes.
        End::Load { answers, .. } => answers + 120,
    };
    Life { program, bots: (0..bots).map(|_| bot(random, program)).collect(), end }
}

fn bot(random: &mut fastrand::Rng, program: Program) -> BotPlan {
    let faults = match random.u16(0..600) {
        0..60 => vec![Fault::Status(500)],
        60..90 => vec![Fault::Hang],
        90..150 => vec![Fault::AnswerLost],
        150..210 => vec![Fault::Reset],
        210..240 => vec![Fault::Status(503), Fault::Status(502)],
        240..260 => vec![Fault::Reset, Fault::AnswerLost],
        // Rare, because the whole account then waits for a second, which could fill a life.
        260..262 => vec![Fault::TooManyRequests { header: Some(1), body: None }],
        _ => Vec::new(),
    };
    let handler = match random.u8(0..6) {
        0..3 => BotHandler::Http(HttpAnswer::ALL[random.usize(..HttpAnswer::ALL.len())]),
        3 => BotHandler::Echo,
        _ if program == Program::Plain => BotHandler::Echo,
        _ => BotHandler::Work,
    };
    BotPlan {
        handler,
        ms: random.u64(0..60),
        fails: match handler {
            BotHandler::Http(answer) if answer.has_failures() => random.u32(1..=2),
            _ => random.u32(0..12).saturating_sub(9),
        },
        faults,
        persists: random.u8(0..10) < 7,
        repeats: random.u8(0..20) == 0,
    }
}

impl BotPlan {
    /// The handler's name.
    pub const fn handler(&self) -> &'static str {
        match self.handler {
            BotHandler::Echo => "echo",
            BotHandler::Work => "work",
            BotHandler::Old => "old",
            BotHandler::Http(_) => "url",
        }
    }

    /// Whether `program` has the handler.
    pub fn runs_on(&self, program: Program) -> bool {
        program == Program::Own || matches!(self.handler, BotHandler::Echo | BotHandler::Http(_))
    }

    /// What bot `number` sends, and what its handler returns. Jobs of the first version have no data.
    pub fn data(&self, number: usize) -> Value {
        let Self { ms, fails, .. } = self;
        let mut data = json!({ "n": number.to_string(), "ms": ms.to_string(), "fails": fails.to_string() });
        match self.handler {
            BotHandler::Echo | BotHandler::Work => {}
            BotHandler::Old => data = json!({}),
            BotHandler::Http(answer) => data["answer"] = json!(answer.name()),
        }
        data
    }

    /// The plan of bot `number` for the simulator.
    pub fn plan(&self, number: usize) -> Plan {
        Plan::with_data(self.data(number)).faults(self.faults.clone())
    }
}
