//! The reading half and the engine in this process, for one source.
//!
//! Each evaluation can so be compared with what had been read at that moment, whatever the speed of
//! the machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pegel::app::observer_plan;
use pegel::clock;
use pegel::engine::{Engine, MonitorPlan};
use pegel::ingest::{Flushed, Ingest};
use pegel::model::{EventTime, KafkaReport, Shard, SourceSpec};
use pegel::panes::Commit;
use pegel::source::{KafkaSource, Source as _, Timing};

const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

/// One evaluation of a window.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub(crate) end: EventTime,
    pub(crate) coverage: f64,
    /// Time of the log at the evaluation.
    pub(crate) log_time: EventTime,
}

/// The time of a shard that its commits show for one monitor.
#[derive(Debug, Clone, Copy, Default)]
struct ShownTime {
    newest: Option<EventTime>,
    /// Arrival of the newest event, or the first read time.
    quiet_since: Option<EventTime>,
    read_time: Option<EventTime>,
}

impl ShownTime {
    fn take(&mut self, monitor: usize, commit: &Commit) {
        self.read_time = commit.read_time.or(self.read_time);
        let newer = commit
            .monitors
            .iter()
            .find(|counts| counts.monitor == monitor)
            .filter(|counts| counts.newest_event_time >= self.newest);
        if let Some(counts) = newer {
            self.newest = counts.newest_event_time.or(self.newest);
            self.quiet_since = counts.newest_arrived_at.or(self.quiet_since);
        }
        self.quiet_since = self.quiet_since.or(self.read_time);
    }

    /// The time before which no event is expected; `None` if it is not known.
    fn get(&self, idle_after: Duration) -> Option<EventTime> {
        let is_idle = self.read_time? >= self.quiet_since?.plus(idle_after);
        if is_idle { self.read_time } else { self.newest }
    }

    fn delay(&self) -> Option<Duration> {
        Some(self.quiet_since?.since(self.newest?))
    }
}

/// The source, the reading half and the engine, and what they did.
pub(crate) struct Pipeline {
    source: KafkaSource,
    ingest: Ingest,
    pub(crate) engine: Engine,
    flushed_at: Instant,
    /// By monitor and shard.
    shown: Vec<BTreeMap<Arc<Shard>, ShownTime>>,
    /// The evaluations of each monitor, in order.
    pub(crate) evaluations: Vec<Vec<Evaluation>>,
}

impl Pipeline {
    pub(crate) fn new(spec: &SourceSpec, plans: Vec<MonitorPlan>) -> Self {
        let shared: Vec<Arc<MonitorPlan>> = plans.iter().cloned().map(Arc::new).collect();
        let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
        Pipeline {
            source: KafkaSource::with_timing(spec, report, Timing::default()).unwrap(),
            ingest: Ingest::new(observer_plan(&spec.name, &shared), 1 << 20)
                .with_clock(clock::moment),
            shown: plans.iter().map(|_| BTreeMap::new()).collect(),
            evaluations: plans.iter().map(|_| Vec::new()).collect(),
            engine: Engine::new(plans),
            flushed_at: Instant::now(),
        }
    }

    /// Reads what there is, and applies the commits that are due.
    pub(crate) fn poll(&mut self) {
        self.source
            .poll(Duration::from_millis(50), &mut self.ingest);
        let flushed = if self.flushed_at.elapsed() >= FLUSH_INTERVAL {
            self.flushed_at = Instant::now();
            self.ingest.flush()
        } else {
            self.ingest.take_early()
        };
        self.apply(flushed);
    }

    /// Applies commits as the scorer does.
    fn apply(&mut self, flushed: Vec<Flushed>) {
        for Flushed { commit, .. } in flushed {
            self.engine.apply(&commit).unwrap();
            for (monitor, shards) in self.shown.iter_mut().enumerate() {
                shards
                    .entry(Arc::clone(&commit.shard))
                    .or_default()
                    .take(monitor, &commit);
            }
            for (monitor, evaluations) in self.evaluations.iter_mut().enumerate() {
                self.engine.advance(monitor, &mut |_, window| {
                    // A window that becomes stale is not an evaluation.
                    if let Some(end) = window.end
                        && evaluations.last().is_none_or(|last| last.end < end)
                    {
                        evaluations.push(Evaluation {
                            end,
                            coverage: window.coverage,
                            log_time: commit.written_at.unwrap(),
                        });
                    }
                });
            }
        }
    }

    /// The time that each of `partitions` shards shows for a monitor: that of its newest event, or
    /// that up to which it was read without one. `None` while a shard shows none.
    pub(crate) fn shown_time(&self, monitor: usize, partitions: usize) -> Option<EventTime> {
        let shards = &self.shown[monitor];
        let idle_after = self.engine.plan(monitor).spec.lateness.idle_after;
        let shown = shards
            .values()
            .map(|shard| shard.get(idle_after))
            .min()
            .flatten()
            .filter(|_| shards.len() == partitions)?;
        // A stream that pauses is waited for as long as its promptest events were late.
        let delay = shards.values().filter_map(ShownTime::delay).min();
        Some(shown.minus(delay.unwrap_or_default()))
    }
}
