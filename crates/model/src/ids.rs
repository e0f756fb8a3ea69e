//! Ids, numbers and names. Each has its own type, so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::Timestamp;

/// The id of a job: a UUIDv7, so that jobs sort by the time of receipt.
///
/// A handler can use it as an idempotency key, because it is the same in every attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// Creates an id from the moment of receipt and the low 80 bits of `random`.
    pub fn new(now: Timestamp, random: u128) -> Self {
        let [_, _, _, _, _, _, bytes @ ..] = random.to_be_bytes();
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }

    /// The smallest id of a job that was received at `moment`: a bound for searches, not the id of a job.
    pub fn first_at(moment: Timestamp) -> Self {
        let millis = u128::try_from(moment.as_millis()).unwrap_or(0).min((1 << 48) - 1);
        Self(Uuid::from_u128(millis << 80))
    }

    /// Wraps `uuid`.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The moment of receipt, which the id contains.
    pub fn received_at(self) -> Timestamp {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or_default();
        Timestamp::from_millis(millis)
    }

    /// The id as a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self)
    }
}

/// The number of a Kommo account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub i64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that each claim of a job increases.
///
/// A write with an older fence changes nothing. So a worker that has lost its lease cannot overwrite the result of the next
/// claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub i64);

/// The name of a handler: the last part of the URL that a widget block calls.
///
/// It has 1 to 64 ASCII letters, digits, `-` and `_`, so it needs no escaping in a URL, a configuration key or a metric
/// label. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct HandlerName(Arc<str>);

impl HandlerName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HandlerName {
    type Err = HandlerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(HandlerNameError)
        }
    }
}

impl<'de> Deserialize<'de> for HandlerName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::borrow::Borrow<str> for HandlerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not the name of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handler's name is 1 to 64 ASCII letters, digits, `-` or `_`")]
pub struct HandlerNameError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_ids_sort_by_receipt_and_are_version_7() {
        let early = JobId::new(Timestamp::from_millis(1_000), u128::MAX);
        let late = JobId::new(Timestamp::from_millis(1_001), 0);
        assert!(early < late);
        assert_eq!(early.as_uuid().get_version_num(), 7);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(late.received_at(), Timestamp::from_millis(1_001));
        let bound = JobId::first_at(Timestamp::from_millis(1_001));
        assert!(early < bound && bound <= late && bound.received_at() == late.received_at());
        assert_eq!(JobId::first_at(Timestamp::from_millis(i64::MIN)).as_uuid(), Uuid::nil());
    }

    #[test]
    fn handler_names_need_no_escaping() {
        for good in ["echo", "a", "greet-2_B", &"x".repeat(64)] {
            assert_eq!(good.parse::<HandlerName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a/b", "ä", "a.b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<HandlerName>(), Err(HandlerNameError), "{bad}");
        }
    }
}
