//! salesbot-bridge

pub mod simulator;
