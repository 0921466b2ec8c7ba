//! Life-long counters: of a monitor, and of each of its features.

use serde::{Deserialize, Serialize};

use crate::model::{DropReason, Severity};
use crate::panes::MonitorCommit;
use crate::stats::{Layout, Tallies};

/// How often alerts changed, by severity, then firing and resolved.
pub(super) type Transitions = [[u64; 2]; Severity::ALL.len()];

/// Counters of one monitor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) events: u64,
    pub(super) events_late: u64,
    /// In the order of [`DropReason::ALL`].
    pub(super) dropped: [u64; DropReason::ALL.len()],
    pub(super) evaluations: u64,
    pub(super) skipped: u64,
    pub(super) transitions: Transitions,
}

impl Totals {
    /// Adds what an accepted commit counted.
    pub(super) fn count(&mut self, counts: &MonitorCommit) {
        self.events += counts.events;
        self.events_late += counts.events_late;
        self.dropped
            .iter_mut()
            .zip(counts.dropped)
            .for_each(|(sum, count)| *sum += count);
    }
}

/// Counters of one feature.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct FeatureTotals {
    pub(super) tallies: Tallies,
    pub(super) out_of_range: (u64, u64),
    pub(super) unseen: u64,
}

impl FeatureTotals {
    pub(super) fn add(
        &mut self,
        tallies: &Tallies,
        (first, counts): &(u16, Vec<u32>),
        layout: Option<&Layout>,
    ) {
        self.tallies.merge(tallies);
        let at = |bin: usize| {
            let place = bin.checked_sub(usize::from(*first));
            place
                .and_then(|place| counts.get(place))
                .map_or(0, |count| u64::from(*count))
        };
        match layout {
            Some(Layout::Numeric(numeric)) => {
                self.out_of_range.0 += if numeric.bins.has_lower_guard() {
                    at(0)
                } else {
                    0
                };
                self.out_of_range.1 += if numeric.bins.has_upper_guard() {
                    at(numeric.bins.len() - 1)
                } else {
                    0
                };
            }
            Some(Layout::Categorical(categories)) => self.unseen += at(categories.unseen()),
            None => {}
        }
    }
}
