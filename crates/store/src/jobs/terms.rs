//! The terms of jobs and of filters.

use model::filter::{Condition, FilteredAccount};
use model::{AccountId, Filter};

/// What a search can find a job by. None of it changes after the job was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term<'a> {
    Handler(&'a str),
    Account(i64),
    /// The host of the account, with its port.
    Host(&'a str),
    /// The number of the lead, contact or customer.
    Entity(i64),
    Bot(i64),
    ReturnUrl(&'a str),
}

/// The number of buckets. All runs of a bucket are adjacent, so a search reads this part of the index for each term.
pub(crate) const BUCKETS: u8 = 64;

/// A term, as the index stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermHash {
    pub(crate) bucket: u8,
    pub(crate) print: [u8; 4],
}

impl Term<'_> {
    /// Stores contain these hashes, so they never change. Two terms with the same hash only cost a search some time.
    pub(crate) fn hash(self) -> TermHash {
        let (kind, number, text): (u8, i64, &str) = match self {
            Self::Handler(name) => (1, 0, name),
            Self::Account(number) => (2, number, ""),
            Self::Host(host) => (3, 0, host),
            Self::Entity(number) => (4, number, ""),
            Self::Bot(number) => (5, number, ""),
            Self::ReturnUrl(url) => (6, 0, url),
        };
        let parts = [&[kind][..], &number.to_le_bytes(), text.as_bytes()];
        let [bucket, _, _, _, print @ ..] = fnv1a(parts).to_be_bytes();
        TermHash { bucket: bucket % BUCKETS, print }
    }
}

impl TermHash {
    /// Sorts like the hash itself, and is faster to compare.
    pub(crate) fn sort_key(self) -> u64 {
        u64::from(self.bucket) << u32::BITS | u64::from(u32::from_be_bytes(self.print))
    }
}

/// The hash FNV-1a of 64 bits of all parts in a row.
fn fnv1a(parts: [&[u8]; 3]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// The columns of a job that contain its terms.
pub(crate) struct SearchedColumns<'a> {
    pub(crate) handler: &'a str,
    pub(crate) account_id: i64,
    pub(crate) origin: &'a str,
    pub(crate) entity_id: Option<i64>,
    pub(crate) return_url: &'a str,
}

impl<'a> SearchedColumns<'a> {
    pub(crate) fn terms(&self) -> impl Iterator<Item = Term<'a>> {
        let host = ["https://", "http://"].iter().find_map(|scheme| self.origin.strip_prefix(scheme));
        let always =
            [Term::Handler(self.handler), Term::Account(self.account_id), Term::ReturnUrl(self.return_url)];
        let bot = self.return_url.rsplit('/').nth(2).and_then(|bot| bot.parse().ok()).map(Term::Bot);
        always.into_iter().chain(host.map(Term::Host)).chain(bot).chain(self.entity_id.map(Term::Entity))
    }
}

/// Returns for each clause that only the index can find: its alternatives, each with the terms that its jobs have.
pub(crate) fn of_filter(filter: &Filter) -> Vec<Vec<Vec<Term<'_>>>> {
    let clauses = filter.clauses().iter().filter(|clause| !clause.negated);
    clauses.filter_map(|clause| clause.any_of.iter().map(of_condition).collect()).collect()
}

fn of_condition(condition: &Condition) -> Option<Vec<Term<'_>>> {
    Some(match condition {
        Condition::Handler(handler) => vec![Term::Handler(handler.as_str())],
        Condition::Account(FilteredAccount::Number(AccountId(number))) => vec![Term::Account(*number)],
        Condition::Account(FilteredAccount::Host(host)) => vec![Term::Host(host)],
        Condition::Entity(entity) => vec![Term::Entity(entity.id)],
        Condition::Bot(bot) => vec![Term::Bot(*bot)],
        Condition::Conversation(conversation) => {
            vec![Term::Account(conversation.account_id.0), Term::Entity(conversation.entity.id)]
        }
        Condition::ReturnUrl(url) => vec![Term::ReturnUrl(url.as_str())],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change would make the index of every store useless.
    #[test]
    fn hashes_never_change() {
        let hash = |term: Term<'_>| {
            let TermHash { bucket, print } = term.hash();
            (bucket, u32::from_be_bytes(print))
        };
        assert_eq!(hash(Term::Handler("greet")), (49, 0x28de9f55));
        assert_eq!(hash(Term::Account(31_000_001)), (34, 0x7d6e5c25));
        assert_eq!(hash(Term::Host("example.kommo.com")), (40, 0x1daba354));
        assert_eq!(hash(Term::Entity(777_002)), (30, 0xaad77573));
        assert_eq!(hash(Term::Bot(12)), (56, 0xc0c0d4ec));
        assert_eq!(
            hash(Term::ReturnUrl("https://a.kommo.com/api/v4/salesbot/1/continue/2")),
            (19, 0xac24fd64)
        );
    }

    #[test]
    fn a_job_has_the_terms_by_which_filters_find_it() {
        let job = SearchedColumns {
            handler: "greet",
            account_id: 7,
            origin: "http://127.0.0.1:8090",
            entity_id: Some(5),
            return_url: "http://127.0.0.1:8090/api/v4/marketingbot/12/continue/a_b",
        };
        let terms: Vec<Term<'_>> = job.terms().collect();
        for expected in [
            Term::Handler("greet"),
            Term::Account(7),
            Term::Host("127.0.0.1:8090"),
            Term::Entity(5),
            Term::Bot(12),
            Term::ReturnUrl(job.return_url),
        ] {
            assert!(terms.contains(&expected), "{expected:?} in {terms:?}");
        }
        assert_eq!(terms.len(), 6);
    }
}
