//! Looks up heads: how far a partition was counted, for the reader of a source.
//!
//! A file log knows all heads once it is open. A log in Kafka must first be read to its end for the
//! partition in question, so a lookup may be pending: the source asks, the thread that reads the
//! log resolves it, and reading of the partition starts after that. Only openings of partitions
//! pass through here, never records, so a mutex is cheap enough.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Shard;
use crate::panes::{Head, Heads};

/// The answer of a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadAnswer {
    /// The head is not known yet; ask again.
    Pending,
    /// No incarnation of the partition was ever counted.
    NeverCounted,
    /// The latest incarnation, and its head.
    Head(Shard, Head),
}

/// A lookup table shared by the sources and the thread that reads the log.
#[derive(Debug, Default)]
pub struct HeadLookup {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// True once every head is known: a partition without an entry was never counted.
    is_complete: bool,
    /// Answers by partition, whatever its incarnation; `None` while pending.
    answers: BTreeMap<Shard, Option<HeadAnswer>>,
}

impl HeadLookup {
    /// Creates a lookup that knows every head.
    #[must_use]
    pub fn resolved(heads: &Heads) -> Self {
        let head_lookup = HeadLookup::default();
        head_lookup.resolve_all(heads);
        head_lookup
    }

    /// Sets the answers for all partitions; `heads` must hold every head there is.
    pub fn resolve_all(&self, heads: &Heads) {
        let mut inner = self.lock();
        inner.is_complete = true;
        for (shard, head) in heads.iter() {
            // Incarnations ascend, so the latest one remains.
            let answer = HeadAnswer::Head(shard.clone(), head.clone());
            inner
                .answers
                .insert(without_incarnation(shard), Some(answer));
        }
    }

    /// Looks up the head of a partition, ignoring its incarnation; marks it as pending if unknown.
    pub fn get(&self, shard: &Shard) -> HeadAnswer {
        let mut inner = self.lock();
        let is_complete = inner.is_complete;
        match inner.answers.get(&without_incarnation(shard)) {
            Some(Some(answer)) => answer.clone(),
            None if is_complete => HeadAnswer::NeverCounted,
            Some(None) => HeadAnswer::Pending,
            None => {
                inner.answers.insert(without_incarnation(shard), None);
                HeadAnswer::Pending
            }
        }
    }

    /// Returns the partitions that wait for an answer.
    #[must_use]
    pub fn pending(&self) -> Vec<Shard> {
        self.lock()
            .answers
            .iter()
            .filter(|(_, answer)| answer.is_none())
            .map(|(shard, _)| shard.clone())
            .collect()
    }

    /// Sets the answer for one partition; `heads` must hold its head if there is one.
    pub fn resolve(&self, shard: &Shard, heads: &Heads) {
        let answer = heads
            .latest(shard)
            .map_or(HeadAnswer::NeverCounted, |(latest, head)| {
                HeadAnswer::Head(latest.clone(), head.clone())
            });
        self.lock()
            .answers
            .insert(without_incarnation(shard), Some(answer));
    }

    /// Removes an answer that was used: another writer may have moved the head by the next opening.
    ///
    /// A lookup that knows every head keeps it, because its process is the only writer.
    pub fn evict(&self, shard: &Shard) {
        let mut inner = self.lock();
        if !inner.is_complete {
            inner.answers.remove(&without_incarnation(shard));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn without_incarnation(shard: &Shard) -> Shard {
    Shard {
        incarnation: 0,
        ..shard.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::panes::Claim;

    fn shard(partition: i32, incarnation: u32) -> Shard {
        Shard {
            source: "s".to_owned(),
            cluster: "c".to_owned(),
            topic: "t".to_owned(),
            partition,
            incarnation,
        }
    }

    fn heads() -> Heads {
        let mut heads = Heads::default();
        for (incarnation, upto) in [(0, 50), (1, 7)] {
            let claim = Claim {
                shard: Arc::new(shard(0, incarnation)),
                topic_id: None,
                base: 0,
                upto,
                opens: true,
                newest: Vec::new(),
            };
            heads.fold(&claim).unwrap();
        }
        heads
    }

    fn latest() -> HeadAnswer {
        let head = Head {
            upto: 7,
            ..Head::default()
        };
        HeadAnswer::Head(shard(0, 1), head)
    }

    #[test]
    fn a_resolved_lookup_knows_the_latest_incarnation_of_every_partition() {
        let head_lookup = HeadLookup::resolved(&heads());
        assert_eq!(head_lookup.get(&shard(0, 0)), latest(), "the latest");
        assert_eq!(
            head_lookup.get(&shard(1, 0)),
            HeadAnswer::NeverCounted,
            "another partition"
        );
    }

    #[test]
    fn a_pending_partition_is_resolved_once_and_evicted() {
        let head_lookup = HeadLookup::default();
        assert_eq!(
            head_lookup.get(&shard(0, 0)),
            HeadAnswer::Pending,
            "unknown"
        );
        assert_eq!(
            head_lookup.pending(),
            [shard(0, 0)],
            "one pending partition"
        );
        head_lookup.resolve(&shard(0, 0), &heads());
        assert_eq!(head_lookup.pending(), [], "none pending");
        assert_eq!(head_lookup.get(&shard(0, 0)), latest(), "resolved");
        head_lookup.evict(&shard(0, 1));
        assert_eq!(
            head_lookup.get(&shard(0, 0)),
            HeadAnswer::Pending,
            "pending again"
        );
    }
}
