//! The conditions of a filter as SQL.
//!
//! Each condition is true or false for every row, and never NULL, so that it can be negated. None of them allows another
//! index than that of the list's source: the columns of the partial indexes (`ended`, `fell_back`) are not named here.

use std::time::Duration;

use sqlx::{Postgres, QueryBuilder};

use model::filter::{Clause, Condition, FilteredAccount, JobTrait, NumberRange, WaitingFor};
use model::{ALL_ACCOUNTS, Entity, Filter, JobPrefix, OutcomeName, Timestamp};

use crate::postgres::write::text::storable;

/// A job that is not finished after this time is late.
const LATE: Duration = Duration::from_secs(20);

/// Adds the clauses of `filter`, except those that are a range of ids. `now` is a moment of the steady clock.
pub(crate) fn push(sql: &mut QueryBuilder<Postgres>, filter: &Filter, now: Timestamp) {
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

fn push_condition(sql: &mut QueryBuilder<Postgres>, condition: &Condition, now: Timestamp) {
    match condition {
        Condition::State(state) => {
            sql.push(format!("state = '{state}'"));
        }
        Condition::Handler(handler) => {
            sql.push("handler = ").push_bind(handler.as_str().to_owned());
        }
        Condition::Account(FilteredAccount::Number(account)) => {
            sql.push("account_id = ").push_bind(account.0);
        }
        Condition::Account(FilteredAccount::Host(host)) => {
            sql.push("(origin = ").push_bind(format!("https://{host}"));
            sql.push(" OR origin = ").push_bind(format!("http://{host}")).push(")");
        }
        Condition::Entity(entity) => push_entity(sql, *entity),
        Condition::Bot(bot) => {
            // The path of a return_url is /api/v4/salesbot/BOT/continue/ID, or marketingbot.
            push_contains(sql, "return_url", &format!("bot/{bot}/continue/"));
        }
        Condition::Conversation(conversation) => {
            sql.push("(account_id = ").push_bind(conversation.account_id.0).push(" AND ");
            push_entity(sql, conversation.entity);
            sql.push(")");
        }
        Condition::Id(prefix) => push_prefix(sql, *prefix),
        Condition::ReturnUrl(url) => {
            sql.push("return_url = ").push_bind(url.as_str().to_owned());
        }
        // They are the range of the list.
        Condition::Since(_) | Condition::Until(_) => {
            sql.push("true");
        }
        Condition::Error(text) => {
            sql.push("(last_error IS NOT NULL AND ");
            // The collation keeps every letter but those of ASCII, as the other engine does.
            push_contains(sql, r#"lower(last_error COLLATE "C")"#, &text.to_ascii_lowercase());
            sql.push(")");
        }
        Condition::Status(range) => push_status(sql, *range),
        Condition::Attempts(NumberRange { min, max }) => {
            sql.push("handler_attempts + delivery_attempts BETWEEN ").push_bind(i64::from(*min));
            sql.push(" AND ").push_bind(i64::from(*max));
        }
        Condition::Outcome(outcome) => {
            sql.push(match outcome {
                OutcomeName::Handler => "outcome IS NOT DISTINCT FROM 'handler'",
                OutcomeName::Fallback => "outcome IS NOT DISTINCT FROM 'fallback'",
            });
        }
        Condition::Waiting(waiting) => push_waiting(sql, *waiting, now),
        Condition::Is(JobTrait::Late) => {
            sql.push("(finished_at IS NULL AND waiting_since < ")
                .push_bind((now - LATE).as_millis())
                .push(")");
        }
        Condition::Is(JobTrait::Unfinished) => {
            sql.push("finished_at IS NULL");
        }
        Condition::Is(JobTrait::Finished) => {
            sql.push("finished_at IS NOT NULL");
        }
        Condition::Is(JobTrait::Superseded) => {
            sql.push("superseded_by IS NOT NULL");
        }
        Condition::Is(JobTrait::Joined) => {
            sql.push("joined_into IS NOT NULL");
        }
        Condition::Text(text) => push_text(sql, text),
    }
}

fn push_entity(sql: &mut QueryBuilder<Postgres>, entity: Entity) {
    sql.push("(entity_id IS NOT DISTINCT FROM ").push_bind(entity.id);
    sql.push(" AND entity_type IS NOT DISTINCT FROM ").push_bind(entity.kind.code()).push(")");
}

fn push_prefix(sql: &mut QueryBuilder<Postgres>, prefix: JobPrefix) {
    let (first, last) = prefix.range();
    sql.push("jobs.id BETWEEN ").push_bind(first.as_uuid()).push(" AND ").push_bind(last.as_uuid());
}

/// Adds the condition that a text, which is not NULL, contains exactly `wanted`.
fn push_contains(sql: &mut QueryBuilder<Postgres>, text: &str, wanted: &str) {
    sql.push("strpos(").push(text).push(", ").push_bind(storable(wanted).into_owned()).push(") > 0");
}

/// The status of an attempt, or the number with which the last error begins: Kommo's refusals of an account are not
/// charged, so they are not attempts. The attempts are read by the job's id: OFFSET keeps PostgreSQL from reading all
/// attempts at once.
fn push_status(sql: &mut QueryBuilder<Postgres>, NumberRange { min, max }: NumberRange) {
    let between = format!(" BETWEEN {min} AND {max}");
    sql.push(format!(
        "(coalesce(accepted_status, 0){between} OR (last_error IS NOT NULL AND substr(last_error, 4, 1) = ' ' \
         AND coalesce(substring(substr(last_error, 1, 3) from '^[ \\t\\n\\v\\f\\r]*([+-]?[0-9]+)')::bigint, 0){between}) \
         OR (handler_attempts + delivery_attempts > (handled_at IS NOT NULL)::int + (accepted_at IS NOT NULL)::int \
         AND EXISTS (SELECT 1 FROM other_attempts WHERE job_id = jobs.id AND status{between} OFFSET 0)))"
    ));
}

/// The same decision as [`waits_for`](model::waits_for), for a store that a bridge serves.
fn push_waiting(sql: &mut QueryBuilder<Postgres>, waiting: WaitingFor, now: Timestamp) {
    const QUEUED: &str = "(state = 'queued' AND due_at IS NOT NULL AND due_at ";
    const UNCLAIMED: &str = "(state = 'delivering' AND lease_until IS NULL AND origin ";
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
        WaitingFor::Conversation => "(state = 'queued' AND due_at IS NULL)".to_owned(),
        WaitingFor::Messages => format!("{QUEUED}> {now} AND coalesce_ms IS NOT NULL)"),
        WaitingFor::Handler => "state = 'running'".to_owned(),
        WaitingFor::Callback => "state = 'awaiting_callback'".to_owned(),
        WaitingFor::HandlerRetry => handler_retry,
        WaitingFor::Turn => ready("<="),
        WaitingFor::Response => "(state = 'delivering' AND lease_until IS NOT NULL)".to_owned(),
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

fn push_text(sql: &mut QueryBuilder<Postgres>, text: &str) {
    sql.push("(");
    push_contains(sql, "return_url", text);
    sql.push(" OR ");
    push_contains(sql, "coalesce(last_error, '')", text);
    if let Ok(number) = text.parse::<i64>() {
        sql.push(" OR entity_id IS NOT DISTINCT FROM ").push_bind(number);
        sql.push(" OR account_id = ").push_bind(number);
    }
    if let Ok(prefix) = text.parse::<JobPrefix>() {
        sql.push(" OR ");
        push_prefix(sql, prefix);
    }
    // The body comes last, because only a body can take long to read.
    sql.push(" OR EXISTS (SELECT 1 FROM job_bodies WHERE job_bodies.id = jobs.id AND kind = 0 AND ");
    push_contains(sql, "body", text);
    sql.push(" OFFSET 0))");
}
