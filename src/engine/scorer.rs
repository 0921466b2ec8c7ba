//! The engine: the fold over commits, and the monitors it feeds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::monitor::MonitorEngine;
use super::places::Directory;
use super::{EngineView, MonitorPlan, SourceView, WindowView};
use crate::decode::DecodeError;
use crate::model::{EventTime, Shard};
use crate::panes::LogState;
use crate::panes::{Claim, Commit, RecordCounts, Rejected};

/// All windows of all monitors.
#[derive(Debug)]
pub struct Engine {
    pub(super) log: LogState,
    /// The topics each source reads; `None` = whatever comes.
    read: Option<BTreeMap<String, Vec<String>>>,
    pub(super) sources: BTreeMap<String, SourceTotals>,
    /// The sources that are reported of here; `None` = all.
    reported: Option<Vec<String>>,
    /// In configuration order.
    pub(super) monitors: Vec<MonitorEngine>,
    generation: u64,
}

/// What one source delivered, and which monitors read it.
#[derive(Debug, Default)]
pub(super) struct SourceTotals {
    /// In configuration order.
    monitors: Vec<usize>,
    directory: Directory,
    is_hidden: bool,
    pub(super) records: RecordCounts,
    pub(super) commits: u64,
    pub(super) commit_bytes: u64,
    pub(super) rejected: [u64; Rejected::ALL.len()],
}

impl Engine {
    /// An engine for monitors in configuration order.
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
            log: LogState::default(),
            read: None,
            reported: None,
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

    /// The monitors that read a source.
    #[must_use]
    pub fn monitors_of(&self, source: &str) -> Vec<usize> {
        let totals = self.sources.get(source);
        totals.map_or_else(Vec::new, |totals| totals.monitors.clone())
    }

    /// What is known of the log.
    #[must_use]
    pub fn log(&self) -> &LogState {
        &self.log
    }

    /// The same, to read on.
    pub fn log_mut(&mut self) -> &mut LogState {
        &mut self.log
    }

    /// Folds and counts a commit of a log in memory.
    ///
    /// # Errors
    /// The commit does not begin at its shard's head: it is counted as rejected and has no other effect.
    pub fn apply(&mut self, commit: &Commit) -> Result<(), Rejected> {
        let next = self.log.next(0);
        self.accept(0, next, &commit.claim())?;
        self.ingest_counts(0, commit, commit.size_bytes() as u64);
        Ok(())
    }

    /// Judges the claim of the record at `position` of a partition of the log.
    ///
    /// # Errors
    /// It is rejected and counted as such.
    pub fn accept(&mut self, partition: u32, position: i64, claim: &Claim) -> Result<(), Rejected> {
        let judged = self.log.fold(partition, position, claim);
        if let Err(rejected) = judged {
            self.count_rejection(&claim.shard.source, rejected);
        }
        judged
    }

    /// Counts a rejection that was decided before the fold.
    pub fn count_rejection(&mut self, source: &str, rejected: Rejected) {
        if let Some(totals) = self.sources.get_mut(source) {
            totals.rejected[rejected as usize] += 1;
        }
    }

    /// Counts a record that cannot be read; whose it was is not known, so the first source is charged with it.
    pub fn count_unreadable(&mut self) {
        if let Some(totals) = self.sources.values_mut().next() {
            totals.rejected[Rejected::Unreadable as usize] += 1;
        }
    }

    /// Says which topics each source reads, so that what others still count, or counted before, is left out.
    pub fn set_topics(&mut self, topics: BTreeMap<String, Vec<String>>) {
        self.read = Some(topics);
        self.drop_unread_shards();
    }

    fn reads(&self, shard: &Shard) -> bool {
        let Some(read) = &self.read else {
            return true;
        };
        let topics = read.get(&shard.source);
        topics.is_some_and(|topics| topics.contains(&shard.topic))
    }

    /// Drops what is known of shards that nobody reads any more.
    pub(super) fn drop_unread_shards(&mut self) {
        let mut monitors = std::mem::take(&mut self.monitors);
        for monitor in &mut monitors {
            monitor.shards.keep(&|shard| self.reads(shard));
        }
        self.monitors = monitors;
    }

    /// The same engine with other monitors: what is still counted in the same way keeps its windows and alerts, the rest begins to warm.
    #[must_use]
    pub fn with_monitors(&self, plans: Vec<MonitorPlan>) -> Self {
        let mut next = Engine::new(plans);
        next.read.clone_from(&self.read);
        if let Some(reported) = &self.reported {
            next.report_only(&reported.iter().map(String::as_str).collect::<Vec<_>>());
        }
        next.restore(self.save());
        next.generation = self.generation + 1;
        next
    }

    /// Says which sources are reported of here; where monitors are split among scorers, each source is reported of by one of them.
    pub fn report_only(&mut self, sources: &[&str]) {
        self.reported = Some(sources.iter().map(|name| (*name).to_owned()).collect());
        for totals in self.sources.values_mut() {
            totals.is_hidden = true;
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
        if !self.reads(&commit.shard) {
            return;
        }
        let Some(source) = self.sources.get_mut(&commit.shard.source) else {
            return;
        };
        source.records.merge(&commit.records);
        source.commits += 1;
        source.commit_bytes += bytes;
        let plans = source.monitors.iter();
        let plans = plans.map(|monitor| &**self.monitors[*monitor].plan());
        let places = if commit.counted.monitors.is_empty() {
            // A sign of life.
            &[]
        } else {
            source.directory.of(&commit.counted, plans)
        };
        for (place, monitor) in source.monitors.iter().enumerate() {
            let places = places.get(place).and_then(Option::as_ref);
            self.monitors[*monitor].apply(commit, places);
        }
    }

    /// Closes the windows of one monitor whose time has come and calls `evaluated` after each. Returns how many evaluations were made.
    ///
    /// Called after every commit, the evaluations are a function of the log alone: a restart that reads it again makes the same ones.
    pub fn advance(
        &mut self,
        monitor: usize,
        evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView),
    ) -> u64 {
        let mut changed = false;
        let made = self.monitors[monitor].advance(&mut |plan, window| {
            changed = true;
            evaluated(plan, window);
        });
        self.generation += u64::from(changed);
        made
    }

    /// Says of windows of which the log tells nothing any more that they are stale: nobody writes. As long as somebody does, the log's own time decides.
    pub fn watch_silence(&mut self, now: EventTime) {
        let mut changed = false;
        for monitor in &mut self.monitors {
            monitor.watch_silence(now, &mut |_, _| changed = true);
        }
        self.generation += u64::from(changed);
    }

    /// The input has ended: closes all windows.
    pub fn finish(&mut self, evaluated: &mut dyn FnMut(&MonitorPlan, &WindowView)) {
        for monitor in &mut self.monitors {
            monitor.finish(evaluated);
        }
        self.note_change();
    }

    /// Notes how long an evaluation of a monitor took.
    pub fn time_evaluation(&mut self, monitor: usize, took: Duration) {
        self.monitors[monitor].time_evaluation(took);
    }

    /// Notes that what was shown before is no longer how things stand.
    pub(super) fn note_change(&mut self) {
        self.generation += 1;
    }

    /// Goes up whenever a score, an alert or a window changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How everything stands.
    #[must_use]
    pub fn view(&self) -> EngineView {
        EngineView {
            generation: self.generation,
            monitors: self.monitors.iter().map(MonitorEngine::view).collect(),
            sources: self
                .sources
                .iter()
                .filter(|(_, totals)| !totals.is_hidden)
                .map(|(name, totals)| totals.state(name))
                .collect(),
        }
    }
}

impl SourceTotals {
    fn state(&self, name: &str) -> SourceView {
        let errors = DecodeError::ALL.iter().zip(self.records.errors);
        let rejected = Rejected::ALL.iter().zip(self.rejected);
        SourceView {
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
