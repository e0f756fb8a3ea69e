//! Values that are written as text: durations, sizes, addresses, URLs.
//!
//! Each type says what it allows. A refusal says only that, and never repeats the text.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use model::{HostPattern, RedirectUri, RequestRate};

/// A type that is written as text.
pub(super) trait Written: Sized {
    /// What may be written, as the end of the sentence "must be …".
    const ALLOWED: &'static str;
    /// The same as a regular expression, if one can express it completely.
    const PATTERN: Option<&'static str> = None;
    /// Reads the text; `None` if it is not allowed.
    fn read(text: &str) -> Option<Self>;
}

/// A [`Written`] value of the raw sections.
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: Written> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::read(&text).map(Self).ok_or_else(|| D::Error::custom(format_args!("must be {}", T::ALLOWED)))
    }
}

impl<T: Written> JsonSchema for Text<T> {
    fn schema_name() -> Cow<'static, str> {
        T::ALLOWED.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        T::PATTERN.map_or_else(
            || json_schema!({ "type": "string", "description": T::ALLOWED }),
            |pattern| json_schema!({ "type": "string", "description": T::ALLOWED, "pattern": pattern }),
        )
    }
}

/// A span of time: `500ms`, `50s`, `1m30s`, `24h`, `14d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(pub(super) Duration);

/// The units, longest first, in the order in which they are printed.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Written for Span {
    const ALLOWED: &'static str = "a duration like \"500ms\", \"50s\", \"1m30s\", \"24h\" or \"14d\"";
    const PATTERN: Option<&'static str> = Some(r"^([0-9]+(ms|s|m|h|d))+$");

    fn read(text: &str) -> Option<Self> {
        let (mut rest, mut total) = (text, 0_u64);
        while !rest.is_empty() {
            let (number, after) = leading_number(rest)?;
            let unit = after.split(|c: char| c.is_ascii_digit()).next()?;
            let (_, millis) = TIMES.iter().find(|(name, _)| *name == unit)?;
            total = total.checked_add(number.checked_mul(*millis)?)?;
            rest = &after[unit.len()..];
        }
        (!text.is_empty()).then_some(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in TIMES {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

/// A number of bytes: `1000B`, `256KiB`, `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl Written for Size {
    const ALLOWED: &'static str = "a size like \"1000B\", \"256KiB\" or \"1MiB\"";
    const PATTERN: Option<&'static str> = Some(r"^[0-9]+(B|KiB|MiB|GiB)$");

    fn read(text: &str) -> Option<Self> {
        let (number, unit) = leading_number(text)?;
        let bytes: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        usize::try_from(number.checked_mul(bytes)?).ok().map(Self)
    }
}

/// Requests per period: `600/1m`.
impl Written for RequestRate {
    const ALLOWED: &'static str =
        "a number of requests per period of at least 1s, like \"600/1m\" or \"20/1s\"";

    fn read(text: &str) -> Option<Self> {
        let (requests, span) = text.split_once('/')?;
        let (requests, Span(span)) = (whole_number(requests)?, Span::read(span)?);
        (requests > 0 && span >= Duration::from_secs(1)).then_some(Self { requests, span })
    }
}

/// Reads a number that consists of digits only.
fn whole_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

impl Written for SocketAddr {
    const ALLOWED: &'static str = "an IP address and a port like \"127.0.0.1:8080\" or \"[::1]:8080\"";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Written for Url {
    const ALLOWED: &'static str =
        "a URL like \"https://example.com\", with http or https, without a user name or fragment";

    fn read(text: &str) -> Option<Self> {
        let url = Self::parse(text).ok()?;
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (matches!(url.scheme(), "http" | "https") && url.has_host() && plain).then_some(url)
    }
}

impl Written for RedirectUri {
    const ALLOWED: &'static str = "a URL like \"https://bots.example.com/oauth/callback\", with http or https, without spaces, \
                                   a user name or fragment";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Written for HostPattern {
    const ALLOWED: &'static str = "a host like \"example.kommo.com\", \"*.kommo.com\" or \"127.0.0.1:8090\"";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_and_printed() {
        let good = [
            ("500ms", 500, "500ms"),
            ("50s", 50_000, "50s"),
            ("1m30s", 90_000, "1m30s"),
            ("24h", 86_400_000, "1d"),
            ("14d", 1_209_600_000, "14d"),
            ("1800ms", 1_800, "1s800ms"),
            ("0s", 0, "0s"),
        ];
        for (text, millis, printed) in good {
            let span = Span::read(text);
            assert_eq!(span, Some(Span(Duration::from_millis(millis))), "{text}");
            assert_eq!(span.map(|span| span.to_string()).as_deref(), Some(printed));
        }
        for bad in ["", "5", "s", "5 s", "-5s", "1.5s", "5sec", "5S", "99999999999999999999s", "s5", "é5s"] {
            assert_eq!(Span::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn rates_are_parsed() {
        let rate = |requests, seconds| RequestRate { requests, span: Duration::from_secs(seconds) };
        let good = [("600/1m", rate(600, 60)), ("1/1s", rate(1, 1)), ("20/1m30s", rate(20, 90))];
        for (text, expected) in good {
            assert_eq!(RequestRate::read(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            "600",
            "600/",
            "/1m",
            "0/1m",
            "600/0s",
            "600/500ms",
            "+5/1m",
            "1.5/1m",
            "5/m",
            "5/1m/1m",
            "9999999999/1m",
        ] {
            assert_eq!(RequestRate::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_parsed() {
        let good = [("1000B", 1_000), ("256KiB", 262_144), ("1MiB", 1_048_576), ("2GiB", 2_147_483_648)];
        for (text, bytes) in good {
            assert_eq!(Size::read(text), Some(Size(bytes)), "{text}");
        }
        for bad in ["", "1", "KiB", "1KB", "1kib", "1 KiB", "-1B", "99999999999GiB"] {
            assert_eq!(Size::read(bad), None, "{bad}");
        }
    }
}
