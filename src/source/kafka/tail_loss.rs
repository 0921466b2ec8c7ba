//! Waits before a partition counts as one that lost its end.
//!
//! A position beyond the end has two causes. The topic was recreated, which another topic id
//! shows, and a broker may report the old id for a moment; or the log lost its end. The first is
//! frequent and the second rare, so the ids are requested again before the second is believed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::resume::StartPosition;
use super::topic_id::TopicIds;
use crate::kafka::TopicPartition;

/// The partitions whose position was seen beyond the end.
#[derive(Debug)]
pub(super) struct TailLosses {
    /// The time between the first sight and the request for ids that decides.
    settle: Duration,
    first_seen: BTreeMap<TopicPartition, Instant>,
}

impl TailLosses {
    pub(super) fn new(settle: Duration) -> Self {
        TailLosses {
            settle,
            first_seen: BTreeMap::new(),
        }
    }

    /// True if a start can be used; otherwise the partition must be tried again.
    pub(super) fn is_settled(
        &mut self,
        partition: &TopicPartition,
        start: StartPosition,
        topic_ids: &TopicIds,
        now: Instant,
    ) -> bool {
        if !start.is_truncated {
            self.first_seen.remove(partition);
            return true;
        }
        let first_seen = *self.first_seen.entry(partition.clone()).or_insert(now);
        let is_settled = topic_ids.is_answered_since(first_seen + self.settle);
        if is_settled {
            self.first_seen.remove(partition);
        }
        is_settled
    }
}
