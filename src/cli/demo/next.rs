//! What a newcomer can do with the demo, and after it.

use std::path::Path;

/// Where everything is while the demo runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses<'a> {
    /// What a bot asks.
    pub(super) bridge: &'a str,
    /// The admin listener.
    pub(super) admin: &'a str,
    /// The simulator.
    pub(super) kommo: &'a str,
    /// The configuration file; the store is beside it.
    pub(super) config: &'a Path,
    /// How this program was called.
    pub(super) program: &'a str,
}

/// What to do after a demo that went well. `program` is how it was called.
pub(super) fn next(program: &str) -> String {
    format!(
        "\n\nWhat to do next:\n  \
           {program} demo --keep\n    \
             stays up and prints commands to try by hand\n  \
           {program} simulate > bridge.toml\n    \
             writes a first configuration and plays Kommo for it; its comments say how to go on\n  \
           README.md, \"Operate it\"\n    \
             a bridge for your account at Kommo"
    )
}

impl Addresses<'_> {
    /// Said before the bots are played.
    pub(super) fn ready(&self, bots: u32) -> String {
        let Self { bridge, admin, kommo, config, .. } = self;
        format!(
            "The bridge is ready; {bots} bots are played.\n  \
               bridge   {bridge}\n  \
               admin    {admin}\n  \
               Kommo    {kommo} (played)\n  \
               config   {}\n",
            config.display()
        )
    }

    /// Commands to try, after a demo that stays up.
    pub(super) fn commands(&self) -> String {
        let Self { bridge, admin, kommo, config, program } = self;
        let config = config.display();
        format!(
            "\n\nStill running, until Ctrl-C. What to try:\n  \
               # start a bot, whose first continue meets a fault; {kommo}/simulator/ lists them\n  \
               curl {kommo}/simulator/bots --json '{{\"url\":\"{bridge}\",\"data\":{{\"message\":\"hi\"}},\"faults\":[\"500\"]}}'\n  \
               # see the bots, the jobs, the numbers\n  \
               curl {kommo}/simulator/bots\n  \
               {program} jobs list --config {config}\n  \
               curl {admin}/metrics"
        )
    }
}
