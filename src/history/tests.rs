//! The history from the totals to a chart, and across a restart.

use std::time::Duration;

use tempfile::TempDir;

use super::sampler::Sampler;
use super::series::UnknownWindow;
use super::*;
use crate::meters::Totals;
use model::clock::ManualClock;
use store::Role;

/// A multiple of 15 minutes.
const START: i64 = 1_700_000_100_000;

struct Home {
    totals: Totals,
    clock: ManualClock,
    url: String,
    _folder: TempDir,
}

impl Home {
    fn new() -> Self {
        test_log::prepare();
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bridge.db").display());
        let clock = ManualClock::new(Timestamp::from_millis(START));
        Self { totals: Totals::default(), clock, url, _folder: folder }
    }

    async fn store(&self) -> Store {
        Store::open(&self.url, Role::Owner, self.clock.clock()).await.unwrap()
    }

    fn sampler(&self, history: &History, store: &Store) -> Sampler {
        let (totals, store, clock) = (self.totals.clone(), store.clone(), self.clock.clock());
        Sampler::new(history.clone(), HistorySources { totals, store, clock })
    }

    fn view(&self, history: &History, window: Window) -> HistoryView {
        history.view(window, &Series::ALL, self.clock.now())
    }
}

#[tokio::test]
async fn a_chart_shows_each_period_and_the_whole_window() {
    let (home, history) = (Home::new(), History::default());
    let store = home.store().await;
    let mut sampler = home.sampler(&history, &store);
    for requests in [3, 0, 5] {
        for _ in 0..requests {
            home.totals.request();
            home.totals.delivered(false, Duration::from_millis(80));
        }
        home.totals.delivered(true, Duration::from_secs(9));
        home.clock.advance(SAMPLE_INTERVAL);
        sampler.sample().await;
    }
    home.totals.dead();
    let view = home.view(&history, Window::FiveMinutes);
    assert_eq!((view.step_seconds, view.series["requests"].len()), (5, 60));
    assert_eq!(view.until, Timestamp::from_millis(START + 15_000));
    assert_eq!(view.from, Timestamp::from_millis(START + 15_000 - 300_000));
    let last = |series: &str| view.series[series][56..].to_vec();
    assert_eq!(last("requests"), [None, Some(3), Some(0), Some(5)], "no bridge ran before");
    assert_eq!(last("continues"), [None, Some(4), Some(1), Some(6)]);
    assert_eq!(last("by_fallback"), [None, Some(1), Some(1), Some(1)]);
    assert_eq!(last("dead"), [None, Some(0), Some(0), Some(0)], "it died after the last sample");
    assert_eq!((view.total["requests"], view.total["continues"]), (Some(8), Some(11)));
    let (p50, p99) = (view.total["p50_ms"].unwrap(), view.total["p99_ms"].unwrap());
    assert!((70..=100).contains(&p50) && (7_000..=10_000).contains(&p99), "{p50} {p99}");
    let day = home.view(&history, Window::Day);
    assert_eq!((day.step_seconds, day.series["requests"].len()), (60, 1_440));
    assert_eq!((day.series["requests"].last().copied().flatten(), day.total["dead"]), (Some(8), Some(0)));
    assert_eq!(home.view(&history, Window::TwoWeeks).total["continues"], Some(11));
}

#[tokio::test]
async fn an_empty_history_has_no_numbers() {
    let (home, history) = (Home::new(), History::default());
    let view = home.view(&history, Window::Hour);
    assert!(view.series.values().all(|values| values.len() == 720 && values.iter().all(Option::is_none)));
    assert!(view.total.values().all(Option::is_none));
}

#[tokio::test]
async fn a_restart_keeps_the_charts_and_continues_the_current_period() {
    let home = Home::new();
    let store = home.store().await;
    let history = History::default();
    let mut sampler = home.sampler(&history, &store);
    for _ in 0..400 {
        home.totals.request();
        home.totals.delivered(false, Duration::from_millis(80));
        home.clock.advance(SAMPLE_INTERVAL);
        sampler.sample().await;
    }
    history.save(&store).await.unwrap();
    let before = [Window::FiveMinutes, Window::Hour, Window::Day, Window::TwoWeeks]
        .map(|window| home.view(&history, window));
    store.close().await;

    let store = home.store().await;
    let restored = History::default();
    restored.restore(&store).await;
    for view in before {
        assert_eq!(home.view(&restored, view.window), view);
    }
    let mut sampler = home.sampler(&restored, &store);
    home.totals.request();
    home.clock.advance(SAMPLE_INTERVAL);
    sampler.sample().await;
    assert_eq!(home.view(&restored, Window::TwoWeeks).total["requests"], Some(401));
    assert_eq!(home.view(&restored, Window::Hour).total["requests"], Some(401));
}

#[tokio::test]
async fn each_save_writes_only_what_has_changed() {
    let home = Home::new();
    let store = home.store().await;
    let history = History::default();
    let mut sampler = home.sampler(&history, &store);
    for _ in 0..1_000 {
        home.clock.advance(SAMPLE_INTERVAL);
        sampler.sample().await;
    }
    history.save(&store).await.unwrap();
    let saved = store.maintenance().history().await.unwrap();
    let of = |step| saved.iter().filter(|point| point.step_seconds == step).count();
    assert_eq!((of(5), of(60), of(900)), (720, 84, 6));
    home.clock.advance(SAMPLE_INTERVAL);
    sampler.sample().await;
    let unsaved: usize = history.state().rings.iter().map(|ring| ring.unsaved().count()).sum();
    assert_eq!(unsaved, 2 + 1 + 1);
    history.save(&store).await.unwrap();
    assert_eq!(store.maintenance().history().await.unwrap().len(), saved.len());
}

#[tokio::test]
async fn a_damaged_period_is_omitted_and_reported() {
    let home = Home::new();
    let store = home.store().await;
    let slot = START / 5_000;
    let point = |slot, point: &str| HistoryPoint { step_seconds: 5, slot, point: point.into() };
    let points = vec![point(slot - 1, "{\"requests\":3,\"new\":1}"), point(slot, "[]]")];
    let kept = vec![KeptHistory { step_seconds: 5, first: 0, last: slot }];
    store.maintenance().save_history(points, kept).await.unwrap();
    let log = test_log::collect(tracing::Level::WARN);
    let history = History::default();
    history.restore(&store).await;
    home.clock.advance(SAMPLE_INTERVAL);
    assert_eq!(home.view(&history, Window::Hour).total["requests"], Some(3));
    assert!(log.text().contains("some periods of the history cannot be read"), "{}", log.text());
}

#[test]
fn full_rings_take_less_than_a_megabyte() {
    let rings = History::default().state().rings.iter().map(|ring| ring.step_seconds()).collect::<Vec<_>>();
    assert_eq!(rings, [5, 60, 900]);
    let periods = 720 + 1_440 + 1_344;
    let bytes = periods * std::mem::size_of::<(i64, Point)>();
    assert!(bytes < 1_000_000, "{bytes}");
}

#[test]
fn every_series_and_window_is_read_by_its_name() {
    for series in Series::ALL {
        assert_eq!(series.as_str().parse(), Ok(series));
    }
    let error = "p5".parse::<Series>().unwrap_err().to_string();
    assert!(error.starts_with("unknown series `p5` (expected some of: requests, continues"), "{error}");
    assert_eq!("2d".parse::<Window>(), Err(UnknownWindow));
}
