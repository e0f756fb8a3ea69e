//! What the panel of a dry run says, as tables.

use model::{AccountId, JobId};

use super::*;

fn job(state: StateName, account: i64, name: &str) -> JobSummary {
    let received_at = Timestamp::from_millis(1_700_000_000_000);
    JobSummary {
        id: JobId::new(received_at, 1),
        state,
        handler: "echo".parse().unwrap(),
        account_id: AccountId(account),
        entity: None,
        return_url: format!("https://{name}.kommo.com/api/v4/salesbot/1/continue/1").parse().unwrap(),
        outcome: None,
        received_at,
        due_at: None,
        finished_at: None,
        handler_attempts: 0,
        delivery_attempts: 0,
        last_error: None,
        error_group: None,
        joined_into: None,
        bodies_dropped: false,
    }
}

const RATES: DeliveryRates = DeliveryRates { per_account: 7, total: None };

fn plan(accounts: &[(i64, u64)]) -> BulkPlan {
    let id = Some(JobId::new(Timestamp::from_millis(1_700_000_000_000), 1));
    BulkPlan {
        jobs: accounts.iter().map(|(_, jobs)| jobs).sum(),
        accounts: accounts.iter().copied().collect(),
        newest: id,
        oldest: id,
    }
}

#[test]
fn what_is_left_out_is_counted_if_the_page_shows_all_jobs() {
    use StateName::{Cancelled, Dead, Delivered, Gone, Queued, Running};
    let states = [Queued, Running, Running, Cancelled, Dead, Gone, Gone];
    let listed: Vec<JobSummary> = states.into_iter().map(|state| job(state, 1, "fabrikam")).collect();
    let only = "only dead, gone and delivering jobs are retried";
    for (action, planned, listed, is_complete, expected) in [
        (SelectedAction::Retry, 3, &listed[..], true, format!("4: 1 queued, 2 running, 1 cancelled; {only}")),
        (
            SelectedAction::Retry,
            2,
            &listed[..],
            true,
            format!("5: 1 queued, 2 running, 1 cancelled, 1 changed or without the texts to send; {only}"),
        ),
        (SelectedAction::Retry, 3, &listed[4..], true, "none".to_owned()),
        (SelectedAction::Retry, 300, &listed[..], false, format!("all others that match: {only}")),
        (
            SelectedAction::Cancel,
            3,
            &listed[..],
            true,
            "4: 2 gone, 1 dead, 1 cancelled; only unfinished jobs are cancelled".to_owned(),
        ),
    ] {
        let view = view(
            action,
            &plan(&[(1, planned)]),
            None,
            (listed, is_complete),
            (RATES, &AccountNames::default()),
        );
        assert_eq!(view.left_out, expected);
    }
    assert!(!allows(SelectedAction::Retry, Delivered) && !allows(SelectedAction::Cancel, Delivered));
}

#[test]
fn accounts_are_named_most_first_and_not_all_of_them() {
    let listed = [job(StateName::Dead, 1, "fabrikam"), job(StateName::Dead, 2, "contoso")];
    let shown = |accounts: &[(i64, u64)]| {
        by_account(&plan(accounts), &listed, &AccountNames::default()).replace('\u{a0}', " ")
    };
    assert_eq!(shown(&[(2, 2), (1, 21)]), "fabrikam 21, contoso 2");
    let many: Vec<(i64, u64)> = (1..=9).map(|account| (account, 1_000)).collect();
    assert_eq!(
        shown(&many),
        "fabrikam 1,000, contoso 1,000, account 3: 1,000, account 4: 1,000, account 5: 1,000, account 6: 1,000, \
         3 others 3,000"
    );
    assert_eq!(shown(&[]), "");
}
