//! Checks the scheduled backups: the age of the newest one, and whether the running bridge failed to write one.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::cli::health;
use crate::cli::text::{span, when};
use crate::config::Config;
use model::Timestamp;
use store::backup::newest_in;

use super::check::Check;

/// Checks the folder of the configuration; `None` if none is configured.
pub(super) async fn check(config: &Config, now: Timestamp) -> Option<Check> {
    let folder = config.store.backup_folder.as_deref()?;
    let newest = newest_in(folder, &config.store.url).ok().flatten();
    let ready = health::ready(config).await.unwrap_or_default();
    Some(decide(folder, newest, has_failed(&ready), config.store.backup_every, now))
}

/// Whether the body of `/health/ready` reports a failed backup.
fn has_failed(ready: &Value) -> bool {
    let degraded = ready["degraded"].as_array().into_iter().flatten();
    degraded.filter_map(Value::as_str).any(|text| text.contains("`backup`"))
}

fn decide(
    folder: &Path,
    newest: Option<Timestamp>,
    has_failed: bool,
    every: Duration,
    now: Timestamp,
) -> Check {
    let folder = folder.display();
    let todo = "see `a backup failed` in the log of `serve`; try it with `backup`, which says what is wrong";
    match newest {
        _ if has_failed => Check::failed("backups", format!("the last backup into {folder} failed"), todo),
        None => Check::warning(
            "backups",
            format!("no backup of this store found in {folder}"),
            "run `serve`, which writes one at once, or `backup`",
        ),
        Some(newest) if now.since(newest) > every * 2 => Check::warning(
            "backups",
            format!(
                "the newest backup in {folder} was written {}, and store.backup_every is {}",
                when(newest, now),
                span(every)
            ),
            todo,
        ),
        Some(newest) => {
            Check::ok("backups", format!("the newest one in {folder} was written {}", when(newest, now)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn an_old_missing_or_failed_backup_is_reported() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        for (newest, has_failed, outcome) in [
            (Some(now - hours(48)), false, Outcome::Ok),
            (Some(now - hours(49)), false, Outcome::Warning),
            (None, false, Outcome::Warning),
            (Some(now), true, Outcome::Failed),
        ] {
            let check = decide(Path::new("backups"), newest, has_failed, hours(24), now);
            assert_eq!(check.outcome(), outcome, "{check:?}");
        }
        let body = json!({ "degraded": ["the background task `backup` failed (x)"] });
        assert!(has_failed(&body) && !has_failed(&json!({})) && !has_failed(&Value::Null));
    }
}
