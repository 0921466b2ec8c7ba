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
//!
//! Files that are removed under the process are written again from its memory. Otherwise the
//! process would go on writing into removed files, and the next start would find nothing.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use rayon::prelude::*;
use tracing::{error, info, warn};

use super::worker::ScoreWorker;
use crate::app::ingest::worker::PendingCommit;
use crate::clock;
use crate::engine::{Engine, EngineSnapshot, MonitorPlan, SimulatedTable, TableRequest};
use crate::model::LogReport;
use crate::pane_log::file::{FileLog, FileLogError, RecoveredEntry, Recovery};
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

/// Opens the log in a directory and restores an engine with these monitors from it; gives up when
/// `stop` is set.
///
/// Evaluations of the log are made again, so they need the null tables of their time. Where the
/// snapshot and the references lack some, the log is read once to collect them, they are simulated
/// together on all cores, and the log is read again. `report` shows their number meanwhile.
///
/// # Errors
/// Another process uses the directory, a newer program wrote the log, it cannot be read or written,
/// or `stop` is set.
pub(in crate::app) fn recover(
    directory: &Path,
    plans: &[MonitorPlan],
    report: &ArcSwap<LogReport>,
    stop: &AtomicBool,
) -> anyhow::Result<RecoveredLog> {
    let started_at = clock::monotonic();
    let mut engine = Engine::new(plans.to_vec());
    engine.collect_null_tables();
    let (mut log, mut recovery) = read_log(directory, &mut engine, stop)?;
    let missing = engine.take_collected_tables();
    if !missing.is_empty() {
        // Two logs cannot have one directory, nor two engines the memory of one.
        drop((log, engine));
        let tables = simulate(directory, &missing, report, stop)?;
        engine = Engine::new(plans.to_vec());
        engine.use_null_tables(tables);
        (log, recovery) = read_log(directory, &mut engine, stop)?;
    }
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

/// Simulates null tables on all cores.
fn simulate(
    directory: &Path,
    missing: &[TableRequest],
    report: &ArcSwap<LogReport>,
    stop: &AtomicBool,
) -> Result<Vec<SimulatedTable>, FileLogError> {
    let total = missing.len();
    info!(
        tables = total,
        "simulating the null tables that no snapshot holds, then the pane log is read again"
    );
    let finished = AtomicUsize::new(0);
    let tables: Option<Vec<SimulatedTable>> = missing
        .par_iter()
        .map(|request| {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let table = request.simulate();
            let count = finished.fetch_add(1, Ordering::Relaxed) + 1;
            report.rcu(|former| LogReport {
                problem: Some(format!(
                    "the pane log is not read yet: simulating null tables that no snapshot holds, \
                     {count} of {total}"
                )),
                ..LogReport::clone(former)
            });
            Some(table)
        })
        .collect();
    tables.ok_or_else(|| FileLogError::Interrupted {
        path: directory.to_owned(),
    })
}

/// Opens the log and applies it to an engine, record by record.
fn read_log(
    directory: &Path,
    engine: &mut Engine,
    stop: &AtomicBool,
) -> anyhow::Result<(FileLog, Recovery)> {
    let unreadable = Cell::new(None);
    let mut commits = 0_u64;
    let mut logged_at = clock::monotonic();
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
                info!(commits, "still reading the pane log");
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
    Ok(opened?)
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
            log_failure(error);
            return;
        }
        if is_closed {
            worker.publish();
            return;
        }
        worker.tick();
    }
}

/// Logs why commits cannot be written any more, and what the next start finds.
fn log_failure(error: FileLogError) {
    let is_safe = !matches!(error, FileLogError::Removed { .. });
    let error = format!("{:#}", anyhow::Error::new(error));
    if is_safe {
        error!(
            error,
            "the pane log cannot be written: nothing more is counted, what was accepted is safe"
        );
    } else {
        error!(
            error,
            "the pane log is lost: nothing more is counted, windows are empty after the next start"
        );
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
        Some(log) if !log.is_in_place() => recreate(worker, log),
        Some(log) if log.wants_snapshot() || worker.take_calibrated() => {
            log.roll(&worker.snapshot_bytes())
        }
        _ => Ok(()),
    }
}

/// Writes everything that was counted into new files, because those of the log were removed or
/// replaced.
fn recreate(worker: &ScoreWorker, log: &mut FileLog) -> Result<(), FileLogError> {
    log.recreate(&worker.snapshot_bytes())?;
    warn!(
        directory = %log.directory().display(),
        "files of the pane log were removed or replaced while pegel runs: a new segment holds \
         everything that was counted"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::captured_log::log_lines;
    use crate::app::ingest::commit_budget::CommitBudget;
    use crate::app::observer_plan;
    use crate::app::score::table_simulator::TableSimulator;
    use crate::app::score::worker::LogHealth;
    use crate::ingest::{Flushed, Ingest};
    use crate::model::{
        AlertSpec, BinsSpec, Budget, EventTime, FeatureSpec, Kind, MonitorSpec, Pointer,
        ReferenceSpec, Statistic, Thresholds, WindowSpec,
    };
    use crate::pane_log::kafka::fixtures::{opening, shard};
    use crate::panes::Commit;
    use crate::reference::{Column, FitOptions, Reference, fit};
    use crate::source::{RawRecord, Sink as _};

    const MINUTE: Duration = Duration::from_secs(60);

    /// A monitor with a budgeted alert on a reference without null tables.
    fn plan() -> MonitorPlan {
        let column = Column {
            numbers: (0..1000).map(f64::from).collect(),
            ..Column::default()
        };
        let options = FitOptions {
            bins: Some(BinsSpec::Count(4)),
            ..FitOptions::default()
        };
        let feature = fit("x", Kind::Numeric, column, &options).unwrap();
        let reference = Reference::new(EventTime::from_millis(0), 1000, vec![feature]);
        let mut spec = MonitorSpec::bare();
        spec.source = "s".to_owned();
        spec.features = vec![FeatureSpec::new("x", Kind::Numeric)];
        spec.timestamp.path = Pointer::parse("/ts");
        spec.windows = vec![WindowSpec {
            name: "5m".to_owned(),
            size: MINUTE * 5,
            slide: MINUTE,
            min_samples: 1,
        }];
        spec.references = vec![ReferenceSpec::fitted("training", "none")];
        spec.alerts = vec![AlertSpec {
            statistic: Statistic::Js,
            thresholds: Thresholds::default(),
            budget: Some(Budget::default()),
            for_evaluations: 1,
            keep_firing_for: 0,
            features: None,
        }];
        MonitorPlan::new(spec, vec![Ok(Arc::new(reference))])
    }

    /// Ten minutes of records in a commit a minute.
    fn commits() -> Vec<Commit> {
        let observer = observer_plan("s", &[Arc::new(plan())]);
        let mut ingest = Ingest::new(observer, 1 << 20);
        ingest.extent(1);
        ingest.opened(0, &shard(0), 0, true);
        let mut commits = Vec::new();
        for offset in 0..200_i64 {
            let time = 1_793_491_200_000 + offset * 3000;
            let payload = format!("{{\"ts\":{time},\"x\":{}}}", offset * 37 % 1000);
            ingest.set_now(Some(EventTime::from_millis(time)));
            ingest.record(RawRecord {
                slot: 0,
                offset,
                timestamp_ms: None,
                payload: Some(payload.as_bytes()),
            });
            if offset % 20 == 19 {
                commits.extend(ingest.flush().into_iter().map(|flushed| flushed.commit));
            }
        }
        commits
    }

    /// Tables were simulated while the log was read, a few at a time, and `/-/ready` did not tell
    /// why the start took minutes.
    #[test]
    fn null_tables_that_a_log_needs_are_simulated_together_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, _) = FileLog::open(directory.path(), &mut |_| ()).unwrap();
        let mut at_once = Engine::new(vec![plan()]);
        for commit in commits() {
            let bytes = log.append(&commit);
            let position = at_once.log().next(0);
            at_once.accept(0, position, &commit.claim()).unwrap();
            at_once.ingest_counts(0, &commit, bytes);
            at_once.advance(0, &mut |_, _| ());
        }
        log.sync().unwrap();
        drop(log);
        let (report, mut recovered) = (ArcSwap::default(), None);
        let lines = log_lines(|| {
            let stop = AtomicBool::new(false);
            recovered = recover(directory.path(), &[plan()], &report, &stop).ok();
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with("INFO simulating the null tables"),
            "{lines:?}"
        );
        let problem = report.load().problem.clone().unwrap();
        assert!(
            problem.contains("simulating null tables that no snapshot holds, "),
            "{problem}"
        );
        let engine = recovered.unwrap().engine;
        assert!(engine.save() == at_once.save(), "nothing else is decided");
    }

    /// Runs the thread on the open log of a directory with one commit, up to its end.
    fn run_with_a_commit(log: FileLog) {
        let worker = ScoreWorker::new(
            Engine::new(Vec::new()),
            TableSimulator::try_new().unwrap(),
            Box::new(|_| ()),
            Arc::default(),
            crossbeam_channel::never(),
            LogHealth::default(),
        );
        let (commits, received) = crossbeam_channel::unbounded();
        let (outcomes, _) = crossbeam_channel::unbounded();
        commits
            .send(PendingCommit {
                flushed: Flushed {
                    slot: 0,
                    opening: 0,
                    commit: Commit::unreadable(opening(0, 10)),
                },
                outcomes,
                _share: CommitBudget::new(1000).take(1, Duration::ZERO).unwrap(),
            })
            .unwrap();
        drop(commits);
        run(worker, Some(log), &received);
    }

    /// The directory of a running pegel was removed, and nothing was noticed: the next start found
    /// nothing.
    #[test]
    fn a_removed_directory_is_written_again_with_everything_that_was_counted() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("state");
        let (log, _) = FileLog::open(&directory, &mut |_| ()).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let lines = log_lines(|| run_with_a_commit(log));
        assert_eq!(lines.len(), 1, "once: {lines:?}");
        assert!(lines[0].starts_with("WARN files of the pane log were removed"));
        let stop = AtomicBool::new(false);
        let recovered = recover(&directory, &[], &ArcSwap::default(), &stop).unwrap();
        let heads = recovered.engine.log().heads.iter();
        let heads: Vec<i64> = heads.map(|(_, head)| head.upto).collect();
        assert_eq!(heads, [10]);
    }

    /// The line about a log that cannot be written says that what was accepted is safe.
    #[test]
    fn a_directory_that_another_pegel_has_taken_ends_the_thread_with_the_reason() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("state");
        let (log, _) = FileLog::open(&directory, &mut |_| ()).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let (_other, _) = FileLog::open(&directory, &mut |_| ()).unwrap();
        let lines = log_lines(|| run_with_a_commit(log));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].starts_with("ERROR the pane log is lost"),
            "{lines:?}"
        );
        assert!(lines[0].contains("belongs to a running pegel"), "{lines:?}");
    }
}
