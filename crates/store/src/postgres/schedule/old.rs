//! The deliveries that have waited for long.

use std::sync::Arc;

use model::{JobId, Timestamp};

use super::{Schedule, Waits};

impl Schedule {
    /// The deliveries that wait for the sender since before `before`, with their lanes. It looks at all jobs.
    pub(crate) fn deliveries_since_before(
        &self,
        before: Timestamp,
    ) -> impl Iterator<Item = (&Arc<str>, JobId)> {
        self.jobs.iter().filter_map(move |(id, planned)| match &planned.waits {
            Waits::Delivering { origin, waiting_since, lease_until: None, .. } if *waiting_since < before => {
                Some((origin, *id))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::schedule::Planned;

    #[test]
    fn only_deliveries_that_wait_are_found() {
        let at = Timestamp::from_millis;
        let delivering = |waiting_since, lease_until| Waits::Delivering {
            origin: "https://one".into(),
            rank: 0,
            due_at: at(1),
            waiting_since: at(waiting_since),
            lease_until,
        };
        let mut schedule = Schedule::default();
        for (number, waits) in [
            (1, delivering(99, None)),
            (2, delivering(100, None)),
            (3, delivering(99, Some(at(500)))),
            (4, Waits::Awaiting { handler: "greet".into(), answer_by: at(1) }),
        ] {
            schedule.set(JobId::new(at(0), number), Some(Planned { fence: 0, waits }));
        }
        let found: Vec<JobId> = schedule.deliveries_since_before(at(100)).map(|(_, id)| id).collect();
        assert_eq!(found, [JobId::new(at(0), 1)]);
    }
}
