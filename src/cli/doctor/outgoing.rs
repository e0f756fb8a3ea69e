//! Checks the route of calls to Kommo, and whether the environment names a proxy that they do not use.

use crate::config::DeliveryConfig;

use super::check::Check;

/// Reports the route in effect.
pub(super) fn check(delivery: &DeliveryConfig) -> Check {
    decide(&delivery.outgoing.to_string(), delivery.ignored_proxy.as_deref())
}

fn decide(route: &str, ignored: Option<&str>) -> Check {
    let found = format!("calls to Kommo go {route}");
    match ignored {
        None => Check::ok("outgoing", found),
        Some(variable) => Check::warning(
            "outgoing",
            format!("{found}; {variable} is set but not used"),
            "set delivery.proxy to \"env\" to use it, or unset the variable for the bridge",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn an_unused_proxy_in_the_environment_is_a_warning() {
        assert_eq!(decide("directly", None).outcome(), Outcome::Ok);
        let warned = decide("directly", Some("https_proxy"));
        let text = serde_json::to_string(&warned).unwrap();
        assert_eq!(warned.outcome(), Outcome::Warning);
        assert!(
            text.contains("go directly; https_proxy is set but not used") && text.contains("\\\"env\\\""),
            "{text}"
        );
    }
}
