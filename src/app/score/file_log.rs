//! One machine: commits go from the ingest threads straight to the scorer's thread, which writes them to the file log before it counts them.
//!
//! ```text
//!   ingest thread --- commits (bounded) ---> fold -> append -> fsync -> count -> evaluate ---> pictures
//!        ^                                                     |
//!        +----------------- accepted offsets ------------------+
//! ```
//!
//! The channel is bounded, so a slow disk slows reading instead of filling memory. All commits that wait are written together, with one fsync.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use tracing::{error, info, warn};

use super::worker::Scoring;
use crate::app::ingest::worker::PendingCommit;
use crate::clock;
use crate::engine::{Engine, EngineSnapshot};
use crate::pane_log::file::{FileLog, FileLogError, Found};
use crate::pane_log::{HeadLookup, read, write};

/// How often the scorer looks at the clock without commits.
const WAIT: Duration = Duration::from_millis(200);
/// Commits that are written together.
const MOST_TOGETHER: usize = 256;

/// Opens the log in a directory and brings the engine to where it was.
///
/// # Errors
/// Another process uses the directory, a newer program wrote it, or it cannot be read or written.
pub(in crate::app) fn recover(
    directory: &Path,
    engine: &mut Engine,
) -> anyhow::Result<(FileLog, Duration)> {
    let began = clock::monotonic();
    let mut problem = None;
    let opened = FileLog::open(directory, &mut |found| match found {
        Found::Snapshot(bytes) => match read::<EngineSnapshot>(&bytes) {
            Ok(saved) => engine.restore(saved),
            Err(error) => problem = Some(error),
        },
        Found::Commit(position, commit, bytes) => {
            if engine.accept(0, position, &commit.claim()).is_ok() {
                engine.ingest_counts(0, &commit, bytes);
                for monitor in engine.monitors_of(&commit.shard.source) {
                    engine.advance(monitor, &mut |_, _| ());
                }
            }
        }
    });
    let (log, recovery) = opened?;
    if let Some(problem) = problem {
        return Err(problem)
            .with_context(|| format!("the snapshot in {} cannot be read", directory.display()));
    }
    let took = began.elapsed();
    let (commits, bytes) = (recovery.commits, recovery.bytes);
    let (took_ms, directory) = (took.as_millis(), directory.display());
    info!(%directory, commits, bytes, took_ms, "pane log read");
    Ok((log, took))
}

/// Takes commits until nobody sends any; ends early, with a message, when they cannot be made safe.
pub(in crate::app) fn run(
    mut scoring: Scoring,
    mut log: Option<FileLog>,
    commits: &Receiver<PendingCommit>,
) {
    loop {
        let first = commits.recv_timeout(WAIT);
        let is_over = matches!(first, Err(RecvTimeoutError::Disconnected));
        let waiting = commits.try_iter().take(MOST_TOGETHER);
        let messages: Vec<PendingCommit> = first.into_iter().chain(waiting).collect();
        if let Err(error) = take(&mut scoring, log.as_mut(), &messages) {
            let error = format!("{:#}", anyhow::Error::new(error));
            error!(
                error,
                "the pane log cannot be written: nothing more is counted, what was accepted is safe"
            );
            return;
        }
        if is_over {
            scoring.publish();
            return;
        }
        scoring.tick();
    }
}

/// Folds, writes and counts what came together.
fn take(
    scoring: &mut Scoring,
    mut log: Option<&mut FileLog>,
    messages: &[PendingCommit],
) -> Result<(), FileLogError> {
    let mut accepted = Vec::with_capacity(messages.len());
    for message in messages {
        let commit = &message.flushed.commit;
        let position = scoring.engine.log().next(0);
        match scoring.engine.accept(0, position, &commit.claim()) {
            Ok(()) => {
                let in_memory = || commit.size_bytes() as u64;
                let bytes = log
                    .as_mut()
                    .map_or_else(in_memory, |log| log.append(commit));
                accepted.push((message, bytes));
            }
            Err(rejected) => {
                let (topic, partition) = (&commit.shard.topic, commit.shard.partition);
                warn!(
                    topic,
                    partition,
                    base = commit.base,
                    "commit rejected: {rejected}"
                );
                message.reject();
            }
        }
    }
    if let Some(log) = &mut log {
        log.sync()?;
    }
    for (message, bytes) in accepted {
        scoring.count(0, &message.flushed.commit, bytes);
        message.accept();
    }
    match log {
        Some(log) if log.wants_snapshot() => log.roll(&snapshot(&scoring.engine)),
        _ => Ok(()),
    }
}

/// The bytes of a snapshot.
#[must_use]
pub(in crate::app) fn snapshot(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&engine.save(), &mut bytes);
    bytes
}

/// The head_lookup of a log that was read.
#[must_use]
pub(in crate::app) fn head_lookup(engine: &Engine) -> Arc<HeadLookup> {
    Arc::new(HeadLookup::resolved(&engine.log().heads))
}
