//! Each error that a public function returns, and each type in a public signature, has a public name.
//!
//! The signatures below are the proof: they compile only if the names are public and mean the same types. The lint
//! `unnameable_types` in `src/lib.rs` covers the types of the bridge itself, but not those that it re-exports.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use salesbot_bridge::bridge::{self, HandlerNameError, LogError, StoreFailure};
use salesbot_bridge::config::{ConfigError, ConfigProblem, Sources};
use salesbot_bridge::kommo::{
    self, AllowedHosts, Authorities, Client, ClientOptions, HostPattern, HostPatternError, HostRefusal,
    HostRules, HttpClientError, NoBearer, Outgoing, ProblemText, Proxy, ProxyUrl, Reason, ReturnUrl,
    ReturnUrlError, SettingField, SettingMistake, ValidationError, Widget, WidgetSettings,
};
use salesbot_bridge::{
    AccountId, BotType, CancellationToken, CheckedCompletion, Clock, Completion, CompletionError, Config,
    Context, Entity, EntityKind, HandlerError, JobId, JsonError, Listeners, Request, RetryOrFail, Shutdown,
    Timestamp,
};

fn is_error<E: StdError + Send + Sync + 'static>() {}

#[test]
fn every_error_that_a_public_function_returns_has_a_name() {
    is_error::<bridge::Error>();
    is_error::<StoreFailure>();
    is_error::<LogError>();
    is_error::<HandlerNameError>();
    is_error::<ConfigError>();
    is_error::<CompletionError>();
    is_error::<JsonError>();
    is_error::<kommo::Error>();
    is_error::<HttpClientError>();
    is_error::<NoBearer>();
    is_error::<Reason>();
    is_error::<HostPatternError>();
    is_error::<HostRefusal>();
    is_error::<ReturnUrlError>();
}

fn _request<T>(request: Request<T>) -> (T, AccountId, String, Option<Entity>, BotType, i64, Timestamp) {
    let Request { data, account_id, account_url, entity, bot_type, bot_id, received_at, .. } = request;
    (data, account_id, account_url, entity, bot_type, bot_id, received_at)
}

fn _entity(entity: Entity) -> (EntityKind, i64) {
    (entity.kind, entity.id)
}

fn _context(context: &Context) -> (JobId, u32, Timestamp, Duration, &CancellationToken, &Client) {
    let (job, attempt, deadline) = (context.job_id(), context.attempt(), context.deadline());
    (job, attempt, deadline, context.time_limit(), context.cancelled(), context.kommo())
}

fn _completion(completion: Completion) -> Result<CheckedCompletion, CompletionError> {
    completion.check()
}

fn _decision<T>(result: Result<T, JsonError>) -> Result<T, HandlerError> {
    result.or_fail()
}

fn _options(options: ClientOptions) -> (AllowedHosts, Option<Proxy>, Option<Authorities>) {
    let (HostRules { allowed, .. }, Outgoing { proxy, authorities, .. }) = (options.hosts, options.outgoing);
    (allowed, proxy, authorities)
}

fn _patterns(hosts: &AllowedHosts) -> Vec<&HostPattern> {
    hosts.iter().collect()
}

fn _proxy(proxy: Proxy) -> ProxyUrl {
    proxy.url
}

fn _certificates(authorities: Authorities) -> PathBuf {
    authorities.file
}

async fn _continue(client: &Client, url: &ReturnUrl, done: &CheckedCompletion) -> Result<(), kommo::Error> {
    client.continue_bot(url, done).await
}

fn _invalid(error: kommo::Error) -> Option<(ProblemText, Vec<ValidationError>)> {
    match error {
        kommo::Error::Invalid { said, errors, .. } => Some((said, errors)),
        _ => None,
    }
}

fn _settings(settings: &WidgetSettings, widget: &Widget) -> Result<Vec<SettingField>, Vec<SettingMistake>> {
    settings.check(&widget.settings_template).map(|()| widget.settings_template.clone())
}

fn _configuration(sources: &Sources) -> Result<Config, Vec<ConfigProblem>> {
    Config::load(sources).map_err(|error| error.problems().to_vec())
}

async fn _run(
    bridge: salesbot_bridge::Bridge,
    clock: Clock,
    listeners: Listeners,
) -> Result<(), bridge::Error> {
    bridge.clock(clock).run(listeners, Shutdown::manual()).await
}
