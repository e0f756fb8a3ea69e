//! A bridge with an additional handler, `hang`, which never completes.

use std::process::ExitCode;

use salesbot_bridge::prelude::*;

struct Hang;

impl Handler for Hang {
    type Input = serde_json::Value;

    async fn handle(&self, _: Request<Self::Input>, _: Context) -> Result<Completion, HandlerError> {
        std::future::pending().await
    }
}

/// The command line of the bridge.
pub fn main() -> ExitCode {
    salesbot_bridge::cli::main(|bridge| bridge.handler("hang", Hang))
}
