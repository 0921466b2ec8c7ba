//! Maps the positions in a commit to the monitors and features of this process.
//!
//! A commit lists what it counts by id and refers to it by position. Its writer may run another
//! configuration, so only counts under an id of this process are used, and a feature that the
//! writer does not count is a hole in coverage.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{fixed, plan, spec};
    use crate::model::{FeatureSpec, Kind, MonitorId};
    use crate::panes::MonitorSchema;

    fn two_features() -> MonitorPlan {
        let mut spec = spec(vec![fixed()]);
        spec.features.push(FeatureSpec::new("y", Kind::Boolean));
        plan(spec)
    }

    fn schema(monitors: Vec<(MonitorId, Vec<LayoutId>)>) -> Arc<CommitSchema> {
        Arc::new(CommitSchema {
            monitors: monitors
                .into_iter()
                .map(|(id, features)| MonitorSchema { id, features })
                .collect(),
        })
    }

    fn unknown() -> LayoutId {
        LayoutId::of([b"another layout".as_slice()])
    }

    #[test]
    fn monitors_and_features_are_found_by_id_in_any_order() {
        let plan = two_features();
        let [x, y] = [plan.features[0].id, plan.features[1].id];
        let foreign = MonitorId::of([b"another monitor".as_slice()]);
        let schema = schema(vec![(foreign, vec![x]), (plan.id, vec![y, unknown(), x])]);
        let index = CommitIndex::new(&schema, &plan).unwrap();
        assert_eq!(index.monitor, 1, "the second in the commit");
        assert_eq!(index.features, [Some(1), None, Some(0)]);
        assert_eq!(index.covers, [true, true]);
    }

    #[test]
    fn a_feature_that_the_writer_does_not_count_is_not_covered() {
        let plan = two_features();
        let schema = schema(vec![(plan.id, vec![unknown(), plan.features[1].id])]);
        let index = CommitIndex::new(&schema, &plan).unwrap();
        assert_eq!(index.covers, [false, true]);
    }

    #[test]
    fn a_monitor_that_the_writer_does_not_count_has_no_index() {
        let plan = two_features();
        assert!(CommitIndex::new(&schema(Vec::new()), &plan).is_none());
    }

    #[test]
    fn the_cache_follows_the_latest_writer() {
        let plan = two_features();
        let [x, y] = [plan.features[0].id, plan.features[1].id];
        let mut cache = CommitIndexCache::default();
        let mut features_of = |schema: &Arc<CommitSchema>| {
            let indexes = cache.get(schema, std::iter::once(&plan));
            indexes[0].as_ref().map(|index| index.features.clone())
        };
        let (old, new) = (
            schema(vec![(plan.id, vec![x])]),
            schema(vec![(plan.id, vec![y])]),
        );
        assert_eq!(features_of(&old), Some(vec![Some(0)]));
        assert_eq!(features_of(&new), Some(vec![Some(1)]));
        let equal = Arc::new(CommitSchema::clone(&old));
        assert_eq!(features_of(&equal), Some(vec![Some(0)]), "by content");
    }
}
