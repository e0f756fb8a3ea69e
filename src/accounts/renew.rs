//! Renews an account's tokens, one renewal at a time.
//!
//! Within the process, a lock lets one caller renew while the others wait for its result; across processes, a lease
//! in the store does. The new pair is stored before anyone gets it. Until the new pair is used, Kommo also accepts the
//! old refresh token, so a renewal can be retried after a lost response or a crash. The renewal runs in its own task,
//! so a caller that goes away does not interrupt it.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use kommo::pace::Cause;
use kommo::{Bearer, Grant, GrantError, GrantedTokens, NoBearer, OAuthApp, Reason, token_claims};
use model::{AccountId, AccountKey, AccountRecord, AccountWait, Authorization, RedirectUri, whole_millis};
use store::{Leased, Renewal, StoreError};

use super::directory::Entry;
use super::due;
use super::seal::Tokens;
use super::{Accounts, OAuthIntegration, host};

/// Calls of one renewal: to the old address, to find the current address, to the new address.
const MAX_CALLS_PER_RENEWAL: u32 = 3;
/// Extra time for the store, in addition to the calls and their waits for a turn.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// The delay before the store is tried again while another process renews, or while the disk is full.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The state of an account's renewals.
#[derive(Default)]
pub(super) struct Renewing(tokio::sync::Mutex<Failures>);

#[derive(Default)]
struct Failures {
    /// Failures in a row.
    count: u32,
    /// When the next attempt may start, in elapsed time, and why not earlier.
    pause: Option<(Duration, String)>,
    /// Whether Kommo responded to the last attempt and refused it.
    was_refused: bool,
}

impl Accounts {
    /// Returns a bearer token that is newer than the generation `seen`.
    ///
    /// # Errors
    /// There is no newer token. The error says what an operator must do.
    pub(super) async fn renew(&self, key: &AccountKey, seen: u64) -> Result<Bearer, NoBearer> {
        let task = tokio::spawn(self.clone().renew_once(key.clone(), seen));
        let patience = self.lease();
        let late = || NoBearer::NotRenewed { why: "the renewal takes too long".to_owned() };
        // The renewal continues without this caller; the next caller gets its result.
        let Some(done) = self.within(patience, task).await else { return Err(late()) };
        done.unwrap_or_else(|_| Err(NoBearer::NotRenewed { why: "the renewal was interrupted".to_owned() }))
    }

    async fn within<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = future => Some(done),
            () = self.0.parts.clock.sleep(limit) => None,
        }
    }

    /// Returns the maximum duration of a renewal, which is also its lease in the store.
    pub(super) fn lease(&self) -> Duration {
        // Each call first waits for its turn.
        self.0.parts.request_timeout * MAX_CALLS_PER_RENEWAL * 2 + LEASE_MARGIN
    }

    /// Returns the state of an account's renewals.
    fn renewing(&self, key: &AccountKey) -> Arc<Renewing> {
        let mut all = self.0.renewing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.entry(key.clone()).or_default().clone()
    }

    /// Returns when the next renewal may start after failures; `None` after no failure, or during a renewal.
    pub(super) fn paused_until(&self, key: &AccountKey) -> Option<Duration> {
        let renewing = self.renewing(key);
        let failures = renewing.0.try_lock().ok()?;
        failures.pause.as_ref().map(|(until, _)| *until)
    }

    /// Ends the pause after the last failure, so that the next renewal may start immediately.
    pub(super) fn end_renewal_pause(&self, key: &AccountKey) {
        let renewing = self.renewing(key);
        // A renewal in progress decides for itself.
        if let Ok(mut failures) = renewing.0.try_lock() {
            failures.pause = None;
        }
    }

    /// Whether Kommo responded to the last renewal and refused it, without saying that the refresh token is dead.
    pub(super) fn was_renewal_refused(&self, key: &AccountKey) -> bool {
        self.renewing(key).0.try_lock().is_ok_and(|failures| failures.was_refused)
    }

    async fn renew_once(self, key: AccountKey, seen: u64) -> Result<Bearer, NoBearer> {
        let renewing = self.renewing(&key);
        let mut failures = renewing.0.lock().await;
        let Some(store) = self.0.parts.store.clone() else { return Err(NoBearer::Unknown) };
        let entry = loop {
            let entry = self.entry_of(&key).ok_or(NoBearer::Unknown)?;
            if entry.record.generation > seen {
                return entry.bearer();
            }
            entry.open()?;
            if let Some((until, why)) = &failures.pause
                && self.0.parts.clock.elapsed() < *until
            {
                // As after the failure: until the pause ends, there is no better token.
                self.clear_refused(&key);
                return Err(NoBearer::NotRenewed { why: why.clone() });
            }
            match store.accounts().lease_renewal(key.clone(), entry.record.generation, self.lease()).await {
                Ok(Leased::Granted) => break entry,
                // Another process is renewing; `reload` below reads the tokens that it stores.
                Ok(Leased::Busy(_)) => self.0.parts.clock.sleep(RETRY_DELAY).await,
                Ok(Leased::Changed) => {}
                Err(error) => return Err(not_stored(&error)),
            }
            self.reload().await.map_err(|error| not_stored(&error))?;
        };
        let outcome = self.ask(&entry).await;
        self.complete(&entry, outcome, &mut failures).await
    }

    /// Requests new tokens, at the new address if the account has moved.
    async fn ask(&self, entry: &Entry) -> Result<(Arc<str>, GrantedTokens), RenewalError> {
        let (open, origin) = entry.open()?;
        let key = &entry.record.key;
        let integration = self.integration(&key.client_uuid);
        let (integration, redirect_uri) = integration
            .and_then(|integration| Some((integration, integration.redirect_uri.as_ref()?)))
            .ok_or_else(|| RenewalError::NoIntegration { client_uuid: key.client_uuid.clone() })?;
        let app = oauth_app(integration, redirect_uri);
        let first = match self.grant(origin, app.clone(), &open.tokens).await {
            Ok(granted) => return Ok((origin.clone(), own(key, granted)?)),
            Err(error) => error,
        };
        let maybe_moved = matches!(
            first,
            GrantError::Dead { status: 401, .. }
                | GrantError::Refused { status: 401 | 404, .. }
                | GrantError::NotKommo { status: 404 }
        );
        let moved = if maybe_moved { self.moved(entry, origin, &open.tokens).await } else { None };
        let Some(new) = moved else { return Err(first.into()) };
        tracing::info!(account.host = host(origin), account.now = host(&new), "account has moved");
        let granted = self.grant(&new, app, &open.tokens).await?;
        Ok((new, own(key, granted)?))
    }

    async fn grant(
        &self,
        origin: &Arc<str>,
        app: OAuthApp<'_>,
        tokens: &Tokens,
    ) -> Result<GrantedTokens, GrantError> {
        let url = url_of(origin)?;
        let call = self.0.parts.kommo.grant(&url, app, Grant::Refresh(&tokens.refresh));
        self.renewal_call(origin, call).await
    }

    /// Returns the account's current address, if it has moved to one that may be called.
    pub(super) async fn moved(&self, entry: &Entry, origin: &Arc<str>, tokens: &Tokens) -> Option<Arc<str>> {
        let here = url_of(origin).ok()?;
        let api = sibling(&here, &token_claims(&tokens.access).api_domain?)?;
        let asked: Arc<str> = api.origin().ascii_serialization().into();
        let call = self.0.parts.kommo.address(&api, &tokens.refresh);
        let address = match self.renewal_call(&asked, call).await {
            Ok(address) => address,
            Err(error) => {
                tracing::warn!(account.host = host(origin), %error, "cannot find out whether the account has moved");
                return None;
            }
        };
        if address.id != entry.record.key.account_id.0 {
            return None;
        }
        let new = sibling(&here, &address.domain)?;
        let elsewhere = new.origin() != here.origin();
        elsewhere.then(|| new.origin().ascii_serialization().into())
    }

    async fn complete(
        &self,
        entry: &Entry,
        outcome: Result<(Arc<str>, GrantedTokens), RenewalError>,
        failures: &mut Failures,
    ) -> Result<Bearer, NoBearer> {
        let parts = &self.0.parts;
        let (key, shown) = (&entry.record.key, entry.record.origin.as_deref().map_or("?", host).to_owned());
        let outcome = outcome.and_then(|(origin, granted)| {
            let tokens = tokens_of(granted, parts.clock.now());
            let sealed = self.0.sealer.as_ref().and_then(|sealer| sealer.seal(key, &tokens));
            Ok(Renewal::Renewed { origin, tokens: sealed.ok_or(RenewalError::NotEncrypted)? })
        });
        let was_refused = outcome.as_ref().is_err_and(RenewalError::is_refusal);
        let (renewal, why) = match outcome {
            Ok(renewed) => (renewed, None),
            Err(error) if error.is_final() => {
                let reason = error.to_string();
                (Renewal::Stopped(Authorization::Needed { reason: reason.clone() }), Some(reason))
            }
            Err(error) => (Renewal::Failed, Some(error.to_string())),
        };
        let outcome = match &renewal {
            Renewal::Renewed { .. } => "renewed",
            Renewal::Failed => "failed",
            Renewal::Stopped(_) => "needs_authorization",
        };
        metrics::counter!("bridge_token_renewals_total", "outcome" => outcome).increment(1);
        let written = self.write_until_ok(key, entry.record.generation, &renewal).await?;
        let Some(generation) = written else {
            // Meanwhile, the account was connected again or disconnected, which takes precedence.
            self.reload().await.map_err(|error| not_stored(&error))?;
            return self.entry_of(key).ok_or(NoBearer::Unknown)?.bearer();
        };
        match renewal {
            Renewal::Failed => {
                let why = why.unwrap_or_default();
                // There is no better token, and the old one may still be valid: perhaps Kommo refused only one job.
                self.clear_refused(key);
                failures.count += 1;
                failures.was_refused = was_refused;
                let pause = due::pause(failures.count, (parts.random)());
                failures.pause = Some((parts.clock.elapsed() + pause, why.clone()));
                let pause_ms = whole_millis(pause);
                tracing::warn!(
                    account.host = shown,
                    why,
                    pause_ms,
                    failures = failures.count,
                    "renewing tokens failed; retrying after a pause"
                );
                self.0.changed.notify_one();
                Err(NoBearer::NotRenewed { why })
            }
            Renewal::Stopped(authorization) => {
                let why = why.unwrap_or_default();
                *failures = Failures::default();
                self.put(AccountRecord { authorization, generation, ..entry.record.clone() });
                if let Some(origin) = &entry.record.origin {
                    self.wait_for_operator(origin, &why);
                }
                Err(NoBearer::NeedsAuthorization { why })
            }
            Renewal::Renewed { origin, tokens } => {
                *failures = Failures::default();
                let old = entry.record.origin.clone().filter(|old| *old != origin);
                let previous_origin = old.or_else(|| entry.record.previous_origin.clone());
                let authorization = Authorization::Active(tokens);
                let addresses = [Some(origin.clone()), previous_origin.clone()];
                self.put(AccountRecord {
                    authorization,
                    generation,
                    origin: Some(origin),
                    previous_origin,
                    ..entry.record.clone()
                });
                addresses.iter().flatten().for_each(|origin| self.resume_after_renewal(origin));
                tracing::info!(account.host = shown, "tokens renewed");
                self.entry_of(key).ok_or(NoBearer::Unknown)?.bearer()
            }
        }
    }

    /// Writes the outcome of a renewal, and retries until that succeeds: a new pair must not be used before it is
    /// stored, and must not be lost.
    async fn write_until_ok(
        &self,
        key: &AccountKey,
        generation: u64,
        renewal: &Renewal,
    ) -> Result<Option<u64>, NoBearer> {
        let Some(store) = &self.0.parts.store else { return Err(NoBearer::Unknown) };
        loop {
            match store.accounts().end_renewal(key.clone(), generation, renewal.clone()).await {
                Ok(generation) => return Ok(generation),
                Err(error) if error.is_passing() => self.0.parts.clock.sleep(RETRY_DELAY).await,
                Err(error) => return Err(not_stored(&error)),
            }
        }
    }

    pub(super) fn put(&self, record: AccountRecord) {
        self.change(|directory| directory.put(record, self.0.sealer.as_ref()));
    }

    pub(super) fn wait_for_operator(&self, origin: &str, why: &str) {
        let cause = Cause::NotConnected;
        let wait = AccountWait {
            cause,
            why: why.to_owned(),
            advice: self.advice(cause, origin),
            since: self.0.parts.clock.now(),
            until: None,
        };
        let why = wait.text();
        if self.0.parts.health.account_waits(origin, wait) {
            tracing::warn!(account.host = host(origin), why, "deliveries paused: operator action required");
        }
    }
}

/// Why a renewal yielded no new tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum RenewalError {
    /// Kommo returned none, or was not reached.
    #[error(transparent)]
    Kommo(#[from] GrantError),
    /// The old tokens cannot be decrypted.
    #[error(transparent)]
    NoTokens(#[from] NoBearer),
    #[error(
        "no integration with client_uuid {client_uuid} and a redirect_uri is configured: add both to integrations.NAME"
    )]
    NoIntegration { client_uuid: Arc<str> },
    #[error("Kommo returned tokens of another account ({0})")]
    OtherAccount(AccountId),
    #[error("the tokens cannot be encrypted: the system provides no random bytes")]
    NotEncrypted,
}

impl RenewalError {
    /// Whether no later renewal can succeed, so that the account must be authorized again.
    const fn is_final(&self) -> bool {
        matches!(self, Self::Kommo(GrantError::Dead { .. }))
    }

    /// Whether Kommo refuses for now, possibly because of the integration.
    const fn is_refusal(&self) -> bool {
        matches!(self, Self::Kommo(GrantError::Refused { status: 400 | 401, .. }))
    }
}

/// Returns the tokens if they belong to this account: its address may have passed on to another account.
fn own(key: &AccountKey, granted: GrantedTokens) -> Result<GrantedTokens, RenewalError> {
    match token_claims(&granted.access).account_id {
        Some(other) if other != key.account_id => Err(RenewalError::OtherAccount(other)),
        _ => Ok(granted),
    }
}

pub(super) fn oauth_app<'a>(
    integration: &'a OAuthIntegration,
    redirect_uri: &'a RedirectUri,
) -> OAuthApp<'a> {
    let client_secret = integration.client_secret.get();
    OAuthApp { client_uuid: &integration.client_uuid, client_secret, redirect_uri }
}

pub(super) fn tokens_of(granted: GrantedTokens, now: model::Timestamp) -> Tokens {
    let expires_at = granted.expires_at(now);
    Tokens { access: granted.access, refresh: granted.refresh, obtained_at: now, expires_at }
}

pub(super) fn url_of(origin: &str) -> Result<Url, GrantError> {
    Url::parse(origin).map_err(|_| GrantError::NotAllowed(Reason::new("the account's address is not a URL")))
}

/// Returns the URL of `host`, which may include a port, with the scheme of `here`; `None` if `host` is not just a
/// host.
pub(super) fn sibling(here: &Url, host: &str) -> Option<Url> {
    let url = Url::parse(&format!("{}://{host}/", here.scheme())).ok()?;
    let only_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let no_user = url.username().is_empty() && url.password().is_none();
    (only_host && no_user && !host.ends_with('/')).then_some(url)
}

fn not_stored(error: &StoreError) -> NoBearer {
    NoBearer::NotRenewed { why: format!("its record could not be read or written: {error}") }
}
