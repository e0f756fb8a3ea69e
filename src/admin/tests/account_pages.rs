//! The page of accounts.

use std::sync::Arc;

use model::{
    AccountId, AccountPace, AccountPause, AccountState, AccountWait, HandlerLoad, HandlerName, Timestamp,
    WaitCause,
};
use store::StoreError;

use super::error_pages::{READ, as_reader, page, plain, send};
use super::*;
use crate::admin::accounts::PauseView;
use crate::admin::live::PaceView;
use crate::admin::{
    AccountView, AccountsView, HandlerSettings, InstallationView, ListedAccounts, Live, StoreSettings,
    TestedHandler,
};
use crate::listed_account::ListedAccount;

/// A running bridge with these accounts; `None` if they cannot be read.
struct Known(Option<AccountsView>);

impl Live for Known {
    fn load(&self, _: &HandlerName) -> Option<HandlerLoad> {
        None
    }

    fn max_awaiting(&self, _: &HandlerName) -> Option<u64> {
        None
    }

    fn pace(&self, _: &str) -> Option<AccountPace> {
        None
    }

    fn pause(&self, _: &str) -> Option<AccountPause> {
        None
    }

    fn handlers(&self) -> Vec<HandlerSettings> {
        Vec::new()
    }

    fn accounts(&self) -> ListedAccounts<'_> {
        Box::pin(async { self.0.clone().ok_or(StoreError::Closed) })
    }

    fn give_up_after(&self) -> Duration {
        crate::admin::fixture::live().give_up_after()
    }

    fn public_url(&self) -> Option<&str> {
        None
    }

    fn accounts_in_trouble(&self) -> usize {
        3
    }

    fn test_handler(&self, _: &HandlerName, _: Value) -> Option<TestedHandler<'_>> {
        None
    }

    fn backups(&self) -> Option<crate::admin::BackupsState> {
        None
    }

    fn back_up_now(&self, _: store::Actor) {}

    fn store(&self) -> StoreSettings {
        crate::admin::fixture::live().store()
    }
}

fn account(host: &str) -> AccountView {
    AccountView {
        account: ListedAccount {
            origin: Some(format!("https://{host}")),
            host: Some(host.to_owned()),
            name: None,
            account_id: Some(AccountId(7)),
            integration: Some("main".to_owned()),
            state: AccountState::Active,
            reason: None,
            expires_at: None,
            connected_at: None,
            waiting: 0,
            waits_for: None,
            key: None,
        },
        pause: None,
        pace: Some(PaceView { used: 2, limit: 7, next_at: None }),
        authorize: None,
    }
}

fn changed(host: &str, change: impl FnOnce(&mut ListedAccount)) -> AccountView {
    let mut view = account(host);
    change(&mut view.account);
    view
}

fn paused(host: &str) -> AccountView {
    let (cause, until) = (WaitCause::Forbidden, Timestamp::from_millis(1_700_000_042_000));
    let wait = AccountWait {
        cause,
        why: "Kommo answered 403: <script>".into(),
        advice: cause.advice().into(),
        since: Timestamp::from_millis(1_700_000_000_000),
        until: Some(until),
    };
    let view = changed(host, |account| (account.waiting, account.waits_for) = (4, Some(wait)));
    AccountView { pause: Some(PauseView { cause, until }), ..view }
}

async fn fixture(accounts: Vec<AccountView>) -> Fixture {
    let received_at = Timestamp::from_millis(1_700_000_000_000);
    let installation = InstallationView {
        host: "new.kommo.com".into(),
        integration: "main".into(),
        codes: 1,
        received_at,
        expires_at: received_at + Duration::from_secs(600),
    };
    Fixture::with_live(
        None,
        None,
        Arc::new(Known(Some(AccountsView { accounts, installations: vec![installation] }))),
    )
    .await
}

#[tokio::test]
async fn trouble_comes_first_with_its_cause_and_a_paused_account_is_resumed() {
    let reason = Some("refresh token revoked".to_owned());
    let view = changed("litware.kommo.com", |account| {
        (account.state, account.reason) = (AccountState::NeedsAuthorization, reason);
    });
    let litware = AccountView {
        authorize: Some("salesbot-bridge accounts authorize --integration main".to_owned()),
        ..view
    };
    let it = fixture(vec![account("fine.kommo.com"), paused("northwind.kommo.com"), litware]).await;
    let html = page(&it, "/accounts").await;
    for part in [
        "<h1>2 of 3 accounts need attention</h1>",
        "authorization needed: refresh token revoked",
        "accounts authorize --integration main",
        "paused: Kommo answered 403: &lt;script&gt;, tries again in <time",
        "the token must belong to an administrator",
        "2 of 7 calls in this second",
        "salesbot-bridge accounts confirm new.kommo.com",
        "title=\"need attention\">3<",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    let place = |host: &str| html.find(&format!("/jobs?q=account%3A{host}\">{host}<")).unwrap();
    assert!(place("litware.kommo.com") < place("northwind.kommo.com"));
    assert!(place("northwind.kommo.com") < place("fine.kommo.com"));

    let answer = send(&it, &html, "/accounts/resume", "account=northwind.kommo.com&integration=main").await;
    assert_eq!(
        (answer.status, &answer.headers["location"]),
        (StatusCode::SEE_OTHER, &"/accounts?done=resumed".parse().unwrap())
    );
    let log = it.get("/api/v1/actions").await;
    let action = &log["actions"][0];
    assert_eq!((&action["what"], &action["source"]), (&json!("accounts resume"), &json!("page")), "{log}");
    assert!(action["target"].as_str().unwrap().contains("northwind.kommo.com"), "{log}");
    assert!(page(&it, "/accounts?done=resumed").await.contains("within five seconds"));

    for (fields, status, part) in [
        ("account=litware.kommo.com", 409, "Not resumed."),
        ("account=%3Cscript%3E", 404, "There is no account `&lt;script&gt;`."),
        ("", 400, "the field `account` is missing"),
        ("account=", 400, "the field `account` is missing"),
        ("acount=northwind.kommo.com", 400, "unknown field `acount`"),
    ] {
        let answer = send(&it, &html, "/accounts/resume", fields).await;
        assert_eq!(answer.status.as_u16(), status, "{fields}");
        assert!(answer.text.contains(part), "{fields}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_thousand_accounts_are_paged_and_found() {
    let accounts = (0..1_000).map(|number| paused(&format!("shop-{number:03}.kommo.com"))).collect();
    let it = fixture(accounts).await;
    let first = page(&it, "/accounts").await;
    assert!(
        first.contains("Page 1 of 40, 1,000 accounts") && first.contains("shop-024.kommo.com"),
        "{first}"
    );
    assert!(!first.contains("shop-025.kommo.com"));
    assert!(page(&it, "/accounts?page=40").await.contains("shop-999.kommo.com"));
    assert!(page(&it, "/accounts?page=9999999999999999999999").await.contains("Page 1 of 40"));
    let found = page(&it, "/accounts?find=SHOP-77").await;
    assert!(found.contains("shop-777.kommo.com") && !found.contains("shop-500.kommo.com"), "{found}");
    assert!(page(&it, "/accounts?find=%3Cscript%3E").await.contains("No account matches."));
}

#[tokio::test]
async fn no_account_and_a_store_that_is_down_are_said() {
    let it = fixture(Vec::new()).await;
    let html = page(&it, "/accounts").await;
    assert!(html.contains("No account is connected yet") && html.contains("accounts authorize"), "{html}");
    let it = Fixture::with_live(None, None, Arc::new(Known(None))).await;
    let html = page(&it, "/accounts").await;
    assert!(html.contains("The accounts could not be read") && html.contains("Try again"), "{html}");
    it.health
        .on_everybody(|| Some(EverybodyWaits { why: "Kommo blocks <this> address".into(), until: None }));
    let html = page(&it, "/accounts").await;
    assert!(html.contains("<h1>All accounts are paused</h1>") && html.contains("&lt;this&gt;"), "{html}");
}

#[tokio::test]
async fn no_account_is_open_while_all_are_paused() {
    let it = fixture(vec![account("a.kommo.com")]).await;
    it.health.on_everybody(|| Some(EverybodyWaits { why: "Kommo blocks this address".into(), until: None }));
    let html = page(&it, "/accounts").await;
    assert!(html.contains("paused with all accounts") && !html.contains(">open<"), "{html}");
}

#[tokio::test]
async fn a_reader_sees_no_button() {
    let accounts = AccountsView { accounts: vec![paused("a.kommo.com")], installations: Vec::new() };
    let it = Fixture::with_live(Some(TOKEN), Some(READ), Arc::new(Known(Some(accounts)))).await;
    let answer = as_reader(&it, "GET", "/accounts").await;
    let html = plain(&answer.text);
    assert!(html.contains("1 of 1 account needs attention") && html.contains("read-only token"), "{html}");
    assert!(!html.contains("Resume now"), "{html}");
    assert_eq!(as_reader(&it, "POST", "/accounts/resume").await.status, StatusCode::FORBIDDEN);
}
