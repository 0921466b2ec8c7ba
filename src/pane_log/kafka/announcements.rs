//! The schemas that readers of a partition know, because a writer has written them there.
//!
//! A commit may refer to a schema by id only behind an acknowledged record that holds it. Until the
//! acknowledgement, every commit holds it: the first one may be lost, and later ones would be
//! unreadable. A schema is written again every [`REPEAT_INTERVAL`], for readers that begin at the
//! oldest record that retention has left.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::SchemaId;

/// Interval at which a schema is written again.
const REPEAT_INTERVAL: Duration = Duration::from_secs(60);

/// The schemas that one writer has written, by partition.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// The time of the latest acknowledged record with the schema.
    acknowledged: BTreeMap<(u32, SchemaId), Instant>,
    /// Records with a schema that are not acknowledged yet, by number.
    pending: BTreeMap<u64, (u32, SchemaId, Instant)>,
}

impl Announcements {
    /// Returns true if a commit may refer to the schema by id.
    pub(super) fn are_fresh(&self, partition: u32, schema: SchemaId, now: Instant) -> bool {
        self.acknowledged
            .get(&(partition, schema))
            .is_some_and(|at| now.saturating_duration_since(*at) < REPEAT_INTERVAL)
    }

    /// Remembers a record that was sent at `now` and holds the schema.
    pub(super) fn begin(&mut self, number: u64, partition: u32, schema: SchemaId, now: Instant) {
        self.acknowledged
            .retain(|_, at| now.saturating_duration_since(*at) < REPEAT_INTERVAL);
        self.pending.insert(number, (partition, schema, now));
    }

    /// Marks a record as acknowledged.
    pub(super) fn acknowledge(&mut self, number: u64) {
        if let Some((partition, schema, at)) = self.pending.remove(&number) {
            self.acknowledged.insert((partition, schema), at);
        }
    }

    /// Forgets a record that may not be in the log.
    pub(super) fn forget(&mut self, number: u64) {
        self.pending.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_refer_to_a_schema_once_the_partition_has_it_and_repeat_it_every_minute() {
        let (mut announcements, schema) = (Announcements::default(), SchemaId::of([&b"s"[..]]));
        let start = crate::clock::monotonic();
        let after = |seconds| start + Duration::from_secs(seconds);
        announcements.begin(0, 3, schema, start);
        assert!(!announcements.are_fresh(3, schema, start), "on its way");
        announcements.forget(0);
        announcements.acknowledge(0);
        assert!(!announcements.are_fresh(3, schema, start), "lost");
        announcements.begin(1, 3, schema, start);
        announcements.acknowledge(1);
        assert!(announcements.are_fresh(3, schema, after(59)), "there");
        assert!(!announcements.are_fresh(2, schema, start), "not there");
        assert!(!announcements.are_fresh(3, schema, after(60)), "old");
    }
}
