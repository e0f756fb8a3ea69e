//! `GET /api/v1/history`: the numbers of the charts.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use utoipa::PartialSchema;
use utoipa::openapi::schema::ArrayBuilder;

use crate::history::{HistoryView, Series, Window};

use super::Shared;
use super::document::tag;
use super::query::{BadParameter, Given, Parameter, Params, Query};
use super::responses::QueryErrors;

/// The query: an hour and all series, unless the caller names others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HistoryQuery {
    window: Window,
    series: Vec<Series>,
}

impl Query for HistoryQuery {
    fn parameters() -> Vec<Parameter> {
        let series = ArrayBuilder::new().items(Series::schema());
        vec![
            Parameter::new("series", "The lines to return, with commas. By default all of them.", series)
                .list(),
            Parameter::new("window", "The time that the values cover. By default an hour.", Window::schema()),
        ]
    }

    fn read(given: &Given<'_>) -> Result<Self, BadParameter> {
        let series = |text: &str| text.split(',').map(str::parse).collect::<Result<Vec<Series>, _>>();
        Ok(Self {
            window: given.parsed("window", str::parse)?.unwrap_or_default(),
            series: given.parsed("series", series)?.unwrap_or_else(|| Series::ALL.to_vec()),
        })
    }
}

/// Returns numbers for charts
///
/// One value of each series for each period of a window, oldest first, and one for the whole window.
#[utoipa::path(get, path = "/api/v1/history", tag = tag::STATE, operation_id = "getHistory", params(Params<HistoryQuery>),
    responses((status = 200, description = "The numbers.", body = HistoryView), QueryErrors))]
pub(super) async fn history(
    State(shared): State<Shared>,
    Params(HistoryQuery { window, series }): Params<HistoryQuery>,
) -> Response {
    Json(shared.history.view(window, &series, shared.clock.now())).into_response()
}

#[cfg(test)]
mod tests {
    use super::super::query::parse;
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
            let (window, series) = expected;
            assert_eq!(parse(query), Ok(HistoryQuery { window, series }), "{query}");
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
                "`series` cannot be `dead,alive`: unknown series `alive` (expected some of: requests, continues, by_handler",
            ),
        ] {
            let error = parse::<HistoryQuery>(query).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
