//! The engine: the fold over commits, and the monitors it feeds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::monitor::MonitorEngine;
use super::{MonitorPlan, Snapshot, SourceState, WindowState};
use crate::decode::DecodeError;
use crate::model::EventTime;
use crate::panes::{Commit, Heads, RecordCounts, Rejected};

/// All windows of all monitors.
#[derive(Debug)]
pub struct Engine {
    heads: Heads,
    sources: BTreeMap<String, SourceTotals>,
    /// In configuration order.
    monitors: Vec<MonitorEngine>,
    generation: u64,
}

/// What one source delivered, and which monitors read it.
#[derive(Debug, Default)]
struct SourceTotals {
    /// In the order of the source's observer plan.
    monitors: Vec<usize>,
    records: RecordCounts,
    commits: u64,
    commit_bytes: u64,
    rejected: [u64; Rejected::ALL.len()],
}

impl Engine {
    /// An engine for monitors in configuration order; those of one source are numbered in this order in its commits.
    #[must_use]
    pub fn new(plans: Vec<MonitorPlan>) -> Self {
        let mut sources: BTreeMap<String, SourceTotals> = BTreeMap::new();
        for (index, plan) in plans.iter().enumerate() {
            sources
                .entry(plan.spec.source.clone())
                .or_default()
                .monitors
                .push(index);
        }
        let monitors = plans
            .into_iter()
            .map(|plan| MonitorEngine::new(Arc::new(plan)))
            .collect();
        Engine {
            heads: Heads::default(),
            sources,
            monitors,
            generation: 0,
        }
    }

    /// Number of monitors.
    #[must_use]
    pub fn monitors(&self) -> usize {
        self.monitors.len()
    }

    /// A monitor's plan.
    #[must_use]
    pub fn plan(&self, monitor: usize) -> &Arc<MonitorPlan> {
        self.monitors[monitor].plan()
    }

    /// Folds a commit.
    ///
    /// # Errors
    /// The commit does not begin at its shard's head: it is counted as rejected and has no other effect.
    pub fn apply(&mut self, commit: &Commit) -> Result<(), Rejected> {
        let source = self.sources.entry(commit.shard.source.clone()).or_default();
        if let Err(rejected) = self.heads.accept(commit) {
            source.rejected[rejected as usize] += 1;
            return Err(rejected);
        }
        source.records.merge(&commit.records);
        source.commits += 1;
        source.commit_bytes += commit.size_bytes() as u64;
        for (place, monitor) in source.monitors.iter().enumerate() {
            let counts = commit
                .monitors
                .iter()
                .find(|counts| counts.monitor == place);
            self.monitors[*monitor].apply(commit, counts);
        }
        Ok(())
    }

    /// Closes the windows of one monitor whose time has come and calls `evaluated` after each; `now` is the wall clock, `None` where there is none.
    /// Returns how many evaluations were made.
    pub fn advance(
        &mut self,
        monitor: usize,
        now: Option<EventTime>,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowState),
    ) -> u64 {
        let mut changed = false;
        let made = self.monitors[monitor].advance(now, &mut |plan, window| {
            changed = true;
            evaluated(plan, window);
        });
        self.generation += u64::from(changed);
        made
    }

    /// The input has ended: closes all windows.
    pub fn finish(&mut self, evaluated: &mut dyn FnMut(&MonitorPlan, &WindowState)) {
        for monitor in &mut self.monitors {
            monitor.finish(evaluated);
        }
        self.generation += 1;
    }

    /// Notes how long an evaluation of a monitor took.
    pub fn time_evaluation(&mut self, monitor: usize, took: Duration) {
        self.monitors[monitor].time_evaluation(took);
    }

    /// Goes up whenever a score, an alert or a window changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How everything stands.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            generation: self.generation,
            monitors: self.monitors.iter().map(MonitorEngine::snapshot).collect(),
            sources: self
                .sources
                .iter()
                .map(|(name, totals)| totals.state(name))
                .collect(),
        }
    }
}

impl SourceTotals {
    fn state(&self, name: &str) -> SourceState {
        let errors = DecodeError::ALL.iter().zip(self.records.errors);
        let rejected = Rejected::ALL.iter().zip(self.rejected);
        SourceState {
            name: name.to_owned(),
            decoded: self.records.decoded,
            decode_errors: errors
                .map(|(error, count)| (error.reason(), count))
                .collect(),
            tombstones: self.records.tombstones,
            commits: self.commits,
            commit_bytes: self.commit_bytes,
            rejected: rejected
                .map(|(rejected, count)| (rejected.reason(), count))
                .collect(),
        }
    }
}
