//! A bound in bytes for the commits on their way to the log.
//!
//! A channel bounds their number only, and a commit of 10,000 features is a thousand times as large
//! as one of ten: 2,000 of them took 2.2 GB. So an ingest thread takes a share of a common budget
//! for each commit, and the share returns when the log has decided on it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bytes that commits on their way to the log may take together.
#[derive(Debug)]
pub(in crate::app) struct CommitBudget {
    bytes: usize,
    used: Mutex<usize>,
    returned: Condvar,
}

/// A share of a budget; it returns when it is dropped.
#[derive(Debug)]
pub(in crate::app) struct BudgetShare {
    budget: Arc<CommitBudget>,
    bytes: usize,
}

impl CommitBudget {
    /// Creates an unused budget.
    pub(in crate::app) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(CommitBudget {
            bytes,
            used: Mutex::new(0),
            returned: Condvar::new(),
        })
    }

    /// Takes a share, and waits at most `wait` until it is there; `None` if it is not.
    ///
    /// A share above the whole budget is given out once nothing else is.
    pub(in crate::app) fn take(
        self: &Arc<Self>,
        bytes: usize,
        wait: Duration,
    ) -> Option<BudgetShare> {
        let is_full = |used: &mut usize| *used > 0 && used.saturating_add(bytes) > self.bytes;
        let (mut used, _) = self
            .returned
            .wait_timeout_while(self.lock(), wait, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        if is_full(&mut used) {
            return None;
        }
        *used += bytes;
        Some(BudgetShare {
            budget: Arc::clone(self),
            bytes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        *self.budget.lock() -= self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits were bounded by number: 2,000 of 10,000 features took 2.2 GB.
    #[test]
    fn commits_on_their_way_take_at_most_the_budget() {
        let budget = CommitBudget::new(100);
        let take = |bytes| budget.take(bytes, Duration::ZERO);
        let first = take(60);
        assert!(first.is_some(), "within the budget");
        assert!(take(41).is_none(), "above it");
        let second = take(40);
        assert!(second.is_some(), "exactly the rest");
        drop(first);
        assert!(take(60).is_some(), "a share returns");
    }

    #[test]
    fn a_commit_above_the_whole_budget_goes_alone() {
        let budget = CommitBudget::new(100);
        let large = budget.take(1000, Duration::ZERO);
        assert!(large.is_some(), "nothing else is on its way");
        assert!(budget.take(1, Duration::ZERO).is_none(), "but this one is");
        drop(large);
        assert!(budget.take(1, Duration::ZERO).is_some(), "not any more");
    }
}
