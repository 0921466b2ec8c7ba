//! An ingest thread: polls one source, counts, hands commits to the log and hears what became of them.
//!
//! It blocks in its source's poll and nowhere else for long. It stops by a flag, hands over what it has counted, waits for the offsets to be accepted, and
//! lets the source go, which commits them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, unbounded};
use tracing::{debug, error, warn};

use crate::clock;
use crate::ingest::{Flushed, Ingest};
use crate::model::KafkaReport;
use crate::observe::ObserverPlan;
use crate::source::Source;

/// How long a source may wait for records.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How long an ingest thread waits for its last offsets to be accepted.
const LAST_ACCEPTANCE: Duration = Duration::from_secs(2);
/// At most one log line about undecodable records in this time.
const PROBLEM_EVERY: Duration = Duration::from_secs(30);
/// How often a thread that waits for the log looks at the stop flag.
const SEND_WAIT: Duration = Duration::from_millis(200);

/// What an ingest thread is made of; the source is made on its own thread.
pub(in crate::app) struct Ingester {
    /// The source's name.
    pub(in crate::app) name: String,
    /// Makes the source.
    pub(in crate::app) source: Box<dyn FnOnce() -> anyhow::Result<Box<dyn Source>> + Send>,
    /// Decoder and observer.
    pub(in crate::app) ingest: Ingest,
    /// Where other plans come from.
    pub(in crate::app) plans: Receiver<ObserverPlan>,
    /// Where the source says how it stands.
    pub(in crate::app) report: Arc<arc_swap::ArcSwap<KafkaReport>>,
}

impl std::fmt::Debug for Ingester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingester")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A commit on its way to the log, and where to say what became of it.
#[derive(Debug)]
pub(in crate::app) struct PendingCommit {
    /// The commit.
    pub(in crate::app) flushed: Flushed,
    /// Where its thread listens.
    pub(in crate::app) answers: Sender<CommitOutcome>,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum CommitOutcome {
    /// Everything of the slot's shard before `upto` is safe.
    Accepted {
        /// The slot.
        slot: usize,
        /// The head after the commit.
        upto: i64,
    },
    /// It does not count, and neither does what follows on it.
    Rejected {
        /// The slot.
        slot: usize,
    },
}

impl PendingCommit {
    /// Says that the commit is safe. A thread that has ended does not listen any more; its offsets are committed as far as it heard.
    pub(in crate::app) fn accept(&self) {
        let (slot, upto) = (self.flushed.slot, self.flushed.commit.upto);
        self.answers
            .send(CommitOutcome::Accepted { slot, upto })
            .ok();
    }

    /// Says that the commit does not count.
    pub(in crate::app) fn reject(&self) {
        let slot = self.flushed.slot;
        self.answers.send(CommitOutcome::Rejected { slot }).ok();
    }
}

/// An ingest thread at work.
struct Worker<'a> {
    name: String,
    ingest: Ingest,
    plans: Receiver<ObserverPlan>,
    source: Box<dyn Source>,
    commits: &'a Sender<PendingCommit>,
    answers: (Sender<CommitOutcome>, Receiver<CommitOutcome>),
    stop: &'a AtomicBool,
    complained_at: Option<Instant>,
}

/// Runs until `stop`, the end of the input, or the end of the log.
pub(in crate::app) fn run(
    ingester: Ingester,
    flush_interval: Duration,
    stop: &AtomicBool,
    commits: &Sender<PendingCommit>,
) {
    let Ingester {
        name,
        source,
        ingest,
        plans,
        report,
    } = ingester;
    let source = match source() {
        Ok(source) => source,
        Err(error) => {
            let error = format!("{error:#}");
            error!(source = name, error, "source cannot be read");
            return;
        }
    };
    let mut worker = Worker {
        name,
        ingest,
        plans,
        source,
        commits,
        answers: unbounded(),
        stop,
        complained_at: None,
    };
    let mut flushed_at = clock::monotonic();
    while !stop.load(Ordering::Relaxed) {
        let is_due = flushed_at.elapsed() >= flush_interval;
        if is_due {
            flushed_at = clock::monotonic();
        }
        if !worker.turn(report.load().up, is_due) {
            break;
        }
    }
    worker.finish();
}

impl Worker<'_> {
    /// One poll and what follows from it; `false` when there is nothing more to do.
    fn turn(&mut self, is_connected: bool, is_due: bool) -> bool {
        self.ingest.begin_batch(clock::now(), is_connected);
        if let Some(plan) = self.plans.try_iter().last() {
            self.ingest.switch_plan(plan);
        }
        let has_more = self.source.poll(POLL_WAIT, &mut self.ingest);
        let flushed = if is_due {
            self.ingest.flush()
        } else {
            self.ingest.take_early()
        };
        let is_heard = self.send(flushed);
        while let Ok(answer) = self.answers.1.try_recv() {
            self.hear(answer);
        }
        self.complain();
        is_heard && has_more
    }

    /// `false` when nobody takes commits any more. A log that is slow makes the thread wait.
    fn send(&self, flushed: Vec<Flushed>) -> bool {
        flushed.into_iter().all(|flushed| {
            let answers = self.answers.0.clone();
            let mut message = PendingCommit { flushed, answers };
            loop {
                match self.commits.send_timeout(message, SEND_WAIT) {
                    Ok(()) => return true,
                    Err(SendTimeoutError::Timeout(back)) if !self.stop.load(Ordering::Relaxed) => {
                        message = back;
                    }
                    Err(_) => return false,
                }
            }
        })
    }

    fn hear(&mut self, answer: CommitOutcome) {
        match answer {
            CommitOutcome::Accepted { slot, upto } => self.source.accepted(slot, upto),
            CommitOutcome::Rejected { slot } => {
                self.ingest.forget(slot);
                self.source.rejected(slot, &mut self.ingest);
            }
        }
    }

    /// One line about undecodable records per half minute; the counters have the rest.
    fn complain(&mut self) {
        let is_soon = |at: Instant| at.elapsed() < PROBLEM_EVERY;
        if self.complained_at.is_some_and(is_soon) {
            return;
        }
        if let Some(problem) = self.ingest.take_problem() {
            warn!(
                source = self.name,
                reason = problem.reason(),
                "records rejected: {problem}"
            );
            self.complained_at = Some(clock::monotonic());
        }
    }

    /// Hands over what is left and waits until it is safe.
    fn finish(mut self) {
        let flushed = self.ingest.flush();
        self.send(flushed);
        let (own, answers) = self.answers;
        drop(own);
        let deadline = clock::monotonic() + LAST_ACCEPTANCE;
        while let Ok(answer) = answers.recv_deadline(deadline) {
            if let CommitOutcome::Accepted { slot, upto } = answer {
                self.source.accepted(slot, upto);
            }
        }
        debug!(source = self.name, "source let go");
    }
}
