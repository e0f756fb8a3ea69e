//! Pages while the calendar clock jumps.

use super::*;
use model::StateName;

/// The words of the page that look like negative numbers.
fn negative_numbers(html: &str) -> Vec<&str> {
    let texts = html.split('<').filter_map(|part| Some(part.split_once('>')?.1));
    let is_negative = |word: &&str| {
        word.strip_prefix('-').is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    texts.flat_map(str::split_whitespace).filter(is_negative).collect()
}

#[tokio::test]
async fn no_page_shows_a_negative_time_when_the_clock_is_set_back_or_forward() {
    let it = Fixture::new(None).await;
    it.health.ready();
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let running = it.jobs.make("echo", StateName::Running).await;
    it.health.refused("no_handler", "unknown handler".to_owned(), it.jobs.clock.now());
    let start = it.jobs.clock.now();
    let jumps = [start - Duration::from_secs(7_200), start + Duration::from_secs(864_000)];
    for now in jumps {
        it.jobs.clock.set(now);
        let jobs = [format!("/jobs/{dead}"), format!("/jobs/{running}")];
        let lists = ["/", "/jobs", "/errors", "/errors/1", "/accounts", "/handlers", "/store", "/actions"];
        for path in lists.into_iter().chain(jobs.iter().map(String::as_str)) {
            let page = [("host", "127.0.0.1:9090"), ("accept", "text/html")];
            let answer = it.call_with("GET", path, "", &page).await;
            assert_eq!(answer.status, StatusCode::OK, "{path} at {now}");
            assert_eq!(negative_numbers(&answer.text), [""; 0], "{path} at {now}: {}", answer.text);
        }
    }
}
