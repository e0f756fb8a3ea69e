//! The conditions of a filter as SQL.
//!
//! Each condition is true or false for every row, and never NULL, so that it can be negated. A plus before a column keeps
//! SQLite from using an index for the condition: the source of the list is already chosen, and another index would need
//! sorting.

use std::time::Duration;

use sqlx::{QueryBuilder, Sqlite};

use model::filter::{Clause, Condition, FilteredAccount, JobTrait, NumberRange, WaitingFor};
use model::{ALL_ACCOUNTS, Entity, Filter, JobPrefix, OutcomeName, Timestamp};

/// A job that is not finished after this time is late.
const LATE: Duration = Duration::from_secs(20);

/// Adds the clauses of `filter`, except those that are a range of ids. `now` is a moment of the steady clock.
pub(crate) fn push(sql: &mut QueryBuilder<Sqlite>, filter: &Filter, now: Timestamp) {
    for Clause { negated, any_of } in filter.clauses() {
        if any_of.iter().all(|condition| matches!(condition, Condition::Since(_) | Condition::Until(_))) {
            continue;
        }
        sql.push(if *negated { " AND NOT (" } else { " AND (" });
        for (place, condition) in any_of.iter().enumerate() {
            sql.push(if place == 0 { "" } else { " OR " });
            push_condition(sql, condition, now);
        }
        sql.push(")");
    }
}

fn push_condition(sql: &mut QueryBuilder<Sqlite>, condition: &Condition, now: Timestamp) {
    match condition {
        Condition::State(state) => {
            sql.push(format!("+state = '{state}'"));
        }
        Condition::Handler(handler) => {
            sql.push("+handler = ").push_bind(handler.as_str().to_owned());
        }
        Condition::Account(FilteredAccount::Number(account)) => {
            sql.push("+account_id = ").push_bind(account.0);
        }
        Condition::Account(FilteredAccount::Host(host)) => {
            sql.push("(+origin = ").push_bind(format!("https://{host}"));
            sql.push(" OR +origin = ").push_bind(format!("http://{host}")).push(")");
        }
        Condition::Entity(entity) => push_entity(sql, *entity),
        Condition::Bot(bot) => {
            // The path of a return_url is /api/v4/salesbot/BOT/continue/ID, or marketingbot.
            sql.push("instr(return_url, ").push_bind(format!("bot/{bot}/continue/")).push(") > 0");
        }
        Condition::Conversation(conversation) => {
            sql.push("(+account_id = ").push_bind(conversation.account_id.0).push(" AND ");
            push_entity(sql, conversation.entity);
            sql.push(")");
        }
        Condition::Id(prefix) => {
            let (first, last) = prefix.range();
            sql.push("+id BETWEEN ").push_bind(first.as_uuid()).push(" AND ").push_bind(last.as_uuid());
        }
        Condition::ReturnUrl(url) => {
            sql.push("+return_url = ").push_bind(url.as_str().to_owned());
        }
        // They are the range of the list.
        Condition::Since(_) | Condition::Until(_) => {
            sql.push("true");
        }
        Condition::Error(text) => {
            sql.push("(last_error IS NOT NULL AND instr(lower(last_error), ");
            sql.push_bind(text.to_ascii_lowercase()).push(") > 0)");
        }
        Condition::Status(range) => push_status(sql, *range),
        Condition::Attempts(NumberRange { min, max }) => {
            sql.push("handler_attempts + delivery_attempts BETWEEN ").push_bind(i64::from(*min));
            sql.push(" AND ").push_bind(i64::from(*max));
        }
        Condition::Outcome(outcome) => {
            sql.push(match outcome {
                OutcomeName::Handler => "+outcome IS 'handler'",
                OutcomeName::Fallback => "+outcome IS 'fallback'",
            });
        }
        Condition::Waiting(waiting) => push_waiting(sql, *waiting, now),
        Condition::Is(JobTrait::Late) => {
            sql.push("(+finished_at IS NULL AND +waiting_since < ")
                .push_bind((now - LATE).as_millis())
                .push(")");
        }
        Condition::Is(JobTrait::Unfinished) => {
            sql.push("+finished_at IS NULL");
        }
        Condition::Is(JobTrait::Finished) => {
            sql.push("+finished_at IS NOT NULL");
        }
        Condition::Is(JobTrait::Superseded) => {
            sql.push("+superseded_by IS NOT NULL");
        }
        Condition::Is(JobTrait::Joined) => {
            sql.push("joined_into IS NOT NULL");
        }
        Condition::Text(text) => push_text(sql, text),
    }
}

fn push_entity(sql: &mut QueryBuilder<Sqlite>, entity: Entity) {
    sql.push("(+entity_id IS ").push_bind(entity.id);
    sql.push(" AND +entity_type IS ").push_bind(entity.kind.code()).push(")");
}

/// The status of an attempt, or the number with which the last error begins: Kommo's refusals of an account are not
/// charged, so they are not attempts.
fn push_status(sql: &mut QueryBuilder<Sqlite>, NumberRange { min, max }: NumberRange) {
    let between = format!(" BETWEEN {min} AND {max}");
    sql.push(format!(
        "(coalesce(accepted_status, 0){between} OR (last_error IS NOT NULL AND substr(last_error, 4, 1) = ' ' \
         AND CAST(substr(last_error, 1, 3) AS INTEGER){between}) \
         OR (handler_attempts + delivery_attempts > (handled_at IS NOT NULL) + (accepted_at IS NOT NULL) \
         AND EXISTS (SELECT 1 FROM other_attempts WHERE job_id = jobs.id AND status{between})))"
    ));
}

/// The same decision as [`waits_for`](model::waits_for), for a store that a bridge serves.
fn push_waiting(sql: &mut QueryBuilder<Sqlite>, waiting: WaitingFor, now: Timestamp) {
    const QUEUED: &str = "(+state = 'queued' AND due_at IS NOT NULL AND due_at ";
    const UNCLAIMED: &str = "(+state = 'delivering' AND +lease_until IS NULL AND +origin ";
    let now = now.as_millis();
    let ready = |due: &str| {
        format!(
            "{UNCLAIMED}NOT IN (SELECT origin FROM account_waits) \
             AND NOT EXISTS (SELECT 1 FROM account_waits WHERE origin = '{ALL_ACCOUNTS}') AND due_at {due} {now})"
        )
    };
    let handler_retry = format!("{QUEUED}> {now} AND coalesce_ms IS NULL)");
    sql.push(match waiting {
        WaitingFor::Worker => format!("{QUEUED}<= {now})"),
        WaitingFor::Conversation => "(+state = 'queued' AND due_at IS NULL)".to_owned(),
        WaitingFor::Messages => format!("{QUEUED}> {now} AND coalesce_ms IS NOT NULL)"),
        WaitingFor::Handler => "+state = 'running'".to_owned(),
        WaitingFor::Callback => "+state = 'awaiting_callback'".to_owned(),
        WaitingFor::HandlerRetry => handler_retry,
        WaitingFor::Turn => ready("<="),
        WaitingFor::Response => "(+state = 'delivering' AND +lease_until IS NOT NULL)".to_owned(),
        WaitingFor::DeliveryRetry => ready(">"),
        WaitingFor::Retry => format!("({handler_retry} OR {})", ready(">")),
        WaitingFor::Account => format!("{UNCLAIMED}IN (SELECT origin FROM account_waits))"),
        WaitingFor::AllAccounts => format!(
            "{UNCLAIMED}NOT IN (SELECT origin FROM account_waits) \
             AND EXISTS (SELECT 1 FROM account_waits WHERE origin = '{ALL_ACCOUNTS}'))"
        ),
        WaitingFor::Unauthorized
        | WaitingFor::PaymentRequired
        | WaitingFor::Forbidden
        | WaitingFor::Blocked
        | WaitingFor::TooMany
        | WaitingFor::NotConnected
        | WaitingFor::NotRenewed => {
            format!("{UNCLAIMED}IN (SELECT origin FROM account_waits WHERE cause = '{}'))", waiting.as_str())
        }
    });
}

fn push_text(sql: &mut QueryBuilder<Sqlite>, text: &str) {
    // A pattern ends at a NUL, so it would match more. No body contains one, because JSON escapes it.
    if text.contains('\0') {
        sql.push("false");
        return;
    }
    let pattern = literal(text);
    let mut contains = |column: &str| {
        sql.push(format!("{column} GLOB ('*' || ")).push_bind(pattern.clone()).push(" || '*')");
    };
    // The body comes last, because only a body can take long to read.
    contains("(return_url");
    contains(" OR coalesce(last_error, '')");
    if let Ok(number) = text.parse::<i64>() {
        sql.push(" OR +entity_id IS ").push_bind(number).push(" OR +account_id = ").push_bind(number);
    }
    if let Ok(prefix) = text.parse::<JobPrefix>() {
        let (first, last) = prefix.range();
        sql.push(" OR +id BETWEEN ").push_bind(first.as_uuid()).push(" AND ").push_bind(last.as_uuid());
    }
    sql.push(" OR coalesce(data, '') GLOB ('*' || ").push_bind(pattern).push(" || '*'))");
}

/// The pattern of GLOB that matches exactly this text. GLOB is faster than `instr`, because it jumps to the next place of the
/// first character.
fn literal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut pattern, character| {
        match character {
            '*' | '?' | '[' => pattern.extend(['[', character, ']']),
            other => pattern.push(other),
        }
        pattern
    })
}
