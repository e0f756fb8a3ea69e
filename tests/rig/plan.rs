//! The plan of a generation, as a pure function of its seed.

use std::time::Duration;

use serde_json::json;
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
    /// Calls `work`, otherwise `echo`. The plain program only has `echo`.
    pub work: bool,
    pub ms: u64,
    pub fails: u32,
    pub faults: Vec<Fault>,
    /// Calls again in a later life if it got no 200.
    pub persists: bool,
    /// Calls again in a later life even after a 200, as Kommo was seen to do.
    pub repeats: bool,
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
    BotPlan {
        work: program == Program::Own && random.u8(0..3) > 0,
        ms: random.u64(0..60),
        fails: random.u32(0..12).saturating_sub(9),
        faults,
        persists: random.u8(0..10) < 7,
        repeats: random.u8(0..20) == 0,
    }
}

impl BotPlan {
    pub fn handler(&self) -> &'static str {
        if self.work { "work" } else { "echo" }
    }

    /// The plan for the simulator. `number` comes back in the continue.
    pub fn plan(&self, number: usize) -> Plan {
        let Self { ms, fails, .. } = self;
        let data = json!({ "n": number.to_string(), "ms": ms.to_string(), "fails": fails.to_string() });
        Plan::with_data(data).faults(self.faults.clone())
    }
}
