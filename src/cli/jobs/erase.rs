//! `jobs erase`: erases the texts of a lead, a contact, a customer or an account.
//!
//! The command does the work itself, so it works beside a running bridge as well as without one. If it ends early, the
//! bridge continues.

use clap::ArgGroup;
use serde_json::{Value, json};

use crate::admin::{BulkView, ErasableView};
use model::{AccountId, Entity, EntityKind};
use store::{ActionResult, Bulk, Erasable, Erasure, Operator, StoreError};

use super::super::exit::Usage;
use super::super::jobs_text::counted;

/// The arguments of `jobs erase`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("whose").args(["lead", "contact", "customer", "account"]).required(true).multiple(true)))]
pub(super) struct Erase {
    /// Erase the jobs of the lead with this number
    #[arg(long, value_name = "NUMBER", value_parser = number(), conflicts_with_all = ["contact", "customer"])]
    lead: Option<i64>,
    /// Erase the jobs of the contact with this number
    #[arg(long, value_name = "NUMBER", value_parser = number(), conflicts_with = "customer")]
    contact: Option<i64>,
    /// Erase the jobs of the customer with this number
    #[arg(long, value_name = "NUMBER", value_parser = number())]
    customer: Option<i64>,
    /// Erase the jobs of the Kommo account with this number; with another option, only jobs that match both
    #[arg(long, value_name = "NUMBER", value_parser = number())]
    account: Option<i64>,
    /// Cancel unfinished jobs, and erase them too; their bots are not continued
    #[arg(long)]
    cancel_unfinished: bool,
    /// Count the jobs, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Erase without asking
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

fn number() -> clap::builder::RangedI64ValueParser {
    clap::value_parser!(i64).range(1..)
}

/// The result of the command: its text, its JSON, and what was not erased.
pub(super) struct Outcome {
    pub(super) json: Value,
    pub(super) text: String,
    /// Why the command fails although it has done its work.
    pub(super) failure: Option<String>,
}

impl Erase {
    fn erasure(&self) -> Option<Erasure> {
        let given = [
            self.lead.map(|id| Entity { kind: EntityKind::Lead, id }),
            self.contact.map(|id| Entity { kind: EntityKind::Contact, id }),
            self.customer.map(|id| Entity { kind: EntityKind::Customer, id }),
        ];
        Erasure::new(given.into_iter().flatten().next(), self.account.map(AccountId))
    }

    /// Runs the command. `ask` asks the operator; it is `None` if no one can be asked.
    ///
    /// # Errors
    /// No one can be asked and `--yes` is missing, the operator says no, or the store cannot be read or written.
    pub(super) async fn run(
        &self,
        operator: &Operator<'_>,
        ask: Option<fn(&str) -> bool>,
    ) -> anyhow::Result<Outcome> {
        let Some(erasure) = self.erasure() else {
            return Err(Usage("say whose texts to erase".to_owned()).into());
        };
        let filter = erasure.to_string();
        if !self.dry_run && !self.yes && ask.is_none() {
            let why = "cannot ask whether to erase, because stdin is not a terminal or --json is set: add --yes to erase, or \
                       --dry-run to count the jobs only";
            return Err(Usage(why.to_owned()).into());
        }
        if self.dry_run || !self.yes {
            let found = operator.erasable(erasure).await?;
            let text = would_erase(&filter, &found, self.cancel_unfinished);
            if self.dry_run {
                return Ok(Outcome { json: json!(ErasableView::new(filter, &found)), text, failure: None });
            }
            let question = format!("{text}Erased texts cannot be restored. Erase them? [y/N] ");
            if !ask.is_some_and(|ask| ask(&question)) {
                anyhow::bail!("nothing was erased");
            }
        }
        let id = operator.begin_erasure(erasure, self.cancel_unfinished).await?;
        let bulk = finish(operator, id).await?;
        let failure = failure(&bulk);
        Ok(Outcome { json: json!(BulkView::from(&bulk)), text: erased(&bulk), failure })
    }
}

/// Does a bulk change until it ends.
pub(super) async fn finish(operator: &Operator<'_>, id: u64) -> Result<Bulk, StoreError> {
    let mut bulk = operator.bulk(id).await?.ok_or(StoreError::NoBulk(id))?;
    while bulk.state == ActionResult::Running {
        bulk = operator.step_bulk(bulk).await?;
    }
    Ok(bulk)
}

fn would_erase(filter: &str, found: &Erasable, cancels: bool) -> String {
    let jobs = counted(found.finished, "finished job");
    let unfinished = match (found.unfinished, cancels) {
        (0, _) => String::new(),
        (count, true) => format!("{} would be cancelled and erased too.\n", counted(count, "unfinished job")),
        (count, false) => {
            format!("{} would keep its texts (--cancel-unfinished).\n", counted(count, "unfinished job"))
        }
    };
    let accounts: Vec<String> = found.accounts.keys().map(ToString::to_string).collect();
    let accounts = match accounts.as_slice() {
        [] | [_] => String::new(),
        several => format!("They belong to the accounts {} (--account chooses one).\n", several.join(", ")),
    };
    format!("{jobs} of {filter} would lose data, completion, errors and notes.\n{unfinished}{accounts}")
}

fn erased(bulk: &Bulk) -> String {
    format!(
        "Erased the texts of {} of {}.\nBackups made before still contain them, and so may free pages of the store: see \
         docs/privacy.md.\n",
        counted(bulk.changed, "job"),
        bulk.filter
    )
}

fn failure(bulk: &Bulk) -> Option<String> {
    match (bulk.state, bulk.skipped) {
        (ActionResult::Done, 0) => None,
        (ActionResult::Done, unfinished) => Some(format!(
            "{} not erased: repeat the command once finished, or add --cancel-unfinished",
            if unfinished == 1 {
                "1 unfinished job was".to_owned()
            } else {
                format!("{unfinished} unfinished jobs were")
            }
        )),
        (state, _) => Some(format!("the erasure is {}: `actions list` shows more", state.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dry_run_says_what_would_happen() {
        let found = |finished, unfinished, accounts: &[i64]| Erasable {
            finished,
            unfinished,
            accounts: accounts.iter().map(|account| (*account, 1)).collect(),
        };
        for (found, cancels, expected) in [
            (
                found(2, 0, &[31]),
                false,
                "2 finished jobs of lead:7 would lose data, completion, errors and notes.\n",
            ),
            (
                found(1, 1, &[31]),
                false,
                "1 finished job of lead:7 would lose data, completion, errors and notes.\n1 unfinished job would keep its \
                 texts (--cancel-unfinished).\n",
            ),
            (
                found(0, 3, &[31, 32]),
                true,
                "0 finished jobs of lead:7 would lose data, completion, errors and notes.\n3 unfinished jobs would be \
                 cancelled and erased too.\nThey belong to the accounts 31, 32 (--account chooses one).\n",
            ),
        ] {
            assert_eq!(would_erase("lead:7", &found, cancels), expected);
        }
    }
}
