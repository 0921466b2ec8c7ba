//! Commits that were sent to the pane log and whose outcome is not read yet.
//!
//! Their number is bounded, and after a rejection nothing more is sent of that opening of the
//! shard. Readers that guess a head rely on both: what a writer sends before it knows better is at
//! most [`MAX_COMMITS_IN_FLIGHT`] commits in a row.

use std::collections::HashMap;
use std::sync::Arc;

use super::worker::PendingCommit;
use crate::model::Shard;
use crate::panes::MAX_COMMITS_IN_FLIGHT;

/// Commits by the number of their record.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    commits: HashMap<u64, PendingCommit>,
    /// The latest opening of each shard of which a commit was rejected.
    rejected: HashMap<Arc<Shard>, u64>,
}

impl InFlight {
    /// Returns true if another commit may be sent; `is_probe` while only one may be on its way.
    pub(super) fn has_room(&self, is_probe: bool) -> bool {
        let most = if is_probe { 1 } else { MAX_COMMITS_IN_FLIGHT };
        self.commits.len() < most as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// Returns true if an earlier commit of the same opening was rejected: this one cannot count.
    pub(super) fn is_obsolete(&self, pending: &PendingCommit) -> bool {
        let flushed = &pending.flushed;
        self.rejected
            .get(&flushed.commit.shard)
            .is_some_and(|opening| flushed.opening <= *opening)
    }

    /// Adds a commit that was sent.
    pub(super) fn insert(&mut self, number: u64, pending: PendingCommit) {
        self.commits.insert(number, pending);
    }

    /// Removes a commit whose outcome is known.
    pub(super) fn remove(&mut self, number: u64) -> Option<PendingCommit> {
        self.commits.remove(&number)
    }

    /// Reports that a commit does not count.
    pub(super) fn reject(&mut self, pending: &PendingCommit) {
        self.note(pending);
        pending.reject();
    }

    /// Reports that a commit does not count, and that the next ones must be smaller.
    pub(super) fn reject_as_too_large(&mut self, pending: &PendingCommit) {
        self.note(pending);
        pending.reject_as_too_large();
    }

    fn note(&mut self, pending: &PendingCommit) {
        let flushed = &pending.flushed;
        let opening = self
            .rejected
            .entry(Arc::clone(&flushed.commit.shard))
            .or_default();
        *opening = flushed.opening.max(*opening);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::unbounded;

    use super::super::commit_budget::CommitBudget;
    use super::super::worker::CommitOutcome;
    use super::*;
    use crate::ingest::Flushed;
    use crate::pane_log::kafka::fixtures::claim;
    use crate::panes::Commit;

    /// A writer sent up to 256 commits behind one that was rejected.
    #[test]
    fn nothing_is_sent_of_an_opening_after_a_rejection() {
        let (outcomes, received) = unbounded();
        let pending = |opening| PendingCommit {
            flushed: Flushed {
                slot: 0,
                opening,
                commit: Commit::unreadable(claim(0, 10)),
            },
            outcomes: outcomes.clone(),
            _share: CommitBudget::new(1000).take(1, Duration::ZERO).unwrap(),
        };
        let mut in_flight = InFlight::default();
        for number in 0..u64::from(MAX_COMMITS_IN_FLIGHT) {
            assert!(in_flight.has_room(false), "{number}");
            in_flight.insert(number, pending(3));
        }
        assert!(!in_flight.has_room(false), "full");
        let first = in_flight.remove(0).unwrap();
        assert!(!in_flight.is_obsolete(&pending(3)), "not rejected");
        in_flight.reject(&first);
        assert!(in_flight.is_obsolete(&pending(3)), "the same opening");
        assert!(in_flight.is_obsolete(&pending(2)), "an earlier one");
        assert!(!in_flight.is_obsolete(&pending(4)), "the next one");
        let outcome = CommitOutcome::Rejected {
            slot: 0,
            opening: 3,
        };
        assert_eq!(received.try_recv(), Ok(outcome));
    }
}
