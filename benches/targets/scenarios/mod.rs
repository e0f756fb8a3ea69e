//! The scenarios, one file each. Each produces one or more rows of the table.

mod accounts;
mod backlog;
mod full_loop;
mod growth;
mod history;
mod http_handler;
mod idle;
mod instructions;
mod open_loop;
mod operate;
mod paused;
mod start;
mod stuck;
mod unconnected;

use std::pin::Pin;

use super::Result;
use super::figure::Figure;
use super::rig::Rig;

type Run = for<'a> fn(&'a Rig) -> Pin<Box<dyn Future<Output = Result<Vec<Figure>>> + 'a>>;

/// All scenarios with their names, in the order in which they run.
pub const ALL: &[(&str, Run)] = &[
    ("full-loop", |rig| Box::pin(full_loop::run(rig))),
    ("open-loop", |rig| Box::pin(open_loop::run(rig))),
    ("http-handler", |rig| Box::pin(http_handler::run(rig))),
    ("stuck", |rig| Box::pin(stuck::run(rig))),
    ("instructions", |rig| Box::pin(instructions::run(rig))),
    ("history", |rig| Box::pin(history::run(rig))),
    ("operate", |rig| Box::pin(operate::run(rig))),
    ("accounts", |rig| Box::pin(accounts::run(rig))),
    ("unconnected", |rig| Box::pin(unconnected::run(rig))),
    ("backlog", |rig| Box::pin(backlog::run(rig))),
    ("paused", |rig| Box::pin(paused::run(rig))),
    ("idle", |rig| Box::pin(idle::run(rig))),
    ("start", |rig| Box::pin(start::run(rig))),
    ("growth", |rig| Box::pin(growth::run(rig))),
];
