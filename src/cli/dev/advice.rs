//! What a developer can do about an error of the handler, in one line.

/// The keys of a configuration in the bridge's errors, and the options of `dev` that set them.
const OPTIONS: &[(&str, &str)] = &[
    ("handlers.NAME.answer_within", "--answer-within"),
    ("handlers.NAME.attempt_timeout", "--timeout"),
    ("handlers.dev.secret and .auth", "--secret-file or --auth-file"),
    ("handlers.dev.url", "--forward"),
];

/// The text of an error, with the options of `dev` in place of configuration keys.
pub(super) fn in_options(error: &str) -> String {
    OPTIONS.iter().fold(error.to_owned(), |text, (part, new)| text.replace(*part, new))
}

/// What to do about a failed attempt; `None` if the error says it.
pub(super) fn of(status: Option<u16>, error: &str) -> Option<&'static str> {
    let says = |part: &str| error.contains(part);
    Some(match status {
        Some(401 | 403) => "verify signatures with the secret of this run, over the body exactly as received",
        Some(500..=599) => "look at the log of your handler",
        None if says("cannot be reached") => "start your handler, or check the address and port in --forward",
        None if says("closed the connection") => "look at the log of your handler: it may have crashed",
        None if says("did not answer within") || says("did not finish it within") => {
            "answer faster, raise --timeout, or answer 202 and call back"
        }
        None if says("is refused") => "use a loopback or private address, or https",
        _ if says("not valid JSON") => "print only JSON: often a warning of the program precedes it",
        _ if says("web page") => "check --forward: it leads to a page for people",
        _ if says("KiB") => "return only what the bot needs",
        _ => return None,
    })
}

/// What to do about a fallback for this reason; `None` if the last error decides.
pub(super) fn of_fallback(reason: &str) -> Option<&'static str> {
    match reason {
        "no_callback" => {
            Some("POST the answer to data.callback.url of the request, or raise --answer-within")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_options_and_not_keys() {
        for (text, expected) in [
            (
                "the handler took longer than handlers.NAME.attempt_timeout",
                "the handler took longer than --timeout",
            ),
            (
                "check handlers.dev.secret and .auth, and the clock",
                "check --secret-file or --auth-file, and the clock",
            ),
            ("set handlers.dev.url to the final address", "set --forward to the final address"),
            (
                "it did not call back within handlers.NAME.answer_within",
                "it did not call back within --answer-within",
            ),
        ] {
            assert_eq!(in_options(text), expected);
        }
    }

    #[test]
    fn each_kind_of_error_has_its_advice() {
        for (status, error, part) in [
            (None, "the handler cannot be reached: Connection refused", "start your handler"),
            (None, "the handler closed the connection before it answered", "crashed"),
            (None, "the handler did not answer within 30s", "--timeout"),
            (None, "the address of the handler's URL is refused: it is a public address", "https"),
            (Some(500), "the handler answered 500", "log of your handler"),
            (Some(401), "the handler answered 401", "secret of this run"),
            (Some(200), "the response is not valid JSON", "only JSON"),
            (Some(200), "the response is a web page", "a page for people"),
            (Some(200), "the response is over 256 KiB: return only", "what the bot needs"),
        ] {
            let advice = of(status, error).unwrap_or_default();
            assert!(advice.contains(part), "{error}: {advice}");
        }
        assert_eq!(of(Some(200), "the answer is `null`: return an object"), None);
    }
}
