//! Where ingest threads learn how far a partition was counted, before they read it.
//!
//! A file log knows all heads when it is open. A log in Kafka must first be read to its end for the partition in question: a source asks, the thread that
//! reads the log answers, and until then the partition is not begun. Only openings of partitions pass through here, never records.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Shard;
use crate::panes::{Head, Heads};

/// What is known of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadAnswer {
    /// Not yet known; ask again.
    Pending,
    /// No life of it was ever counted.
    Never,
    /// Its latest life, and how far it was counted.
    Head(Shard, Head),
}

/// The head_lookup; see the module.
#[derive(Debug, Default)]
pub struct HeadLookup {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Once every head is known, what is not here was never counted.
    is_settled: bool,
    /// By partition, whatever its life; `None` while asked for.
    known: BTreeMap<Shard, Option<HeadAnswer>>,
}

impl HeadLookup {
    /// A head_lookup that already knows everything.
    #[must_use]
    pub fn resolved(heads: &Heads) -> Self {
        let head_lookup = HeadLookup::default();
        head_lookup.resolve_all(heads);
        head_lookup
    }

    /// Every head there is.
    pub fn resolve_all(&self, heads: &Heads) {
        let mut inner = self.lock();
        inner.is_settled = true;
        for (shard, head) in heads.iter() {
            // Lives ascend: the latest stays.
            let known = HeadAnswer::Head(shard.clone(), head.clone());
            inner.known.insert(partition_of(shard), Some(known));
        }
    }

    /// What is known of a partition; a question is left when it is nothing.
    pub fn get(&self, shard: &Shard) -> HeadAnswer {
        let mut inner = self.lock();
        let is_settled = inner.is_settled;
        match inner.known.get(&partition_of(shard)) {
            Some(Some(known)) => known.clone(),
            None if is_settled => HeadAnswer::Never,
            Some(None) => HeadAnswer::Pending,
            None => {
                inner.known.insert(partition_of(shard), None);
                HeadAnswer::Pending
            }
        }
    }

    /// The questions without an answer.
    #[must_use]
    pub fn pending(&self) -> Vec<Shard> {
        let inner = self.lock();
        let open = inner.known.iter().filter(|(_, known)| known.is_none());
        open.map(|(shard, _)| shard.clone()).collect()
    }

    /// Answers a question.
    pub fn resolve(&self, shard: &Shard, heads: &Heads) {
        let found = heads.latest(&partition_of(shard));
        let known = found.map_or(HeadAnswer::Never, |(shard, head)| {
            HeadAnswer::Head(shard.clone(), head.clone())
        });
        self.lock().known.insert(partition_of(shard), Some(known));
    }

    /// Forgets an answer that was used: by the next opening somebody else may have counted on.
    pub fn evict(&self, shard: &Shard) {
        let mut inner = self.lock();
        if !inner.is_settled {
            inner.known.remove(&partition_of(shard));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn partition_of(shard: &Shard) -> Shard {
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
    fn a_settled_board_knows_the_latest_life_and_what_was_never_counted() {
        let head_lookup = HeadLookup::resolved(&heads());
        assert_eq!(head_lookup.get(&shard(0, 0)), latest(), "the latest");
        assert_eq!(
            head_lookup.get(&shard(1, 0)),
            HeadAnswer::Never,
            "another partition"
        );
    }

    #[test]
    fn a_question_waits_for_its_answer_and_is_asked_again_later() {
        let head_lookup = HeadLookup::default();
        assert_eq!(head_lookup.get(&shard(0, 0)), HeadAnswer::Pending, "asked");
        assert_eq!(head_lookup.pending(), [shard(0, 0)], "one question");
        head_lookup.resolve(&shard(0, 0), &heads());
        assert_eq!(head_lookup.pending(), [], "answered");
        assert_eq!(head_lookup.get(&shard(0, 0)), latest(), "the answer");
        head_lookup.evict(&shard(0, 1));
        assert_eq!(
            head_lookup.get(&shard(0, 0)),
            HeadAnswer::Pending,
            "asked again"
        );
    }
}
