//! Publishes the commits of the ingest threads to a pane log in Kafka and reports their outcomes.
//!
//! An acknowledged commit is not yet safe: a commit of another owner of the shard may lie before
//! it. So the publisher reads the log back, and a commit is accepted when the fold accepts it
//! there.
//!
//! ```text
//!   ingest threads -- commits --> Writer --> partition of the shard --> Reader --> fold
//!         ^                                                                          |
//!         +------------------------- accepted, rejected -----------------------------+
//! ```
//!
//! Only claims are decoded, not counts, and only of partitions that hold shards of this process. A
//! partition is followed from the newest snapshot on, once an ingest thread needs a head in it. The
//! lookup is resolved when the reader has passed the end that the partition had at that moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use tracing::{error, warn};

use super::in_flight::InFlight;
use super::worker::PendingCommit;
use crate::app::log_bounds::{LogBounds, log_skip, with_bounds};
use crate::app::log_problem::LogProblem;
use crate::clock;
use crate::model::{LogReport, PanesTopicSpec, Shard};
use crate::pane_log::kafka::{
    Admission, DeliveryFailure, Entry, KafkaLogError, Reader, RecordLimit, Refusal, Writer, admit,
    newest_snapshots, partition_of,
};
use crate::pane_log::{HeadLookup, read_prefix};
use crate::panes::LogState;

/// The longest time that the thread waits for a commit, and then for a record of the log.
const WAIT: Duration = Duration::from_millis(20);
/// The longest time that a stopping thread waits for commits in flight.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

/// The state of the publisher's thread.
pub(in crate::app) struct CommitPublisher {
    spec: PanesTopicSpec,
    head_lookup: Arc<HeadLookup>,
    writer: Writer,
    reader: Reader,
    state: LogState,
    in_flight: InFlight,
    /// A commit that the client did not accept; it is sent again.
    unsent: Option<PendingCommit>,
    /// Pending lookups: the position up to which the shard's partition must be read first.
    targets: BTreeMap<Shard, i64>,
    lookups: LogProblem,
    reading: LogProblem,
    writing: LogProblem,
    report: Arc<ArcSwap<LogReport>>,
}

impl CommitPublisher {
    /// Creates the clients of the log.
    ///
    /// # Errors
    /// librdkafka refuses a client.
    pub(in crate::app) fn try_new(
        spec: &PanesTopicSpec,
        record_limit: RecordLimit,
        head_lookup: Arc<HeadLookup>,
        report: Arc<ArcSwap<LogReport>>,
    ) -> Result<Self, KafkaLogError> {
        Ok(CommitPublisher {
            spec: spec.clone(),
            head_lookup,
            writer: Writer::try_new(spec, record_limit)?,
            reader: Reader::try_new(spec)?,
            state: LogState::default(),
            in_flight: InFlight::default(),
            unsent: None,
            targets: BTreeMap::new(),
            lookups: LogProblem::default(),
            reading: LogProblem::default(),
            writing: LogProblem::default(),
            report,
        })
    }

    /// Runs until all ingest threads have ended, or until the log fails for good.
    pub(in crate::app) fn run(mut self, commits: &Receiver<PendingCommit>, stop: &AtomicBool) {
        if let Err(problem) = self.publish(commits, stop) {
            let error = format!("{:#}", anyhow::Error::new(problem));
            error!(error, "the pane log failed, no more commits are published");
        }
    }

    fn publish(
        &mut self,
        commits: &Receiver<PendingCommit>,
        stop: &AtomicBool,
    ) -> Result<(), KafkaLogError> {
        let mut drain_deadline = None;
        loop {
            let is_closed = self.send_waiting(commits)?;
            self.poll_once()?;
            self.report_problems();
            if !is_closed && !stop.load(Ordering::Relaxed) {
                continue;
            }
            let deadline = *drain_deadline.get_or_insert_with(|| clock::monotonic() + DRAIN_WAIT);
            let is_drained = is_closed && self.in_flight.is_empty();
            if is_drained || clock::monotonic() >= deadline {
                return Ok(());
            }
        }
    }

    /// Sends commits while fewer than the maximum are in flight; `true` when the channel is closed.
    ///
    /// After a refusal it pauses, and then sends one commit: more follow when that one was read
    /// back. Meanwhile commits stay in the channel, and the sources wait.
    ///
    /// # Errors
    /// The client refuses a commit for good, or a commit of one record is too large.
    fn send_waiting(&mut self, commits: &Receiver<PendingCommit>) -> Result<bool, KafkaLogError> {
        let now = clock::monotonic();
        if self.writing.is_pausing(now) {
            return Ok(false);
        }
        if self.writing.take_retry(now)
            && let Err(problem) = self.writer.restore()
        {
            self.writing.fail(problem, clock::monotonic());
            return Ok(false);
        }
        while self.in_flight.has_room(self.writing.message().is_some()) {
            let wait = if self.in_flight.is_empty() {
                WAIT
            } else {
                Duration::ZERO
            };
            let pending = match self.unsent.take() {
                Some(unsent) => unsent,
                None => match commits.recv_timeout(wait) {
                    Ok(pending) => pending,
                    Err(RecvTimeoutError::Timeout) => return Ok(false),
                    Err(RecvTimeoutError::Disconnected) => return Ok(true),
                },
            };
            if !self.in_flight.is_obsolete(&pending) && !self.send(pending)? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Sends a commit; `false` if it has to wait until the brokers accept commits again.
    fn send(&mut self, pending: PendingCommit) -> Result<bool, KafkaLogError> {
        let now = clock::monotonic();
        match self.writer.commit(&pending.flushed.commit, now) {
            Ok(number) => {
                self.in_flight.insert(number, pending);
                Ok(true)
            }
            Err(problem @ KafkaLogError::TooLarge { .. }) => {
                self.cut_smaller(&pending, problem)?;
                Ok(true)
            }
            Err(problem @ (KafkaLogError::Unauthorized { .. } | KafkaLogError::Refused { .. })) => {
                self.unsent = Some(pending);
                self.writing.fail(problem, now);
                Ok(false)
            }
            Err(problem) => Err(problem),
        }
    }

    /// Reads new records of the log, reports outcomes, and resolves lookups.
    fn poll_once(&mut self) -> Result<(), KafkaLogError> {
        self.reject_failed()?;
        self.start_lookups()?;
        let (writer_id, now) = (self.writer.id(), clock::monotonic());
        let mut problem = None;
        let polled = self.reader.poll(WAIT, &mut |entry| {
            let is_accepted = match fold(&mut self.state, &entry, &self.spec) {
                Ok(is_accepted) => is_accepted,
                Err(error) => {
                    problem.get_or_insert(error);
                    false
                }
            };
            let pending = entry
                .key
                .filter(|key| key.writer == writer_id)
                .and_then(|key| self.in_flight.remove(key.number));
            let Some(pending) = pending else {
                return;
            };
            if !self.writing.is_pausing(now) {
                self.writing.end();
            }
            if is_accepted {
                pending.accept();
            } else {
                self.in_flight.reject(&pending);
            }
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
        for skip in self.state.take_skipped() {
            log_skip(&skip);
        }
        let ready: Vec<Shard> = self
            .targets
            .iter()
            .filter(|(shard, target)| self.state.next(partition_of(shard, &self.spec)) >= **target)
            .map(|(shard, _)| shard.clone())
            .collect();
        for shard in ready {
            self.targets.remove(&shard);
            self.head_lookup.resolve(&shard, &self.state.heads);
        }
        Ok(())
    }

    /// Rejects commits that were not acknowledged. Such a commit may be in the log or not; the
    /// ingest thread resumes the shard at its head, which is right in both cases.
    ///
    /// # Errors
    /// The broker refuses a commit of one record as too large.
    fn reject_failed(&mut self) -> Result<(), KafkaLogError> {
        let mut is_denied = false;
        for DeliveryFailure {
            number,
            reason,
            refusal,
        } in self.writer.failures()
        {
            let Some(pending) = self.in_flight.remove(number) else {
                continue;
            };
            let shard = &pending.flushed.commit.shard;
            match refusal {
                Refusal::TooLarge => {
                    let problem = KafkaLogError::TooLarge {
                        topic: self.spec.topic.clone(),
                        bytes: pending.flushed.commit.size_bytes(),
                    };
                    self.cut_smaller(&pending, problem)?;
                    continue;
                }
                Refusal::BatchTooLarge => {
                    if self.writer.send_singly()? {
                        warn!(
                            topic = self.spec.topic,
                            "the pane log refused a batch of records as too large: its max.message.bytes was lowered after the start; sending each record by itself until the next start"
                        );
                    }
                }
                Refusal::Unauthorized => is_denied = true,
                Refusal::Other => warn!(
                    topic = shard.topic,
                    partition = shard.partition,
                    reason,
                    "commit was not acknowledged, resuming the partition at its head"
                ),
            }
            self.in_flight.reject(&pending);
        }
        let now = clock::monotonic();
        if is_denied {
            self.writing.fail(self.writer.denial(), now);
        } else if !self.writing.is_pausing(now)
            && let Some(problem) = self.writer.fatal_error()
        {
            self.writing.fail(problem, now);
        }
        Ok(())
    }

    /// Asks for smaller commits after one was too large; the same commit would be refused again.
    ///
    /// # Errors
    /// Returns `problem` if the commit holds one record only.
    fn cut_smaller(
        &mut self,
        pending: &PendingCommit,
        problem: KafkaLogError,
    ) -> Result<(), KafkaLogError> {
        let commit = &pending.flushed.commit;
        if commit.records.consumed() <= 1 {
            return Err(problem);
        }
        warn!(
            topic = commit.shard.topic,
            partition = commit.shard.partition,
            records = commit.records.consumed(),
            "commit is larger than the pane log accepts, counting the partition again in smaller commits: {problem}"
        );
        self.in_flight.reject_as_too_large(pending);
        Ok(())
    }

    /// Starts new lookups of heads, unless the pause after a failed request is not over.
    fn start_lookups(&mut self) -> Result<(), KafkaLogError> {
        let now = clock::monotonic();
        if self.lookups.is_pausing(now) {
            return Ok(());
        }
        let shards: Vec<Shard> = self
            .head_lookup
            .pending()
            .into_iter()
            .filter(|shard| !self.targets.contains_key(shard))
            .collect();
        if shards.is_empty() {
            return Ok(());
        }
        match self.follow(&shards) {
            Ok(()) => self.lookups.end(),
            Err(problem) if problem.is_transient() => {
                self.lookups.fail(problem, clock::monotonic());
            }
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    /// Follows the partitions of these shards and records how far each must be read.
    fn follow(&mut self, shards: &[Shard]) -> Result<(), KafkaLogError> {
        let mut partitions: Vec<u32> = shards
            .iter()
            .map(|shard| partition_of(shard, &self.spec))
            .collect();
        partitions.sort_unstable();
        partitions.dedup();
        let unfollowed: Vec<u32> = partitions
            .iter()
            .copied()
            .filter(|partition| !self.reader.follows(*partition))
            .collect();
        if !unfollowed.is_empty() {
            let start = start_state(&self.spec, &self.reader)?;
            for partition in unfollowed {
                self.adopt(&start, partition);
                self.reader.follow(partition, start.next(partition))?;
            }
        }
        let ends = self.reader.ends(partitions)?;
        for shard in shards {
            let end = ends.get(&partition_of(shard, &self.spec)).copied();
            self.targets.insert(shard.clone(), end.unwrap_or(0));
        }
        Ok(())
    }

    /// Takes over the heads and the position of one partition.
    fn adopt(&mut self, start: &LogState, partition: u32) {
        let heads = start
            .heads
            .only(|shard| partition_of(shard, &self.spec) == partition);
        self.state.heads.adopt(heads);
        if let Some(position) = start.partitions.get(&partition) {
            self.state.partitions.insert(partition, *position);
        }
    }

    /// Adds the problems to the report, which the reader of the log fills otherwise.
    fn report_problems(&self) {
        let problems: Vec<String> = [&self.reading, &self.writing, &self.lookups]
            .into_iter()
            .filter_map(|problem| problem.message().cloned())
            .collect();
        if self.report.load().publisher_problems != problems {
            self.report.rcu(|report| LogReport {
                publisher_problems: problems.clone(),
                ..LogReport::clone(report)
            });
        }
    }
}

/// Folds one record; `true` when it is a commit that the fold accepts.
///
/// # Errors
/// Another version of the program wrote the record.
fn fold(
    state: &mut LogState,
    entry: &Entry<'_>,
    spec: &PanesTopicSpec,
) -> Result<bool, KafkaLogError> {
    let (partition, offset) = (entry.partition, entry.offset);
    if let Admission::Claim(claim) = admit(entry, spec)? {
        return Ok(state.fold(partition, offset, &claim).is_ok());
    }
    state.pass(partition, offset);
    Ok(false)
}

/// The state in the newest usable snapshot, or that of the oldest records when there is none.
///
/// Any snapshot serves: it holds the heads of all shards, whichever monitors it was written for.
fn start_state(spec: &PanesTopicSpec, reader: &Reader) -> Result<LogState, KafkaLogError> {
    let read = || newest_snapshots(spec, clock::now(), &|snapshots| !snapshots.is_empty());
    let (snapshots, bounds) = with_bounds(read, || LogBounds::fetch(spec, reader))?;
    for snapshot in snapshots.iter().rev() {
        match read_prefix::<LogState>(&snapshot.bytes) {
            Ok(state) if bounds.contain(&state) => return Ok(state),
            Ok(_) => warn!("ignoring a snapshot outside the range of the pane log"),
            Err(error) => warn!(%error, "ignoring a snapshot that cannot be read"),
        }
    }
    Ok(bounds.oldest_state(spec, None))
}
