//! The state of a reader of the log: heads, positions, and a hash of all counts it accepted.
//!
//! The hash is a sum: each count is multiplied by a number drawn from its meaning (layout, pane,
//! bin or cell). So it depends on the counts and not on their order, on the flushes or on the
//! partition of the log. Two readers at the same position have the same hash, or one of them is
//! wrong. Position and hash are marked at every [`MARK_EVERY`]th record, so that two readers
//! scraped at different moments have a position in common.
//!
//! A reader without the first records of a partition guesses the heads of its shards, but only up
//! to a position that all readers know: that of the newest snapshot, whichever monitors it holds,
//! or else the end of the partition at the start of the reader. At the position of a snapshot its
//! heads replace the guesses. So from there on, all readers decide alike again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::commit::{Commit, FeatureDelta};
use super::fold::{Claim, Heads, Rejected};
use crate::model::{LayoutId, MonitorId};

/// Records of a log partition between two marks.
const MARK_EVERY: i64 = 64;

/// The position of a reader in one partition of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The record to read next.
    pub next: i64,
    /// Hash of the counts accepted before `next`.
    pub hash: u64,
    /// The latest marked position, and the hash there.
    pub mark: (i64, u64),
    /// Records before this one may give a guessed head to a shard that has none.
    pub guess_until: i64,
}

/// The state of a reader after the records it has read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogState {
    /// The head of every shard.
    pub heads: Heads,
    /// Positions by partition of the log; a file is partition 0.
    pub partitions: BTreeMap<u32, Position>,
    /// The heads at a later position, by partition, where a snapshot knows them.
    #[serde(skip)]
    checkpoints: BTreeMap<u32, Checkpoint>,
    /// The offsets over which a guessed head was moved since they were last taken.
    #[serde(skip)]
    skipped: Vec<Claim>,
}

/// The heads at a position that a reader has not reached yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checkpoint {
    position: i64,
    heads: Heads,
}

impl Checkpoint {
    /// Returns true if the claim may have been accepted before the checkpoint: no accepted one ends
    /// after the head there.
    fn admits(&self, claim: &Claim) -> bool {
        self.heads
            .of(&claim.shard)
            .is_some_and(|head| claim.upto <= head.upto)
    }
}

impl LogState {
    /// Passes the record at `position` of a partition and folds its claim.
    ///
    /// # Errors
    /// Returns the reason if the claim is rejected. Nothing but the position changes then.
    pub fn fold(&mut self, partition: u32, position: i64, claim: &Claim) -> Result<(), Rejected> {
        self.pass(partition, position);
        let head = self.heads.of(&claim.shard).map(|head| head.upto);
        if position < self.partitions[&partition].guess_until {
            if let Some(checkpoint) = self.checkpoints.get(&partition)
                && !checkpoint.admits(claim)
            {
                return Err(Rejected::NoHead);
            }
            self.heads.fold_guessing(claim)?;
        } else {
            self.heads.fold(claim)?;
        }
        if let Some(head) = head.filter(|head| *head < claim.base) {
            self.skipped.push(Claim {
                base: head,
                upto: claim.base,
                ..claim.clone()
            });
        }
        Ok(())
    }

    /// Begins at record `first` of a partition whose earlier records are gone; heads are guessed
    /// before record `until`.
    pub fn begin_without_history(&mut self, partition: u32, first: i64, until: i64) {
        self.pass(partition, first - 1);
        if let Some(state) = self.partitions.get_mut(&partition) {
            state.guess_until = until;
        }
    }

    /// Sets the heads of a partition at a later position, from a snapshot; they must be those of
    /// all its shards.
    pub fn set_checkpoint(&mut self, partition: u32, position: i64, heads: Heads) {
        self.checkpoints
            .insert(partition, Checkpoint { position, heads });
    }

    /// Takes over the heads of all checkpoints; for a reader that has read the log to its end.
    pub fn reach_checkpoints(&mut self) {
        for partition in self.checkpoints.keys().copied().collect::<Vec<u32>>() {
            self.reach_checkpoint(partition);
        }
    }

    /// Takes over the heads of a checkpoint; offsets that a guessed head had not reached are
    /// skipped.
    fn reach_checkpoint(&mut self, partition: u32) {
        let Some(checkpoint) = self.checkpoints.remove(&partition) else {
            return;
        };
        for (shard, head) in checkpoint.heads.iter() {
            let guessed = self.heads.of(shard).map(|head| head.upto);
            if let Some(guessed) = guessed.filter(|guessed| *guessed < head.upto) {
                self.skipped.push(Claim {
                    shard: Arc::new(shard.clone()),
                    topic_id: head.topic_id,
                    base: guessed,
                    upto: head.upto,
                    opens: false,
                    newest: Vec::new(),
                });
            }
            self.heads.set(shard.clone(), head.clone());
        }
    }

    /// Takes the offsets that were skipped since the last call, as claims without counts: a guessed
    /// head was wrong, and nobody knows whether they were counted.
    pub fn take_skipped(&mut self) -> Vec<Claim> {
        std::mem::take(&mut self.skipped)
    }

    /// Moves past the record at `position` of a partition.
    pub fn pass(&mut self, partition: u32, position: i64) {
        if self
            .checkpoints
            .get(&partition)
            .is_some_and(|checkpoint| position >= checkpoint.position)
        {
            self.reach_checkpoint(partition);
        }
        let state = self.partitions.entry(partition).or_default();
        // Positions have gaps. No counts lie in a gap, so the hash before the first record after a
        // mark is the hash at the mark.
        let mark = position - position.rem_euclid(MARK_EVERY);
        if mark > state.mark.0 {
            state.mark = (mark, state.hash);
        }
        state.next = position + 1;
    }

    /// Adds the counts of an accepted commit to the hash.
    pub fn hash(&mut self, partition: u32, commit: &Commit) {
        let state = self.partitions.entry(partition).or_default();
        state.hash = state.hash.wrapping_add(content_hash(commit));
    }

    /// Returns the record of a partition to read next; 0 if none was read.
    #[must_use]
    pub fn next(&self, partition: u32) -> i64 {
        self.partitions
            .get(&partition)
            .map_or(0, |state| state.next)
    }
}

/// Sums a commit's counts, each multiplied by a number drawn from its meaning, modulo 2^64.
///
/// Equal sums of counts give equal hashes, however the counts are split into commits. Monitors and
/// features that are not in the schema are skipped.
#[must_use]
pub fn content_hash(commit: &Commit) -> u64 {
    let mut sum = 0_u64;
    for counts in &commit.monitors {
        let Some(monitor) = commit.counted.monitors.get(counts.monitor) else {
            continue;
        };
        for pane in &counts.panes {
            let pane_key = mix(
                monitor_number(monitor.id),
                pane.start.as_millis().cast_unsigned(),
            );
            sum = sum.wrapping_add(mix(pane_key, 0).wrapping_mul(pane.events));
            for delta in &pane.features {
                if let Some(id) = monitor.features.get(delta.feature) {
                    let key = mix(pane_key, u64::from_le_bytes(*LayoutId::as_bytes(id)));
                    sum = sum.wrapping_add(feature_hash(key, delta));
                }
            }
        }
    }
    sum
}

fn monitor_number(id: MonitorId) -> u64 {
    u64::from_le_bytes(*id.as_bytes())
}

/// Sums the counts of one feature, each multiplied by a number drawn from `key` and its index.
///
/// Indices do not overlap: bins from 0, cell counts from 2^16, cell sums from 2^17, tallies from
/// 2^32.
fn feature_hash(key: u64, delta: &FeatureDelta) -> u64 {
    let tallies = &delta.tallies;
    let (first_bin, bins) = (u64::from(delta.bins.0), &delta.bins.1);
    let first_cell = u64::from(delta.cells.first);
    let (cell_counts, cell_sums) = (&delta.cells.counts, &delta.cells.sums);
    [
        weighted_sum(key, 1 << 32, [tallies.values, tallies.saturated]),
        weighted_sum(key, (1 << 32) + 2, tallies.missing),
        weighted_sum(key, (1 << 32) + 5, tallies.invalid),
        weighted_sum(key, first_bin, bins.iter().copied().map(u64::from)),
        weighted_sum(
            key,
            (1 << 16) + first_cell,
            cell_counts.iter().copied().map(u64::from),
        ),
        weighted_sum(
            key,
            (1 << 17) + first_cell,
            cell_sums.iter().map(|sum| sum.cast_unsigned()),
        ),
    ]
    .into_iter()
    .fold(0, u64::wrapping_add)
}

/// Sums `counts`, each multiplied by a number drawn from `key` and its index from `first` on,
/// modulo 2^64.
fn weighted_sum(key: u64, first: u64, counts: impl IntoIterator<Item = u64>) -> u64 {
    counts
        .into_iter()
        .zip(first..)
        .filter(|(count, _)| *count != 0)
        .fold(0, |sum: u64, (count, index)| {
            sum.wrapping_add(mix(key, index).wrapping_mul(count))
        })
}

/// Mixes two numbers into one that looks random, with the finisher of `SplitMix64` (Steele, Lea and
/// Flood 2014).
///
/// The result is odd, so a product with it loses no bit of a count modulo 2^64.
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
    use super::*;
    use crate::model::{EventTime, Shard};
    use crate::panes::{CommitSchema, Frame, MonitorCommit, MonitorSchema, RecordCounts};
    use crate::stats::{Bins, CellScale, Layout, NumericLayout};
    use proptest::prelude::*;

    fn commit(xs: &[f64]) -> Commit {
        let bins = Bins::try_new(vec![-1.0, 0.0, 1.0]).unwrap();
        let cells = CellScale::try_new(0.0, 1.0).unwrap();
        let layout = Layout::Numeric(NumericLayout::new(bins, cells));
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
            read_time: None,
            is_read_time_of_writer: false,
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
    fn marks_lie_at_the_same_positions_whatever_the_gaps() {
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

    fn shard_of(partition: i32) -> Shard {
        Shard {
            source: "s".to_owned(),
            cluster: "c".to_owned(),
            topic: "t".to_owned(),
            partition,
            incarnation: 0,
        }
    }

    fn claim(base: i64, upto: i64) -> Claim {
        Claim {
            shard: Arc::new(shard_of(0)),
            topic_id: None,
            base,
            upto,
            opens: false,
            newest: Vec::new(),
        }
    }

    /// A scorer with other monitors ignored the heads of the snapshots that were there, and guessed
    /// them from the oldest commit.
    #[test]
    fn the_heads_of_a_snapshot_replace_guesses_at_its_position() {
        let mut snapshot = LogState::default();
        let opening = Claim {
            opens: true,
            ..claim(0, 130)
        };
        snapshot.fold(0, 9, &opening).unwrap();
        let mut state = LogState::default();
        state.begin_without_history(0, 5, 10);
        state.set_checkpoint(0, 10, snapshot.heads.clone());
        let beyond = state.fold(0, 5, &claim(120, 140));
        assert_eq!(beyond, Err(Rejected::NoHead), "no reader accepted it");
        assert_eq!(state.fold(0, 6, &claim(110, 117)), Ok(()), "a guess");
        assert_eq!(state.fold(0, 9, &claim(120, 130)), Err(Rejected::Gap));
        assert_eq!(state.fold(0, 10, &claim(130, 140)), Ok(()), "the truth");
        let skipped = state.take_skipped();
        let offsets: Vec<_> = skipped.iter().map(|skip| (skip.base, skip.upto)).collect();
        assert_eq!(offsets, [(117, 130)], "not counted by this reader");
    }

    /// Scorers stopped to guess once they had read the log, and ingesters never did: a commit that
    /// one accepted was rejected by the other.
    #[test]
    fn heads_are_guessed_up_to_a_position_that_all_readers_know() {
        let mut state = LogState::default();
        state.begin_without_history(0, 5, 10);
        assert_eq!(state.fold(0, 10, &claim(0, 10)), Err(Rejected::NoHead));
        let mut state = LogState::default();
        state.begin_without_history(0, 5, 10);
        assert_eq!(state.fold(0, 9, &claim(0, 10)), Ok(()), "the last one");
    }

    /// Sends the records `0..sent.len()` through a reader, from record `from` on.
    fn read(state: &mut LogState, sent: &[Claim], from: usize) -> Vec<usize> {
        (from..sent.len())
            .filter(|index| {
                let position = i64::try_from(*index).unwrap();
                state.fold(0, position, &sent[*index]).is_ok()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_reader_without_history_agrees_with_the_others_from_a_snapshot_on(
            claims in proptest::collection::vec((0..12i64, 0..4i64, 0..2i32), 4..80),
            first in 0..40usize, snapshot in 0..40usize
        ) {
            let sent: Vec<Claim> = claims
                .iter()
                .map(|(base, length, partition)| Claim {
                    shard: Arc::new(shard_of(*partition)),
                    opens: *base == 0,
                    ..claim(*base, base + length)
                })
                .collect();
            let first = 1 + first % (sent.len() - 1);
            let snapshot = first + snapshot % (sent.len() - first);
            let mut full = LogState::default();
            read(&mut full, &sent[..snapshot], 0);
            let heads = full.heads.clone();
            let accepted = read(&mut full, &sent, snapshot);
            let mut late = LogState::default();
            let at = |index| i64::try_from(index).unwrap();
            late.begin_without_history(0, at(first), at(snapshot));
            late.set_checkpoint(0, at(snapshot), heads.clone());
            for index in read(&mut late, &sent[..snapshot], first) {
                let head = heads.of(&sent[index].shard).map(|head| head.upto);
                prop_assert!(head >= Some(sent[index].upto), "{} is beyond", index);
            }
            late.reach_checkpoints();
            prop_assert_eq!(&late.heads, &heads);
            prop_assert_eq!(read(&mut late, &sent, snapshot), accepted);
            prop_assert_eq!(late.heads, full.heads);
        }

        #[test]
        fn the_hash_depends_on_the_counts_and_not_on_the_commits(
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
