//! `GET /api/v1/history`: the numbers of the charts.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use crate::history::{Series, UnknownSeries, UnknownWindow, Window};
use crate::problem::ProblemDetails;

use super::refusal::short;
use super::{Shared, refusal};

/// An invalid parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHistoryParameter {
    #[error("unknown parameter `{0}` (expected one of: series, window)")]
    Unknown(String),
    #[error("`{0}` occurs more than once")]
    Twice(&'static str),
    #[error(transparent)]
    Series(#[from] UnknownSeries),
    #[error("`window` cannot be `{value}`: {source}")]
    Window { value: String, source: UnknownWindow },
}

/// `GET /api/v1/history`
pub(super) async fn history(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemDetails> {
    let (window, series) =
        parse(query.as_deref().unwrap_or_default()).map_err(|error| refusal::of_parameter(&error))?;
    Ok(Json(shared.history.view(window, &series, shared.clock.now())).into_response())
}

/// Parses the query. An empty or absent value means an hour, and all series.
fn parse(query: &str) -> Result<(Window, Vec<Series>), BadHistoryParameter> {
    let (mut window, mut series) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "window" if window.is_some() => return Err(BadHistoryParameter::Twice("window")),
            "series" if series.is_some() => return Err(BadHistoryParameter::Twice("series")),
            "window" if value.is_empty() => window = Some(Window::default()),
            "window" => {
                let parsed = value.parse();
                window = Some(
                    parsed.map_err(|source| BadHistoryParameter::Window { value: short(&value), source })?,
                );
            }
            "series" if value.is_empty() => series = Some(Series::ALL.to_vec()),
            "series" => series = Some(value.split(',').map(str::parse).collect::<Result<_, _>>()?),
            _ => return Err(BadHistoryParameter::Unknown(short(&name))),
        }
    }
    Ok((window.unwrap_or_default(), series.unwrap_or_else(|| Series::ALL.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_and_the_series_are_parsed() {
        let all = Series::ALL.to_vec();
        for (query, expected) in [
            ("", (Window::Hour, all.clone())),
            ("series=&window=", (Window::Hour, all.clone())),
            ("window=24h", (Window::Day, all)),
            ("series=dead,p99_ms&window=5m", (Window::FiveMinutes, vec![Series::Dead, Series::P99Ms])),
            ("series=requests%2Ccontinues", (Window::Hour, vec![Series::Requests, Series::Continues])),
        ] {
            assert_eq!(parse(query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn invalid_parameters_are_named() {
        for (query, expected) in [
            ("last=1h", "unknown parameter `last` (expected one of: series, window)"),
            ("window=1h&window=1h", "`window` occurs more than once"),
            ("series=dead&series=dead", "`series` occurs more than once"),
            ("window=2h", "`window` cannot be `2h`: expected one of: 5m, 1h, 24h, 14d"),
            (
                "series=dead,alive",
                "unknown series `alive` (expected some of: requests, continues, by_handler",
            ),
        ] {
            let error = parse(query).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
