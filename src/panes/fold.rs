//! The fold: which commits count.
//!
//! The one hard property of pegel is that each source offset is counted exactly once, whatever crashes. It is decided here and nowhere else: a commit is
//! accepted iff it begins where its shard's head is. Duplicates, gaps, overlaps, retries, zombies and double owners all fail this one comparison, in the same
//! way for every reader of the same log, and a rejected commit has no other effect. No clock, lease or transaction is involved.
//!
//! A shard without a head is opened by the first commit that says so, whatever its base: its owner found no head and counted from where it began. A later
//! commit of that owner does not open the shard, or a lost first one would be a gap that nobody sees. Shards are opened only for a reader that knows all that
//! came before: one that began at a snapshot or at the first record the log ever had. A reader dropped into the middle would take a zombie's commit for the first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{EventTime, MonitorId, Shard, TopicId};

/// What a commit claims to have counted, without the counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Whose records.
    pub shard: Arc<Shard>,
    /// The topic they come from, where that is known.
    pub topic_id: Option<TopicId>,
    /// The head it was counted from.
    pub base: i64,
    /// The head after it.
    pub upto: i64,
    /// Whether its owner found no head, and counted from where it began.
    pub opens: bool,
    /// The newest event of each monitor that counted one.
    pub newest: Vec<(MonitorId, EventTime)>,
}

/// How far a shard was counted, and what its next owner must know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// The next offset to count.
    pub upto: i64,
    /// The topic it was counted from, as far as a commit ever knew: a source that finds another one there begins a new life.
    pub topic_id: Option<TopicId>,
    /// The newest event each monitor ever counted: lateness is judged by it, also after a restart.
    pub newest: BTreeMap<MonitorId, EventTime>,
}

/// Why a commit does not count; values of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejected {
    /// Begins before the head: its offsets were counted already.
    #[error("begins before the head: counted already")]
    Overlap,
    /// Begins after the head: offsets between were never counted.
    #[error("begins after the head: offsets are missing")]
    Gap,
    /// Ends before it begins.
    #[error("ends before it begins")]
    Backwards,
    /// The shard has no head and the commit does not open it, or its head is not known to a reader that began in the middle of the log.
    #[error("the head of its shard is not known")]
    NoHead,
    /// Lies on a partition of the log that is not its shard's.
    #[error("lies on a partition of the log that is not its shard's")]
    WrongPartition,
    /// Is no commit: its bytes cannot be read.
    #[error("its bytes cannot be read")]
    Unreadable,
}

impl Rejected {
    /// Every reason.
    pub const ALL: [Rejected; 6] = [
        Rejected::Overlap,
        Rejected::Gap,
        Rejected::Backwards,
        Rejected::NoHead,
        Rejected::WrongPartition,
        Rejected::Unreadable,
    ];

    /// The label value.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Rejected::Overlap => "overlap",
            Rejected::Gap => "gap",
            Rejected::Backwards => "backwards",
            Rejected::NoHead => "no_head",
            Rejected::WrongPartition => "wrong_partition",
            Rejected::Unreadable => "unreadable",
        }
    }
}

/// What a reader knows of shards it has no head of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum HistoryKnowledge {
    /// They were never counted: it read everything, or began at a snapshot.
    Known,
    /// Nothing: it was dropped into the middle.
    Unknown,
    /// Nothing, and nobody does: the log's first records are gone and no snapshot is left.
    Gone,
}

/// The head of every shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    heads: BTreeMap<Shard, Head>,
    past: HistoryKnowledge,
}

impl Default for Heads {
    /// The heads before the first record of a log.
    fn default() -> Self {
        Heads {
            heads: BTreeMap::new(),
            past: HistoryKnowledge::Known,
        }
    }
}

impl Heads {
    /// What is known in the middle of a log: nothing, and that there may be more.
    #[must_use]
    pub fn unknown() -> Self {
        Heads {
            past: HistoryKnowledge::Unknown,
            ..Heads::default()
        }
    }

    /// What is known at the oldest record of a log whose first ones are gone, when no snapshot is left: the oldest commit of each shard stands for its head.
    ///
    /// That it was an accepted one is likely and not certain, which is why nobody begins so who can begin at a snapshot.
    #[must_use]
    pub fn gone() -> Self {
        Heads {
            past: HistoryKnowledge::Gone,
            ..Heads::default()
        }
    }

    /// The log was read to its end: whoever has no head by now was never counted.
    pub fn settle(&mut self) {
        self.past = HistoryKnowledge::Known;
    }

    /// Moves the shard's head over the claim.
    ///
    /// # Errors
    /// The claim does not begin at the head, ends before it begins, or its shard's head is not known; nothing changes then.
    pub fn fold(&mut self, claim: &Claim) -> Result<(), Rejected> {
        if claim.upto < claim.base {
            return Err(Rejected::Backwards);
        }
        let head = match self.heads.entry(claim.shard.as_ref().clone()) {
            Entry::Vacant(_) if !may_open(self.past, claim) => return Err(Rejected::NoHead),
            Entry::Vacant(vacant) => vacant.insert(Head::default()),
            Entry::Occupied(occupied) if claim.base < occupied.get().upto => {
                return Err(Rejected::Overlap);
            }
            Entry::Occupied(occupied) if claim.base > occupied.get().upto => {
                return Err(Rejected::Gap);
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        head.upto = claim.upto;
        head.topic_id = claim.topic_id.or(head.topic_id);
        for (monitor, newest) in &claim.newest {
            let known = head.newest.entry(*monitor).or_insert(*newest);
            *known = (*known).max(*newest);
        }
        Ok(())
    }

    /// The head of a shard; `None` before its first commit.
    #[must_use]
    pub fn of(&self, shard: &Shard) -> Option<&Head> {
        self.heads.get(shard)
    }

    /// The latest life of a partition that has a head.
    #[must_use]
    pub fn latest(&self, shard: &Shard) -> Option<(&Shard, &Head)> {
        let first = Shard {
            incarnation: 0,
            ..shard.clone()
        };
        let last = Shard {
            incarnation: u32::MAX,
            ..shard.clone()
        };
        self.heads.range(first..=last).next_back()
    }

    /// Every shard and its head.
    pub fn iter(&self) -> impl Iterator<Item = (&Shard, &Head)> {
        self.heads.iter()
    }

    /// The heads of some shards.
    #[must_use]
    pub fn only(&self, is_wanted: impl Fn(&Shard) -> bool) -> Heads {
        let wanted = self.heads.iter().filter(|(shard, _)| is_wanted(shard));
        Heads {
            heads: wanted
                .map(|(shard, head)| (shard.clone(), head.clone()))
                .collect(),
            past: self.past,
        }
    }

    /// Adds what a snapshot of another part of the log knows.
    pub fn adopt(&mut self, other: Heads) {
        self.heads.extend(other.heads);
        if self.past == HistoryKnowledge::Unknown || other.past == HistoryKnowledge::Gone {
            self.past = other.past;
        }
    }
}

fn may_open(past: HistoryKnowledge, claim: &Claim) -> bool {
    match past {
        HistoryKnowledge::Known => claim.opens,
        HistoryKnowledge::Unknown => false,
        HistoryKnowledge::Gone => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shard(partition: i32, incarnation: u32) -> Shard {
        let (source, cluster, topic) = ("s".to_owned(), String::new(), "t".to_owned());
        Shard {
            source,
            cluster,
            topic,
            partition,
            incarnation,
        }
    }

    fn claim(base: i64, upto: i64) -> Claim {
        Claim {
            shard: Arc::new(shard(0, 0)),
            topic_id: None,
            base,
            upto,
            opens: true,
            newest: Vec::new(),
        }
    }

    fn upto(heads: &Heads) -> Option<i64> {
        heads.of(&shard(0, 0)).map(|head| head.upto)
    }

    #[test]
    fn an_opening_commit_opens_a_shard_whatever_its_base() {
        let mut heads = Heads::default();
        assert_eq!(heads.fold(&claim(700, 800)), Ok(()), "opens");
        assert_eq!(upto(&heads), Some(800), "head");
        assert_eq!(heads.of(&shard(1, 0)), None, "another shard");
    }

    #[test]
    fn a_commit_behind_a_lost_first_one_does_not_open_a_shard() {
        let mut heads = Heads::default();
        let second = Claim {
            opens: false,
            ..claim(710, 720)
        };
        assert_eq!(heads.fold(&second), Err(Rejected::NoHead), "a gap");
        assert_eq!(heads.fold(&claim(700, 710)), Ok(()), "opens");
        assert_eq!(heads.fold(&second), Ok(()), "in order");
    }

    #[test]
    fn in_the_middle_of_a_log_nothing_opens_a_shard() {
        let mut heads = Heads::unknown();
        assert_eq!(
            heads.fold(&claim(700, 800)),
            Err(Rejected::NoHead),
            "unknown"
        );
        let mut known = Heads::default();
        assert_eq!(known.fold(&claim(0, 700)), Ok(()), "elsewhere");
        heads.adopt(known);
        assert_eq!(heads.fold(&claim(700, 800)), Ok(()), "at a snapshot's head");
    }

    #[test]
    fn where_the_beginning_is_gone_the_oldest_commit_stands_for_the_head() {
        let going_on = |base, upto| Claim {
            opens: false,
            ..claim(base, upto)
        };
        let mut heads = Heads::gone();
        assert_eq!(heads.fold(&going_on(700, 800)), Ok(()), "the oldest");
        assert_eq!(
            heads.fold(&going_on(700, 800)),
            Err(Rejected::Overlap),
            "once"
        );
        let mut settled = Heads::gone();
        settled.settle();
        assert_eq!(
            settled.fold(&going_on(700, 800)),
            Err(Rejected::NoHead),
            "not later"
        );
    }

    #[test]
    fn a_commit_counts_only_at_the_head() {
        let mut heads = Heads::default();
        let mut check = |base, upto, expected| {
            assert_eq!(heads.fold(&claim(base, upto)), expected, "{base}..{upto}");
        };
        check(0, 10, Ok(()));
        check(0, 10, Err(Rejected::Overlap));
        check(11, 20, Err(Rejected::Gap));
        check(10, 9, Err(Rejected::Backwards));
        check(10, 10, Ok(()));
        check(10, 20, Ok(()));
    }

    #[test]
    fn the_newest_event_of_a_monitor_never_goes_back() {
        let (mut heads, monitor) = (Heads::default(), MonitorId::of([&b"m"[..]]));
        for (base, newest) in [(0, 50), (1, 40)] {
            let newest = vec![(monitor, EventTime::from_millis(newest))];
            let claim = Claim {
                newest,
                ..claim(base, base + 1)
            };
            assert_eq!(heads.fold(&claim), Ok(()), "accepted");
        }
        let head = heads.of(&shard(0, 0)).unwrap();
        assert_eq!(head.newest[&monitor], EventTime::from_millis(50), "newest");
    }

    #[test]
    fn the_topic_s_id_outlives_commits_that_do_not_know_it() {
        let mut heads = Heads::default();
        let mut check = |base, topic_id, expected| {
            let claim = Claim {
                topic_id,
                ..claim(base, base + 1)
            };
            assert_eq!(heads.fold(&claim), Ok(()), "accepted at {base}");
            let head = heads.of(&shard(0, 0)).unwrap();
            assert_eq!(head.topic_id, expected, "after {base}");
        };
        check(0, None, None);
        check(1, Some([1; 16]), Some([1; 16]));
        check(2, None, Some([1; 16]));
    }

    #[test]
    fn the_latest_life_of_a_partition_is_found() {
        let mut heads = Heads::default();
        for incarnation in [0, 2, 1] {
            let claim = Claim {
                shard: Arc::new(shard(0, incarnation)),
                ..claim(0, i64::from(incarnation))
            };
            assert_eq!(heads.fold(&claim), Ok(()), "opens");
        }
        let (found, head) = heads.latest(&shard(0, 1)).unwrap();
        assert_eq!((found.incarnation, head.upto), (2, 2), "the latest");
        assert_eq!(heads.latest(&shard(1, 0)), None, "none");
    }

    proptest! {
        #[test]
        fn accepted_commits_tile_the_offsets(cuts in proptest::collection::vec((0..50i64, 0..10i64), 1..60)) {
            let mut heads = Heads::default();
            let mut end = None;
            for (base, length) in cuts {
                if heads.fold(&claim(base, base + length)).is_ok() {
                    prop_assert!(end.is_none_or(|end| end == base), "gap or overlap at {}", base);
                    end = Some(base + length);
                }
            }
        }
    }
}
