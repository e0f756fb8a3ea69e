//! A run of the search index: its blocks, and for each term the blocks in which it occurs. Pure functions.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::jobs::terms::TermHash;

/// The number of jobs in a run and in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunSize {
    pub(crate) run: usize,
    pub(crate) block: usize,
}

impl RunSize {
    /// The sizes in use. The blocks of a run fit into a mask.
    pub(crate) const STANDARD: Self = Self { run: 1_024, block: 64 };
}

/// The blocks of a run in which a term occurs: bit 0 is the oldest block.
pub(crate) type BlockMask = u16;

const PRINT_BYTES: usize = 4;
const ENTRY_BYTES: usize = PRINT_BYTES + size_of::<BlockMask>();
const ID_BYTES: usize = 16;

/// A run in the making.
#[derive(Default)]
pub(crate) struct RunBuilder {
    /// The id of the first job of each block.
    pub(crate) blocks: Vec<u8>,
    /// The ids of the first and the last job.
    pub(crate) ids: Option<(Uuid, Uuid)>,
    pub(crate) jobs: usize,
    /// The block of each term of each job. Sorting them in the end takes half the time of a map.
    terms: Vec<(TermHash, BlockMask)>,
}

impl RunBuilder {
    /// Adds the job with the next id.
    pub(crate) fn add(&mut self, id: Uuid, terms: impl Iterator<Item = TermHash>, size: RunSize) {
        let block = self.jobs / size.block;
        if self.jobs.is_multiple_of(size.block) {
            self.blocks.extend_from_slice(id.as_bytes());
        }
        let bit =
            u32::try_from(block).ok().and_then(|block| BlockMask::from(1_u8).checked_shl(block)).unwrap_or(0);
        self.terms.extend(terms.map(|term| (term, bit)));
        self.ids = Some((self.ids.map_or(id, |(first, _)| first), id));
        self.jobs += 1;
    }

    /// The entries of each bucket that has any.
    pub(crate) fn buckets(mut self) -> BTreeMap<u8, Vec<u8>> {
        self.terms.sort_unstable_by_key(|(term, _)| term.sort_key());
        let mut buckets = BTreeMap::<u8, Vec<u8>>::new();
        for same in self.terms.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((TermHash { bucket, print }, _)) = same.first() else { continue };
            let mask = same.iter().fold(0, |mask: BlockMask, (_, block)| mask | block);
            let entries = buckets.entry(*bucket).or_default();
            entries.extend_from_slice(print);
            entries.extend_from_slice(&mask.to_be_bytes());
        }
        buckets
    }
}

/// Returns the blocks in which the term with this print occurs.
pub(crate) fn mask_in(entries: &[u8], print: [u8; PRINT_BYTES]) -> BlockMask {
    let mut found = 0;
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        if let [a, b, c, d, high, low] = *entry
            && [a, b, c, d] == print
        {
            found |= BlockMask::from_be_bytes([high, low]);
        }
    }
    found
}

/// A range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The oldest id.
    pub(crate) from: Uuid,
    /// The first id behind the range.
    pub(crate) below: Uuid,
    /// About how many jobs have an id in the range.
    pub(crate) jobs: i64,
}

/// Returns the parts of a run that contain the blocks of `mask`, newest first. Adjacent blocks are one part.
pub(crate) fn spans(blocks: &[u8], last: Uuid, mask: BlockMask, block_jobs: usize) -> Vec<Span> {
    let firsts: Vec<Uuid> =
        blocks.chunks_exact(ID_BYTES).filter_map(|id| Uuid::from_slice(id).ok()).collect();
    let jobs = i64::try_from(block_jobs).unwrap_or(i64::MAX);
    let mut spans: Vec<Span> = Vec::new();
    for (block, from) in firsts.iter().enumerate().rev() {
        let is_in = u32::try_from(block).ok().and_then(|block| mask.checked_shr(block)).unwrap_or(0) & 1 == 1;
        if !is_in {
            continue;
        }
        let below = firsts.get(block + 1).copied().unwrap_or_else(|| after(last));
        match spans.last_mut() {
            Some(newer) if newer.from == below => {
                newer.from = *from;
                newer.jobs += jobs;
            }
            _ => spans.push(Span { from: *from, below, jobs }),
        }
    }
    spans
}

/// The next id.
pub(crate) fn after(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: RunSize = RunSize { run: 6, block: 2 };

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn term(bucket: u8, print: u8) -> TermHash {
        TermHash { bucket, print: [print; 4] }
    }

    #[test]
    fn a_run_knows_in_which_blocks_each_term_occurs() {
        let mut run = RunBuilder::default();
        for (number, terms) in
            [(10, vec![1, 2]), (11, vec![1]), (12, vec![1]), (13, vec![1]), (14, vec![2, 1]), (15, vec![])]
        {
            run.add(id(number), terms.into_iter().map(|print| term(print % 2, print)), SIZE);
        }
        assert_eq!((run.ids, run.jobs), (Some((id(10), id(15))), 6));
        let blocks = run.blocks.clone();
        let buckets = run.buckets();
        assert_eq!(buckets.keys().copied().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(mask_in(&buckets[&1], [1; 4]), 0b111);
        assert_eq!(mask_in(&buckets[&0], [2; 4]), 0b101);
        assert_eq!(mask_in(&buckets[&0], [3; 4]), 0);
        let span = |from, below, jobs| Span { from: id(from), below: id(below), jobs };
        for (mask, expected) in [
            (0b000, vec![]),
            (0b001, vec![span(10, 12, 2)]),
            (0b100, vec![span(14, 16, 2)]),
            (0b101, vec![span(14, 16, 2), span(10, 12, 2)]),
            (0b110, vec![span(12, 16, 4)]),
            (0b111, vec![span(10, 16, 6)]),
        ] {
            assert_eq!(spans(&blocks, id(15), mask, SIZE.block), expected, "{mask:b}");
        }
    }

    #[test]
    fn a_print_is_found_only_at_the_start_of_an_entry() {
        let entries = [1, 2, 3, 4, 0, 1, 9, 9, 9, 9, 0, 2];
        assert_eq!(mask_in(&entries, [1, 2, 3, 4]), 1);
        assert_eq!(mask_in(&entries, [2, 3, 4, 0]), 0);
        assert_eq!(mask_in(&entries, [9; 4]), 2);
    }

    #[test]
    fn the_blocks_of_a_run_fit_into_a_mask() {
        let RunSize { run, block } = RunSize::STANDARD;
        assert!(run.div_ceil(block) <= BlockMask::BITS as usize);
    }
}
