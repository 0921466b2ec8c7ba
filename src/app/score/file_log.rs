//! Scoring on one machine: commits arrive from the ingest threads, and this thread writes the log.
//!
//! ```text
//!   ingest thread -- commits (bounded) --> fold -> append -> fsync -> count -> evaluate -> view
//!        ^                                                     |
//!        +----------------- accepted offsets ------------------+
//! ```
//!
//! A commit is counted only after the fsync, so a view never shows what a crash could take back.
//! The channel is bounded: a slow disk slows the sources instead of filling memory. All waiting
//! commits, at most 256, are written together with one fsync. Without `state.path` the same code
//! runs with no file, and nothing survives the process.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use tracing::{error, info, warn};

use super::worker::ScoreWorker;
use crate::app::ingest::worker::PendingCommit;
use crate::clock;
use crate::engine::{Engine, EngineSnapshot};
use crate::pane_log::file::{FileLog, FileLogError, RecoveredEntry};
use crate::pane_log::{HeadLookup, read};

/// The longest time between two ticks while no commit arrives.
const WAIT: Duration = Duration::from_millis(200);
/// The most commits after the first that share one fsync.
const MAX_BATCH: usize = 256;

/// The time between two log lines while the log is read: a start must not look like a hang.
const RECOVERY_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A log in files after it was read.
#[derive(Debug)]
pub(in crate::app) struct RecoveredLog {
    /// The log, open for writing.
    pub(in crate::app) log: FileLog,
    /// The engine that was restored from it.
    pub(in crate::app) engine: Engine,
    /// The time this took.
    pub(in crate::app) took: Duration,
}

/// Opens the log in a directory and restores the engine from it, record by record; gives up when
/// `stop` is set.
///
/// # Errors
/// Another process uses the directory, a newer program wrote the log, it cannot be read or written,
/// or `stop` is set.
pub(in crate::app) fn recover(
    directory: &Path,
    mut engine: Engine,
    stop: &AtomicBool,
) -> anyhow::Result<RecoveredLog> {
    let started_at = clock::monotonic();
    // Null tables that no snapshot holds are simulated while the log is read, so that alerts and
    // references come out as they were.
    let unreadable = Cell::new(None);
    let mut commits = 0_u64;
    let mut logged_at = started_at;
    let is_stopping = || stop.load(Ordering::Relaxed) || unreadable.get().is_some();
    let opened = FileLog::open_until(directory, &is_stopping, &mut |entry| match entry {
        RecoveredEntry::Snapshot(bytes) => match read::<EngineSnapshot>(&bytes) {
            Ok(snapshot) => engine.restore(snapshot),
            Err(error) => unreadable.set(Some(error)),
        },
        RecoveredEntry::Commit(position, commit, bytes) => {
            commits += 1;
            if logged_at.elapsed() >= RECOVERY_LOG_INTERVAL {
                logged_at = clock::monotonic();
                info!(
                    commits,
                    "still reading the pane log; thresholds that no snapshot holds are calibrated \
                     on the way"
                );
            }
            if engine.accept(0, position, &commit.claim()).is_ok() {
                engine.ingest_counts(0, &commit, bytes);
                for monitor in engine.monitors_of(&commit.shard.source) {
                    engine.advance(monitor, &mut |_, _| ());
                }
            }
        }
    });
    if let Some(error) = unreadable.get() {
        return Err(error)
            .with_context(|| format!("cannot read the snapshot in {}", directory.display()));
    }
    let (log, recovery) = opened?;
    let took = started_at.elapsed();
    info!(
        directory = %directory.display(),
        commits = recovery.commits,
        bytes = recovery.bytes,
        took_ms = took.as_millis(),
        "pane log read"
    );
    Ok(RecoveredLog { log, engine, took })
}

/// The heads of a recovered engine; no lookup has to wait, because the whole log was read.
#[must_use]
pub(in crate::app) fn head_lookup(engine: &Engine) -> Arc<HeadLookup> {
    Arc::new(HeadLookup::resolved(&engine.log().heads))
}

/// Accepts commits until all ingest threads have ended. Ends early with an error in the log when
/// commits cannot be written.
pub(in crate::app) fn run(
    mut worker: ScoreWorker,
    mut log: Option<FileLog>,
    commits: &Receiver<PendingCommit>,
) {
    loop {
        let first = commits.recv_timeout(WAIT);
        let is_closed = matches!(first, Err(RecvTimeoutError::Disconnected));
        let batch: Vec<PendingCommit> = first
            .into_iter()
            .chain(commits.try_iter().take(MAX_BATCH))
            .collect();
        if let Err(error) = commit_batch(&mut worker, log.as_mut(), &batch) {
            let error = format!("{:#}", anyhow::Error::new(error));
            error!(
                error,
                "the pane log cannot be written: nothing more is counted, what was accepted is safe"
            );
            return;
        }
        if is_closed {
            worker.publish();
            return;
        }
        worker.tick();
    }
}

/// Folds, writes and counts a batch, and rolls the log over when a snapshot is due.
fn commit_batch(
    worker: &mut ScoreWorker,
    mut log: Option<&mut FileLog>,
    batch: &[PendingCommit],
) -> Result<(), FileLogError> {
    let mut accepted = Vec::with_capacity(batch.len());
    for pending in batch {
        let commit = &pending.flushed.commit;
        let position = worker.engine.log().next(0);
        match worker.engine.accept(0, position, &commit.claim()) {
            Ok(()) => {
                let bytes = match log.as_mut() {
                    Some(log) => log.append(commit),
                    None => commit.size_bytes() as u64,
                };
                accepted.push((pending, bytes));
            }
            Err(rejected) => {
                warn!(
                    topic = commit.shard.topic,
                    partition = commit.shard.partition,
                    base = commit.base,
                    "commit rejected: {rejected}"
                );
                pending.reject();
            }
        }
    }
    if let Some(log) = &mut log {
        log.sync()?;
    }
    for (pending, bytes) in accepted {
        worker.count(0, &pending.flushed.commit, bytes);
        pending.accept();
    }
    match log {
        Some(log) if log.wants_snapshot() || worker.take_calibrated() => {
            log.roll(&worker.snapshot_bytes())
        }
        _ => Ok(()),
    }
}
