//! The scale of time since receipt, the same on every page: logarithmic, from 0 to a little more than an hour.

use std::time::Duration;

/// Below this, the scale is nearly linear.
const LINEAR_SECONDS: f64 = 0.2;
/// The end of the scale.
const END_SECONDS: f64 = 3_700.0;

/// The place of a time on the scale, in percent of its width. Times beyond the end are at the end.
pub(in crate::admin::pages) fn percent(since_receipt: Duration) -> f64 {
    let position = |seconds: f64| (seconds / LINEAR_SECONDS).ln_1p();
    (100.0 * position(since_receipt.as_secs_f64()) / position(END_SECONDS)).min(100.0)
}

/// A place as an attribute of SVG: `24.4%`.
pub(in crate::admin::pages) fn attribute(percent: f64) -> String {
    format!("{}%", (percent * 100.0).round() / 100.0)
}

/// The place of a time as an attribute of SVG.
pub(in crate::admin::pages) fn at(since_receipt: Duration) -> String {
    attribute(percent(since_receipt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_logarithmic_and_ends() {
        for (seconds, expected) in [
            (0.0, "0%"),
            (1.4, "21.16%"),
            (2.0, "24.4%"),
            (12.0, "41.84%"),
            (50.0, "56.24%"),
            (3_600.0, "99.72%"),
            (1e6, "100%"),
        ] {
            assert_eq!(at(Duration::from_secs_f64(seconds)), expected, "{seconds}");
        }
    }
}
