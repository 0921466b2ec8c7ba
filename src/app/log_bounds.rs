//! The range of records that a pane log in Kafka still holds, and the state a reader begins with.
//!
//! A reader begins at a snapshot only when the log still holds every record after it. Retention may
//! have removed the first ones, and a topic that lost data may end before the snapshot.

use std::collections::BTreeMap;

use tracing::info;

use crate::model::PanesTopicSpec;
use crate::pane_log::kafka::{KafkaLogError, Reader};
use crate::panes::{Heads, LogState};

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
    /// Where the first records are gone, the oldest commit of each shard opens it. Every live shard
    /// commits at least every 30 s, so its head is among the records that are left.
    pub(super) fn oldest_state(&self) -> LogState {
        let mut state = LogState::default();
        for (partition, (first, _)) in self.partitions.iter().filter(|(_, (first, _))| *first > 0) {
            state.heads = Heads::with_lost_history();
            state.pass(*partition, first - 1);
        }
        info!("reading the pane log from its oldest record");
        state
    }
}
