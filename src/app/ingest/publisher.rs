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

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use tracing::{error, warn};

use super::worker::PendingCommit;
use crate::app::log_bounds::{LogBounds, log_skip};
use crate::clock;
use crate::model::{LogReport, PanesTopicSpec, Shard};
use crate::pane_log::kafka::{
    Admission, DeliveryFailure, Entry, KafkaLogError, Reader, RecordLimit, Writer, admit,
    newest_snapshots, partition_of,
};
use crate::pane_log::{HeadLookup, read_prefix};
use crate::panes::LogState;

/// The longest time that the thread waits for a commit, and then for a record of the log.
const WAIT: Duration = Duration::from_millis(20);
/// The most commits in flight. More stay in the channel, and the sources wait.
const MAX_IN_FLIGHT: usize = 64;
/// The longest time that a stopping thread waits for commits in flight.
const DRAIN_WAIT: Duration = Duration::from_secs(2);
/// The pause after a failed request.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The state of the publisher's thread.
pub(in crate::app) struct CommitPublisher {
    spec: PanesTopicSpec,
    head_lookup: Arc<HeadLookup>,
    writer: Writer,
    reader: Reader,
    state: LogState,
    /// Commits that were sent and not yet read back, by their number.
    in_flight: HashMap<u64, PendingCommit>,
    /// Pending lookups: the position up to which the shard's partition must be read first.
    targets: BTreeMap<Shard, i64>,
    retry_at: Option<Instant>,
    /// The report of the log, unless a scorer of the same process fills it.
    report: Option<Arc<ArcSwap<LogReport>>>,
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
        report: Option<Arc<ArcSwap<LogReport>>>,
    ) -> Result<Self, KafkaLogError> {
        let publisher = CommitPublisher {
            spec: spec.clone(),
            head_lookup,
            writer: Writer::try_new(spec, record_limit)?,
            reader: Reader::try_new(spec)?,
            state: LogState::default(),
            in_flight: HashMap::new(),
            targets: BTreeMap::new(),
            retry_at: None,
            report,
        };
        publisher.report_problem(None);
        Ok(publisher)
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
    /// # Errors
    /// The client refuses a commit for good, or a commit of one record is too large.
    fn send_waiting(&mut self, commits: &Receiver<PendingCommit>) -> Result<bool, KafkaLogError> {
        while self.in_flight.len() < MAX_IN_FLIGHT {
            let wait = if self.in_flight.is_empty() {
                WAIT
            } else {
                Duration::ZERO
            };
            match commits.recv_timeout(wait) {
                Ok(pending) => {
                    match self
                        .writer
                        .commit(&pending.flushed.commit, clock::monotonic())
                    {
                        Ok(number) => drop(self.in_flight.insert(number, pending)),
                        Err(problem @ KafkaLogError::TooLarge { .. }) => {
                            self.cut_smaller(&pending, problem)?;
                        }
                        Err(problem) => return Err(problem),
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Reads new records of the log, reports outcomes, and resolves lookups.
    fn poll_once(&mut self) -> Result<(), KafkaLogError> {
        self.reject_failed()?;
        self.start_lookups()?;
        let writer_id = self.writer.id();
        let mut problem = None;
        self.reader.poll(WAIT, &mut |entry| {
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
                .and_then(|key| self.in_flight.remove(&key.number));
            match pending {
                Some(pending) if is_accepted => pending.accept(),
                Some(pending) => pending.reject(),
                None => {}
            }
        })?;
        if let Some(problem) = problem {
            return Err(problem);
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
        for DeliveryFailure {
            number,
            reason,
            is_too_large,
        } in self.writer.failures()
        {
            let Some(pending) = self.in_flight.remove(&number) else {
                continue;
            };
            if is_too_large {
                let problem = KafkaLogError::TooLarge {
                    topic: self.spec.topic.clone(),
                    bytes: pending.flushed.commit.size_bytes(),
                };
                self.cut_smaller(&pending, problem)?;
                continue;
            }
            let shard = &pending.flushed.commit.shard;
            warn!(
                topic = shard.topic,
                partition = shard.partition,
                reason,
                "commit was not acknowledged, resuming the partition at its head"
            );
            pending.reject();
        }
        Ok(())
    }

    /// Asks for smaller commits after one was too large; the same commit would be refused again.
    ///
    /// # Errors
    /// Returns `problem` if the commit holds one record only.
    fn cut_smaller(
        &self,
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
        pending.reject_as_too_large();
        Ok(())
    }

    /// Starts new lookups of heads, unless the pause after a failed request is not over.
    fn start_lookups(&mut self) -> Result<(), KafkaLogError> {
        if self.retry_at.is_some_and(|at| clock::monotonic() < at) {
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
            Ok(()) => {
                self.retry_at = None;
                self.report_problem(None);
            }
            Err(problem) if problem.is_transient() => {
                let error = format!("{:#}", anyhow::Error::new(problem));
                warn!(error, "cannot look up heads in the pane log, retrying");
                self.report_problem(Some(error));
                self.retry_at = Some(clock::monotonic() + RETRY_PAUSE);
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

    fn report_problem(&self, problem: Option<String>) {
        if let Some(report) = &self.report {
            report.store(Arc::new(LogReport {
                problem,
                ..LogReport::default()
            }));
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
    let bounds = LogBounds::fetch(spec, reader)?;
    let snapshots = newest_snapshots(spec, clock::now(), &|snapshots| !snapshots.is_empty())?;
    for snapshot in snapshots.iter().rev() {
        match read_prefix::<LogState>(&snapshot.bytes) {
            Ok(state) if bounds.contain(&state) => return Ok(state),
            Ok(_) => warn!("ignoring a snapshot outside the range of the pane log"),
            Err(error) => warn!(%error, "ignoring a snapshot that cannot be read"),
        }
    }
    Ok(bounds.oldest_state(spec, None))
}
