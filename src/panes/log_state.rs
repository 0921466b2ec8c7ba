//! What a reader of the log knows: heads, how far it has read, and a hash of all counts it accepted.
//!
//! The hash is a sum: every count is multiplied by a number drawn from what it counts (layout, pane, bin or cell), so it depends on the counts and not on the
//! order, the flushes or the partition they came in. Two readers at the same position have the same hash or one of them is wrong. The pair is marked at
//! every [`MARK_EVERY`]th record, so that two readers scraped at different moments have a position in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Claim, Commit, FeatureDelta, Heads, Rejected};
use crate::model::{LayoutId, MonitorId};

/// Records of a partition between two marks.
const MARK_EVERY: i64 = 64;

/// How far a partition of the log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The record to read next.
    pub next: i64,
    /// Hash of the counts accepted before it.
    pub hash: u64,
    /// The latest marked position, and the hash there.
    pub mark: (i64, u64),
}

/// What is known after a stretch of log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogState {
    /// How far each shard was counted.
    pub heads: Heads,
    /// By partition of the log; a file is partition 0.
    pub partitions: BTreeMap<u32, Position>,
}

impl LogState {
    /// Judges the claim of the record at `position` of a partition.
    ///
    /// # Errors
    /// It does not count, and changes nothing but how far was read.
    pub fn fold(&mut self, partition: u32, position: i64, claim: &Claim) -> Result<(), Rejected> {
        self.pass(partition, position);
        self.heads.fold(claim)
    }

    /// Notes a record that is no commit.
    pub fn pass(&mut self, partition: u32, position: i64) {
        let place = self.partitions.entry(partition).or_default();
        // Positions have gaps: what was accepted before the first record behind a mark is what was accepted before the mark.
        let mark = position - position.rem_euclid(MARK_EVERY);
        if mark > place.mark.0 {
            place.mark = (mark, place.hash);
        }
        place.next = position + 1;
    }

    /// Takes the counts of an accepted commit into the hash.
    pub fn hash(&mut self, partition: u32, commit: &Commit) {
        let place = self.partitions.entry(partition).or_default();
        place.hash = place.hash.wrapping_add(content_hash(commit));
    }

    /// The record of a partition to read next.
    #[must_use]
    pub fn next(&self, partition: u32) -> i64 {
        self.partitions
            .get(&partition)
            .map_or(0, |place| place.next)
    }
}

/// The sum of a commit's counts, each times a number drawn from what it counts.
#[must_use]
pub fn content_hash(commit: &Commit) -> u64 {
    let mut sum = 0_u64;
    for counts in &commit.monitors {
        let Some(monitor) = commit.counted.monitors.get(counts.monitor) else {
            continue;
        };
        for pane in &counts.panes {
            let key = mix(number(monitor.id), pane.start.as_millis().cast_unsigned());
            sum = sum.wrapping_add(mix(key, 0).wrapping_mul(pane.events));
            for delta in &pane.features {
                if let Some(id) = monitor.features.get(delta.feature) {
                    let key = mix(key, u64::from_le_bytes(*LayoutId::as_bytes(id)));
                    sum = sum.wrapping_add(feature_hash(key, delta));
                }
            }
        }
    }
    sum
}

fn number(id: MonitorId) -> u64 {
    u64::from_le_bytes(*id.as_bytes())
}

fn feature_hash(key: u64, delta: &FeatureDelta) -> u64 {
    let tallies = &delta.tallies;
    let others = [
        &[tallies.values, tallies.saturated][..],
        &tallies.missing,
        &tallies.invalid,
    ];
    let others = others.into_iter().flatten().copied().zip(1_u64 << 32..);
    let (first, bins) = &delta.bins;
    let bins = bins
        .iter()
        .map(|count| u64::from(*count))
        .zip(u64::from(*first)..);
    let cell = u64::from(delta.cells.first) + (1 << 16);
    let counts = delta.cells.counts.iter().map(|count| u64::from(*count));
    let sums = delta.cells.sums.iter().map(|sum| sum.cast_unsigned());
    let cells = counts.zip(cell..).chain(sums.zip(cell + (1 << 16)..));
    others
        .chain(bins)
        .chain(cells)
        .filter(|(count, _)| *count != 0)
        .fold(0, |sum: u64, (count, place)| {
            sum.wrapping_add(mix(key, place).wrapping_mul(count))
        })
}

/// Two numbers to one that looks random: the finisher of `SplitMix64` (Steele, Lea and Flood 2014). Odd, so that no count is lost in the product.
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a
        .rotate_left(32)
        .wrapping_add(b.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) | 1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{EventTime, Shard};
    use crate::panes::{CommitSchema, Frame, MonitorCommit, MonitorSchema, RecordCounts};
    use crate::stats::{Bins, CellScale, Layout, NumericLayout};
    use proptest::prelude::*;

    fn commit(xs: &[f64]) -> Commit {
        let bins = Bins::try_new(vec![-1.0, 0.0, 1.0]).unwrap();
        let cells = CellScale::try_new(0.0, 1.0).unwrap();
        let layout = Layout::Numeric(NumericLayout { bins, cells });
        let mut frame = Frame::new([Some(&layout)].into_iter());
        frame.begin(EventTime::from_millis(0));
        for x in xs {
            frame.count_event();
            frame.record_number(0, layout.numeric().unwrap(), *x);
        }
        Commit {
            shard: Arc::new(Shard {
                source: String::new(),
                cluster: String::new(),
                topic: String::new(),
                partition: 0,
                incarnation: 0,
            }),
            topic_id: None,
            base: 0,
            upto: 0,
            opens: true,
            written_at: None,
            caught_up_at: None,
            from_start: false,
            source_shards: 0,
            offsets_lost: 0,
            counted: Arc::new(CommitSchema {
                monitors: vec![MonitorSchema {
                    id: MonitorId::of([&b"m"[..]]),
                    features: vec![LayoutId::of([&b"x"[..]])],
                }],
            }),
            records: RecordCounts::default(),
            monitors: vec![MonitorCommit {
                panes: vec![frame.take()],
                ..MonitorCommit::default()
            }],
        }
    }

    #[test]
    fn positions_are_marked_at_the_same_places_whatever_the_gaps() {
        let mut state = LogState::default();
        state.pass(0, 0);
        state.hash(0, &commit(&[1.0]));
        let before = state.partitions[&0].hash;
        state.pass(0, 70);
        state.hash(0, &commit(&[2.0]));
        assert_eq!(state.partitions[&0].mark, (64, before), "at 64");
        assert_eq!(state.next(0), 71, "next");
        state.pass(0, 71);
        assert_eq!(state.partitions[&0].mark, (64, before), "kept");
    }

    proptest! {
        #[test]
        fn the_hash_depends_on_the_counts_and_not_on_how_they_were_cut(
            xs in proptest::collection::vec(-5.0..5.0f64, 1..40), cut in 0..40usize
        ) {
            let cut = cut.min(xs.len());
            let (a, b) = (content_hash(&commit(&xs[..cut])), content_hash(&commit(&xs[cut..])));
            let whole = content_hash(&commit(&xs));
            prop_assert_eq!(whole, a.wrapping_add(b));
            prop_assert_ne!(whole, content_hash(&commit(&xs[1..])));
        }
    }
}
