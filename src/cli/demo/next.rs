//! The commands that a new user can try during the demo and after it.

use std::path::Path;

/// The addresses of all parts while the demo runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses<'a> {
    /// The URL that a bot calls.
    pub(super) bridge: &'a str,
    /// The URL of the admin listener.
    pub(super) admin: &'a str,
    /// The URL of the simulator.
    pub(super) kommo: &'a str,
    /// The configuration file; the store is beside it.
    pub(super) config: &'a Path,
    /// The path or name by which this program was called.
    pub(super) program: &'a str,
}

/// The next steps after a successful demo. `program` is the path or name by which this program was called.
pub(super) fn next(program: &str) -> String {
    format!(
        "\n\nWhat to do next:\n  \
           {program} demo --keep\n    \
             keeps running and prints commands to try\n  \
           {program} simulate > bridge.toml\n    \
             simulates Kommo, and writes a configuration for it that lists the next steps\n  \
           README.md, \"Operate it\"\n    \
             sets up a bridge for your Kommo account"
    )
}

impl Addresses<'_> {
    /// The text before the bots start.
    pub(super) fn ready(&self, bots: u32) -> String {
        let Self { bridge, admin, kommo, config, .. } = self;
        format!(
            "The bridge is ready for {bots} bots.\n  \
               bridge   {bridge}\n  \
               admin    {admin}\n  \
               Kommo    {kommo} (simulated)\n  \
               config   {}\n",
            config.display()
        )
    }

    /// Commands to try while the demo keeps running.
    pub(super) fn commands(&self) -> String {
        let Self { bridge, admin, kommo, config, program } = self;
        let config = config.display();
        format!(
            "\n\nStill running, until Ctrl-C. Commands to try:\n  \
               # start a bot whose first continue meets a fault ({kommo}/simulator/ lists all faults)\n  \
               curl {kommo}/simulator/bots -H 'Content-Type: application/json' -d '{{\"url\":\"{bridge}\",\"data\":{{\"message\":\"hi\"}},\"faults\":[\"500\"]}}'\n  \
               # show the bots, the jobs and the metrics\n  \
               curl {kommo}/simulator/bots\n  \
               {program} jobs list --config {config}\n  \
               curl {admin}/metrics"
        )
    }
}
