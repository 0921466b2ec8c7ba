//! The fold: which commits count.
//!
//! A commit is accepted iff it begins where the shard's head is. Duplicates, gaps, overlaps, retries and zombies all fail this one comparison, and a rejected
//! commit has no other effect. A shard without a head is opened by its first commit, whatever its base.

use std::collections::BTreeMap;

use super::Commit;
use crate::model::Shard;

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
}

impl Rejected {
    /// Every reason.
    pub const ALL: [Rejected; 3] = [Rejected::Overlap, Rejected::Gap, Rejected::Backwards];

    /// The label value.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Rejected::Overlap => "overlap",
            Rejected::Gap => "gap",
            Rejected::Backwards => "backwards",
        }
    }
}

/// The next offset expected of every shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heads {
    upto: BTreeMap<Shard, i64>,
}

impl Heads {
    /// Moves the shard's head over the commit.
    ///
    /// # Errors
    /// The commit does not begin at the head or ends before it begins; the head stays.
    pub fn accept(&mut self, commit: &Commit) -> Result<(), Rejected> {
        if commit.upto < commit.base {
            return Err(Rejected::Backwards);
        }
        match self.upto.get(&*commit.shard) {
            Some(head) if commit.base < *head => Err(Rejected::Overlap),
            Some(head) if commit.base > *head => Err(Rejected::Gap),
            _ => {
                self.upto.insert(commit.shard.as_ref().clone(), commit.upto);
                Ok(())
            }
        }
    }

    /// The next offset expected of a shard; `None` before its first commit.
    #[must_use]
    pub fn of(&self, shard: &Shard) -> Option<i64> {
        self.upto.get(shard).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panes::RecordCounts;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn shard(partition: i32) -> Arc<Shard> {
        let (source, cluster, topic) = ("s".to_owned(), String::new(), "t".to_owned());
        Arc::new(Shard {
            source,
            cluster,
            topic,
            partition,
            incarnation: 0,
        })
    }

    fn commit(base: i64, upto: i64) -> Commit {
        Commit {
            shard: shard(0),
            base,
            upto,
            written_at: None,
            caught_up_at: None,
            from_start: false,
            records: RecordCounts::default(),
            monitors: Vec::new(),
        }
    }

    #[test]
    fn the_first_commit_opens_a_shard_whatever_its_base() {
        let mut heads = Heads::default();
        assert_eq!(heads.accept(&commit(700, 800)), Ok(()), "opens");
        assert_eq!(heads.of(&shard(0)), Some(800), "head");
        assert_eq!(heads.of(&shard(1)), None, "another shard");
    }

    #[test]
    fn a_commit_counts_only_at_the_head() {
        let mut heads = Heads::default();
        let mut check = |base, upto, expected| {
            assert_eq!(
                heads.accept(&commit(base, upto)),
                expected,
                "{base}..{upto}"
            )
        };
        check(0, 10, Ok(()));
        check(0, 10, Err(Rejected::Overlap));
        check(11, 20, Err(Rejected::Gap));
        check(10, 9, Err(Rejected::Backwards));
        check(10, 10, Ok(()));
        check(10, 20, Ok(()));
    }

    proptest! {
        #[test]
        fn accepted_commits_tile_the_offsets(cuts in proptest::collection::vec((0..50i64, 0..10i64), 1..60)) {
            let mut heads = Heads::default();
            let mut end = None;
            for (base, length) in cuts {
                if heads.accept(&commit(base, base + length)).is_ok() {
                    prop_assert!(end.is_none_or(|end| end == base), "gap or overlap at {}", base);
                    end = Some(base + length);
                }
            }
        }
    }
}
