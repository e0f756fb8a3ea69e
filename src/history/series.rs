//! What a chart shows: the series and the windows, and the numbers of a window.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::schema;
use model::Timestamp;

use super::SAMPLE_INTERVAL;
use super::point::Point;
use super::ring::Ring;

/// A line of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Requests that became jobs.
    Requests,
    /// Continues that Kommo accepted.
    Continues,
    /// Those with the handler's answer.
    ByHandler,
    /// Those with the fallback.
    ByFallback,
    /// Jobs that the sender gave up.
    Dead,
    /// The median time from receipt to continue, in milliseconds.
    P50Ms,
    /// The time from receipt to continue that 1 % of the jobs exceed, in milliseconds.
    P99Ms,
    /// The longest wait of a job for a worker or its delivery, in milliseconds.
    OldestWaitingMs,
    /// The highest number of unfinished jobs.
    Unfinished,
}

impl Series {
    /// All series.
    pub const ALL: [Self; 9] = [
        Self::Requests,
        Self::Continues,
        Self::ByHandler,
        Self::ByFallback,
        Self::Dead,
        Self::P50Ms,
        Self::P99Ms,
        Self::OldestWaitingMs,
        Self::Unfinished,
    ];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Continues => "continues",
            Self::ByHandler => "by_handler",
            Self::ByFallback => "by_fallback",
            Self::Dead => "dead",
            Self::P50Ms => "p50_ms",
            Self::P99Ms => "p99_ms",
            Self::OldestWaitingMs => "oldest_waiting_ms",
            Self::Unfinished => "unfinished",
        }
    }

    /// Its value in a period; `None` if there is none, such as the median of no jobs.
    pub(super) fn value(self, point: &Point) -> Option<u64> {
        Some(match self {
            Self::Requests => point.requests.into(),
            Self::Continues => u64::from(point.by_handler) + u64::from(point.by_fallback),
            Self::ByHandler => point.by_handler.into(),
            Self::ByFallback => point.by_fallback.into(),
            Self::Dead => point.dead.into(),
            Self::P50Ms => whole(point.times.quantile_ms(0.5)?),
            Self::P99Ms => whole(point.times.quantile_ms(0.99)?),
            Self::OldestWaitingMs => point.oldest_waiting_ms.into(),
            Self::Unfinished => point.unfinished.into(),
        })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds up to the last bucket"
)]
fn whole(ms: f64) -> u64 {
    ms.round() as u64
}

impl PartialSchema for Series {
    fn schema() -> RefOr<Schema> {
        schema::one_of("A line of a chart.", Self::ALL.map(Self::as_str))
    }
}

impl ToSchema for Series {}

/// The text names no series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown series `{name}` (expected some of: {})", Series::ALL.map(Series::as_str).join(", "))]
pub struct UnknownSeries {
    /// The text, cut if it is long.
    name: String,
}

impl FromStr for Series {
    type Err = UnknownSeries;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|series| series.as_str() == text);
        known.ok_or_else(|| UnknownSeries { name: text.chars().take(40).collect() })
    }
}

/// The time that a chart covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Window {
    /// 5 minutes in periods of 5 seconds.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// An hour in periods of 5 seconds.
    #[default]
    #[serde(rename = "1h")]
    Hour,
    /// 24 hours in periods of a minute.
    #[serde(rename = "24h")]
    Day,
    /// 14 days in periods of 15 minutes.
    #[serde(rename = "14d")]
    TwoWeeks,
}

impl Window {
    /// All windows, the shortest first.
    pub const ALL: [Self; 4] = [Self::FiveMinutes, Self::Hour, Self::Day, Self::TwoWeeks];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::TwoWeeks => "14d",
        }
    }

    /// The number of its periods.
    pub(super) const fn periods(self) -> i64 {
        match self {
            Self::FiveMinutes => 60,
            Self::Hour => 720,
            Self::Day => 1_440,
            Self::TwoWeeks => 1_344,
        }
    }
}

impl PartialSchema for Window {
    fn schema() -> RefOr<Schema> {
        schema::one_of("The time that a chart covers.", Self::ALL.map(Self::as_str))
    }
}

impl ToSchema for Window {}

/// The text names no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {}", Window::ALL.map(Window::as_str).join(", "))]
pub struct UnknownWindow;

impl FromStr for Window {
    type Err = UnknownWindow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|window| window.as_str() == text).ok_or(UnknownWindow)
    }
}

/// The numbers of a window.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HistoryView {
    /// The window.
    pub window: Window,
    /// The length of a period.
    pub step_seconds: u32,
    /// When the first period begins.
    #[schema(value_type = schema::Moment)]
    pub from: Timestamp,
    /// When the last period ends. It may still run.
    #[schema(value_type = schema::Moment)]
    pub until: Timestamp,
    /// The value of each period, oldest first; null if no bridge ran, or if there were no jobs to measure.
    #[schema(value_type = BTreeMap<Series, Vec<Option<u64>>>)]
    pub series: BTreeMap<&'static str, Vec<Option<u64>>>,
    /// The value of the whole window: the sum, the quantile over all jobs, or the maximum.
    #[schema(value_type = BTreeMap<Series, Option<u64>>)]
    pub total: BTreeMap<&'static str, Option<u64>>,
}

/// The numbers of `window`, which ends with the last sample before `now`.
pub(super) fn view(ring: &Ring, window: Window, series: &[Series], now: Timestamp) -> HistoryView {
    let last = ring.slot(now - SAMPLE_INTERVAL);
    let first = last - window.periods() + 1;
    let points: Vec<Option<&Point>> = ring.range(first, last).collect();
    let mut sum: Option<Point> = None;
    for point in points.iter().flatten() {
        sum.get_or_insert_default().merge(point);
    }
    let values = |series: &Series| {
        let values = points.iter().map(|point| point.and_then(|point| series.value(point)));
        (series.as_str(), values.collect())
    };
    let total = |series: &Series| (series.as_str(), sum.as_ref().and_then(|sum| series.value(sum)));
    HistoryView {
        window,
        step_seconds: ring.step_seconds(),
        from: ring.start(first),
        until: ring.start(last + 1),
        series: series.iter().map(values).collect(),
        total: series.iter().map(total).collect(),
    }
}
