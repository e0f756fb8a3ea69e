//! The page of a job.

use model::{FallbackReason, ShowData};

use super::*;

const READ_TOKEN: &str = "a-very-secret-read-token";

/// A browser, without a token or with one.
struct Browser<'a> {
    it: &'a Fixture,
    token: Option<&'a str>,
}

impl Browser<'_> {
    fn headers<'h>(&self, bearer: &'h str) -> Vec<(&'h str, &'h str)> {
        let mut headers = vec![("host", "127.0.0.1:9090"), ("accept", "text/html")];
        headers.extend(self.token.map(|_| ("authorization", bearer)));
        headers
    }

    async fn open(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token.unwrap_or_default());
        self.it.call_with("GET", path, "", &self.headers(&bearer)).await
    }

    /// Opens a page and returns it.
    async fn page(&self, path: impl std::fmt::Display) -> String {
        let answer = self.open(&path.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.text
    }

    /// Sends a form of the page of `job`.
    async fn send(&self, job: impl std::fmt::Display, what: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.open(&format!("/jobs/{job}")).await.text;
        let csrf = page.split(r#"name="csrf" value=""#).nth(1).and_then(|rest| rest.split('"').next());
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", csrf.unwrap_or_default()).extend_pairs(fields);
        let bearer = format!("Bearer {}", self.token.unwrap_or_default());
        let mut headers = self.headers(&bearer);
        headers.extend([
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "http://127.0.0.1:9090"),
        ]);
        self.it.call_with("POST", &format!("/jobs/{job}/{what}"), &form.finish(), &headers).await
    }
}

fn local(it: &Fixture) -> Browser<'_> {
    Browser { it, token: None }
}

/// The text of a page, with ordinary spaces.
fn plain(page: &str) -> String {
    page.replace('\u{a0}', " ")
}

#[tokio::test]
async fn the_page_of_each_state_answers_first_and_offers_what_is_possible() {
    let it = Fixture::new(None).await;
    for (state, sentence, offered) in [
        (StateName::Queued, "waits for a worker", &["complete", "cancel"][..]),
        (StateName::Running, "waits for its handler", &["complete", "cancel"]),
        (StateName::AwaitingCallback, "waits for a callback of its handler", &["complete", "cancel"]),
        (StateName::Delivering, "waits for its turn", &["retry", "cancel"]),
        (StateName::Delivered, "got its answer", &[]),
        (StateName::Gone, "no longer waited", &["retry"]),
        (StateName::Dead, "got no answer", &["retry"]),
        (StateName::Cancelled, "was not answered", &[]),
    ] {
        let handler = if state == StateName::Queued { "echo".to_owned() } else { format!("h-{state}") };
        let id = it.jobs.make(&handler, state).await;
        let page = local(&it).page(format!("/jobs/{id}")).await;
        let title = page.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap();
        assert!(title.contains(sentence) && title.contains("lead 7"), "{state}: {title}");
        for what in ["retry", "cancel", "complete"] {
            let is_offered = page.contains(&format!(r#"action="/jobs/{id}/{what}"#));
            assert_eq!(is_offered, offered.contains(&what), "{state}: {what}");
        }
        for part in [
            "Next:",
            "Time line",
            "give_up_after",
            "answer_within",
            "Same lead",
            "Other jobs of lead 7",
            "Facts",
        ] {
            assert!(page.contains(part) || part == "Same lead", "{state}: {part}");
        }
        assert!(page.contains("https://a") && page.contains(".kommo.com/leads/detail/7"), "{state}");
        assert!(page.len() < 60 * 1024, "{state}: {} bytes", page.len());
    }
}

#[tokio::test]
async fn reasons_have_their_codes_and_a_job_its_fallback() {
    let it = Fixture::new(None).await;
    let dead = it.jobs.make("echo", StateName::Dead).await;
    let page = local(&it).page(format!("/jobs/{dead}")).await;
    assert!(
        page.contains("<code>refused</code>") && page.contains("nothing happens until you act"),
        "{page}"
    );
    assert!(page.contains(&format!("salesbot-bridge jobs retry {dead}")));
    assert!(page.contains(&format!("simulate --replay {dead}")));
    let fallback = it.jobs.make_fallback("echo", FallbackReason::Failed).await;
    let page = local(&it).page(format!("/jobs/{fallback}")).await;
    assert!(
        page.contains("The fallback for lead 7") && page.contains("the handler failed for good"),
        "{page}"
    );
}

#[tokio::test]
async fn the_beginning_of_an_id_leads_to_the_job_and_other_ids_to_404() {
    let it = Fixture::new(None).await;
    let (older, newer) = it.jobs.make_two("echo").await;
    let browser = local(&it);
    for given in [newer.as_uuid().simple().to_string(), newer.to_string().to_uppercase()] {
        let answer = browser.open(&format!("/jobs/{given}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{given}");
        assert_eq!(answer.headers["location"], format!("/jobs/{newer}").as_str());
    }
    let several = browser.open(&format!("/jobs/{}", &newer.to_string()[..13])).await;
    assert_eq!(several.status, StatusCode::CONFLICT);
    for id in [older, newer] {
        assert!(several.text.contains(&format!(r#"href="/jobs/{id}""#)), "{}", several.text);
    }
    for given in ["018bcfe5-687b-7000-8000-000000000001", "ffff", "nonsense", "%ff", "%3Cscript%3E"] {
        let answer = browser.open(&format!("/jobs/{given}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{given}");
        assert!(
            answer.text.contains("There is no job") && !answer.text.contains("<script>"),
            "{}",
            answer.text
        );
    }
    for what in ["retry", "cancel", "complete", "reveal"] {
        let answer = browser.open(&format!("/jobs/{newer}/{what}")).await;
        assert_eq!(answer.headers["location"], format!("/jobs/{newer}").as_str(), "{what}");
    }
}

#[tokio::test]
async fn a_change_leads_back_to_the_job_and_says_what_was_done() {
    let it = Fixture::new(None).await;
    let browser = local(&it);
    for (state, what, fields, code, becomes, words) in [
        (StateName::Dead, "retry", &[][..], "retried", "delivering", "sent again"),
        (StateName::Dead, "retry", &[("send", "fallback")], "retried", "delivering", "sent again"),
        (StateName::Delivering, "cancel", &[], "cancelled", "cancelled", "is cancelled"),
        (
            StateName::AwaitingCallback,
            "complete",
            &[("completion", "{\"data\": {\r\n\"n\": 9007199254740993}}")],
            "completed",
            "delivering",
            "Your answer is saved",
        ),
    ] {
        let id = it.jobs.make("echo", state).await;
        let answer = browser.send(id, what, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{what}: {}", answer.text);
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        assert_eq!(location, format!("/jobs/{id}?done={code}"));
        assert!(browser.page(&location).await.contains(words), "{what}");
        let job = it.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(job["state"], becomes);
        match (what, fields) {
            ("complete", _) => {
                assert_eq!(job["completion"], json!({ "data": { "n": 9_007_199_254_740_993_i64 } }))
            }
            ("retry", []) => assert_eq!(job["outcome"], "handler"),
            ("retry", _) => assert_eq!(job["completion"], json!({ "data": { "status": "sorry" } })),
            _ => {}
        }
        let action = it.get("/api/v1/actions?limit=1").await["actions"][0].clone();
        assert_eq!(
            (&action["source"], &action["what"], &action["job_id"]),
            (&json!("page"), &json!(format!("jobs {what}")), &json!(id))
        );
    }
}

#[tokio::test]
async fn a_job_that_someone_else_changed_is_shown_with_the_reason() {
    let it = Fixture::new(None).await;
    let browser = local(&it);
    let id = it.jobs.make("echo", StateName::Running).await;
    assert_eq!(it.call("POST", &format!("/api/v1/jobs/{id}/cancel"), "").await.status, StatusCode::OK);
    let answer = browser.send(id, "cancel", &[]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    for part in [
        "was not cancelled",
        "it is <strong>cancelled</strong>",
        "without a token ran <code>jobs cancel</code>",
    ] {
        assert!(answer.text.contains(part), "{part} in {}", answer.text);
    }
    let older = it.jobs.make("echo", StateName::Gone).await;
    let newer = it.jobs.next_question("echo").await;
    let page = browser.page(format!("/jobs/{older}")).await;
    assert!(
        page.contains("Send this answer anyway") && page.contains(&format!(r#"href="/jobs/{newer}""#)),
        "{page}"
    );
    let answer = browser.send(older, "retry", &[]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("was not retried") && answer.text.contains("data-still"), "{}", answer.text);
    assert_eq!(browser.send(older, "retry", &[("force", "true")]).await.status, StatusCode::SEE_OTHER);
    for what in ["retry", "cancel", "complete", "reveal"] {
        let unknown = "018bcfe5-687b-7000-8000-000000000001";
        let csrf = browser.page(format!("/jobs/{older}")).await;
        let csrf = csrf.split(r#"name="csrf" value=""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
        let headers = [
            ("host", "127.0.0.1:9090"),
            ("origin", "http://127.0.0.1:9090"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let form = format!("csrf={csrf}&completion=%7B%7D");
        let answer = it.call_with("POST", &format!("/jobs/{unknown}/{what}"), &form, &headers).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{what}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_completion_that_kommo_would_refuse_stays_in_the_form() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Queued).await;
    let typed = r#"{"data": "</textarea><script>alert(1)</script>""#;
    for (typed, why) in
        [(typed, "It is not valid JSON"), (r#"{"execute_handlers":[]}"#, "is empty"), ("", "It is empty")]
    {
        let answer = local(&it).send(id, "complete", &[("completion", typed)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(answer.text.contains(why) && answer.text.contains(r#"role="alert""#), "{}", answer.text);
        assert!(!answer.text.contains("<script>"), "{}", answer.text);
        let kept = typed.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        assert!(answer.text.contains(&format!(">{kept}</textarea>")), "{}", answer.text);
    }
    assert_eq!(it.get(&format!("/api/v1/jobs/{id}")).await["state"], "queued");
}

#[tokio::test]
async fn texts_are_masked_until_someone_asks_for_them_which_is_recorded() {
    let it = Fixture::new(None).await;
    let browser = local(&it);
    let id = it.jobs.make_dead(json!({ "message": "my secret" }), "504", 1).await;
    let page = browser.page(format!("/jobs/{id}")).await;
    assert!(page.contains("text of 9 characters") && !page.contains("my secret"), "{page}");
    let shown = browser.send(id, "reveal", &[]).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert_eq!(shown.text.matches("my secret").count(), 2, "{}", shown.text);
    assert!(shown.text.contains("data-still"));
    assert!(!browser.page(format!("/jobs/{id}")).await.contains("my secret"));
    let action = it.get("/api/v1/actions?limit=1").await["actions"][0].clone();
    assert_eq!(
        (&action["what"], &action["job_id"], &action["jobs"], &action["source"]),
        (&json!("jobs reveal"), &json!(id), &json!(0), &json!("page"))
    );

    for (show, marker) in [(ShowData::Never, "hidden (admin.show_data)"), (ShowData::Full, "my secret")] {
        let it = Fixture::with_access(None, None, show).await;
        let id = it.jobs.make_dead(json!({ "message": "my secret" }), "504", 1).await;
        let page = local(&it).page(format!("/jobs/{id}")).await;
        assert!(page.contains(marker), "{page}");
        assert!(!page.contains("/reveal"), "{page}");
        if show == ShowData::Never {
            let answer = local(&it).send(id, "reveal", &[]).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER);
            assert!(!page.contains("my secret"));
            assert_eq!(it.get("/api/v1/actions").await["actions"], json!([]));
        }
    }
}

#[tokio::test]
async fn a_reader_sees_no_buttons_and_changes_nothing() {
    let it = Fixture::with_access(Some(TOKEN), Some(READ_TOKEN), ShowData::Full).await;
    let reader = Browser { it: &it, token: Some(READ_TOKEN) };
    let actions = async || {
        it.jobs.store.actions(&store::ActionFilter::default(), None, 100).await.unwrap().actions.len()
    };
    for state in StateName::ALL {
        let id = it.jobs.make(&format!("h-{state}"), state).await;
        let before = actions().await;
        let page = reader.page(format!("/jobs/{id}")).await;
        let main = page.split("<main").nth(1).unwrap().split("</main>").next().unwrap();
        assert!(!main.contains("<form") && !main.contains(r#"type="submit""#), "{state}: {main}");
        let is_said = main.contains("You may only look");
        assert_eq!(is_said, !matches!(state, StateName::Delivered | StateName::Cancelled), "{state}");
        assert!(main.contains("sign in with <code>admin.token</code>") && !main.contains("hello"), "{state}");
        for what in ["retry", "cancel", "complete", "reveal"] {
            let answer = reader.send(id, what, &[("completion", "{}")]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{state} {what}");
        }
        assert_eq!(actions().await, before, "{state}");
    }
}

#[tokio::test]
async fn script_from_outside_is_text() {
    let it = Fixture::with_access(None, None, ShowData::Full).await;
    let script = "</pre><script>alert(1)</script>`<img src=x onerror=alert(1)>`";
    let id = it.jobs.make_dead(json!({ script: script }), script, 4).await;
    it.jobs.store.callbacks().note(id, script).await.unwrap();
    for path in [format!("/jobs/{id}"), format!("/jobs/{id}?attempts=all&done={script}&skip={script}")] {
        let path = path.replace(['<', '>', '`', ' '], "%3C");
        let page = local(&it).page(path).await;
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }
}

#[tokio::test]
async fn equal_attempts_share_a_line_and_a_large_job_makes_no_large_page() {
    let it = Fixture::with_access(None, None, ShowData::Full).await;
    let browser = local(&it);
    let long = "ä".repeat(400_000);
    let id = it
        .jobs
        .make_dead(json!({ "message": "x", "n": 9_007_199_254_740_993_i64 }), "504 Gateway Timeout", 97)
        .await;
    let page = plain(&browser.page(format!("/jobs/{id}")).await);
    assert!(page.contains("1 to 97") && page.contains("97 attempts, all the same"), "{page}");
    assert!(page.contains("9007199254740993"), "{page}");
    let all = browser.page(format!("/jobs/{id}?attempts=all")).await;
    assert!(all.contains("Rows 1 to 60 of 98") && all.contains("skip=60"), "{all}");
    assert!(all.len() < 60 * 1024, "{} bytes", all.len());
    assert!(browser.page(format!("/jobs/{id}?attempts=all&skip=60")).await.contains("Rows 61 to 98 of 98"));

    let large = it.jobs.make_dead(json!({ "message": long }), "504", 1).await;
    let page = plain(&browser.page(format!("/jobs/{large}")).await);
    assert!(page.contains("781.3 KiB") && page.len() < 60 * 1024, "{} bytes", page.len());
    let long_page = plain(&browser.page(format!("/jobs/{large}?data=long")).await);
    assert!(long_page.contains("The first 64 KiB of 781.3 KiB"), "{} bytes", long_page.len());
}

#[tokio::test]
async fn a_store_that_is_down_gives_a_page_that_says_so() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Dead).await;
    it.jobs.store.close().await;
    let answer = local(&it).open(&format!("/jobs/{id}")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer.text.contains("The job could not be read") && answer.text.contains("Try again"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_job_without_its_texts_is_still_shown() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Dead).await;
    let operator = it.jobs.store.operator(store::Actor::new(store::ActionSource::Cli, "ann"));
    let erased = it.call("POST", "/api/v1/jobs/erase", r#"{"lead":7}"#).await;
    assert!(erased.status.is_success(), "{}", erased.text);
    let bulk =
        it.jobs.store.actions(&store::ActionFilter::default(), None, 1).await.unwrap().actions.remove(0).id;
    let mut bulk = operator.bulk(bulk).await.unwrap().unwrap();
    while bulk.state == store::ActionResult::Running {
        bulk = operator.step_bulk(bulk).await.unwrap();
    }
    let page = local(&it).page(format!("/jobs/{id}")).await;
    for part in ["got no answer", "The texts are gone", "cannot be sent again"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("simulate --replay") && !page.contains("/retry"), "{page}");
}

#[tokio::test]
async fn a_link_cannot_claim_a_change_and_no_text_misleads_the_reader() {
    let it = Fixture::new(None).await;
    let id = it.jobs.make("echo", StateName::Dead).await;
    let confirms = |page: &str| page.contains("is cancelled") || page.contains("sent again");
    for done in ["cancelled", "retried", "completed"] {
        let page = local(&it).page(format!("/jobs/{id}?done={done}")).await;
        assert!(!confirms(&page) && !page.contains("Your answer is saved"), "{done}: {page}");
    }
    let answer = local(&it).send(id, "retry", &[]).await;
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    assert!(confirms(&local(&it).page(&location).await), "{location}");
    it.jobs.clock.advance(Duration::from_secs(61));
    assert!(!confirms(&local(&it).page(&location).await), "an old link");

    it.health.misdirected("/exe\u{202e}gpj".to_owned());
    let page = local(&it).page("/").await;
    assert!(page.contains("/exe\u{fffd}gpj") && !page.contains('\u{202e}'), "{page}");
}
