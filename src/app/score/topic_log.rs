//! Scoring from a pane log in Kafka: reads the whole log and feeds the engine.
//!
//! Every scorer reads all partitions, from its newest snapshot on. Two scorers with the same
//! monitors export the same and do not coordinate. A scorer writes a snapshot every
//! `snapshot_interval`, unless a scorer with the same monitors has just written one.
//!
//! Until the scorer has read what the log held at its start, `/-/ready` reports how many records
//! are left, and no snapshot is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::worker::ScoreWorker;
use crate::app::log_bounds::{LogBounds, log_skip, with_bounds};
use crate::app::log_problem::LogProblem;
use crate::clock;
use crate::engine::EngineSnapshot;
use crate::model::PanesTopicSpec;
use crate::pane_log::kafka::{
    Admission, AssembledSnapshot, Entry, KafkaLogError, Reader, RecordLimit, SnapshotAssembly,
    Writer, admit, newest_snapshots,
};
use crate::pane_log::{CodecError, Record, SchemaTable, SnapshotChunk, decode_with, read, write};
use crate::panes::{Commit, CommitSchema, LogState, Rejected};

/// The longest time that one poll waits for records.
const WAIT: Duration = Duration::from_millis(100);
/// The interval at which the ends of the partitions are fetched.
const LAG_INTERVAL: Duration = Duration::from_secs(2);

/// Reads the log on the scorer's thread.
pub(in crate::app) struct LogFollower {
    spec: PanesTopicSpec,
    /// The share of the monitors that this scorer has, such as `0/1`.
    scope: String,
    reader: Reader,
    writer: Writer,
    assembly: SnapshotAssembly,
    /// The schemas that commits refer to.
    schemas: SchemaTable,
    /// The start of reading; `None` once everything that was in the log at that time is read.
    catching_up_since: Option<Instant>,
    lag_due_at: Instant,
    snapshot_due_at: Instant,
    reading: LogProblem,
    requests: LogProblem,
    saving: LogProblem,
    /// True while an ACL denies snapshots: the next attempt asks first.
    is_saving_denied: bool,
}

impl LogFollower {
    /// Creates the clients of the log.
    ///
    /// # Errors
    /// librdkafka refuses a client.
    pub(in crate::app) fn try_new(
        spec: &PanesTopicSpec,
        record_limit: RecordLimit,
        scope: String,
    ) -> Result<Self, KafkaLogError> {
        let now = clock::monotonic();
        Ok(LogFollower {
            spec: spec.clone(),
            scope,
            reader: Reader::try_new(spec)?,
            writer: Writer::try_new(spec, record_limit)?,
            assembly: SnapshotAssembly::default(),
            schemas: SchemaTable::default(),
            catching_up_since: Some(now),
            lag_due_at: now,
            snapshot_due_at: now,
            reading: LogProblem::default(),
            requests: LogProblem::default(),
            saving: LogProblem::default(),
            is_saving_denied: false,
        })
    }

    /// Adds schemas that are known from the configuration.
    ///
    /// A writer repeats its schema only once a minute, and the record that held it may be deleted
    /// already when a scorer without a snapshot reads the oldest commits.
    #[must_use]
    pub(in crate::app) fn with_schemas(
        mut self,
        schemas: impl IntoIterator<Item = Arc<CommitSchema>>,
    ) -> Self {
        self.schemas.extend(schemas);
        self
    }

    /// Runs until `stop`, or until the log fails for good.
    pub(in crate::app) fn run(mut self, mut worker: ScoreWorker, stop: &AtomicBool) {
        if let Err(problem) = self.follow(&mut worker, stop) {
            let error = format!("{:#}", anyhow::Error::new(problem));
            error!(error, "the pane log cannot be read, scoring stops");
        }
        worker.publish();
    }

    fn follow(&mut self, worker: &mut ScoreWorker, stop: &AtomicBool) -> Result<(), KafkaLogError> {
        self.restore(worker, stop)?;
        while !stop.load(Ordering::Relaxed) {
            self.poll_once(worker)?;
            worker.tick();
        }
        Ok(())
    }

    /// Restores the engine and begins to read; retries while the broker does not answer.
    fn restore(
        &mut self,
        worker: &mut ScoreWorker,
        stop: &AtomicBool,
    ) -> Result<(), KafkaLogError> {
        loop {
            match self.try_restore(worker) {
                Err(problem) if problem.is_transient() && !stop.load(Ordering::Relaxed) => {
                    self.reading.fail(problem, clock::monotonic());
                    worker.log_health.problem = self.reading.message().cloned();
                    worker.publish();
                    while self.reading.is_pausing(clock::monotonic())
                        && !stop.load(Ordering::Relaxed)
                    {
                        std::thread::sleep(WAIT);
                    }
                }
                Err(problem) => return Err(problem),
                Ok(()) => {
                    self.reading.end();
                    return Ok(());
                }
            }
        }
    }

    fn try_restore(&mut self, worker: &mut ScoreWorker) -> Result<(), KafkaLogError> {
        let has_our_scope = |snapshot: &AssembledSnapshot| snapshot.scope == self.scope;
        let (snapshots, bounds) = with_bounds(
            || {
                newest_snapshots(&self.spec, clock::now(), &|snapshots| {
                    snapshots.iter().any(has_our_scope)
                })
            },
            || LogBounds::fetch(&self.spec, &self.reader),
        )?;
        match self.usable_snapshot(worker, snapshots, &bounds) {
            UsableSnapshot::Whole(snapshot) => {
                let (engine, schemas) = *snapshot;
                worker.engine.restore(engine);
                self.schemas.extend(schemas);
            }
            UsableSnapshot::HeadsOnly(log, schemas) => {
                *worker.engine.log_mut() = bounds.oldest_state(&self.spec, Some(&log));
                self.schemas.extend(schemas);
            }
            UsableSnapshot::None => {
                *worker.engine.log_mut() = bounds.oldest_state(&self.spec, None);
            }
        }
        for partition in 0..self.spec.partitions {
            let next = worker.engine.log().next(partition);
            self.reader.follow(partition, next)?;
        }
        Ok(())
    }

    /// The newest snapshot of this scope, or else the newest one of another scope that holds all
    /// monitors of this scorer. A snapshot without some of them would lose their windows, so the
    /// log is then read from its oldest record, and only the heads are taken from it.
    fn usable_snapshot(
        &self,
        worker: &ScoreWorker,
        mut candidates: Vec<AssembledSnapshot>,
        bounds: &LogBounds,
    ) -> UsableSnapshot {
        let has_our_scope = |snapshot: &AssembledSnapshot| snapshot.scope == self.scope;
        candidates.sort_by_key(has_our_scope);
        let mut heads = UsableSnapshot::None;
        for candidate in candidates.into_iter().rev() {
            match read::<TopicSnapshot>(&candidate.bytes) {
                Ok((snapshot, _)) if !bounds.contain(&snapshot.log) => {
                    warn!("ignoring a snapshot outside the range of the pane log");
                }
                Ok((snapshot, schemas))
                    if has_our_scope(&candidate)
                        || snapshot.has_monitors(worker.engine.monitor_ids()) =>
                {
                    return UsableSnapshot::Whole(Box::new((snapshot, schemas)));
                }
                Ok((snapshot, schemas)) if matches!(heads, UsableSnapshot::None) => {
                    heads = UsableSnapshot::HeadsOnly(snapshot.log, schemas);
                }
                Ok(_) => {}
                Err(error) => warn!(%error, "ignoring a snapshot that cannot be read"),
            }
        }
        heads
    }

    /// Reads new records into the engine, then measures the lag and writes a snapshot when due.
    fn poll_once(&mut self, worker: &mut ScoreWorker) -> Result<(), KafkaLogError> {
        let mut problem = None;
        let mut scope_was_saved = false;
        let polled = self.reader.poll(WAIT, &mut |entry| match read_entry(
            worker,
            &entry,
            &mut self.schemas,
            &self.spec,
        ) {
            Ok(Some(chunk)) => {
                let snapshot = self.assembly.take(chunk);
                scope_was_saved |= snapshot.is_some_and(|snapshot| snapshot.scope == self.scope);
            }
            Ok(None) => {}
            Err(error) => drop(problem.get_or_insert(error)),
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        match polled {
            Err(problem) if !problem.is_unauthorized() => return Err(problem),
            Err(_) | Ok(_) => match self.reader.denial() {
                Some(problem) => self.reading.name(problem),
                None => self.reading.end(),
            },
        }
        let now = clock::monotonic();
        if scope_was_saved {
            self.snapshot_due_at = now + self.spec.snapshot_interval;
        }
        let lag_problem = self.measure_lag_if_due(worker, now);
        self.finish_snapshot(worker, now);
        self.save_if_due(worker, now);
        worker.log_health.problem = self
            .reading
            .message()
            .or(self.requests.message())
            .cloned()
            .or(lag_problem)
            .or_else(|| {
                self.saving
                    .message()
                    .filter(|_| self.is_saving_denied)
                    .cloned()
            });
        Ok(())
    }

    /// Fetches the ends of the partitions, and ends catching up when all records are read; returns
    /// the reason why the view is behind the log.
    fn measure_lag_if_due(&mut self, worker: &mut ScoreWorker, now: Instant) -> Option<String> {
        if now >= self.lag_due_at {
            self.lag_due_at = now + LAG_INTERVAL;
            match self.reader.ends(0..self.spec.partitions) {
                Ok(ends) => {
                    self.requests.end();
                    self.measure_lag(worker, &ends, now);
                }
                // The client reconnects by itself, and reading continues.
                Err(problem) if self.reading.message().is_none() => self.requests.name(problem),
                Err(_) => {}
            }
        }
        self.catching_up_since?;
        let behind: u64 = worker.log_health.lags.values().sum();
        Some(format!("reading the pane log: {behind} records behind"))
    }

    fn measure_lag(&mut self, worker: &mut ScoreWorker, ends: &BTreeMap<u32, i64>, now: Instant) {
        let log = worker.engine.log();
        let lags: BTreeMap<u32, u64> = ends
            .iter()
            .map(|(partition, end)| {
                let lag = end.saturating_sub(log.next(*partition)).max(0);
                (*partition, lag.unsigned_abs())
            })
            .collect();
        let behind: u64 = lags.values().sum();
        worker.log_health.lags = lags;
        let Some(started_at) = self.catching_up_since else {
            return;
        };
        if behind > 0 {
            self.lag_due_at = now + WAIT;
            return;
        }
        let took = now.duration_since(started_at);
        info!(took_ms = took.as_millis(), "pane log read");
        self.catching_up_since = None;
        worker.log_health.problem = None;
        worker.finish_recovery();
        worker.engine.log_mut().reach_checkpoints();
        count_skipped(worker, 0);
        worker.log_health.recovery = Some(took);
        worker.publish();
    }

    /// Begins to write a snapshot when one is due, or when the last one is to be written again.
    fn save_if_due(&mut self, worker: &ScoreWorker, now: Instant) {
        if self.catching_up_since.is_some()
            || now < self.snapshot_due_at
            || self.saving.is_pausing(now)
            || self.writer.is_writing_snapshot()
        {
            return;
        }
        self.saving.take_retry(now);
        let needs_restore = self.is_saving_denied || self.writer.fatal_error().is_some();
        if needs_restore && let Err(problem) = self.writer.restore() {
            self.saving.fail(problem, clock::monotonic());
            return;
        }
        self.snapshot_due_at = now + self.spec.snapshot_interval;
        let mut bytes = worker.snapshot_bytes();
        write(&self.schemas.save(now), &mut bytes);
        self.writer.begin_snapshot(&self.scope, bytes);
    }

    /// Goes on with a snapshot that is being written, without waiting for it.
    fn finish_snapshot(&mut self, worker: &mut ScoreWorker, now: Instant) {
        match self.writer.poll_snapshot() {
            None => {}
            Some(Ok(())) => {
                worker.log_health.snapshots.written += 1;
                self.is_saving_denied = false;
                self.saving.end();
                debug!(scope = self.scope, "snapshot written");
            }
            Some(Err(problem)) => {
                worker.log_health.snapshots.failed += 1;
                self.is_saving_denied = problem.is_unauthorized();
                self.saving.fail(problem, now);
                self.snapshot_due_at = now;
            }
        }
    }
}

/// The content of a snapshot: the engine, and the schemas that later commits may refer to.
type TopicSnapshot = (EngineSnapshot, Vec<Arc<CommitSchema>>);

/// A snapshot to begin with.
enum UsableSnapshot {
    /// One with all monitors of this scorer.
    Whole(Box<TopicSnapshot>),
    /// The state of the log in one with other monitors, and its schemas.
    HeadsOnly(LogState, Vec<Arc<CommitSchema>>),
    /// No snapshot within the range of the log.
    None,
}

/// Folds and counts a record; returns the piece of a snapshot that it holds, if it does.
///
/// # Errors
/// Another version of the program wrote the record.
fn read_entry(
    worker: &mut ScoreWorker,
    entry: &Entry<'_>,
    schemas: &mut SchemaTable,
    spec: &PanesTopicSpec,
) -> Result<Option<SnapshotChunk>, KafkaLogError> {
    let (partition, offset) = (entry.partition, entry.offset);
    let admission = admit(entry, spec)?;
    // A rejected commit may hold the schema of later ones, so that each is decoded.
    let record = decode_with(entry.bytes, schemas);
    let claim = match admission {
        Admission::Claim(claim) => claim,
        Admission::WrongPartition(claim) => {
            worker.engine.log_mut().pass(partition, offset);
            worker
                .engine
                .count_rejection(&claim.shard.source, Rejected::WrongPartition);
            return Ok(None);
        }
        Admission::NoCommit => {
            worker.engine.log_mut().pass(partition, offset);
            return Ok(match record {
                Ok(Record::Snapshot(chunk)) => Some(chunk),
                Ok(_) => None,
                Err(error) => {
                    count_unreadable(worker, entry, error);
                    None
                }
            });
        }
        Admission::Unreadable(error) => {
            worker.engine.log_mut().pass(partition, offset);
            count_unreadable(worker, entry, error);
            return Ok(None);
        }
    };
    let accepted = worker.engine.accept(partition, offset, &claim);
    count_skipped(worker, partition);
    if let Err(rejected) = accepted {
        info!(
            topic = claim.shard.topic,
            partition = claim.shard.partition,
            base = claim.base,
            upto = claim.upto,
            "commit rejected: {rejected}"
        );
        return Ok(None);
    }
    // When the counts of a commit cannot be read, its claim still moves the head, as it does for
    // every other reader, and its records are lost.
    let mut commit = match record {
        Ok(Record::Commit(commit)) => commit,
        Ok(_) => Commit::unreadable(claim),
        Err(error) => {
            count_unreadable(worker, entry, error);
            Commit::unreadable(claim)
        }
    };
    commit.set_clock(entry.appended_at);
    worker.count(partition, &commit, entry.bytes.len() as u64);
    Ok(None)
}

fn count_unreadable(worker: &mut ScoreWorker, entry: &Entry<'_>, error: CodecError) {
    let (partition, offset) = (entry.partition, entry.offset);
    warn!(partition, offset, %error, "cannot read a record of the pane log");
    worker.engine.count_unreadable();
}

/// Counts offsets as lost over which a guessed head was moved.
fn count_skipped(worker: &mut ScoreWorker, partition: u32) {
    for skip in worker.engine.log_mut().take_skipped() {
        log_skip(&skip);
        worker.count(partition, &Commit::unreadable(skip), 0);
    }
}
