//! What a generation is made of: a pure function of its seed.

use std::time::Duration;

use serde_json::json;
use simulator::{Fault, Plan};

/// One store's story.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    pub birth: Birth,
    pub lives: Vec<Life>,
}

/// What the first life finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// Nothing.
    Empty,
    /// A store that knows the first migration only, with jobs that wait for a worker.
    Old { jobs: usize },
}

/// One process, from its start to its kill.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    pub program: Program,
    pub bots: Vec<BotPlan>,
    pub end: End,
}

/// Which program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `salesbot-bridge` as it is shipped.
    Plain,
    /// The same with the handlers of [`super::handlers`], which are slow and ask to be run again.
    Own,
}

/// When the kill comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// So long after the process was started, ready or not.
    Start(Duration),
    /// So long after so many bots had an answer.
    Load { answers: usize, then: Duration },
}

/// One bot: what it asks for, and what goes wrong when it is continued.
#[derive(Clone, Debug, PartialEq)]
pub struct BotPlan {
    /// Calls `work`, else `echo`. A life of the plain program takes calls of `echo` only.
    pub work: bool,
    pub ms: u64,
    pub fails: u32,
    pub faults: Vec<Fault>,
    /// Calls again in a later life, if it had no 200.
    pub persists: bool,
    /// Calls again in a later life though it had its 200, as Kommo was seen to do.
    pub repeats: bool,
}

/// Lives at the beginning that are killed while the store is made or migrated.
const BIRTH: usize = 3;

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
    let end = if number < BIRTH {
        End::Start(Duration::from_micros(random.u64(0..40_000)))
    } else if random.u8(0..5) == 0 {
        End::Start(Duration::from_micros(random.u64(0..100_000)))
    } else {
        End::Load { answers: random.usize(0..120), then: Duration::from_micros(random.u64(0..15_000)) }
    };
    let bots = match end {
        End::Start(_) => 0,
        // Enough that some still call when the kill comes.
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
        // The whole account waits for a second: more than a few would be all that a life sees.
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

    /// For the simulator. `number` comes back in the continue.
    pub fn plan(&self, number: usize) -> Plan {
        let Self { ms, fails, .. } = self;
        let data = json!({ "n": number.to_string(), "ms": ms.to_string(), "fails": fails.to_string() });
        Plan::with_data(data).faults(self.faults.clone())
    }
}
