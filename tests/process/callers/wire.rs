//! Tests with smuggled requests, malformed requests, and many requests on one connection.

use simulator::Simulator;

use super::shapes::{self, May};
use super::{bot, ends_well, heard, is_served, jobs, open, request, simulator, statuses};
use crate::home::Home;
use crate::serve::Serve;

/// A bridge that closes a connection after half a second of silence, and its simulator.
async fn hasty() -> (Simulator, Home, Serve) {
    let simulator = simulator().await;
    let home = Home::new(&simulator, "server.read_timeout = \"500ms\"");
    let serve = home.serve();
    (simulator, home, serve)
}

fn check(what: &str, may: May, heard: &str) {
    let got = statuses(heard);
    let fits = match may {
        May::BeRefused => got.len() <= 1 && got.iter().all(|status| (400..500).contains(status)),
        May::Get(expected) => got == expected,
        May::BeAcceptedOrRefused => {
            got.len() <= 1 && got.iter().all(|status| *status == 200 || (400..500).contains(status))
        }
    };
    assert!(fits, "{what} may {may:?}, but got {got:?}: {heard}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_smuggled_in_behind_an_ambiguous_one() {
    let (simulator, _home, serve) = hasty().await;
    let (first, hidden) = (bot(&simulator), bot(&simulator));
    let behind = request(&hidden, &serve, "");
    let rows = shapes::refused_heads().into_iter().chain(shapes::bodies(&first, &serve));
    let opened: Vec<_> = rows
        .map(|(what, bytes, may)| (what, open(serve.public, &[bytes, behind.clone()].concat()), may))
        .collect();
    for (what, stream, may) in opened {
        check(what, may, &heard(stream));
        is_served(&simulator, &serve).await;
    }
    serve.settled().await;
    assert!(hidden.continues().is_empty(), "the smuggled request was accepted");
    ends_well(serve);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_requests_are_accepted_or_refused_without_harm_to_others() {
    let (simulator, _home, serve) = hasty().await;
    let first = bot(&simulator);
    let opened: Vec<_> = shapes::odd(&first, &serve)
        .into_iter()
        .map(|(what, bytes, may)| (what, open(serve.public, &bytes), may))
        .collect();
    for (what, stream, may) in opened {
        check(what, may, &heard(stream));
        is_served(&simulator, &serve).await;
    }
    ends_well(serve);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let (simulator, _home, serve) = hasty().await;
    let bots: Vec<_> = (0..30).map(|_| bot(&simulator)).collect();
    let mut bytes = Vec::new();
    for bot in &bots {
        bytes.extend(request(bot, &serve, ""));
        bytes.extend_from_slice(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let heard = heard(open(serve.public, &bytes));
    assert_eq!(statuses(&heard), [200, 404].repeat(bots.len()));
    // Each job belongs to the bot whose request came in that position.
    let ids = heard.split("\"job_id\":\"").skip(1).map(|rest| &rest[..36]);
    for (id, bot) in ids.zip(&bots) {
        let (_, job) = serve.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(job["return_url"], bot.return_url());
        bot.continued().await;
    }
    assert_eq!(jobs(&serve).await, 30);
    ends_well(serve);
}
