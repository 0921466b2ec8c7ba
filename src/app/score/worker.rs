//! Drives the engine from the commit stream and publishes a view after each change.
//!
//! The scorer's thread owns the engine: no lock is taken to count or to evaluate. Readers of the
//! view (HTTP) get an immutable copy. The engine has no clock, so time enters here: wall time for
//! stale windows, monotonic time for durations and for the pace of publishing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use tracing::{debug, info};

use super::alert_log::{SilenceLog, log_removed_alerts, log_transitions};
use super::table_simulator::TableSimulator;
use crate::clock;
use crate::engine::{Engine, EngineView, MonitorPlan};
use crate::model::{LogPartition, LogReport, SnapshotCounts};
use crate::pane_log::write;
use crate::panes::Commit;

/// The interval at which a view is published while nothing is evaluated.
const IDLE_PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest interval between two views, however fast a backlog is evaluated.
const MIN_PUBLISH_INTERVAL: Duration = Duration::from_millis(100);

/// Receives views on the scorer's thread.
pub(in crate::app) type Publish = Box<dyn FnMut(EngineView) + Send>;

/// The facts about the log that only its reader has, for the view.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct LogHealth {
    /// The reason why the view is behind the log.
    pub(in crate::app) problem: Option<String>,
    /// True until everything is read that the log held at the start.
    pub(in crate::app) is_recovering: bool,
    /// The time it took to read what the log held at the start.
    pub(in crate::app) recovery: Option<Duration>,
    /// Records that are not read yet, by partition.
    pub(in crate::app) lags: BTreeMap<u32, u64>,
    /// Snapshots since the start.
    pub(in crate::app) snapshots: SnapshotCounts,
}

/// The engine with a clock, the channel of reloads, and the outlets of views and reports.
pub(in crate::app) struct ScoreWorker {
    /// The engine of this thread.
    pub(in crate::app) engine: Engine,
    /// The state of the log, updated by its reader.
    pub(in crate::app) log_health: LogHealth,
    silences: SilenceLog,
    publish: Publish,
    table_simulator: TableSimulator,
    /// True if null tables came that no snapshot holds.
    has_new_tables: bool,
    /// True if no null table was missing at the latest tick.
    has_all_tables: bool,
    published_generation: u64,
    published_at: Instant,
    report: Arc<ArcSwap<LogReport>>,
    plans: Receiver<Vec<MonitorPlan>>,
}

impl std::fmt::Debug for ScoreWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScoreWorker").finish_non_exhaustive()
    }
}

impl ScoreWorker {
    /// Creates the worker and publishes the first view at once.
    ///
    /// The engine leaves null tables to `table_simulator`, once the log is read.
    pub(in crate::app) fn new(
        mut engine: Engine,
        table_simulator: TableSimulator,
        publish: Publish,
        report: Arc<ArcSwap<LogReport>>,
        plans: Receiver<Vec<MonitorPlan>>,
        log_health: LogHealth,
    ) -> Self {
        if !log_health.is_recovering {
            engine.defer_null_tables();
        }
        let mut worker = ScoreWorker {
            table_simulator,
            has_new_tables: false,
            has_all_tables: true,
            published_generation: engine.generation(),
            published_at: clock::monotonic(),
            engine,
            log_health,
            silences: SilenceLog::default(),
            publish,
            report,
            plans,
        };
        worker.publish();
        worker
    }

    /// Counts an accepted commit and evaluates the windows that it completes.
    pub(in crate::app) fn count(&mut self, partition: u32, commit: &Commit, bytes: u64) {
        self.engine.ingest_counts(partition, commit, bytes);
        // The alerts of a log that is read again were logged when its commits were new.
        let is_new = !self.log_health.is_recovering;
        for monitor in self.engine.monitors_of(&commit.shard.source) {
            let started_at = clock::monotonic();
            let evaluations = self.engine.advance(monitor, &mut |plan, window| {
                let (monitor, index) = (&plan.spec.name, window.index);
                debug!(monitor, window = index, "window evaluated");
                if is_new {
                    log_transitions(plan, window);
                }
            });
            let mean_duration = u32::try_from(evaluations)
                .ok()
                .and_then(|evaluations| started_at.elapsed().checked_div(evaluations));
            if let Some(mean_duration) = mean_duration {
                self.engine.time_evaluation(monitor, mean_duration);
            }
        }
    }

    /// Does the work that depends on time: applies a reload, passes null tables on, marks stale
    /// windows, and publishes a view when one is due.
    pub(in crate::app) fn tick(&mut self) {
        if let Some(plans) = self.plans.try_iter().last() {
            let before = self.engine.view();
            self.engine = self.engine.with_monitors(plans);
            log_removed_alerts(&before, &self.engine.view());
            info!(
                monitors = self.engine.monitors(),
                "scoring with the new configuration"
            );
        }
        self.exchange_tables();
        // A log that is still being read is old, and not silent.
        if !self.log_health.is_recovering {
            self.engine
                .watch_silence(clock::now(), &mut log_transitions);
            self.silences.log_changes(self.engine.silences());
        }
        let interval = if self.engine.generation() == self.published_generation {
            IDLE_PUBLISH_INTERVAL
        } else {
            MIN_PUBLISH_INTERVAL
        };
        if self.published_at.elapsed() >= interval {
            self.publish();
        }
    }

    /// Gives finished null tables to the engine, and requests those that its windows wait for.
    fn exchange_tables(&mut self) {
        let tables = self.table_simulator.take_finished();
        self.has_new_tables |= !tables.is_empty();
        let is_new = !self.log_health.is_recovering;
        self.engine.accept_tables(tables, &mut |plan, window| {
            if is_new {
                log_transitions(plan, window);
            }
        });
        let missing = self.engine.missing_tables();
        self.has_all_tables = missing.is_empty();
        self.table_simulator.request(missing);
    }

    /// Ends the recovery: from now on, the engine leaves null tables to the simulator.
    pub(in crate::app) fn finish_recovery(&mut self) {
        self.log_health.is_recovering = false;
        self.engine.defer_null_tables();
    }

    /// Returns true once after all missing null tables have come.
    ///
    /// A snapshot is due then: a restart would simulate them again, for every evaluation since.
    pub(in crate::app) fn take_calibrated(&mut self) -> bool {
        let is_calibrated = self.has_new_tables && self.has_all_tables;
        self.has_new_tables &= !is_calibrated;
        is_calibrated
    }

    /// Publishes a view and a report of the log now.
    pub(in crate::app) fn publish(&mut self) {
        self.published_generation = self.engine.generation();
        self.published_at = clock::monotonic();
        (self.publish)(self.engine.view());
        let partitions = self
            .engine
            .log()
            .partitions
            .iter()
            .map(|(partition, position)| {
                let (hashed_at, hash) = position.mark;
                let report = LogPartition {
                    next: position.next,
                    lag: self.log_health.lags.get(partition).copied(),
                    hash,
                    hashed_at,
                };
                (*partition, report)
            })
            .collect();
        let report = LogReport {
            problem: self.log_health.problem.clone(),
            publisher_problems: Vec::new(),
            calibrating: self.engine.calibration_progress(),
            is_recovering: self.log_health.is_recovering,
            recovery_seconds: self.log_health.recovery.map(|took| took.as_secs_f64()),
            partitions,
            snapshots: self.log_health.snapshots,
        };
        self.report.rcu(|former| LogReport {
            publisher_problems: former.publisher_problems.clone(),
            ..report.clone()
        });
    }

    /// Encodes a snapshot of the engine for the log.
    #[must_use]
    pub(in crate::app) fn snapshot_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&self.engine.save(), &mut bytes);
        bytes
    }
}
