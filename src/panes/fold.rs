//! The fold: the rule that decides which commits count.
//!
//! Each source offset must be counted exactly once, whatever crashes. This is decided here and
//! nowhere else: **a commit is accepted if and only if it begins at the head of its shard.**
//! Duplicates, gaps, overlaps, retries, writers that were replaced, and two writers at once all
//! fail this one comparison. They fail it alike for every reader of the same log. A rejected commit
//! has no other effect. No clock, lease or transaction is involved.
//!
//! A shard without a head is opened by the first commit that has `opens` set, whatever its base:
//! its writer found no head and counted from where it began. Later commits of that writer do not
//! have it set. If they did and the first one were lost, the offsets of the first would be an
//! undetected gap.
//!
//! A head that holds event times accepts no commit with `opens`, even one that begins at the head.
//! Its writer did not know these times, so it decided otherwise which events are late. That writer
//! looked the head up before another one opened the shard, and began at the group's committed
//! offset.
//!
//! Only a reader with the whole history opens shards: it began at a snapshot, or at the first
//! record the log ever had. A reader that begins in the middle would accept a commit of a replaced
//! writer as the first one.
//!
//! If the first records of the log are gone, the oldest commit of a shard that is left gives it a
//! *guessed* head, see [`super::log_state`]. A guess may be wrong: the commit may be one of a
//! replaced writer, and so may be the next ones that join it. What a writer sends before it reads
//! that it was rejected is at most [`MAX_COMMITS_IN_FLIGHT`] commits. So a run of more commits
//! that join each other was accepted by a reader who knows the head. The first such run makes the
//! head certain: at the head, or behind it, where the head moves to the run. Shorter runs prove
//! nothing: a burst behind a lost commit looks the same. A head never moves back, so that no
//! offset is counted twice.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{EventTime, MonitorId, Shard, TopicId};

/// The part of a commit that the fold decides on; it holds no counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The shard that the records belong to.
    pub shard: Arc<Shard>,
    /// Id of the topic the records come from, if known.
    pub topic_id: Option<TopicId>,
    /// The head before the commit: the first offset it covers.
    pub base: i64,
    /// The head after the commit: the first offset it does not cover.
    pub upto: i64,
    /// True if the writer found no head for the shard and began to count at `base`.
    pub opens: bool,
    /// The newest event time of each monitor whose time could be read from a record.
    pub newest: Vec<(MonitorId, EventTime)>,
}

/// The state of a shard after its last accepted commit: all that its next writer must know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// The next offset to count.
    pub upto: i64,
    /// The last known id of the topic. A source that finds another id starts a new incarnation.
    pub topic_id: Option<TopicId>,
    /// The newest event time of each monitor on the shard, selected or not; it decides which events
    /// are late, also after a restart.
    pub newest: BTreeMap<MonitorId, EventTime>,
    /// The latest run of commits, if the head was guessed; `None` for a head that is certain.
    pub guess: Option<Guess>,
}

/// The latest run of commits of a shard that join each other; a long one makes a guessed head
/// certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Guess {
    /// The end of the latest commit.
    upto: i64,
    /// The number of commits in a row, each beginning at the end of the one before.
    commits: u32,
}

/// The most commits of one writer whose outcome it has not read yet.
///
/// A writer that has read a rejection sends nothing more of that opening of the shard.
pub const MAX_COMMITS_IN_FLIGHT: u32 = 64;

impl Guess {
    /// Adds a commit; returns true if the run is longer than one that no reader accepted.
    fn is_settled_by(&mut self, claim: &Claim) -> bool {
        let is_next = self.commits > 0 && claim.base == self.upto;
        self.commits = if is_next { self.commits + 1 } else { 1 };
        self.upto = claim.upto;
        self.commits > MAX_COMMITS_IN_FLIGHT
    }
}

/// The reason why a commit is rejected; the value of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejected {
    /// The commit begins before the head: its offsets were already counted.
    #[error("begins before the head, the offsets were already counted")]
    Overlap,
    /// The commit begins after the head: the offsets between were not counted.
    #[error("begins after the head, the offsets between are missing")]
    Gap,
    /// The commit ends before it begins.
    #[error("ends before it begins")]
    Backwards,
    /// The shard has no head and the commit does not open it, or the reader does not know the head
    /// because it began in the middle of the log.
    #[error("the head of its shard is not known")]
    NoHead,
    /// The commit is on a partition of the log that does not belong to its shard.
    #[error("is on the wrong partition of the log for its shard")]
    WrongPartition,
    /// The commit opens a shard that another writer has opened: its writer did not know the event
    /// times of the head.
    #[error("opens a shard that is open")]
    Reopened,
    /// The bytes of the record cannot be read.
    #[error("its bytes cannot be read")]
    Unreadable,
}

impl Rejected {
    /// Every reason, in the order of the metric.
    pub const ALL: [Rejected; 7] = [
        Rejected::Overlap,
        Rejected::Gap,
        Rejected::Backwards,
        Rejected::NoHead,
        Rejected::WrongPartition,
        Rejected::Reopened,
        Rejected::Unreadable,
    ];

    /// Returns the value of the label `reason`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Rejected::Overlap => "overlap",
            Rejected::Gap => "gap",
            Rejected::Backwards => "backwards",
            Rejected::NoHead => "no_head",
            Rejected::WrongPartition => "wrong_partition",
            Rejected::Reopened => "reopened",
            Rejected::Unreadable => "unreadable",
        }
    }
}

/// The knowledge a reader has about shards without a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum HistoryKnowledge {
    /// They were never counted: the reader has read everything, or began at a snapshot.
    Known,
    /// They may have been counted: the reader began in the middle of the log.
    Unknown,
}

impl HistoryKnowledge {
    /// Returns true if `claim` may give a head to a shard that has none.
    fn may_open(self, claim: &Claim) -> bool {
        match self {
            HistoryKnowledge::Known => claim.opens,
            HistoryKnowledge::Unknown => false,
        }
    }
}

/// The head of every shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    heads: BTreeMap<Shard, Head>,
    history: HistoryKnowledge,
}

impl Default for Heads {
    /// Returns the heads before the first record of a log.
    fn default() -> Self {
        Heads {
            heads: BTreeMap::new(),
            history: HistoryKnowledge::Known,
        }
    }
}

impl Heads {
    /// Returns the heads of a reader that begins in the middle of a log: none is known, and shards
    /// may have been counted before.
    #[must_use]
    pub fn with_unknown_history() -> Self {
        Heads {
            history: HistoryKnowledge::Unknown,
            ..Heads::default()
        }
    }

    /// Accepts or rejects a claim; an accepted one moves the head of its shard to its end.
    ///
    /// # Errors
    /// Returns the reason if the claim does not begin at the head, ends before it begins, or may
    /// not open its shard. No head moves then.
    pub fn fold(&mut self, claim: &Claim) -> Result<(), Rejected> {
        let may_open = self.history.may_open(claim);
        self.fold_or_open(claim, may_open.then_some(None))
    }

    /// Accepts or rejects a claim of a log whose first records are gone: the oldest commit of a
    /// shard opens it, and its head is a guess.
    ///
    /// # Errors
    /// Returns the reason if the claim does not begin at the head, or ends before it begins. No
    /// head moves then.
    pub(super) fn fold_guessing(&mut self, claim: &Claim) -> Result<(), Rejected> {
        self.fold_or_open(claim, Some(Some(Guess::default())))
    }

    /// Folds a claim; `opened` is the guess of the head that it may give to a shard without one.
    fn fold_or_open(
        &mut self,
        claim: &Claim,
        opened: Option<Option<Guess>>,
    ) -> Result<(), Rejected> {
        if claim.upto < claim.base {
            return Err(Rejected::Backwards);
        }
        let head = match (self.heads.entry(claim.shard.as_ref().clone()), opened) {
            (Entry::Vacant(_), None) => return Err(Rejected::NoHead),
            (Entry::Vacant(vacant), Some(guess)) => vacant.insert(Head {
                upto: claim.base,
                guess,
                ..Head::default()
            }),
            (Entry::Occupied(occupied), _) => occupied.into_mut(),
        };
        let is_settled = head
            .guess
            .as_mut()
            .is_some_and(|guess| guess.is_settled_by(claim));
        if claim.base < head.upto {
            return Err(Rejected::Overlap);
        }
        if claim.base > head.upto && !is_settled {
            return Err(Rejected::Gap);
        }
        if claim.opens && !head.newest.is_empty() {
            return Err(Rejected::Reopened);
        }
        if is_settled {
            head.guess = None;
        }
        head.upto = claim.upto;
        head.topic_id = claim.topic_id.or(head.topic_id);
        for (monitor, newest) in &claim.newest {
            let known = head.newest.entry(*monitor).or_insert(*newest);
            *known = (*known).max(*newest);
        }
        Ok(())
    }

    /// Returns the head of a shard; `None` before its first commit.
    #[must_use]
    pub fn of(&self, shard: &Shard) -> Option<&Head> {
        self.heads.get(shard)
    }

    /// Returns the latest incarnation of a partition that has a head; the incarnation of `shard` is
    /// ignored.
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

    /// Iterates over the shards that have a head, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Shard, &Head)> {
        self.heads.iter()
    }

    /// Copies the heads of the shards for which `is_wanted` returns true.
    #[must_use]
    pub fn only(&self, is_wanted: impl Fn(&Shard) -> bool) -> Heads {
        Heads {
            heads: self
                .heads
                .iter()
                .filter(|(shard, _)| is_wanted(shard))
                .map(|(shard, head)| (shard.clone(), head.clone()))
                .collect(),
            history: self.history,
        }
    }

    /// Adds the heads of a snapshot that covers other shards.
    pub fn adopt(&mut self, snapshot: Heads) {
        self.heads.extend(snapshot.heads);
        if self.history == HistoryKnowledge::Unknown {
            self.history = snapshot.history;
        }
    }

    /// Sets the head of a shard that is known from elsewhere.
    pub(super) fn set(&mut self, shard: Shard, head: Head) {
        self.heads.insert(shard, head);
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

    /// An ingester looked up a partition that nobody had counted, lost it before it read any of it,
    /// and got it back. It began at the group's committed offset, which was the head, and counted
    /// late events as on time.
    #[test]
    fn a_writer_that_does_not_know_the_newest_event_is_rejected() {
        let newest = |millis| vec![(MonitorId::of([&b"m"[..]]), EventTime::from_millis(millis))];
        let mut heads = Heads::default();
        assert_eq!(heads.fold(&claim(0, 0)), Ok(()), "opens");
        assert_eq!(heads.fold(&claim(0, 10)), Ok(()), "no event has a time yet");
        let first = Claim {
            newest: newest(500),
            ..claim(10, 20)
        };
        assert_eq!(heads.fold(&first), Ok(()), "its first event");
        let second = |opens| Claim {
            opens,
            ..claim(20, 30)
        };
        assert_eq!(
            heads.fold(&second(true)),
            Err(Rejected::Reopened),
            "begins at the head by chance"
        );
        assert_eq!(heads.fold(&second(false)), Ok(()), "knows the head");
    }

    #[test]
    fn a_commit_after_a_lost_opening_commit_does_not_open_a_shard() {
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
    fn a_reader_that_starts_mid_log_opens_no_shard() {
        let mut heads = Heads::with_unknown_history();
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
    fn without_the_start_of_the_log_the_oldest_commit_opens_a_shard() {
        let later_commit = |base, upto| Claim {
            opens: false,
            ..claim(base, upto)
        };
        let mut heads = Heads::default();
        assert_eq!(
            heads.fold(&later_commit(700, 800)),
            Err(Rejected::NoHead),
            "with it, the first commit does"
        );
        assert_eq!(
            heads.fold_guessing(&later_commit(700, 800)),
            Ok(()),
            "the oldest"
        );
        assert_eq!(
            heads.fold_guessing(&later_commit(700, 800)),
            Err(Rejected::Overlap),
            "once"
        );
    }

    /// Sends commits of ten offsets each that join one another; returns the outcomes.
    fn run(heads: &mut Heads, from: i64, commits: u32) -> Vec<Result<(), Rejected>> {
        (0..i64::from(commits))
            .map(|number| from + number * 10)
            .map(|base| heads.fold(&claim(base, base + 10)))
            .collect()
    }

    fn is_certain(heads: &Heads) -> bool {
        heads.of(&shard(0, 0)).unwrap().guess.is_none()
    }

    /// A commit of a replaced writer that was the oldest one left gave a shard its head, and every
    /// later commit of the shard was rejected for ever.
    #[test]
    fn a_guessed_head_moves_to_a_run_that_is_longer_than_the_commits_in_flight() {
        let mut heads = Heads::default();
        heads.fold_guessing(&claim(100, 107)).unwrap();
        let outcomes = run(&mut heads, 110, MAX_COMMITS_IN_FLIGHT + 1);
        let (last, before) = outcomes.split_last().unwrap();
        assert!(
            before.iter().all(|outcome| *outcome == Err(Rejected::Gap)),
            "a writer may not know yet: {outcomes:?}"
        );
        assert_eq!(*last, Ok(()), "it knows, and continues");
        assert_eq!(upto(&heads), Some(760), "the head");
        assert!(is_certain(&heads), "certain");
    }

    /// Eight commits in flight behind one that was lost moved a head that was right. The ingester
    /// resumed at the right one, and the scorer rejected everything from there on.
    #[test]
    fn a_burst_behind_a_lost_commit_does_not_move_a_guessed_head() {
        let mut heads = Heads::default();
        heads.fold_guessing(&claim(100, 110)).unwrap();
        let burst = run(&mut heads, 120, MAX_COMMITS_IN_FLIGHT);
        assert!(burst.iter().all(Result::is_err), "{burst:?}");
        assert_eq!(heads.fold(&claim(110, 120)), Ok(()), "the writer resumes");
        assert_eq!(upto(&heads), Some(120), "at the head");
    }

    #[test]
    fn a_guessed_head_is_certain_after_a_run_at_the_head() {
        let mut heads = Heads::default();
        heads.fold_guessing(&claim(100, 110)).unwrap();
        run(&mut heads, 110, MAX_COMMITS_IN_FLIGHT - 1);
        assert!(!is_certain(&heads), "all may be of a replaced writer");
        run(&mut heads, 740, 1);
        assert!(is_certain(&heads), "a reader accepted the first of them");
        let behind = run(&mut heads, 1000, 2 * MAX_COMMITS_IN_FLIGHT);
        assert!(behind.iter().all(Result::is_err), "it never moves again");
    }

    /// The guess was ahead of the head: commits of the run overlap until they have passed it.
    #[test]
    fn a_run_that_passes_a_guessed_head_takes_it_over() {
        let mut heads = Heads::default();
        heads.fold_guessing(&claim(100, 1005)).unwrap();
        let passing = run(&mut heads, 105, 91);
        let (last, before) = passing.split_last().unwrap();
        let overlap = Err(Rejected::Overlap);
        assert!(before[..90].iter().all(|outcome| *outcome == overlap));
        assert_eq!(*last, Ok(()), "from 1005 on: {passing:?}");
        assert!(is_certain(&heads), "certain");
    }

    #[test]
    fn a_head_moves_over_a_gap_only_if_it_was_guessed_and_the_commits_join() {
        let mut certain = Heads::default();
        certain.fold(&claim(0, 10)).unwrap();
        let mut guessed = Heads::default();
        guessed.fold_guessing(&claim(0, 10)).unwrap();
        for base in (0..200).map(|number| 20 + number * 10) {
            let next = claim(base, base + 10);
            assert_eq!(certain.fold(&next), Err(Rejected::Gap), "certain");
            let apart = claim(base, base + 9);
            assert_eq!(guessed.fold(&apart), Err(Rejected::Gap), "apart");
        }
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
    fn the_newest_event_time_of_a_monitor_never_decreases() {
        let (mut heads, monitor) = (Heads::default(), MonitorId::of([&b"m"[..]]));
        for (base, newest) in [(0, 50), (1, 40)] {
            let newest = vec![(monitor, EventTime::from_millis(newest))];
            let claim = Claim {
                newest,
                opens: base == 0,
                ..claim(base, base + 1)
            };
            assert_eq!(heads.fold(&claim), Ok(()), "accepted");
        }
        let head = heads.of(&shard(0, 0)).unwrap();
        assert_eq!(head.newest[&monitor], EventTime::from_millis(50), "newest");
    }

    #[test]
    fn a_commit_without_a_topic_id_keeps_the_known_one() {
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
    fn latest_returns_the_latest_incarnation_of_a_partition() {
        let mut heads = Heads::default();
        for incarnation in [0, 2, 1] {
            let claim = Claim {
                shard: Arc::new(shard(0, incarnation)),
                ..claim(0, i64::from(incarnation))
            };
            assert_eq!(heads.fold(&claim), Ok(()), "opens");
        }
        let (latest, head) = heads.latest(&shard(0, 1)).unwrap();
        assert_eq!((latest.incarnation, head.upto), (2, 2), "the latest");
        assert_eq!(heads.latest(&shard(1, 0)), None, "none");
    }

    proptest! {
        #[test]
        fn accepted_commits_tile_the_offsets_without_gap_or_overlap(cuts in proptest::collection::vec((0..50i64, 0..10i64), 1..60)) {
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
