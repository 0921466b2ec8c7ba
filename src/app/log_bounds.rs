//! The range of records that a pane log in Kafka still holds, and the state a reader begins with.
//!
//! A reader begins at a snapshot only when the log still holds every record after it. Retention may
//! have removed the first ones, and a topic that lost data may end before the snapshot.
//!
//! The bounds are fetched after the snapshots are read. In the other order, a snapshot that was
//! written in between lies behind the end that is known and would be ignored, although it is the
//! newest; one whose next records retention removed in between would be taken; and a topic that
//! lost its end in between would not be noticed. In this order only the last seconds before the
//! first fetch are left for retention: a reader that begins at a removed record ends with an error.

use std::collections::BTreeMap;

use tracing::{info, warn};

use crate::model::PanesTopicSpec;
use crate::pane_log::kafka::{KafkaLogError, Reader, partition_of};
use crate::panes::{Claim, LogState};

/// The oldest record and the end of each partition of the log.
pub(super) struct LogBounds {
    /// By partition: offset of the oldest record, and offset after the newest.
    partitions: BTreeMap<u32, (i64, i64)>,
}

impl LogBounds {
    /// Asks the broker for the bounds of all partitions.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(super) fn fetch(spec: &PanesTopicSpec, reader: &Reader) -> Result<Self, KafkaLogError> {
        let ends = reader.ends(0..spec.partitions)?;
        let partitions = reader
            .beginnings()?
            .into_iter()
            .map(|(partition, first)| {
                let end = ends.get(&partition).copied().unwrap_or(first);
                (partition, (first, end))
            })
            .collect();
        Ok(LogBounds { partitions })
    }

    /// True when a reader may continue from this state: the log holds every record after it and
    /// still reaches it. A log that ends earlier has lost records.
    pub(super) fn contain(&self, state: &LogState) -> bool {
        self.partitions.iter().all(|(partition, (first, end))| {
            let next = state.next(*partition);
            // A partition without records was never read.
            (*first..=*end).contains(&next) || *end == 0
        })
    }

    /// The state of a reader that begins at the oldest record of each partition.
    ///
    /// Where the first records are gone, the oldest commit of each shard gives it a guessed head.
    /// Every live shard commits at least every 30 s, so its head is among the records that are
    /// left. The heads of a snapshot, whichever monitors it holds, replace the guesses at its
    /// position; without one, the guesses end at the present end of the partition.
    pub(super) fn oldest_state(
        &self,
        spec: &PanesTopicSpec,
        snapshot: Option<&LogState>,
    ) -> LogState {
        let mut state = LogState::default();
        for (partition, (first, end)) in self.partitions.iter().filter(|(_, (first, _))| *first > 0)
        {
            let until = snapshot.map_or(*end, |snapshot| snapshot.next(*partition));
            state.begin_without_history(*partition, *first, until);
            if let Some(snapshot) = snapshot {
                let heads = snapshot
                    .heads
                    .only(|shard| partition_of(shard, spec) == *partition);
                state.set_checkpoint(*partition, until, heads);
            }
        }
        info!("reading the pane log from its oldest record");
        state
    }
}

/// Reads snapshots, and then the bounds that they must lie in.
///
/// # Errors
/// Returns the error of the request that failed.
pub(super) fn with_bounds<S>(
    read: impl FnOnce() -> Result<S, KafkaLogError>,
    fetch: impl FnOnce() -> Result<LogBounds, KafkaLogError>,
) -> Result<(S, LogBounds), KafkaLogError> {
    let snapshots = read()?;
    Ok((snapshots, fetch()?))
}

/// Logs that a guessed head was wrong.
pub(super) fn log_skip(skip: &Claim) {
    warn!(
        topic = skip.shard.topic,
        partition = skip.shard.partition,
        from = skip.base,
        upto = skip.upto,
        "the head of a shard was guessed from the oldest records of the pane log and was wrong: continuing at the head that is known now"
    );
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::pane_log::kafka::fixtures::{claim, opening, spec};
    use crate::panes::Rejected;

    /// Bounds that were older than the snapshots ignored one that was written in between, and took
    /// one whose next records retention had removed.
    #[test]
    fn bounds_are_those_of_the_log_after_its_snapshots_were_read() {
        let log = Cell::new((0, 100));
        let bounds = || LogBounds {
            partitions: BTreeMap::from([(0, log.get())]),
        };
        let snapshot_at = |next: i64| {
            let mut snapshot = LogState::default();
            snapshot.pass(0, next - 1);
            snapshot
        };
        let written_meanwhile = || {
            log.set((0, 150));
            Ok(snapshot_at(140))
        };
        let (snapshot, actual) = with_bounds(written_meanwhile, || Ok(bounds())).unwrap();
        assert!(actual.contain(&snapshot), "the newest snapshot");
        let removed_meanwhile = || {
            log.set((120, 150));
            Ok(snapshot_at(100))
        };
        let (snapshot, actual) = with_bounds(removed_meanwhile, || Ok(bounds())).unwrap();
        assert!(!actual.contain(&snapshot), "its next record is gone");
    }

    /// Two scorers became three. None found a snapshot with its monitors, so the commit of a
    /// replaced writer gave a shard its head, and all later ones were rejected for ever.
    #[test]
    fn heads_come_from_a_snapshot_of_any_split() {
        let bounds = LogBounds {
            partitions: BTreeMap::from([(0, (100, 200)), (1, (0, 0))]),
        };
        let mut snapshot = LogState::default();
        snapshot.fold(0, 149, &opening(0, 50)).unwrap();
        let read = |state: &mut LogState| {
            let replaced = state.fold(0, 100, &claim(33, 44));
            (replaced, state.fold(0, 150, &claim(50, 60)))
        };
        let mut with_heads = bounds.oldest_state(&spec(2), Some(&snapshot));
        assert_eq!(read(&mut with_heads), (Ok(()), Ok(())), "known at 150");
        let mut without = bounds.oldest_state(&spec(2), None);
        assert_eq!(read(&mut without), (Ok(()), Err(Rejected::Gap)), "guessed");
        assert_eq!(without.next(1), 0, "a whole partition needs no guess");
    }
}
