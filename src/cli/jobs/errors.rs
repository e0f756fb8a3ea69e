//! `jobs errors` and `jobs retry --error-group`: errors of jobs in groups.

use std::io::Write;

use serde_json::json;

use crate::admin::{ErrorGroupView, RetriedView};
use crate::cli::jobs_text::{self, field};
use crate::cli::table::{Column, Table};
use crate::cli::text::{clean, span, when};
use model::{JobId, Timestamp};
use store::ErrorGroup;

use super::{Screen, Session};

/// The bars of a sparkline, from low to high.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl<W: Write> Session<'_, W> {
    pub(super) async fn errors(&mut self, group: Option<i64>) -> anyhow::Result<()> {
        let now = self.clock.now();
        let Some(id) = group else {
            let groups = self.store.errors().groups().await?;
            let text = list(&groups, now, self.screen);
            let groups: Vec<ErrorGroupView> = groups.into_iter().map(ErrorGroupView::from).collect();
            return self.print(json!({ "errors": groups }), || text);
        };
        let group = self.store.errors().group(id).await?.ok_or_else(|| no_group(id))?;
        let text = one(&group, now, self.screen);
        self.print(json!(ErrorGroupView::from(group)), || text)
    }

    pub(super) async fn retry_group(&mut self, id: i64, force: bool) -> anyhow::Result<()> {
        self.store.errors().group(id).await?.ok_or_else(|| no_group(id))?;
        let done = self.operator.retry_group(id, force).await?;
        let json = json!(RetriedView::from(done));
        self.print(json, || jobs_text::retried(done))
    }
}

fn no_group(id: i64) -> anyhow::Error {
    anyhow::anyhow!(
        "error group {id} not found: `jobs errors` lists the groups, which expire store.retention after their last error"
    )
}

/// The handler whose attempts failed, or the stage.
fn place(group: &ErrorGroup) -> String {
    group.handler.as_ref().map_or_else(|| group.stage.as_str().to_owned(), ToString::to_string)
}

fn list(groups: &[ErrorGroup], now: Timestamp, screen: Screen) -> String {
    if groups.is_empty() {
        return "No errors.\n".to_owned();
    }
    let mut table = Table::new([
        Column::new("GROUP").right(),
        Column::new("ERRORS").right(),
        Column::new("LAST DAY").spare(1),
        Column::new("LAST").right(),
        Column::new("WHERE"),
        Column::new("JOB").spare(2),
        Column::new("ERROR").cut(16),
    ]);
    for group in groups {
        let digits = if screen.width.is_some() { JobId::SHORT_DIGITS } else { usize::MAX };
        table.row([
            group.id.to_string().into(),
            group.failures.to_string().into(),
            sparkline(&group.last_day).into(),
            span(now.since(group.last_at)).into(),
            place(group).into(),
            group.sample.short(digits).into(),
            clean(&group.text).into(),
        ]);
    }
    format!("{}\n", table.render(screen))
}

fn one(group: &ErrorGroup, now: Timestamp, screen: Screen) -> String {
    let both = |moment: Timestamp| format!("{moment} ({})", when(moment, now));
    let id = group.id;
    [
        ("group", id.to_string()),
        ("where", place(group)),
        ("error", clean(&group.text)),
        ("errors", group.failures.to_string()),
        ("first", both(group.first_at)),
        ("last", both(group.last_at)),
        ("last day", sparkline(&group.last_day)),
        ("last job", group.sample.to_string()),
        ("what to do", format!("`jobs explain {}` explains the last job; `jobs retry --error-group {id}` delivers its dead jobs again", group.sample.shortened())),
    ]
    .iter()
    .map(|(name, value)| field(name, value, screen.width))
    .collect()
}

/// The numbers as bars; a dot is 0.
fn sparkline(numbers: &[u64]) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0);
    let bar = |number: &u64| match number {
        0 => '·',
        number => {
            let height = number.saturating_mul(BARS.len() as u64).div_ceil(most.max(1));
            let place = usize::try_from(height).unwrap_or(1).clamp(1, BARS.len()) - 1;
            BARS.get(place).copied().unwrap_or('█')
        }
    };
    numbers.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_has_a_bar_for_each_number() {
        for (numbers, expected) in
            [(&[][..], ""), (&[0, 0], "··"), (&[1, 0, 8, 4], "▁·█▄"), (&[5], "█"), (&[1, 1_000_000], "▁█")]
        {
            assert_eq!(sparkline(numbers), expected);
        }
    }
}
