//! The scorer's thread: owns the engine, and publishes pictures of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use tracing::{debug, info};

use crate::clock;
use crate::engine::{Engine, EngineView, MonitorPlan};
use crate::model::{LogPartition, LogReport};
use crate::panes::Commit;
use crate::panes::Position;

/// How often a picture is published when no evaluation was made.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Pictures are published no more often than this, however fast a backlog is evaluated.
const PUBLISH_AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// Takes pictures; called on the scorer's thread.
pub(in crate::app) type Publish = Box<dyn FnMut(EngineView) + Send>;

/// An engine with a clock and a public.
pub(in crate::app) struct Scoring {
    /// The engine.
    pub(in crate::app) engine: Engine,
    publish: Publish,
    published: (u64, Instant),
    report: Arc<ArcSwap<LogReport>>,
    /// Where other monitors come from.
    plans: Receiver<Vec<MonitorPlan>>,
    /// How the log is read, but for its partitions' positions.
    pub(in crate::app) standing: Standing,
}

/// What the reader of the log knows besides the engine.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct Standing {
    /// Why the picture is not yet what the log holds.
    pub(in crate::app) problem: Option<String>,
    /// How long it took to read what was there at the start.
    pub(in crate::app) recovery: Option<Duration>,
    /// Records not read yet, by partition.
    pub(in crate::app) lags: BTreeMap<u32, u64>,
}

impl std::fmt::Debug for Scoring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scoring").finish_non_exhaustive()
    }
}

impl Scoring {
    /// An engine whose first picture is published at once.
    pub(in crate::app) fn new(
        engine: Engine,
        publish: Publish,
        report: Arc<ArcSwap<LogReport>>,
        plans: Receiver<Vec<MonitorPlan>>,
        standing: Standing,
    ) -> Self {
        let mut scoring = Scoring {
            published: (engine.generation(), clock::monotonic()),
            engine,
            publish,
            report,
            plans,
            standing,
        };
        scoring.publish();
        scoring
    }

    /// Counts an accepted commit and closes the windows whose time it brought.
    pub(in crate::app) fn count(&mut self, partition: u32, commit: &Commit, bytes: u64) {
        self.engine.ingest_counts(partition, commit, bytes);
        for monitor in self.engine.monitors_of(&commit.shard.source) {
            let began = clock::monotonic();
            let made = self.engine.advance(monitor, &mut |plan, window| {
                let (monitor, window) = (&plan.spec.name, window.index);
                debug!(monitor, window, "evaluated");
            });
            let each = u32::try_from(made).ok();
            if let Some(each) = each.and_then(|made| began.elapsed().checked_div(made)) {
                self.engine.time_evaluation(monitor, each);
            }
        }
    }

    /// What time alone brings: other monitors, stale windows, and a new picture when one is due.
    pub(in crate::app) fn tick(&mut self) {
        if let Some(plans) = self.plans.try_iter().last() {
            self.engine = self.engine.with_monitors(plans);
            info!(
                monitors = self.engine.monitors(),
                "scoring by the new configuration"
            );
        }
        self.engine.watch_silence(clock::now());
        let pause = if self.engine.generation() == self.published.0 {
            PUBLISH_EVERY
        } else {
            PUBLISH_AT_MOST_EVERY
        };
        if self.published.1.elapsed() >= pause {
            self.publish();
        }
    }

    /// Publishes a picture now.
    pub(in crate::app) fn publish(&mut self) {
        self.published = (self.engine.generation(), clock::monotonic());
        (self.publish)(self.engine.view());
        let partition = |(partition, place): (&u32, &Position)| {
            let read = LogPartition {
                next: place.next,
                lag: self.standing.lags.get(partition).copied(),
                hash: place.mark.1,
                hashed_at: place.mark.0,
            };
            (*partition, read)
        };
        self.report.store(Arc::new(LogReport {
            problem: self.standing.problem.clone(),
            recovery_seconds: self.standing.recovery.map(|took| took.as_secs_f64()),
            partitions: self.engine.log().partitions.iter().map(partition).collect(),
        }));
    }
}
