//! Maps the positions in a commit to the monitors and features of this process.
//!
//! A commit lists what it counts by id and refers to it by position. Its writer may run another
//! configuration, so only counts under an id of this process are used, and a feature that the writer
//! does not count is a hole in coverage.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::plan::MonitorPlan;
use crate::model::LayoutId;
use crate::panes::{Commit, CommitSchema, MonitorCommit};

/// The positions of one monitor and its features in the commits of one writer.
#[derive(Debug)]
pub(super) struct CommitIndex {
    /// Position in the commit's list of monitors.
    monitor: usize,
    /// By position in the commit's list of features: the feature of this process, if it is one.
    pub(super) features: Vec<Option<usize>>,
    /// By feature of this process: true if the writer counts it.
    pub(super) covers: Vec<bool>,
}

impl CommitIndex {
    /// Finds a monitor in what a writer counts; `None` where the writer does not count it.
    fn new(schema: &CommitSchema, plan: &MonitorPlan) -> Option<Self> {
        let monitor = schema
            .monitors
            .iter()
            .position(|monitor| monitor.id == plan.id)?;
        let by_id: FxHashMap<LayoutId, usize> = plan
            .features
            .iter()
            .enumerate()
            .map(|(index, feature)| (feature.id, index))
            .collect();
        let features: Vec<Option<usize>> = schema.monitors[monitor]
            .features
            .iter()
            .map(|id| by_id.get(id).copied())
            .collect();
        let mut covers = vec![false; plan.features.len()];
        for feature in features.iter().flatten() {
            covers[*feature] = true;
        }
        Some(CommitIndex {
            monitor,
            features,
            covers,
        })
    }

    /// The monitor's counts in a commit; `None` where it holds none.
    pub(super) fn counts_in<'a>(&self, commit: &'a Commit) -> Option<&'a MonitorCommit> {
        commit
            .monitors
            .iter()
            .find(|counts| counts.monitor == self.monitor)
    }
}

/// The indexes of the latest writer, for the monitors of one source.
///
/// Most commits of a source have the same schema, so one entry is enough.
#[derive(Debug, Default)]
pub(super) struct CommitIndexCache {
    schema: Arc<CommitSchema>,
    indexes: Vec<Option<CommitIndex>>,
}

impl CommitIndexCache {
    /// The index of each of `plans` in the commits of a writer.
    pub(super) fn get<'a>(
        &mut self,
        schema: &Arc<CommitSchema>,
        plans: impl Iterator<Item = &'a MonitorPlan>,
    ) -> &[Option<CommitIndex>] {
        let is_same = Arc::ptr_eq(schema, &self.schema) || **schema == *self.schema;
        if !is_same || self.indexes.is_empty() {
            self.indexes = plans.map(|plan| CommitIndex::new(schema, plan)).collect();
        }
        self.schema = Arc::clone(schema);
        &self.indexes
    }
}
