//! The program `salesbot-bridge`: the library's command line, with the built-in handlers.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    salesbot_bridge::cli::main(|bridge| bridge)
}
