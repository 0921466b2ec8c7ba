//! Counters that only grow: of a source, of a monitor, and of each of its features.
//!
//! They are part of the snapshot and continue after a restart.

use serde::{Deserialize, Serialize};

use super::view::SourceView;
use crate::alert::Transition;
use crate::decode::DecodeError;
use crate::model::{DropReason, Severity};
use crate::panes::{Commit, MonitorCommit, RecordCounts, Rejected};
use crate::stats::{Layout, Tallies};

/// Alert transitions by severity, then firing and resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct TransitionCounts([[u64; 2]; Severity::ALL.len()]);

impl TransitionCounts {
    /// Counts one transition.
    pub(super) fn record(&mut self, severity: Severity, transition: Transition) {
        self.0[severity as usize][transition as usize] += 1;
    }

    /// Every pair of severity and transition with its count.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Severity, Transition, u64)> {
        Severity::ALL.iter().copied().flat_map(|severity| {
            [Transition::Firing, Transition::Resolved].map(|transition| {
                let count = self.0[severity as usize][transition as usize];
                (severity, transition, count)
            })
        })
    }
}

/// Counters of one source, from accepted commits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct SourceCounters {
    records: RecordCounts,
    commits: u64,
    commit_bytes: u64,
    /// In the order of [`Rejected::ALL`].
    rejected: [u64; Rejected::ALL.len()],
}

impl SourceCounters {
    /// Adds an accepted commit of `bytes` bytes.
    pub(super) fn add(&mut self, commit: &Commit, bytes: u64) {
        self.records.merge(&commit.records);
        self.commits += 1;
        self.commit_bytes += bytes;
    }

    /// Counts a rejected commit.
    pub(super) fn reject(&mut self, reason: Rejected) {
        self.rejected[reason as usize] += 1;
    }

    /// The counters under the source's name, with every reason present.
    pub(super) fn view(&self, name: &str) -> SourceView {
        SourceView {
            name: name.to_owned(),
            decoded: self.records.decoded,
            decode_errors: DecodeError::ALL
                .iter()
                .zip(self.records.errors)
                .map(|(error, count)| (error.reason(), count))
                .collect(),
            tombstones: self.records.tombstones,
            commits: self.commits,
            commit_bytes: self.commit_bytes,
            rejected: Rejected::ALL
                .iter()
                .zip(self.rejected)
                .map(|(rejected, count)| (rejected.reason(), count))
                .collect(),
        }
    }
}

/// Counters of one monitor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct MonitorCounters {
    pub(super) events: u64,
    pub(super) events_late: u64,
    /// In the order of [`DropReason::ALL`].
    pub(super) dropped: [u64; DropReason::ALL.len()],
    pub(super) evaluations: u64,
    /// Empty windows that a gap in the stream skipped.
    pub(super) skipped: u64,
    pub(super) transitions: TransitionCounts,
}

impl MonitorCounters {
    /// Adds the events of an accepted commit.
    pub(super) fn add(&mut self, counts: &MonitorCommit) {
        self.events += counts.events;
        self.events_late += counts.events_late;
        for (sum, count) in self.dropped.iter_mut().zip(counts.dropped) {
            *sum += count;
        }
    }
}

/// Counters of one feature.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct FeatureCounters {
    pub(super) tallies: Tallies,
    /// Values below the first and above the last edge.
    pub(super) out_of_range: (u64, u64),
    /// Values of categories that the reference does not have.
    pub(super) unseen: u64,
}

impl FeatureCounters {
    /// Adds the counts of one pane; `first` is the bin of the first of `counts`.
    pub(super) fn add(
        &mut self,
        tallies: &Tallies,
        (first, counts): &(u16, Vec<u32>),
        layout: Option<&Layout>,
    ) {
        self.tallies.merge(tallies);
        let count_in = |bin: usize| {
            bin.checked_sub(usize::from(*first))
                .and_then(|index| counts.get(index))
                .map_or(0, |count| u64::from(*count))
        };
        match layout {
            Some(Layout::Numeric(numeric)) => {
                if numeric.bins.has_lower_guard() {
                    self.out_of_range.0 += count_in(0);
                }
                if numeric.bins.has_upper_guard() {
                    self.out_of_range.1 += count_in(numeric.bins.len() - 1);
                }
            }
            Some(Layout::Categorical(categories)) => self.unseen += count_in(categories.unseen()),
            None => {}
        }
    }
}
