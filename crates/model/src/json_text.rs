//! Repairs JSON from outside that strict parsers refuse or would change: half characters, and numbers with too many digits.
//!
//! PHP may cut a message within a character and write the rest into JSON: bytes that are not UTF-8, or one half of a
//! surrogate pair (`\ud83d`). A strict parser refuses the whole text, and the bot would hang because of half an emoji.
//! Here, each half becomes U+FFFD.
//!
//! A number that `i64`, `u64` or `f64` cannot represent exactly becomes a string of the same characters. So a bot prints
//! `{{json.x}}` with the exact digits, and a handler reads them from the string.

use std::borrow::Cow;

/// Repairs the JSON in `bytes`, so that a strict parser accepts it and loses no digit of a number. Removes a byte order mark
/// and surrounding white space. Other text does not become valid JSON.
pub fn repaired(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    let text = String::from_utf8_lossy(bytes);
    match rewritten(&text) {
        Some(rewritten) => Cow::Owned(rewritten),
        None => text,
    }
}

/// Replaces half characters and inexact numbers in `text`; `None` if there are none.
fn rewritten(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    // All cuts are at ASCII characters, so slices contain whole characters.
    let mut replace = |from: usize, to: usize, with: &str| {
        out.push_str(&text[copied..from]);
        out.push_str(with);
        copied = to;
    };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(byte) = bytes.get(at) {
                    match byte {
                        b'"' => break,
                        b'\\' => match escape(&bytes[at..]) {
                            Escape::Whole(length) => at += length,
                            Escape::Half => {
                                replace(at, at + 6, "\\ufffd");
                                at += 6;
                            }
                        },
                        _ => at += 1,
                    }
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let length = bytes[at..].iter().take_while(is_part).count();
                let number = &text[at..at + length];
                if is_number(number) && !is_exact(number) {
                    replace(at, at + length, &format!("\"{number}\""));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

enum Escape {
    /// A valid escape of this many bytes.
    Whole(usize),
    /// Half a surrogate pair: the six bytes `\uXXXX`.
    Half,
}

/// The escape at the start of `rest`, which begins with a backslash.
fn escape(rest: &[u8]) -> Escape {
    match unit(rest) {
        Some(0xd800..=0xdbff) => match unit(rest.get(6..).unwrap_or_default()) {
            Some(0xdc00..=0xdfff) => Escape::Whole(12),
            _ => Escape::Half,
        },
        Some(0xdc00..=0xdfff) => Escape::Half,
        Some(_) => Escape::Whole(6),
        // The backslash and one byte. If the character has more bytes, they have no special meaning here.
        None => Escape::Whole(2),
    }
}

/// The UTF-16 unit of `\uXXXX` at the start of `rest`.
fn unit(rest: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = rest else { return None };
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    let are_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    are_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// Whether `text` is a valid JSON number.
fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether `i64`, `u64` or `f64` represents `number` exactly.
fn is_exact(number: &str) -> bool {
    if !number.contains(['.', 'e', 'E']) {
        return number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    }
    let Ok(float) = number.parse::<f64>() else { return false };
    // Of two shortest texts for a float, serde_json may choose another one than the standard library, and it is serde_json
    // that writes the number again.
    serde_json::Number::from_f64(float)
        .is_some_and(|written| decimal(number) == decimal(&written.to_string()))
}

/// The digits of a number from the first to the last that is not 0, and the power of ten of the last one.
fn decimal(number: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let exponent: i64 = exponent.parse().ok()?;
    let (zeros, fraction) = (i64::try_from(zeros).ok()?, i64::try_from(fraction.len()).ok()?);
    Some((significant.to_owned(), exponent.checked_add(zeros)?.checked_sub(fraction)?))
}

#[cfg(test)]
mod tests;
