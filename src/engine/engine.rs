//! The engine: the fold over commits, and the monitors that the accepted ones feed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::commit_index::CommitIndexCache;
use super::counters::SourceCounters;
use super::monitor::MonitorEngine;
use super::null_supply::{NullSupply, SimulatedTable, TableRequest};
use super::plan::MonitorPlan;
use super::snapshot::EngineSnapshot;
use super::view::{EngineView, WindowView};
use crate::model::{EventTime, MonitorId, Shard};
use crate::panes::{Claim, Commit, LogState, Rejected};

/// The topics of each source.
type Topics = BTreeMap<String, Vec<String>>;

/// All monitors of this process and the state of the log.
#[derive(Debug)]
pub struct Engine {
    log: LogState,
    /// The topics that each source reads; `None` = every shard is used.
    topics: Option<Topics>,
    sources: BTreeMap<String, SourceFeed>,
    /// The sources that this process reports; `None` = all.
    reported: Option<Vec<String>>,
    /// In configuration order.
    monitors: Vec<MonitorEngine>,
    null_supply: NullSupply,
    generation: u64,
}

/// One source: its counters and the monitors that it feeds.
#[derive(Debug, Default)]
struct SourceFeed {
    /// Indexes of monitors, in configuration order.
    monitors: Vec<usize>,
    commit_indexes: CommitIndexCache,
    /// True if another process reports the source.
    is_hidden: bool,
    counters: SourceCounters,
}

impl Engine {
    /// An engine for monitors in configuration order.
    #[must_use]
    pub fn new(plans: Vec<MonitorPlan>) -> Self {
        let mut sources: BTreeMap<String, SourceFeed> = BTreeMap::new();
        for (index, plan) in plans.iter().enumerate() {
            sources
                .entry(plan.spec.source.clone())
                .or_default()
                .monitors
                .push(index);
        }
        Engine {
            log: LogState::default(),
            topics: None,
            reported: None,
            sources,
            monitors: plans
                .into_iter()
                .map(|plan| MonitorEngine::new(Arc::new(plan)))
                .collect(),
            null_supply: NullSupply::default(),
            generation: 0,
        }
    }

    /// Leaves the simulation of null tables to the caller, who passes [`Self::missing_tables`] on
    /// and gives the finished ones to [`Self::accept_tables`].
    ///
    /// Budgeted rules without tables are `warming`; their evaluation is made up for later. By
    /// default the engine simulates missing tables at once.
    pub fn defer_null_tables(&mut self) {
        self.null_supply.defer();
    }

    /// Collects requests for missing null tables from now on instead of simulating them. Rules that
    /// need them are `warming`, so what this engine decides is of no use.
    pub fn collect_null_tables(&mut self) {
        self.null_supply.collect();
    }

    /// Ends the collection and returns the requests, each once.
    #[must_use]
    pub fn take_collected_tables(&mut self) -> Vec<TableRequest> {
        self.null_supply.take_collected()
    }

    /// Takes null tables that are used instead of a simulation where a window needs them.
    pub fn use_null_tables(&mut self, tables: Vec<SimulatedTable>) {
        self.null_supply.use_finished(tables);
    }

    /// The null tables that the latest windows wait for, and after them those that later windows
    /// may need, each once.
    #[must_use]
    pub fn missing_tables(&self) -> Vec<TableRequest> {
        let needed = self.monitors.iter().flat_map(MonitorEngine::tables_needed);
        let ahead = self.monitors.iter().flat_map(MonitorEngine::tables_ahead);
        self.null_supply.fill(needed.chain(ahead))
    }

    /// The number of comparisons that have their first null tables, and of all that need them;
    /// `None` if none waits for its first ones.
    ///
    /// A null model that is renewed makes nothing wait: the old one stays in force.
    #[must_use]
    pub fn calibration_progress(&self) -> Option<(usize, usize)> {
        let (calibrated, total) = self
            .monitors
            .iter()
            .map(MonitorEngine::calibration_progress)
            .fold((0, 0), |sum, monitor| {
                (sum.0 + monitor.0, sum.1 + monitor.1)
            });
        (calibrated < total).then_some((calibrated, total))
    }

    /// Keeps finished null tables and evaluates the rules that waited for them; calls `evaluated`
    /// for each of their windows.
    pub fn accept_tables(
        &mut self,
        tables: Vec<SimulatedTable>,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        if !tables.is_empty() {
            self.null_supply.accept(tables);
        }
        let mut is_changed = false;
        for monitor in &mut self.monitors {
            monitor.resume(&mut self.null_supply, &mut |plan, window| {
                is_changed = true;
                evaluated(plan, window);
            });
        }
        self.generation += u64::from(is_changed);
    }

    /// The number of monitors.
    #[must_use]
    pub fn monitors(&self) -> usize {
        self.monitors.len()
    }

    /// The plan of a monitor.
    #[must_use]
    pub fn plan(&self, monitor: usize) -> &Arc<MonitorPlan> {
        self.monitors[monitor].plan()
    }

    /// The id of every monitor, in configuration order.
    pub fn monitor_ids(&self) -> impl Iterator<Item = MonitorId> {
        self.monitors.iter().map(|monitor| monitor.plan().id)
    }

    /// The indexes of the monitors that read a source.
    #[must_use]
    pub fn monitors_of(&self, source: &str) -> Vec<usize> {
        self.sources
            .get(source)
            .map_or_else(Vec::new, |feed| feed.monitors.clone())
    }

    /// The heads and positions up to which the log was folded.
    #[must_use]
    pub fn log(&self) -> &LogState {
        &self.log
    }

    /// Mutable access to the state of the log, for its reader.
    pub fn log_mut(&mut self) -> &mut LogState {
        &mut self.log
    }

    /// Accepts and counts a commit of a log in memory.
    ///
    /// # Errors
    /// The commit does not begin at its shard's head: it is counted as rejected and has no other
    /// effect.
    pub fn apply(&mut self, commit: &Commit) -> Result<(), Rejected> {
        let next = self.log.next(0);
        self.accept(0, next, &commit.claim())?;
        self.ingest_counts(0, commit, commit.size_bytes() as u64);
        Ok(())
    }

    /// Folds the claim of the record at `position` of a partition of the log.
    ///
    /// # Errors
    /// The claim does not fit its shard's head: it is counted as rejected and has no other effect.
    pub fn accept(&mut self, partition: u32, position: i64, claim: &Claim) -> Result<(), Rejected> {
        self.log
            .fold(partition, position, claim)
            .inspect_err(|rejected| self.count_rejection(&claim.shard.source, *rejected))
    }

    /// Counts a rejection that was decided before the fold.
    pub fn count_rejection(&mut self, source: &str, rejected: Rejected) {
        if let Some(feed) = self.sources.get_mut(source) {
            feed.counters.reject(rejected);
        }
    }

    /// Counts a record that cannot be decoded. Its source is unknown, so the first one is charged.
    pub fn count_unreadable(&mut self) {
        if let Some(feed) = self.sources.values_mut().next() {
            feed.counters.reject(Rejected::Unreadable);
        }
    }

    /// Sets the topics that each source reads; counts of other topics are ignored from now on.
    pub fn set_topics(&mut self, topics: BTreeMap<String, Vec<String>>) {
        self.topics = Some(topics);
        self.drop_unread_shards();
    }

    /// Drops shards of topics that no source reads any more.
    fn drop_unread_shards(&mut self) {
        for monitor in &mut self.monitors {
            monitor.retain_shards(|shard| is_read(self.topics.as_ref(), shard));
        }
    }

    /// The same engine with other monitors.
    ///
    /// A monitor continues with everything that is still counted in the same way; the rest starts
    /// to warm, exactly as after a restart.
    #[must_use]
    pub fn with_monitors(&self, plans: Vec<MonitorPlan>) -> Self {
        let mut next = Engine::new(plans);
        next.topics.clone_from(&self.topics);
        if let Some(reported) = &self.reported {
            next.report_only(&reported.iter().map(String::as_str).collect::<Vec<_>>());
        }
        next.null_supply = self.null_supply.clone();
        next.restore(self.save());
        next.generation = self.generation + 1;
        next
    }

    /// Limits the view to these sources.
    ///
    /// Where scorers split the monitors, each source is reported by one of them only.
    pub fn report_only(&mut self, sources: &[&str]) {
        self.reported = Some(sources.iter().map(|name| (*name).to_owned()).collect());
        for feed in self.sources.values_mut() {
            feed.is_hidden = true;
        }
        for name in sources {
            self.sources
                .entry((*name).to_owned())
                .or_default()
                .is_hidden = false;
        }
    }

    /// Adds the counts of an accepted commit of `bytes` bytes to the windows.
    pub fn ingest_counts(&mut self, partition: u32, commit: &Commit, bytes: u64) {
        self.log.hash(partition, commit);
        if !is_read(self.topics.as_ref(), &commit.shard) {
            return;
        }
        let Some(feed) = self.sources.get_mut(&commit.shard.source) else {
            return;
        };
        feed.counters.add(commit, bytes);
        let indexes = if commit.counted.monitors.is_empty() {
            // A heartbeat counts no monitor; the index of the writer's other commits stays cached.
            &[]
        } else {
            let plans = feed
                .monitors
                .iter()
                .map(|monitor| &**self.monitors[*monitor].plan());
            feed.commit_indexes.get(&commit.counted, plans)
        };
        for (position, monitor) in feed.monitors.iter().enumerate() {
            let index = indexes.get(position).and_then(Option::as_ref);
            self.monitors[*monitor].add(commit, index);
        }
    }

    /// Evaluates the windows of one monitor that are due and calls `evaluated` after each; returns
    /// their number.
    ///
    /// Called after every commit, the evaluations are a function of the log alone: a restart that
    /// reads it again makes the same ones.
    pub fn advance(
        &mut self,
        monitor: usize,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) -> u64 {
        let mut is_changed = false;
        let supply = &mut self.null_supply;
        let evaluations = self.monitors[monitor].advance(supply, &mut |plan, window| {
            is_changed = true;
            evaluated(plan, window);
        });
        is_changed |= self.monitors[monitor].take_silence_change();
        self.generation += u64::from(is_changed);
        evaluations
    }

    /// Marks windows as stale by the wall clock where nobody writes any more.
    ///
    /// As long as somebody writes, the time of the log decides, in `advance`.
    /// Calls `evaluated` after each window that became stale.
    pub fn watch_silence(
        &mut self,
        now: EventTime,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) {
        let mut is_changed = false;
        for monitor in &mut self.monitors {
            monitor.watch_silence(now, &mut |plan, window| {
                is_changed = true;
                evaluated(plan, window);
            });
            is_changed |= monitor.take_silence_change();
        }
        self.generation += u64::from(is_changed);
    }

    /// Evaluates every remaining window: the input has ended.
    pub fn finish(&mut self, evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView)) {
        for monitor in &mut self.monitors {
            monitor.finish(&mut self.null_supply, evaluated);
        }
        self.generation += 1;
    }

    /// Records the wall time of an evaluation of a monitor.
    pub fn time_evaluation(&mut self, monitor: usize, took: Duration) {
        self.monitors[monitor].time_evaluation(took);
    }

    /// Every monitor with the time since which it is silent, in configuration order.
    pub fn silences(&self) -> impl Iterator<Item = (&str, Option<EventTime>)> {
        self.monitors
            .iter()
            .map(|monitor| (monitor.plan().spec.name.as_str(), monitor.silent_since()))
    }

    /// A number that grows whenever a score, an alert or a window changes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The state of all monitors and reported sources.
    #[must_use]
    pub fn view(&self) -> EngineView {
        EngineView {
            generation: self.generation,
            monitors: self.monitors.iter().map(MonitorEngine::view).collect(),
            sources: self
                .sources
                .iter()
                .filter(|(_, feed)| !feed.is_hidden)
                .map(|(name, feed)| feed.counters.view(name))
                .collect(),
        }
    }

    /// The state from which a later process continues.
    #[must_use]
    pub fn save(&self) -> EngineSnapshot {
        EngineSnapshot {
            log: self.log.clone(),
            sources: self
                .sources
                .iter()
                .map(|(name, feed)| (name.clone(), feed.counters.clone()))
                .collect(),
            monitors: self.monitors.iter().map(MonitorEngine::save).collect(),
            null_tables: self.null_supply.save(),
        }
    }

    /// Continues from the state of an earlier process.
    pub fn restore(&mut self, saved: EngineSnapshot) {
        self.log = saved.log;
        self.null_supply.restore(saved.null_tables);
        for (name, counters) in saved.sources {
            if let Some(feed) = self.sources.get_mut(&name) {
                feed.counters = counters;
            }
        }
        for saved in saved.monitors {
            if let Some(monitor) = self
                .monitors
                .iter_mut()
                .find(|monitor| monitor.plan().id == saved.id)
            {
                monitor.restore(saved, &mut self.null_supply);
            }
        }
        self.drop_unread_shards();
        self.generation += 1;
    }
}

/// True if a source reads the topic of a shard; without a list of topics, every shard is read.
fn is_read(topics: Option<&Topics>, shard: &Shard) -> bool {
    topics.is_none_or(|topics| {
        topics
            .get(&shard.source)
            .is_some_and(|topics| topics.contains(&shard.topic))
    })
}
