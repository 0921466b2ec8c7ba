//! The left half of the path: what a source hands over is decoded, observed and cut into commits.
//!
//! Owned by the thread that polls the source. A record passes through by reference; nothing is locked, sent or allocated for it.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{DecodeError, Decoder, Fields};
use crate::model::{EventTime, Shard, TopicId};
use crate::observe::{Observer, ObserverPlan};
use crate::pane_log::{HeadAnswer, HeadLookup};
use crate::panes::{Commit, Heads};
use crate::source::{RawRecord, Sink};

/// A commit, and the slot of the source's shard it is about.
#[derive(Debug)]
pub struct Flushed {
    /// The slot, as the source numbers it.
    pub slot: usize,
    /// What was counted.
    pub commit: Commit,
}

/// Changes what was decoded before it is counted: this is how damage is tried out on good data.
pub trait RecordTransform: std::fmt::Debug + Send {
    /// A record's fields as they are to be counted, or `None` if it is none of the trial; `source_time` is the time the source holds for it.
    fn alter<'a>(
        &'a mut self,
        fields: Fields<'a>,
        source_time: Option<EventTime>,
    ) -> Option<Fields<'a>>;
}

/// Decoder and observer of one source.
#[derive(Debug)]
pub struct Ingest {
    decoder: Decoder,
    /// `None` but for trials.
    alter: Option<Box<dyn RecordTransform>>,
    observer: Observer,
    max_bytes: usize,
    now: Option<EventTime>,
    /// What earlier owners of a shard counted.
    head_lookup: Arc<HeadLookup>,
    /// A shard was opened: its first, empty commit should not wait, so that others know that it was begun.
    opened: bool,
    flushed: Vec<Flushed>,
    problem: Option<DecodeError>,
}

impl Ingest {
    /// The left half for the monitors of one source; JSON records above `max_bytes` are rejected.
    #[must_use]
    pub fn new(plan: ObserverPlan, max_bytes: usize) -> Self {
        Ingest {
            decoder: Decoder::new(&plan.paths).with_max_bytes(max_bytes),
            alter: None,
            observer: Observer::new(plan.monitors),
            max_bytes,
            now: None,
            head_lookup: Arc::new(HeadLookup::resolved(&Heads::default())),
            opened: false,
            flushed: Vec::new(),
            problem: None,
        }
    }

    /// Counts by another plan from now on; what was counted by the old one is committed first.
    pub fn switch_plan(&mut self, plan: ObserverPlan) {
        self.cut();
        self.decoder = Decoder::new(&plan.paths).with_max_bytes(self.max_bytes);
        self.observer.switch_plan(plan.monitors);
        self.opened = true;
    }

    /// The wall clock for the records that follow; `is_connected` says whether the source would know of new ones.
    pub fn begin_batch(&mut self, now: EventTime, is_connected: bool) {
        self.now = Some(now);
        self.observer.set_connected(is_connected);
    }

    /// When the records that follow arrived, for a source that is read long after; `None` where nobody knows.
    pub fn arrived(&mut self, at: Option<EventTime>) {
        self.now = at;
    }

    /// Where to look up what earlier owners of a shard counted.
    #[must_use]
    pub fn with_head_lookup(mut self, head_lookup: Arc<HeadLookup>) -> Self {
        self.head_lookup = head_lookup;
        self
    }

    /// Counts records as they are after `alter`.
    #[must_use]
    pub fn with_transform(mut self, alter: Option<Box<dyn RecordTransform>>) -> Self {
        self.alter = alter;
        self
    }

    /// Drops what was counted of a shard and not accepted; nothing more is committed of it.
    pub fn forget(&mut self, slot: usize) {
        self.observer.forget(slot);
        self.flushed.retain(|flushed| flushed.slot != slot);
    }

    /// The decoder, for inputs that are tables.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// Counts one row of a table whose columns were matched by [`Decoder::table`].
    pub fn row(
        &mut self,
        slot: usize,
        offset: i64,
        columns: &crate::decode::Columns,
        cells: &csv::StringRecord,
    ) {
        let fields = self.decoder.row(columns, cells);
        if let Some(fields) = altered(&mut self.alter, fields, None) {
            self.observer.observe(slot, fields, None, self.now);
        }
        self.observer.position(slot, offset + 1, None);
    }

    /// Counts a record that the reader itself could not make sense of.
    pub fn reject(&mut self, slot: usize, offset: i64, error: DecodeError) {
        self.observer.reject(slot, error);
        self.observer.position(slot, offset + 1, None);
    }

    /// Whether a shard's watermark has passed into another pane since this was last asked.
    pub fn take_crossed_pane(&mut self) -> bool {
        self.observer.take_crossed_pane()
    }

    /// A reason for which a record was rejected since this was last asked; one stands for all.
    pub fn take_problem(&mut self) -> Option<DecodeError> {
        self.problem.take()
    }

    /// The newest event of a shard, of whichever monitor.
    #[must_use]
    pub fn newest(&self, slot: usize) -> Option<EventTime> {
        self.observer.newest(slot)
    }

    /// The longest time between two signs of life of a shard.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        self.observer.heartbeat()
    }

    /// Everything counted of one shard since it was last flushed, and what was cut early.
    pub fn flush_shard(&mut self, slot: usize) -> Vec<Flushed> {
        let commit = self.observer.commit(slot, self.now);
        self.flushed
            .extend(commit.map(|commit| Flushed { slot, commit }));
        std::mem::take(&mut self.flushed)
    }

    /// Everything counted since the last call.
    pub fn flush(&mut self) -> Vec<Flushed> {
        self.cut();
        std::mem::take(&mut self.flushed)
    }

    /// Commits cut early: a shard was opened, or a backlog passed through many panes.
    pub fn take_early(&mut self) -> Vec<Flushed> {
        if std::mem::take(&mut self.opened) {
            self.cut();
        }
        std::mem::take(&mut self.flushed)
    }

    fn cut(&mut self) {
        let commits = self.observer.commits(self.now);
        self.flushed.extend(
            commits
                .into_iter()
                .map(|(slot, commit)| Flushed { slot, commit }),
        );
    }
}

impl Sink for Ingest {
    fn extent(&mut self, shards: u32) {
        self.observer.set_source_shards(shards);
    }

    fn opened(&mut self, slot: usize, shard: &Shard, base: i64, from_start: bool) {
        let head = match self.head_lookup.get(shard) {
            HeadAnswer::Head(latest, head) if latest == *shard => Some(head),
            _ => None,
        };
        self.head_lookup.evict(shard);
        self.observer
            .open(slot, shard, base, from_start, head.as_ref());
    }

    fn identified(&mut self, slot: usize, topic_id: TopicId) {
        self.observer.identify(slot, topic_id);
    }

    fn record(&mut self, record: RawRecord<'_>) {
        match record.payload {
            None => self.observer.tombstone(record.slot),
            Some(payload) => match self.decoder.json(payload) {
                Ok(fields) => {
                    let time = record.timestamp_ms.map(EventTime::from_millis);
                    if let Some(fields) = altered(&mut self.alter, fields, time) {
                        self.observer.observe(record.slot, fields, time, self.now);
                    }
                }
                Err(error) => {
                    self.problem = Some(error);
                    self.observer.reject(record.slot, error);
                }
            },
        }
        self.observer.position(record.slot, record.offset + 1, None);
        if self.observer.wants_commit() {
            self.cut();
        }
    }

    fn position(&mut self, slot: usize, upto: i64, caught_up: bool) {
        let caught_up_at = self.now.filter(|_| caught_up);
        self.observer.position(slot, upto, caught_up_at);
    }

    fn lost(&mut self, slot: usize, offsets: u64) {
        // The loss stands at the beginning of a commit: what was read before it is none of the hole.
        self.cut();
        self.observer.lose(slot, offsets);
    }

    fn closed(&mut self, slot: usize) {
        let commit = self.observer.close(slot, self.now);
        self.flushed
            .extend(commit.map(|commit| Flushed { slot, commit }));
    }
}

fn altered<'a>(
    alter: &'a mut Option<Box<dyn RecordTransform>>,
    fields: Fields<'a>,
    source_time: Option<EventTime>,
) -> Option<Fields<'a>> {
    match alter {
        Some(alter) => alter.alter(fields, source_time),
        None => Some(fields),
    }
}

/// One ingester per source: the plan of everything its monitors look for.
#[must_use]
pub fn observer_plan(source: &str, plans: &[Arc<crate::engine::MonitorPlan>]) -> ObserverPlan {
    let mut observer = ObserverPlan::default();
    for plan in plans.iter().filter(|plan| plan.spec.source == source) {
        observer.add(&plan.spec, &plan.observed());
    }
    observer
}
