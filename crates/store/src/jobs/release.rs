//! Decides where a release of failed deliveries continues.

use model::Timestamp;

/// Returns where the next part of a release begins, if the last delivery of this part is due at `last` and this part began
/// after `after`.
///
/// Others may be due in the same millisecond as the last one, so the next part begins with that millisecond, unless it
/// would examine the same deliveries again.
pub(crate) fn next_part(last: Timestamp, after: Timestamp, has_released: bool) -> Timestamp {
    let before = Timestamp::from_millis(last.as_millis() - 1);
    if has_released || before > after { before } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_begins_with_the_millisecond_of_the_last_delivery_unless_that_would_repeat_this_part() {
        let at = Timestamp::from_millis;
        for (last, after, has_released, expected) in
            [(50, 40, true, 49), (50, 40, false, 49), (50, 49, false, 50), (50, 49, true, 49)]
        {
            assert_eq!(next_part(at(last), at(after), has_released), at(expected), "{last} after {after}");
        }
    }
}
