//! The header `Retry-After`: the time for which Kommo asks to wait, as seconds or as a date.
//!
//! A date is compared with the `Date` of the same response. Both come from the same clock, so our clock does not matter.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::problem::whole_seconds;

/// The time to wait; `None` if the header is missing, not a valid number, or a date in the past.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.trim());
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return whole_seconds(seconds);
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let answered = httpdate::parse_http_date(text(DATE)?).ok()?;
    until.duration_since(answered).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(retry_after: &[u8], date: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.try_into().unwrap());
        if !date.is_empty() {
            headers.insert(DATE, date.parse().unwrap());
        }
        read(&headers).map(|span| span.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_parsed_and_nonsense_is_ignored() {
        let noon = "Thu, 26 Nov 2026 12:00:00 GMT";
        for (retry_after, date, expected) in [
            (&b"300"[..], "", Some(300)),
            (b" 7.5 ", noon, Some(7)),
            (b"0", noon, Some(0)),
            (b"99999999999999999999", noon, None),
            (b"1e999", noon, None),
            (b"-5", noon, None),
            (b"NaN", noon, None),
            (b"inf", noon, None),
            (b"soon", noon, None),
            (b"\xff\xfe", noon, None),
            (b"", noon, None),
            (b"Thu, 26 Nov 2026 12:02:00 GMT", noon, Some(120)),
            (b"Thursday, 26-Nov-26 12:02:00 GMT", noon, Some(120)),
            (b"Thu Nov 26 12:02:00 2026", noon, Some(120)),
            (b"Thu, 26 Nov 2026 11:59:00 GMT", noon, None),
            (b"Thu, 26 Nov 2026 12:02:00 GMT", "", None),
            (b"Thu, 26 Nov 2026 12:02:00 GMT", "now", None),
            (b"Fri, 31 Dec 9999 23:59:59 GMT", noon, Some(251_606_606_399)),
        ] {
            let text = String::from_utf8_lossy(retry_after);
            assert_eq!(asked(retry_after, date), expected, "`{text}` at `{date}`");
        }
    }
}
