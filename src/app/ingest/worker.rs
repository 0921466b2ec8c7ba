//! An ingest thread: polls one source, counts its records, and sends the counts to the pane log.
//!
//! ```text
//!   source -- poll, at most 100 ms --> count -- flush_interval --> commits --> log
//!      ^                                                                        |
//!      +------- commit offsets, or resume at the head <------ outcomes ---------+
//! ```
//!
//! The thread blocks in the poll of its source, and in a full commit channel when the log is slow:
//! that is the back-pressure. Offsets are committed only after the log has accepted the counts. On
//! stop, the thread flushes, waits at most 2 s for the outcomes, and drops the source, which
//! commits the accepted offsets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, unbounded};
use tracing::{debug, error, warn};

use super::commit_budget::{BudgetShare, CommitBudget};
use crate::clock;
use crate::ingest::{Flushed, Ingest};
use crate::observe::{ObserverPlan, RejectedRecords, WrongKind};
use crate::source::Source;

/// The longest time that one poll waits for records.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// The longest time that a stopping thread waits for the outcomes of its last commits.
const DRAIN_WAIT: Duration = Duration::from_secs(2);
/// The shortest time between two log lines about undecodable records.
const DECODE_LOG_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two groups of log lines about values of a wrong kind.
const WRONG_KIND_LOG_INTERVAL: Duration = Duration::from_secs(30);
/// The most lines in such a group.
const WRONG_KIND_LOG_LINES: usize = 10;
/// The interval at which a thread that waits for the log checks the stop flag.
const SEND_WAIT: Duration = Duration::from_millis(200);

/// Everything an ingest thread needs. The source is created on the thread that owns it.
pub(in crate::app) struct IngestTask {
    /// The name of the source.
    pub(in crate::app) name: String,
    /// Creates the source.
    pub(in crate::app) source: Box<dyn FnOnce() -> anyhow::Result<Box<dyn Source>> + Send>,
    /// The decoder and the observer.
    pub(in crate::app) ingest: Ingest,
    /// Plans of reloaded configurations.
    pub(in crate::app) plans: Receiver<ObserverPlan>,
    /// The budget of commits on their way to the log, common to all threads.
    pub(in crate::app) budget: Arc<CommitBudget>,
}

impl IngestTask {
    /// Runs until `stop`, the end of the input, or the end of the log.
    pub(in crate::app) fn run(
        self,
        flush_interval: Duration,
        stop: &AtomicBool,
        commits: &Sender<PendingCommit>,
    ) {
        let source = match (self.source)() {
            Ok(source) => source,
            Err(error) => {
                let error = format!("{error:#}");
                error!(source = self.name, error, "cannot create the source");
                return;
            }
        };
        let (outcome_sender, outcomes) = unbounded();
        let mut worker = IngestWorker {
            name: self.name,
            ingest: self.ingest.with_clock(clock::moment),
            plans: self.plans,
            budget: self.budget,
            source,
            commits,
            outcome_sender,
            outcomes,
            stop,
            decode_errors_logged_at: None,
            wrong_kinds_logged_at: None,
        };
        let mut flushed_at = clock::monotonic();
        while !stop.load(Ordering::Relaxed) {
            let is_flush_due = flushed_at.elapsed() >= flush_interval;
            if is_flush_due {
                flushed_at = clock::monotonic();
            }
            if !worker.poll_once(is_flush_due) {
                break;
            }
        }
        worker.drain();
    }
}

impl std::fmt::Debug for IngestTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestTask")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A commit on its way to the log, with the channel for its outcome.
#[derive(Debug)]
pub(in crate::app) struct PendingCommit {
    /// The commit and the slot of its shard.
    pub(in crate::app) flushed: Flushed,
    /// The channel to the thread that made the commit.
    pub(in crate::app) outcomes: Sender<CommitOutcome>,
    /// The share of the budget that returns with the commit.
    pub(in crate::app) _share: BudgetShare,
}

/// The decision of the log on a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum CommitOutcome {
    /// Everything of the slot's shard before `upto` is safe.
    Accepted {
        /// The slot of the shard.
        slot: usize,
        /// The head of the shard after the commit.
        upto: i64,
    },
    /// The commit does not count, and neither do later commits of the opening that build on it.
    Rejected {
        /// The slot of the shard.
        slot: usize,
        /// The opening of the shard in which it was counted.
        opening: u64,
    },
    /// The same, because the log accepts no commit of this size.
    TooLarge {
        /// The slot of the shard.
        slot: usize,
        /// The opening of the shard in which it was counted.
        opening: u64,
    },
}

impl PendingCommit {
    /// Reports that the commit is safe. A thread that has ended no longer receives it, and the
    /// group's committed offset stays behind the head.
    pub(in crate::app) fn accept(&self) {
        let (slot, upto) = (self.flushed.slot, self.flushed.commit.upto);
        self.outcomes
            .send(CommitOutcome::Accepted { slot, upto })
            .ok();
    }

    /// Reports that the commit does not count.
    pub(in crate::app) fn reject(&self) {
        let Flushed { slot, opening, .. } = self.flushed;
        self.outcomes
            .send(CommitOutcome::Rejected { slot, opening })
            .ok();
    }

    /// Reports that the commit does not count and that the next ones must be smaller.
    pub(in crate::app) fn reject_as_too_large(&self) {
        let Flushed { slot, opening, .. } = self.flushed;
        self.outcomes
            .send(CommitOutcome::TooLarge { slot, opening })
            .ok();
    }
}

/// The state of a running ingest thread.
struct IngestWorker<'a> {
    name: String,
    ingest: Ingest,
    plans: Receiver<ObserverPlan>,
    budget: Arc<CommitBudget>,
    source: Box<dyn Source>,
    commits: &'a Sender<PendingCommit>,
    outcome_sender: Sender<CommitOutcome>,
    outcomes: Receiver<CommitOutcome>,
    stop: &'a AtomicBool,
    decode_errors_logged_at: Option<Instant>,
    wrong_kinds_logged_at: Option<Instant>,
}

impl IngestWorker<'_> {
    /// Polls the source once, sends what is due and handles outcomes; `false` at the end of the
    /// input or of the log.
    fn poll_once(&mut self, is_flush_due: bool) -> bool {
        if let Some(plan) = self.plans.try_iter().last() {
            self.ingest.switch_plan(plan);
        }
        let has_more = self.source.poll(POLL_WAIT, &mut self.ingest);
        let flushed = if is_flush_due {
            self.ingest.flush()
        } else {
            self.ingest.take_early()
        };
        if !flushed.is_empty() {
            self.source.publish();
        }
        let is_log_open = self.send(flushed);
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.on_outcome(outcome);
        }
        self.log_decode_errors();
        self.log_wrong_kinds();
        is_log_open && has_more
    }

    /// Sends commits to the log and waits while its channel or the budget is full; `false` when
    /// nobody receives them any more, or `stop` is set while one is full.
    fn send(&self, flushed: Vec<Flushed>) -> bool {
        flushed.into_iter().all(|flushed| {
            let Some(share) = self.share_of(&flushed) else {
                return false;
            };
            let mut commit = PendingCommit {
                flushed,
                outcomes: self.outcome_sender.clone(),
                _share: share,
            };
            loop {
                match self.commits.send_timeout(commit, SEND_WAIT) {
                    Ok(()) => return true,
                    Err(SendTimeoutError::Timeout(unsent))
                        if !self.stop.load(Ordering::Relaxed) =>
                    {
                        commit = unsent;
                    }
                    Err(_) => return false,
                }
            }
        })
    }

    /// Waits for the share of a commit in the budget; `None` if `stop` is set while it is full.
    fn share_of(&self, flushed: &Flushed) -> Option<BudgetShare> {
        let bytes = flushed.commit.size_bytes();
        loop {
            let share = self.budget.take(bytes, SEND_WAIT);
            if share.is_some() || self.stop.load(Ordering::Relaxed) {
                return share;
            }
        }
    }

    /// Commits the offsets of an accepted commit, or resets the shard of a rejected one.
    ///
    /// A rejection that arrives after its shard was opened again says nothing about the new
    /// opening, which began at the head.
    fn on_outcome(&mut self, outcome: CommitOutcome) {
        match outcome {
            CommitOutcome::Accepted { slot, upto } => self.source.accepted(slot, upto),
            CommitOutcome::TooLarge { slot, opening } => {
                if self.ingest.opening(slot) == opening {
                    self.ingest.halve_commits();
                }
                self.on_outcome(CommitOutcome::Rejected { slot, opening });
            }
            CommitOutcome::Rejected { slot, opening } => {
                if self.ingest.opening(slot) == opening {
                    self.ingest.forget(slot);
                    self.source.rejected(slot, &mut self.ingest);
                }
            }
        }
    }

    /// Logs the undecodable records since the last time, one line per reason and 30 s.
    fn log_decode_errors(&mut self) {
        let now = clock::monotonic();
        if self
            .decode_errors_logged_at
            .is_some_and(|logged_at| now.duration_since(logged_at) < DECODE_LOG_INTERVAL)
        {
            return;
        }
        for rejected in self.ingest.take_rejections() {
            log_rejections(&self.name, &rejected);
            self.decode_errors_logged_at = Some(now);
        }
    }

    /// Logs the first value of a wrong kind of each feature, a few features at a time.
    fn log_wrong_kinds(&mut self) {
        let now = clock::monotonic();
        if self
            .wrong_kinds_logged_at
            .is_some_and(|logged_at| now.duration_since(logged_at) < WRONG_KIND_LOG_INTERVAL)
        {
            return;
        }
        for wrong in self.ingest.take_wrong_kinds(WRONG_KIND_LOG_LINES) {
            log_wrong_kind(&self.name, &wrong);
            self.wrong_kinds_logged_at = Some(now);
        }
    }

    /// Flushes what is counted and waits until the log has decided on it.
    fn drain(mut self) {
        let flushed = self.ingest.flush();
        self.source.publish();
        self.send(flushed);
        // Without our own sender, the channel closes with the last pending commit.
        drop(self.outcome_sender);
        let deadline = clock::monotonic() + DRAIN_WAIT;
        while let Ok(outcome) = self.outcomes.recv_deadline(deadline) {
            if let CommitOutcome::Accepted { slot, upto } = outcome {
                self.source.accepted(slot, upto);
            }
        }
        for rejected in self.ingest.take_rejections() {
            log_rejections(&self.name, &rejected);
        }
        debug!(source = self.name, "ingest thread drained");
    }
}

/// Logs records that could not be decoded; topic, partition and offset are of the first of them.
fn log_rejections(source: &str, rejected: &RejectedRecords) {
    warn!(
        source,
        count = rejected.count,
        topic = rejected.shard.topic,
        partition = rejected.shard.partition,
        offset = rejected.offset,
        reason = rejected.error.reason(),
        "records cannot be decoded: {}",
        rejected.error
    );
}

/// Logs a value that counts as invalid, with the remedy.
fn log_wrong_kind(source: &str, wrong: &WrongKind) {
    warn!(
        source,
        monitor = wrong.monitor,
        feature = wrong.feature,
        topic = wrong.shard.topic,
        partition = wrong.shard.partition,
        "values are invalid: {}",
        wrong.advice
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::app::captured_log::log_lines;
    use crate::decode::DecodeError;
    use crate::model::Shard;
    use crate::pane_log::kafka::fixtures::shard;
    use crate::source::Sink;

    /// A source of one partition, which counts how often it was closed.
    struct OnePartition(Arc<AtomicUsize>);

    impl Source for OnePartition {
        fn poll(&mut self, _: Duration, sink: &mut dyn Sink) -> bool {
            sink.opened(0, &shard(0), 0, true);
            true
        }
        fn accepted(&mut self, _: usize, _: i64) {}
        fn rejected(&mut self, _: usize, _: &mut dyn Sink) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A partition that was read again from its head was closed once for each commit that was on
    /// its way when the first one was rejected.
    #[test]
    fn a_rejection_of_an_earlier_opening_does_not_close_a_partition() {
        let (commits, _receiver) = unbounded();
        let (outcome_sender, outcomes) = unbounded();
        let (_plans, plans) = unbounded();
        let closed = Arc::new(AtomicUsize::new(0));
        let mut worker = IngestWorker {
            name: "s".to_owned(),
            ingest: Ingest::new(ObserverPlan::default(), 1000),
            plans,
            budget: CommitBudget::new(1000),
            source: Box::new(OnePartition(Arc::clone(&closed))),
            commits: &commits,
            outcome_sender,
            outcomes,
            stop: &AtomicBool::new(false),
            decode_errors_logged_at: None,
            wrong_kinds_logged_at: None,
        };
        worker.poll_once(false);
        let rejected = |opening| CommitOutcome::Rejected { slot: 0, opening };
        let opening = worker.ingest.opening(0);
        worker.on_outcome(rejected(opening));
        assert_eq!(closed.load(Ordering::Relaxed), 1, "its own opening");
        worker.poll_once(false);
        worker.on_outcome(rejected(opening));
        worker.on_outcome(CommitOutcome::TooLarge { slot: 0, opening });
        assert_eq!(closed.load(Ordering::Relaxed), 1, "an earlier one");
        worker.on_outcome(rejected(worker.ingest.opening(0)));
        assert_eq!(closed.load(Ordering::Relaxed), 2, "the present one");
    }

    #[test]
    fn undecodable_records_are_logged_with_their_number_and_place() {
        let rejected = RejectedRecords {
            error: DecodeError::Depth,
            count: 17,
            shard: Arc::new(Shard {
                source: "loans".to_owned(),
                cluster: "c".to_owned(),
                topic: "scored".to_owned(),
                partition: 3,
                incarnation: 0,
            }),
            offset: 42,
        };
        assert_eq!(
            log_lines(|| log_rejections("loans", &rejected)),
            [
                "WARN records cannot be decoded: nested deeper than 32 levels source=\"loans\" \
                 count=17 topic=\"scored\" partition=3 offset=42 reason=\"depth\""
            ]
        );
    }
}
