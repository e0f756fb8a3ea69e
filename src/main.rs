//! The program `salesbot-bridge`: the library's command line, with the built-in handlers.

use std::process::ExitCode;

use salesbot_bridge::cli::Program;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Program::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")).main(|bridge| bridge)
}
