//! A restart at any moment changes nothing, and a changed configuration changes no more than it
//! must.

use pegel::app::observer_plan;
use pegel::engine::{Engine, EngineSnapshot, MonitorPlan};
use pegel::export::Exporter;
use pegel::ingest::Ingest;
use pegel::model::{AlertSpec, MonitorSpec, Shard, Statistic, Thresholds, WindowSpec};
use pegel::pane_log::file::{FileLog, RecoveredEntry};
use pegel::pane_log::{read, write};
use pegel::panes::Commit;
use pegel::source::{RawRecord, Sink as _};
use std::time::Duration;

use crate::moving::{all_kinds, plan_with_hours};
use crate::support::{MINUTE, at, plan, spec};

/// Length of the stream in minutes.
const LENGTH: i64 = 26;

/// Two windows, and an alert that fires and resolves in the stream.
pub(crate) fn watched() -> MonitorSpec {
    let mut spec = spec();
    spec.lateness.out_of_orderness = Duration::from_secs(30);
    spec.windows.push(WindowSpec {
        name: "8m".to_owned(),
        size: MINUTE * 8,
        slide: MINUTE * 2,
        min_samples: 20,
    });
    spec.alerts = vec![alert(0.5)];
    spec
}

pub(crate) fn alert(critical: f64) -> AlertSpec {
    AlertSpec {
        statistic: Statistic::WassersteinNormalized,
        thresholds: Thresholds {
            warning: Some(critical / 2.0),
            critical: Some(critical),
        },
        budget: None,
        for_evaluations: 2,
        keep_firing_for: 1,
        features: None,
    }
}

pub(crate) fn shard(partition: usize) -> Shard {
    Shard {
        source: "data".to_owned(),
        cluster: "c".to_owned(),
        topic: "t".to_owned(),
        partition: i32::try_from(partition).unwrap(),
        incarnation: 0,
    }
}

/// The record at an index of the stream: ten a minute and partition, some late, some without
/// values, x shifted for a while.
fn payload(partition: usize, minute: i64, i: i64) -> Option<String> {
    let number = minute * 10 + i + i64::try_from(partition).unwrap() * 7;
    let behind = match number % 11 {
        0 => 50,
        1 => 100,
        2 if minute > 12 => 3600,
        _ => 0,
    };
    let time = at(12, minute, i * 6).as_millis() - behind * 1000;
    let shift = if (7..14).contains(&minute) { 450 } else { 0 };
    let x = match number % 13 {
        0 => "null".to_owned(),
        1 => "\"?\"".to_owned(),
        _ => ((number * 37) % 1000 + shift).to_string(),
    };
    match number % 17 {
        0 => None,
        1 => Some("{".to_owned()),
        _ => {
            let word = ["de", "fr", "it"][usize::try_from(number % 3).unwrap()];
            Some(format!(
                "{{\"ts\":{time},\"x\":{x},\"y\":{x},\"c\":{word:?}}}"
            ))
        }
    }
}

/// An owner of a few partitions that flushes as the stream advances.
pub(crate) struct Owner {
    pub(crate) ingest: Ingest,
    pub(crate) offsets: Vec<i64>,
    pub(crate) commits: Vec<Commit>,
}

impl Owner {
    pub(crate) fn new(plan: &MonitorPlan) -> Self {
        let plan = std::sync::Arc::new(plan.clone());
        Owner {
            ingest: Ingest::new(observer_plan("data", &[plan]), 1 << 20),
            offsets: Vec::new(),
            commits: Vec::new(),
        }
    }

    pub(crate) fn open(&mut self, base: i64) {
        let slot = self.offsets.len();
        self.ingest.opened(slot, &shard(slot), base, base == 0);
        self.offsets.push(base);
    }

    /// A minute of one partition, in two flushes.
    pub(crate) fn minute(&mut self, slot: usize, minute: i64) {
        for i in 0..10 {
            let payload = payload(slot, minute, i);
            self.ingest.set_now(Some(at(12, minute, i * 6 + 2)));
            self.ingest.record(RawRecord {
                slot,
                offset: self.offsets[slot],
                timestamp_ms: None,
                payload: payload.as_deref().map(str::as_bytes),
            });
            self.offsets[slot] += 1;
            if i % 5 == 4 {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let flushed = self.ingest.flush();
        self.commits
            .extend(flushed.into_iter().map(|flushed| flushed.commit));
    }
}

/// Three partitions: one starts later, one stops early.
pub(crate) fn stream(plan: &MonitorPlan) -> Vec<Commit> {
    let mut owner = Owner::new(plan);
    owner.ingest.extent(2);
    owner.open(0);
    owner.open(0);
    for minute in 0..LENGTH {
        if minute == 8 {
            // The watermark waits for the third partition until its first commit.
            owner.ingest.extent(3);
        }
        if minute == 9 {
            owner.open(40);
        }
        for slot in 0..owner.offsets.len() {
            if slot == 1 && minute > 17 {
                let confirmed_at = Some(at(12, minute, 56));
                owner
                    .ingest
                    .position(slot, owner.offsets[slot], confirmed_at);
            } else {
                owner.minute(slot, minute);
            }
        }
    }
    owner.flush();
    owner.commits
}

/// Applies a commit; returns the evaluations that follow.
pub(crate) fn apply(engine: &mut Engine, commit: &Commit) -> Vec<String> {
    engine.apply(commit).unwrap();
    advance(engine)
}

fn advance(engine: &mut Engine) -> Vec<String> {
    let mut lines = Vec::new();
    for monitor in engine.monitors_of("data") {
        engine.advance(monitor, &mut |plan, window| {
            let actual = pegel::cli::replay::json_lines(plan, window, true);
            lines.extend(
                actual
                    .into_iter()
                    .map(|line| serde_json::to_string(&line).unwrap()),
            );
        });
    }
    lines
}

/// Everything that is exported, to the bit.
pub(crate) fn picture(engine: &Engine) -> String {
    let mut snapshot = engine.view();
    snapshot.generation = 0;
    format!("{snapshot:?}")
}

pub(crate) fn saved(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&engine.save(), &mut bytes);
    bytes
}

pub(crate) fn restored(bytes: &[u8], plan: MonitorPlan) -> Engine {
    let mut engine = Engine::new(vec![plan]);
    engine.restore(read::<EngineSnapshot>(bytes).unwrap());
    engine
}

#[test]
fn a_restart_at_any_commit_changes_nothing() {
    restart_everywhere(&|| plan(watched()), 1);
}

#[test]
fn a_restart_changes_nothing_for_dynamic_references() {
    restart_everywhere(&|| plan_with_hours(all_kinds(watched())), 7);
}

#[test]
fn an_hour_of_week_reference_keeps_no_list_of_excluded_windows() {
    let mut spec = watched();
    spec.references = all_kinds(spec.clone()).references.split_off(1);
    spec.references.truncate(1);
    let plan = || plan_with_hours(spec.clone());
    let mut engine = Engine::new(vec![plan()]);
    for commit in &stream(&plan()) {
        apply(&mut engine, commit);
    }
    let fired = engine.view().monitors[0].transitions.clone();
    assert!(
        fired
            .iter()
            .any(|(_, to, count)| *to == "firing" && *count > 0),
        "{fired:?}"
    );
    let saved = format!("{:?}", engine.save());
    assert!(saved.contains("excluded: []"), "it moves");
    assert!(
        !saved.contains("excluded: [("),
        "only rolling references leave windows out"
    );
}

/// Restarts after every `n`th commit, and continues to the end.
fn restart_everywhere(plan: &dyn Fn() -> MonitorPlan, every: usize) {
    let commits = stream(&plan());
    let mut engine = Engine::new(vec![plan()]);
    let (mut boundaries, mut lines) = (vec![saved(&engine)], Vec::new());
    for commit in &commits {
        lines.push(apply(&mut engine, commit));
        boundaries.push(saved(&engine));
    }
    let transitions: Vec<u64> = engine.view().monitors[0]
        .transitions
        .iter()
        .map(|(_, _, count)| *count)
        .collect();
    assert!(
        transitions.iter().all(|count| *count > 0),
        "alerts fire and resolve: {transitions:?}"
    );
    for (index, bytes) in boundaries.iter().enumerate().step_by(every) {
        let mut restored_engine = restored(bytes, plan());
        assert_eq!(
            saved(&restored_engine),
            *bytes,
            "what is restored at {index} is saved again"
        );
        for (commit, expected) in commits.iter().zip(&lines).skip(index) {
            assert_eq!(
                apply(&mut restored_engine, commit),
                *expected,
                "evaluations after a restart at {index}"
            );
        }
        assert_eq!(
            picture(&restored_engine),
            picture(&engine),
            "the end after a restart at {index}"
        );
        assert!(
            restored_engine.save() == engine.save(),
            "the state after a restart at {index}"
        );
    }
}

#[test]
fn a_window_that_is_stale_or_silent_is_so_after_a_restart() {
    let check = |silence: Duration, reason: &str| {
        let mut spec = watched();
        spec.silence = silence;
        let mut engine = Engine::new(vec![plan(spec.clone())]);
        for commit in &stream(&plan(spec.clone())) {
            apply(&mut engine, commit);
        }
        for minute in LENGTH..60 {
            engine.watch_silence(at(12, minute, 0), &mut |_, _| ());
        }
        let before = picture(&engine);
        assert!(before.contains(&format!("Err({reason})")), "{reason}");
        let restored_engine = restored(&saved(&engine), plan(spec));
        assert_eq!(
            picture(&restored_engine),
            before,
            "{reason} after a restart"
        );
    };
    check(Duration::from_secs(600), "Silent");
    check(Duration::from_secs(24 * 3600), "Stale");
}

#[test]
fn a_restored_view_replaces_the_view_from_before_the_restore() {
    let mut engine = Engine::new(vec![plan(watched())]);
    for commit in &stream(&plan(watched())) {
        apply(&mut engine, commit);
    }
    let shown = |exporter: &Exporter| {
        let scrape = String::from_utf8(exporter.scrape(false)).unwrap();
        let lines = scrape
            .lines()
            .filter(|line| line.starts_with("pegel_window_"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = Exporter::new(["data"].into_iter(), 1000);
    before.publish(engine.view());
    let mut restored_engine = Engine::new(vec![plan(watched())]);
    let after = Exporter::new(["data"].into_iter(), 1000);
    after.publish(restored_engine.view());
    assert_ne!(shown(&after), shown(&before), "nothing was read yet");
    restored_engine.restore(engine.save());
    after.publish(restored_engine.view());
    assert_eq!(shown(&after), shown(&before), "the same windows");
}

/// A process on a file log, which does the same as the daemon's thread.
struct Process {
    log: FileLog,
    engine: Engine,
}

impl Process {
    fn start(directory: &std::path::Path) -> Self {
        let mut engine = Engine::new(vec![plan(watched())]);
        let opened = FileLog::open(directory, &mut |actual| match actual {
            RecoveredEntry::Snapshot(bytes) => engine.restore(read(&bytes).unwrap()),
            RecoveredEntry::Commit(position, commit, bytes) => {
                engine.accept(0, position, &commit.claim()).unwrap();
                engine.ingest_counts(0, &commit, bytes);
                advance(&mut engine);
            }
        });
        let log = opened.unwrap().0.with_segment_bytes(4000);
        Process { log, engine }
    }

    fn take(&mut self, commit: &Commit) {
        let position = self.engine.log().next(0);
        assert_eq!(position, self.log.next(), "one count of records");
        self.engine.accept(0, position, &commit.claim()).unwrap();
        let bytes = self.log.append(commit);
        self.log.sync().unwrap();
        self.engine.ingest_counts(0, commit, bytes);
        advance(&mut self.engine);
        if self.log.wants_snapshot() {
            self.log.roll(&saved(&self.engine)).unwrap();
        }
    }
}

#[test]
fn many_short_processes_end_in_the_state_of_one_long_process() {
    let commits = stream(&plan(watched()));
    let whole = tempfile::tempdir().unwrap();
    let mut long = Process::start(whole.path());
    commits.iter().for_each(|commit| long.take(commit));
    for life in [1, 2, 7] {
        let directory = tempfile::tempdir().unwrap();
        for commits in commits.chunks(life) {
            let mut process = Process::start(directory.path());
            commits.iter().for_each(|commit| process.take(commit));
        }
        let last = Process::start(directory.path());
        assert!(last.log.next() > 50, "{} commits", last.log.next());
        assert_eq!(
            picture(&last.engine),
            picture(&long.engine),
            "lives of {life}"
        );
        assert!(
            last.engine.save() == long.engine.save(),
            "the state after lives of {life}"
        );
        let segments = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(
            segments, 3,
            "two segments and the lock: older ones are removed"
        );
    }
}
