//! Which new jobs of one transaction supersede each other.

use model::JobId;
use model::maps::HashMap;

/// Returns each job whose URL occurs again, with the next job that has it.
pub(crate) fn pairs<'a>(jobs: impl ExactSizeIterator<Item = (JobId, &'a str)>) -> Vec<(JobId, JobId)> {
    if jobs.len() < 2 {
        return Vec::new();
    }
    let mut last = HashMap::with_capacity(jobs.len());
    jobs.filter_map(|(id, url)| Some((last.insert(url, id)?, id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[test]
    fn within_a_transaction_each_job_is_superseded_by_the_next_one_with_its_url() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|number| JobId::new(Timestamp::from_millis(0), number));
        for (urls, expected) in [
            (vec![], vec![]),
            (vec![(a, "x")], vec![]),
            (vec![(a, "x"), (b, "y")], vec![]),
            (vec![(a, "x"), (b, "y"), (c, "x"), (d, "x")], vec![(a, c), (c, d)]),
            // In order of arrival, whatever the ids.
            (vec![(d, "x"), (a, "x")], vec![(d, a)]),
        ] {
            assert_eq!(pairs(urls.clone().into_iter()), expected, "{urls:?}");
        }
    }
}
