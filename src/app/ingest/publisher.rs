//! The ingesters' side of a log in Kafka: sends commits, reads them back, and says what became of them.
//!
//! A commit is safe when it was read back from the log and the fold accepted it; that it was acknowledged is not enough, because another owner's commit may
//! lie before it. Only claims are decoded here, of the partitions that hold our shards. A partition is followed from the newest snapshot on as soon as
//! somebody asks for a head in it, and the answer is given once everything that lay there at that moment was read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use tracing::{error, info, warn};

use super::worker::PendingCommit;
use crate::clock;
use crate::model::{LogReport, PanesTopicSpec, Shard};
use crate::pane_log::kafka::{
    Entry, KafkaLogError, Reader, Writer, newest_snapshots, partition_of,
};
use crate::pane_log::{HeadLookup, decode_claim, read_prefix};
use crate::panes::Heads;
use crate::panes::LogState;

/// How long the thread waits for commits, or for the log.
const WAIT: Duration = Duration::from_millis(20);
/// Commits in flight; more wait in the channel, and the sources with them.
const MOST_IN_FLIGHT: usize = 64;
/// How long commits on their way are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// The pause after a request that failed.
const RETRY: Duration = Duration::from_secs(1);

/// The thread's state.
pub(in crate::app) struct CommitLog {
    spec: PanesTopicSpec,
    head_lookup: Arc<HeadLookup>,
    writer: Writer,
    reader: Reader,
    state: LogState,
    /// Commits on their way, by number.
    in_flight: HashMap<u64, PendingCommit>,
    /// Questions about heads: the position up to which their partition must be read first.
    waiting: BTreeMap<Shard, i64>,
    retry_at: Option<Instant>,
    /// Where it says how it stands, unless a scorer of the same process does.
    report: Option<Arc<ArcSwap<LogReport>>>,
}

impl CommitLog {
    /// Ready to send and read.
    pub(in crate::app) fn try_new(
        spec: &PanesTopicSpec,
        head_lookup: Arc<HeadLookup>,
        report: Option<Arc<ArcSwap<LogReport>>>,
    ) -> Result<Self, KafkaLogError> {
        tell(report.as_ref(), None);
        Ok(CommitLog {
            spec: spec.clone(),
            head_lookup,
            writer: Writer::try_new(spec)?,
            reader: Reader::try_new(spec)?,
            state: LogState::default(),
            in_flight: HashMap::new(),
            waiting: BTreeMap::new(),
            retry_at: None,
            report,
        })
    }

    /// Runs until nobody sends commits any more, or the log cannot be used any more.
    pub(in crate::app) fn run(mut self, commits: &Receiver<PendingCommit>, stop: &AtomicBool) {
        if let Err(problem) = self.work(commits, stop) {
            let error = format!("{:#}", anyhow::Error::new(problem));
            error!(error, "the pane log cannot be used any more");
        }
    }

    fn work(
        &mut self,
        commits: &Receiver<PendingCommit>,
        stop: &AtomicBool,
    ) -> Result<(), KafkaLogError> {
        let mut deadline = None;
        loop {
            let is_over = self.take(commits)?;
            self.turn()?;
            if !is_over && !stop.load(Ordering::Relaxed) {
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| clock::monotonic() + LAST_ANSWERS);
            let is_done = is_over && self.in_flight.is_empty();
            if is_done || clock::monotonic() >= deadline {
                return Ok(());
            }
        }
    }

    /// Sends what waits; `true` when nothing will come any more.
    ///
    /// What cannot be handed to the client at all would not be taken the next time either: it is too large, or the client has given up for good.
    fn take(&mut self, commits: &Receiver<PendingCommit>) -> Result<bool, KafkaLogError> {
        while self.in_flight.len() < MOST_IN_FLIGHT {
            let wait = if self.in_flight.is_empty() {
                WAIT
            } else {
                Duration::ZERO
            };
            match commits.recv_timeout(wait) {
                Ok(message) => {
                    let number = self.writer.commit(&message.flushed.commit)?;
                    self.in_flight.insert(number, message);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Reads what is new, and answers what can be answered.
    fn turn(&mut self) -> Result<(), KafkaLogError> {
        self.hear_failures();
        self.look_up()?;
        let (state, in_flight, own) = (&mut self.state, &mut self.in_flight, self.writer.id());
        let spec = &self.spec;
        self.reader.poll(WAIT, &mut |entry| {
            let is_accepted = fold(state, &entry, spec);
            let number = entry
                .key
                .filter(|key| key.writer == own)
                .map(|key| key.number);
            if let Some(message) = number.and_then(|number| in_flight.remove(&number)) {
                if is_accepted {
                    message.accept();
                } else {
                    message.reject();
                }
            }
        })?;
        let ready: Vec<Shard> = self
            .waiting
            .iter()
            .filter(|(shard, target)| self.state.next(partition_of(shard, &self.spec)) >= **target)
            .map(|(shard, _)| shard.clone())
            .collect();
        for shard in ready {
            self.waiting.remove(&shard);
            self.head_lookup.resolve(&shard, &self.state.heads);
        }
        Ok(())
    }

    /// What was sent and not acknowledged may be in the log or not: the shard begins again at its head, whichever it is.
    fn hear_failures(&mut self) {
        for failure in self.writer.failures() {
            if let Some(message) = self.in_flight.remove(&failure.number) {
                let shard = &message.flushed.commit.shard;
                let reason = failure.reason;
                warn!(
                    topic = shard.topic,
                    partition = shard.partition,
                    reason,
                    "commit not acknowledged"
                );
                message.reject();
            }
        }
    }

    /// Takes questions about heads: their partitions are followed, and it is noted how far they must be read.
    fn look_up(&mut self) -> Result<(), KafkaLogError> {
        if self.retry_at.is_some_and(|at| clock::monotonic() < at) {
            return Ok(());
        }
        let questions: Vec<Shard> = self
            .head_lookup
            .pending()
            .into_iter()
            .filter(|shard| !self.waiting.contains_key(shard))
            .collect();
        if questions.is_empty() {
            return Ok(());
        }
        match self.follow(&questions) {
            Ok(()) => {
                self.retry_at = None;
                tell(self.report.as_ref(), None);
            }
            Err(problem) if problem.may_pass() => {
                let error = format!("{:#}", anyhow::Error::new(problem));
                warn!(error, "heads cannot be looked up, it will be tried again");
                tell(self.report.as_ref(), Some(error));
                self.retry_at = Some(clock::monotonic() + RETRY);
            }
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    fn follow(&mut self, questions: &[Shard]) -> Result<(), KafkaLogError> {
        let mut partitions: Vec<u32> = questions
            .iter()
            .map(|shard| partition_of(shard, &self.spec))
            .collect();
        partitions.sort_unstable();
        partitions.dedup();
        let new: Vec<u32> = partitions
            .iter()
            .copied()
            .filter(|partition| !self.reader.follows(*partition))
            .collect();
        if !new.is_empty() {
            let begun = begin(&self.spec, &self.reader)?;
            for partition in new {
                let from = begun.next(partition);
                self.adopt(&begun, partition);
                self.reader.follow(partition, from)?;
            }
        }
        let ends = self.reader.ends(partitions)?;
        for shard in questions {
            let end = ends.get(&partition_of(shard, &self.spec)).copied();
            self.waiting.insert(shard.clone(), end.unwrap_or(0));
        }
        Ok(())
    }

    /// Takes over what a snapshot knows of one partition.
    fn adopt(&mut self, begun: &LogState, partition: u32) {
        let own = begun
            .heads
            .only(|shard| partition_of(shard, &self.spec) == partition);
        self.state.heads.adopt(own);
        if let Some(place) = begun.partitions.get(&partition) {
            self.state.partitions.insert(partition, *place);
        }
    }
}

fn tell(report: Option<&Arc<ArcSwap<LogReport>>>, problem: Option<String>) {
    if let Some(report) = report {
        report.store(Arc::new(LogReport {
            problem,
            ..LogReport::default()
        }));
    }
}

/// Folds one record; whether it is a commit that counts.
fn fold(state: &mut LogState, entry: &Entry<'_>, spec: &PanesTopicSpec) -> bool {
    let (partition, offset) = (entry.partition, entry.offset);
    let is_fit = entry
        .key
        .is_some_and(|key| key.partitions == spec.partitions);
    match decode_claim(entry.bytes) {
        Ok(Some(claim)) if is_fit && partition_of(&claim.shard, spec) == partition => {
            state.fold(partition, offset, &claim).is_ok()
        }
        _ => {
            state.pass(partition, offset);
            false
        }
    }
}

/// What is known at the newest snapshot, or, where there is none, at the beginning of the log.
///
/// Where the first records are gone and no snapshot is left (no scorer ran for as long as records are kept), the oldest commit of each shard opens it: every
/// shard that is alive says so twice a minute, so its head is among what is kept.
pub(in crate::app) fn begin(
    spec: &PanesTopicSpec,
    reader: &Reader,
) -> Result<LogState, KafkaLogError> {
    let reach = Reach::of(spec, reader)?;
    let found = newest_snapshots(spec, clock::now(), &|found| !found.is_empty())?;
    for whole in found.iter().rev() {
        match read_prefix::<LogState>(&whole.bytes) {
            Ok(state) if reach.has(&state) => return Ok(state),
            Ok(_) => warn!("a snapshot does not lie within the pane log: not used"),
            Err(error) => warn!(%error, "a snapshot cannot be read: not used"),
        }
    }
    Ok(reach.beginning())
}

/// What the log holds.
pub(in crate::app) struct Reach {
    partitions: BTreeMap<u32, (i64, i64)>,
}

impl Reach {
    pub(in crate::app) fn of(
        spec: &PanesTopicSpec,
        reader: &Reader,
    ) -> Result<Self, KafkaLogError> {
        let ends = reader.ends(0..spec.partitions)?;
        let both = |(partition, first): (u32, i64)| {
            (
                partition,
                (first, ends.get(&partition).copied().unwrap_or(first)),
            )
        };
        Ok(Reach {
            partitions: reader.beginnings()?.into_iter().map(both).collect(),
        })
    }

    /// Whether it holds everything behind a snapshot, and everything before it was there: an end before the snapshot means that records were lost.
    pub(in crate::app) fn has(&self, state: &LogState) -> bool {
        self.partitions.iter().all(|(partition, (first, end))| {
            let next = state.next(*partition);
            // A partition without records was never read.
            (*first..=*end).contains(&next) || *end == 0
        })
    }

    /// The state of a reader that begins with the oldest records.
    pub(in crate::app) fn beginning(&self) -> LogState {
        let mut state = LogState::default();
        for (partition, (first, _)) in self.partitions.iter().filter(|(_, (first, _))| *first > 0) {
            state.heads = Heads::gone();
            state.pass(*partition, first - 1);
        }
        info!("the pane log is read from its oldest record");
        state
    }
}
