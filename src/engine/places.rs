//! Where the counts of a commit belong.
//!
//! A commit names what it counted by id and refers to it by place; the writer may be of another configuration. Only counts filed under an id of ours are
//! taken, and what the writer did not count is a hole in what we know.

use std::sync::Arc;

use super::MonitorPlan;
use crate::panes::CommitSchema;

/// Where one monitor's part of a commit belongs.
#[derive(Debug)]
pub(super) struct CommitIndex {
    /// Its place in the commit's list of monitors.
    pub(super) monitor: usize,
    /// Which feature of ours each counted feature is.
    pub(super) features: Vec<Option<usize>>,
    /// Whether each feature of ours was counted.
    pub(super) covers: Vec<bool>,
}

/// The places of the latest writer, for the monitors of one source.
#[derive(Debug, Default)]
pub(super) struct Directory {
    counted: Arc<CommitSchema>,
    places: Vec<Option<CommitIndex>>,
}

impl Directory {
    /// The places of each of `plans` in what a writer counts.
    pub(super) fn of<'a>(
        &mut self,
        counted: &Arc<CommitSchema>,
        plans: impl Iterator<Item = &'a MonitorPlan>,
    ) -> &[Option<CommitIndex>] {
        let is_same = Arc::ptr_eq(counted, &self.counted) || **counted == *self.counted;
        if !is_same || self.places.is_empty() {
            self.places = plans.map(|plan| find(counted, plan)).collect();
        }
        self.counted = Arc::clone(counted);
        &self.places
    }
}

fn find(counted: &CommitSchema, plan: &MonitorPlan) -> Option<CommitIndex> {
    let monitor = counted
        .monitors
        .iter()
        .position(|monitor| monitor.id == plan.id)?;
    let features = &counted.monitors[monitor].features;
    let own: rustc_hash::FxHashMap<_, usize> = plan
        .features
        .iter()
        .enumerate()
        .map(|(place, feature)| (feature.id, place))
        .collect();
    let features: Vec<Option<usize>> = features.iter().map(|id| own.get(id).copied()).collect();
    let mut covers = vec![false; plan.features.len()];
    for place in features.iter().flatten() {
        covers[*place] = true;
    }
    Some(CommitIndex {
        monitor,
        features,
        covers,
    })
}
