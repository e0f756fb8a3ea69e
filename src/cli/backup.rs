//! `backup` and `restore`: copies the store into a file beside a running bridge, and puts such a file back.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use crate::bridge::Error;
use crate::config::Config;
use model::Timestamp;
use model::clock::Clock;
use store::backup::{self, Copied, Restored};
use store::{ActionKind, StoreError, StoreKind};

use super::actor::{NO_LOG, actor, not_logged, record};
use super::exit::{Failure, print};
use super::text::when;

/// The arguments of `backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write, or an existing folder, in which the file gets a name with the time. An earlier backup is
    /// replaced, another file is not
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// Delete all but the newest N backups of this store in the folder
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    keep: Option<u32>,
}

fn at_least_one(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected the number of backups to keep, at least 1".to_owned())
}

/// The arguments of `restore`.
#[derive(Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// The backup, which stays as it is
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

/// Writes a backup, and prints what it holds.
///
/// # Errors
/// The store cannot be read, the backup cannot be written, or `--keep` is given without a folder.
pub(super) async fn run(args: Args, config: &Config, now: Timestamp, json: bool) -> Result<(), Failure> {
    refuse_database("backup", "pg_dump, or your provider's backups", config)?;
    let Args { to, keep } = args;
    let is_folder = to.is_dir();
    if keep.is_some() && !is_folder {
        return Err(Failure::usage(format!(
            "--keep needs a folder, because only there each backup has a name of its own: create {}, or leave out --keep",
            to.display()
        )));
    }
    let url = config.store.url.clone();
    let (target, copied, deleted) = blocking(move || {
        let target = if is_folder { backup::name_in(&to, &url, now)? } else { to.clone() };
        let copied = backup::back_up(&url, &target, || false)?;
        let keep = keep.and_then(|keep| usize::try_from(keep).ok());
        let deleted = keep.map_or(Ok(Vec::new()), |keep| backup::keep_newest(&to, &url, keep))?;
        Ok((target, copied, deleted))
    })
    .await?;
    let Copied { jobs, unfinished, bytes } = copied;
    record(&config.store.url, Clock::system(), ActionKind::Backup, on(&target, &copied, deleted.len())).await;
    Ok(print(&if json {
        json!({ "file": target, "bytes": bytes, "jobs": jobs, "unfinished": unfinished, "deleted": deleted })
            .to_string()
    } else {
        let mut text = format!("{}: verified, {}", target.display(), held(&copied));
        deleted.iter().for_each(|path| text.push_str(&format!("\ndeleted {}", path.display())));
        text
    })?)
}

/// Replaces the store with a backup, and prints what to expect.
///
/// # Errors
/// A bridge serves the store, the file is not an undamaged backup, or a file cannot be written.
pub(super) async fn restore(
    args: RestoreArgs,
    config: &Config,
    now: Timestamp,
    json: bool,
) -> Result<(), Failure> {
    refuse_database("restore", "pg_restore, or your provider's backups", config)?;
    let (url, from) = (config.store.url.clone(), args.from.clone());
    let store = store::file::path_of(&url).map_err(Error::from)?;
    let restored = blocking(move || backup::restore(&url, &from, now, &actor())).await?;
    if !restored.is_logged {
        not_logged(ActionKind::Restore, NO_LOG);
    }
    let Copied { jobs, unfinished, bytes } = restored.copied;
    Ok(print(&if json {
        json!({ "store": store, "from": args.from, "replaced": restored.replaced, "bytes": bytes, "jobs": jobs,
                "unfinished": unfinished, "served_until": restored.served_until })
        .to_string()
    } else {
        describe(&store, &args.from, &restored, now)
    })?)
}

/// Refuses a command that works on a SQLite file if the store is a PostgreSQL database. `instead` is what to use there.
///
/// # Errors
/// The store is a PostgreSQL database. The exit status is 2.
pub(super) fn refuse_database(command: &str, instead: &str, config: &Config) -> Result<(), Failure> {
    let url = &config.store.url;
    match url.kind() {
        StoreKind::Sqlite => Ok(()),
        StoreKind::Postgres => Err(Failure::usage(format!(
            "`{command}` works only on the file of a SQLite store, and store.url names the PostgreSQL database {url}: use {instead} \
             (see docs/postgres.md)"
        ))),
    }
}

/// What the log of actions shows of a backup.
fn on(target: &Path, copied: &Copied, deleted: usize) -> String {
    let Copied { jobs, bytes, .. } = copied;
    let file = paths::absolute(target);
    let deleted = match deleted {
        0 => String::new(),
        deleted => format!(", {deleted} older deleted"),
    };
    format!("{}, verified, {bytes} bytes, {jobs} jobs{deleted}", file.display())
}

fn describe(store: &Path, from: &Path, restored: &Restored, now: Timestamp) -> String {
    let Restored { copied, replaced, served_until, .. } = restored;
    let age = served_until
        .map(|until| format!("; a bridge last served it {}", when(until, now)))
        .unwrap_or_default();
    let mut lines =
        vec![format!("{}: restored from {}, {}{age}", store.display(), from.display(), held(copied))];
    if let Some(replaced) = replaced {
        lines.push(format!(
            "the replaced store is now {}: delete it when you no longer need it",
            replaced.display()
        ));
    }
    lines.push(
        "the bridge does not know what happened after the backup: it lost the requests since, and it continues again \
         the bots whose jobs finished since"
            .to_owned(),
    );
    lines.push(
        "an account that was connected with a link may need `accounts authorize`, because Kommo replaces its tokens daily; \
         `doctor` says which"
            .to_owned(),
    );
    lines.join("\n")
}

fn held(copied: &Copied) -> String {
    let Copied { jobs, unfinished, bytes } = copied;
    format!("{jobs} jobs, {unfinished} of them unfinished, {} kB", bytes / 1_000)
}

/// Runs a function that waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let ran = tokio::task::spawn_blocking(run).await.context("the command failed")?;
    Ok(ran.map_err(Error::from)?)
}
