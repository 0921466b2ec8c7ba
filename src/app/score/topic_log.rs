//! The scorers' side of a log in Kafka: reads all of it, and scores.
//!
//! Every scorer reads for itself, from the newest snapshot on; two of them with the same monitors are twins that show the same. Nobody has to know of
//! anybody. Now and then a scorer writes a snapshot, unless its twin just did.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::file_log::snapshot;
use super::worker::Scoring;
use crate::app::ingest::publisher::Reach;
use crate::clock;
use crate::engine::EngineSnapshot;
use crate::model::PanesTopicSpec;
use crate::pane_log::kafka::{
    Assembly, Entry, KafkaLogError, Reader, Whole, Writer, newest_snapshots, partition_of,
};
use crate::pane_log::{CodecError, Record, decode, decode_claim, read};
use crate::panes::{Commit, Rejected};

const WAIT: Duration = Duration::from_millis(100);
/// How often the ends of the partitions are asked for.
const ENDS_EVERY: Duration = Duration::from_secs(2);
/// The pause after a request that failed.
const RETRY: Duration = Duration::from_secs(1);

/// A scorer reading the log.
pub(in crate::app) struct Tail {
    spec: PanesTopicSpec,
    /// Which part of the monitors this scorer has, as `0/1`.
    scope: String,
    reader: Reader,
    writer: Writer,
    assembly: Assembly,
    /// When reading began; `None` once everything that was there then was read.
    began: Option<Instant>,
    ends_at: Instant,
    snapshot_at: Instant,
}

impl Tail {
    /// Ready to read.
    pub(in crate::app) fn try_new(
        spec: &PanesTopicSpec,
        scope: String,
    ) -> Result<Self, KafkaLogError> {
        let now = clock::monotonic();
        Ok(Tail {
            spec: spec.clone(),
            scope,
            reader: Reader::try_new(spec)?,
            writer: Writer::try_new(spec)?,
            assembly: Assembly::default(),
            began: Some(now),
            ends_at: now,
            snapshot_at: now,
        })
    }

    /// Runs until `stop`, or until the log cannot be read on.
    pub(in crate::app) fn run(mut self, mut scoring: Scoring, stop: &AtomicBool) {
        if let Err(problem) = self.read_on(&mut scoring, stop) {
            let error = format!("{:#}", anyhow::Error::new(problem));
            error!(error, "the pane log cannot be read on");
        }
        scoring.publish();
    }

    fn read_on(&mut self, scoring: &mut Scoring, stop: &AtomicBool) -> Result<(), KafkaLogError> {
        self.restore(scoring, stop)?;
        while !stop.load(Ordering::Relaxed) {
            self.turn(scoring)?;
            scoring.tick();
        }
        Ok(())
    }

    /// Begins at the newest snapshot; a broker that does not answer is waited for.
    fn restore(&mut self, scoring: &mut Scoring, stop: &AtomicBool) -> Result<(), KafkaLogError> {
        loop {
            match self.try_restore(scoring) {
                Err(problem) if problem.may_pass() && !stop.load(Ordering::Relaxed) => {
                    let error = format!("{:#}", anyhow::Error::new(problem));
                    warn!(
                        error,
                        "the pane log cannot be read yet, it will be tried again"
                    );
                    scoring.standing.problem = Some(error);
                    scoring.publish();
                    std::thread::sleep(RETRY);
                }
                other => return other,
            }
        }
    }

    fn try_restore(&mut self, scoring: &mut Scoring) -> Result<(), KafkaLogError> {
        let reach = Reach::of(&self.spec, &self.reader)?;
        match self.usable(scoring, &reach)? {
            Some(saved) => scoring.engine.restore(saved),
            None => *scoring.engine.log_mut() = reach.beginning(),
        }
        for partition in 0..self.spec.partitions {
            let next = scoring.engine.log().next(partition);
            self.reader.follow(partition, next)?;
        }
        Ok(())
    }

    /// The newest snapshot of this scorer's own, or another one that holds all of its monitors. One that lacks some would lose their windows: the log itself
    /// is read from its oldest record then.
    fn usable(
        &self,
        scoring: &Scoring,
        reach: &Reach,
    ) -> Result<Option<EngineSnapshot>, KafkaLogError> {
        let is_own = |whole: &Whole| whole.scope == self.scope;
        let mut found =
            newest_snapshots(&self.spec, clock::now(), &|found| found.iter().any(is_own))?;
        found.sort_by_key(is_own);
        for whole in found.into_iter().rev() {
            match read::<EngineSnapshot>(&whole.bytes) {
                Ok(saved) if !reach.has(&saved.log) => {
                    warn!("a snapshot does not lie within the pane log: not used");
                }
                Ok(saved) if is_own(&whole) || saved.has_all_of(&scoring.engine) => {
                    return Ok(Some(saved));
                }
                Ok(_) => {}
                Err(error) => warn!(%error, "a snapshot cannot be read: not used"),
            }
        }
        Ok(None)
    }

    fn turn(&mut self, scoring: &mut Scoring) -> Result<(), KafkaLogError> {
        let (spec, scope, assembly) = (&self.spec, &self.scope, &mut self.assembly);
        let mut problem = None;
        let mut others_snapshot = false;
        self.reader
            .poll(WAIT, &mut |entry| match decode(entry.bytes) {
                Ok(Record::Snapshot(chunk)) => {
                    scoring.engine.log_mut().pass(entry.partition, entry.offset);
                    let whole = assembly.take(chunk);
                    others_snapshot |= whole.is_some_and(|whole| whole.scope == *scope);
                }
                // What no writer of ours wrote is noise, whatever its first byte.
                Err(source @ CodecError::Newer { .. }) if entry.key.is_some() => {
                    problem.get_or_insert(KafkaLogError::Newer {
                        topic: spec.topic.clone(),
                        partition: entry.partition,
                        offset: entry.offset,
                        source,
                    });
                }
                record => count(scoring, &entry, record, spec),
            })?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        let now = clock::monotonic();
        if others_snapshot {
            self.snapshot_at = now + self.spec.snapshot_interval;
        }
        self.measure(scoring, now);
        self.save_if_due(scoring, now);
        Ok(())
    }

    /// Learns how far the log goes on, and whether everything that was there at the start was read.
    fn measure(&mut self, scoring: &mut Scoring, now: Instant) {
        if now < self.ends_at {
            return;
        }
        self.ends_at = now + ENDS_EVERY;
        let ends = match self.reader.ends(0..self.spec.partitions) {
            Ok(ends) => ends,
            Err(problem) => {
                // Counting goes on by itself once somebody answers.
                scoring.standing.problem = Some(format!("{:#}", anyhow::Error::new(problem)));
                return;
            }
        };
        scoring.standing.problem = None;
        let log = scoring.engine.log();
        let lag = |(partition, end): (&u32, &i64)| {
            let left = end.saturating_sub(log.next(*partition)).max(0);
            (*partition, left.unsigned_abs())
        };
        let lags: std::collections::BTreeMap<u32, u64> = ends.iter().map(lag).collect();
        let behind: u64 = lags.values().sum();
        scoring.standing.lags = lags;
        let Some(began) = self.began else {
            return;
        };
        if behind > 0 {
            scoring.standing.problem =
                Some(format!("reading the pane log: {behind} records behind"));
            self.ends_at = now + WAIT;
            return;
        }
        let took = now.duration_since(began);
        info!(took_ms = took.as_millis(), "pane log read");
        self.began = None;
        scoring.engine.log_mut().heads.settle();
        scoring.standing.problem = None;
        scoring.standing.recovery = Some(took);
        scoring.publish();
    }

    fn save_if_due(&mut self, scoring: &mut Scoring, now: Instant) {
        if self.began.is_some() || now < self.snapshot_at {
            return;
        }
        self.snapshot_at = now + self.spec.snapshot_interval;
        let bytes = snapshot(&scoring.engine);
        let (size, scope) = (bytes.len(), &self.scope);
        match self.writer.snapshot(scope, &bytes) {
            Ok(()) => tracing::debug!(size, scope, "snapshot written"),
            Err(problem) => {
                let error = format!("{:#}", anyhow::Error::new(problem));
                warn!(error, "snapshot not written, it will be tried again");
                self.snapshot_at = clock::monotonic() + Duration::from_secs(10);
            }
        }
    }
}

/// Judges and counts a record that is no snapshot.
fn count(
    scoring: &mut Scoring,
    entry: &Entry<'_>,
    record: Result<Record, CodecError>,
    spec: &PanesTopicSpec,
) {
    let (partition, offset) = (entry.partition, entry.offset);
    let Some(commit) = commit_of(scoring, entry, record) else {
        scoring.engine.log_mut().pass(partition, offset);
        return;
    };
    let is_fit = entry
        .key
        .is_some_and(|key| key.partitions == spec.partitions);
    if !is_fit || partition_of(&commit.shard, spec) != partition {
        scoring.engine.log_mut().pass(partition, offset);
        scoring
            .engine
            .count_rejection(&commit.shard.source, Rejected::WrongPartition);
        return;
    }
    match scoring.engine.accept(partition, offset, &commit.claim()) {
        Ok(()) => scoring.count(partition, &commit, entry.bytes.len() as u64),
        Err(rejected) => {
            let (topic, shard) = (&commit.shard.topic, commit.shard.partition);
            let (base, upto) = (commit.base, commit.upto);
            info!(
                topic,
                partition = shard,
                base,
                upto,
                "commit rejected: {rejected}"
            );
        }
    }
}

/// The commit in a record, by the broker's clock.
///
/// Of one whose counts cannot be read the claim still moves the head, as it does for every other reader; its records are a loss.
fn commit_of(
    scoring: &mut Scoring,
    entry: &Entry<'_>,
    record: Result<Record, CodecError>,
) -> Option<Commit> {
    let mut commit = match record {
        Ok(Record::Commit(commit)) => commit,
        Ok(_) => return None,
        Err(error) => {
            let (partition, offset) = (entry.partition, entry.offset);
            warn!(partition, offset, %error, "a record of the pane log cannot be read");
            scoring.engine.count_unreadable();
            Commit::unreadable(decode_claim(entry.bytes).ok()??)
        }
    };
    commit.set_clock(entry.appended_at);
    Some(commit)
}
