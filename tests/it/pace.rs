//! The pace of the sender: never faster than an account's limits, and fair to all accounts.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use simulator::{Bot, Call, Fault, Options, Simulator};

use crate::bridge::TestBridge;
use crate::played::{account, bot, continued, kommo, manual_clock, one_more_continued, playing};
use crate::setup::Setup;

async fn ask_all(bridge: &TestBridge, bots: &[Bot]) {
    join_all(bots.iter().map(|bot| bridge.ask(bot, "echo"))).await;
}

fn bots(kommo: &Simulator, count: usize) -> Vec<Bot> {
    (0..count).map(|_| bot(kommo)).collect()
}

/// The maximum number of calls in any second.
fn busiest_second(calls: &[Call]) -> usize {
    let mut instants: Vec<_> = calls.iter().map(|call| call.instant).collect();
    instants.sort();
    let within = |first: usize| {
        instants[first..].iter().take_while(|at| **at - instants[first] < Duration::from_secs(1)).count()
    };
    (0..instants.len()).map(within).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_has_more_calls_than_the_rate() {
    for (rate, count) in [(7, 20), (20, 60)] {
        // Kommo answers 429 to any call above the rate.
        let kommo = playing(Options { rate_limit: Some(rate), ..Options::default() }).await;
        let config = format!("delivery.rate_per_account = {rate}");
        let bridge = Setup::with(&[&kommo]).config(&config).start().await;
        let bots = bots(&kommo, count);
        let start = Instant::now();
        ask_all(&bridge, &bots).await;
        for bot in &bots {
            continued(bot).await;
        }
        let took = start.elapsed();
        let calls = kommo.calls();
        let rate = usize::try_from(rate).unwrap();
        assert!(busiest_second(&calls) <= rate, "{} in a second at rate {rate}", busiest_second(&calls));
        assert_eq!(calls.len(), count, "Kommo was asked too fast, or twice");
        // Three windows of a little more than a second. Only the calls of the first go out at once.
        let windows = u32::try_from(count.div_ceil(rate)).unwrap();
        assert!(took > Duration::from_secs(1) * (windows - 1), "{took:?}");
        assert!(took < Duration::from_secs(1) * (windows + 4), "the rate is not used up: {took:?}");
        bridge.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_count_towards_the_same_rate() {
    let kommo = kommo().await;
    let config = "delivery.rate_per_account = 10";
    let bridge = Setup::with(&[&kommo]).config(config).start().await;
    let bots: Vec<Bot> = (0..10)
        .map(|_| crate::played::with_faults(&kommo, [Fault::Status(500), Fault::Status(503)]))
        .collect();
    ask_all(&bridge, &bots).await;
    for bot in &bots {
        continued(bot).await;
    }
    assert!(busiest_second(&kommo.calls()) <= 10, "{} in a second", busiest_second(&kommo.calls()));
    assert_eq!(kommo.calls().len(), 30);
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_total_rate_holds_for_all_accounts_together() {
    let (kommo, other) = (kommo().await, account(2).await);
    let config = "delivery.rate_total = 6";
    let bridge = Setup::with(&[&kommo, &other]).config(config).start().await;
    let all = [bots(&kommo, 6), bots(&other, 6)].concat();
    ask_all(&bridge, &all).await;
    for bot in &all {
        continued(bot).await;
    }
    let calls = [kommo.calls(), other.calls()].concat();
    assert!(busiest_second(&calls) <= 6, "{} in a second", busiest_second(&calls));
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_has_its_own_rate() {
    let (kommo, other) = (kommo().await, account(2).await);
    let clock = manual_clock();
    let config = "delivery.rate_per_account = 5";
    // The clock is manual, so everything that goes out does so in the first window.
    let bridge = Setup::with(&[&kommo, &other]).config(config).clock(clock.clock()).start().await;
    let all = [bots(&kommo, 5), bots(&other, 4)].concat();
    ask_all(&bridge, &all).await;
    for bot in &all {
        continued(bot).await;
    }
    let late = bot(&kommo);
    let id = bridge.ask(&late, "echo").await;
    bridge.in_state(&id, "delivering").await;
    one_more_continued(&bridge, &other).await;
    assert_eq!((kommo.calls().len(), other.calls().len()), (5, 5));
    clock.advance(Duration::from_millis(1_100));
    continued(&late).await;
    bridge.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_account_delays_no_other() {
    let (slow, other) = (kommo().await, account(2).await);
    slow.set_outage(Some(Fault::Hang));
    let config = "delivery = { concurrency = 8, request_timeout = \"60s\" }\nworkers.grace = \"100ms\"";
    let bridge = Setup::with(&[&slow, &other]).config(config).start().await.leaves_jobs();
    ask_all(&bridge, &bots(&slow, 30)).await;
    bridge.until("calls that hang", || async { slow.calls().len() >= 4 }).await;
    let bots = bots(&other, 30);
    ask_all(&bridge, &bots).await;
    for bot in &bots {
        continued(bot).await;
    }
    assert!(slow.calls().len() < 8, "no permit is left for other accounts");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_tries_go_before_old_retries() {
    let (kommo, clock) = (kommo().await, manual_clock());
    let config = "delivery.rate_per_account = 2";
    let bridge = Setup::with(&[&kommo]).config(config).clock(clock.clock()).start().await;
    // Deliveries that have failed and are all due again …
    kommo.set_outage(Some(Fault::Status(500)));
    let old = bots(&kommo, 24);
    ask_all(&bridge, &old).await;
    // Advance only as fast as the calls come: the clock must not outrun the tokens.
    let window = async || {
        let calls = kommo.calls().len();
        clock.advance(Duration::from_millis(1_100));
        bridge.until("the next calls", || async { kommo.calls().len() >= calls + 2 }).await;
    };
    while old.iter().any(|bot| bot.report().attempts == 0) {
        window().await;
    }
    kommo.set_outage(None);
    let before = kommo.calls().len();
    clock.advance(Duration::from_secs(60));
    bridge.until("the next calls", || async { kommo.calls().len() == before + 2 }).await;
    // … and one that comes when the rate is used up.
    let fresh = bot(&kommo);
    let id = bridge.ask(&fresh, "echo").await;
    bridge.in_state(&id, "delivering").await;
    let mut windows = 0;
    while fresh.continues().is_empty() {
        // Behind all others it would take eleven windows. Some retries may go first.
        windows += 1;
        assert!(windows <= 7, "the first try waits behind the retries");
        window().await;
    }
    let all_done = || old.iter().all(|bot| bot.report().is_done());
    while !all_done() {
        let calls = kommo.calls().len();
        clock.advance(Duration::from_millis(1_100));
        bridge.until("the next calls", || async { kommo.calls().len() >= calls + 2 || all_done() }).await;
    }
    bridge.settled().await;
}
