//! The bytes of the pane log's formats, as earlier programs wrote them. Newer formats and a second
//! process are refused.
//!
//! `PEGEL_TEST_WRITE=1` writes the files of the present format again: for a format that no release
//! has written yet, or beside the number of a new format.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pegel::decode::DecodeError;
use pegel::engine::Engine;
use pegel::model::{EventTime, LayoutId, MonitorId, Shard};
use pegel::pane_log::file::{FileLog, FileLogError, scan};
use pegel::pane_log::{FORMAT, Opening, Record, SnapshotChunk, decode, read};
use pegel::pane_log::{encode_chunk, encode_commit, encode_opening};
use pegel::panes::{
    Commit, CommitSchema, FeatureDelta, MonitorCommit, MonitorSchema, PaneDelta, RecordCounts,
};
use pegel::stats::{CellRun, DELAY_BOUNDS, DurationHistogram, HeavyHitters, Tallies};

use crate::restart::{apply, restored, saved, stream, watched};
use crate::support::{at, plan};

fn feature_delta() -> FeatureDelta {
    let mut unexpected_values = HeavyHitters::default();
    ["XK", "XX", "XK"]
        .iter()
        .for_each(|name| unexpected_values.record(name));
    FeatureDelta {
        feature: 1,
        tallies: Tallies {
            values: 5,
            missing: [1, 2, 3],
            invalid: [4, 5],
            saturated: 1,
        },
        bins: (7, vec![3, 0, 2]),
        cells: CellRun {
            first: 190,
            counts: vec![4, 1],
            sums: vec![1 << 40, -12_345],
        },
        unexpected_values,
    }
}

/// A commit in which every field differs from its default.
fn commit() -> Commit {
    let mut errors = [0; DecodeError::ALL.len()];
    errors[1] = 3;
    Commit {
        shard: Arc::new(Shard {
            source: "loans".to_owned(),
            cluster: "tQ2s".to_owned(),
            topic: "scored".to_owned(),
            partition: 11,
            incarnation: 2,
        }),
        topic_id: Some([7; 16]),
        base: 1_000_000,
        upto: 1_000_300,
        opens: true,
        written_at: Some(at(12, 0, 1)),
        read_time: Some(at(12, 0, 0)),
        is_read_time_of_writer: true,
        from_start: true,
        source_shards: 6,
        offsets_lost: 9,
        counted: Arc::new(CommitSchema {
            monitors: vec![MonitorSchema {
                id: MonitorId::of([&b"m"[..]]),
                features: vec![LayoutId::of([&b"x"[..]]), LayoutId::of([&b"c"[..]])],
            }],
        }),
        records: RecordCounts {
            decoded: 290,
            errors,
            tombstones: 7,
        },
        monitors: vec![MonitorCommit {
            monitor: 0,
            newest_event_time: Some(at(11, 59, 59)),
            newest_arrived_at: Some(at(12, 0, 0)),
            is_arrival_of_writer: false,
            first_event_time: Some(at(11, 58, 0)),
            max_event_time: Some(at(11, 59, 58)),
            events: 20,
            events_late: 2,
            dropped: [260, 1, 3, 2, 7],
            delays: delays(&[(120, 18), (4000, 2)]),
            panes: vec![PaneDelta {
                start: EventTime::from_millis(-60_000),
                events: 20,
                features: vec![feature_delta()],
            }],
        }],
    }
}

/// Delays in milliseconds, and the number of events with each.
fn delays(delays_ms: &[(u64, u64)]) -> DurationHistogram {
    let mut delays = DurationHistogram::default();
    for (delay_ms, times) in delays_ms {
        delays.record(&DELAY_BOUNDS, Duration::from_millis(*delay_ms), *times);
    }
    delays
}

fn chunk() -> SnapshotChunk {
    SnapshotChunk {
        id: 77,
        scope: "0/2".to_owned(),
        part: 1,
        parts: 3,
        bytes: vec![0, 255, 128, 1],
    }
}

/// The engine after forty commits of the stream.
fn engine() -> Engine {
    let mut engine = Engine::new(vec![plan(watched())]);
    for commit in &stream(&plan(watched()))[..40] {
        apply(&mut engine, commit);
    }
    engine
}

/// A segment with that engine's snapshot and two commits.
fn segment() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = FileLog::open(directory.path(), &mut |_| ()).unwrap();
    log.roll(&saved(&engine())).unwrap();
    for commit in &stream(&plan(watched()))[40..42] {
        log.append(commit);
    }
    log.sync().unwrap();
    std::fs::read(directory.path().join(name(2))).unwrap()
}

fn name(number: u64) -> String {
    format!("{number:020}.panes")
}

/// A committed file of a format; written first if `PEGEL_TEST_WRITE` asks for it.
fn fixture(format: u8, name: &str, present: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let path: PathBuf = root.join(format!("format-{format}")).join(name);
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    let is_asked_for = std::env::var("PEGEL_TEST_WRITE").is_ok_and(|value| value == "1");
    if is_asked_for && format == FORMAT {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, present()).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

fn bytes_of(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}

#[test]
fn records_of_format_2_are_read() {
    let present = || bytes_of(|out| encode_commit(&commit(), out));
    let actual = decode(&fixture(4, "commit", present)).unwrap();
    assert_eq!(actual, Record::Commit(commit()), "a commit");
    let present = || bytes_of(|out| encode_chunk(&chunk(), out));
    let actual = decode(&fixture(4, "snapshot", present)).unwrap();
    assert_eq!(actual, Record::Snapshot(chunk()), "a piece of a snapshot");
    let opening = Opening { partitions: 12 };
    let present = || bytes_of(|out| encode_opening(opening, out));
    let actual = decode(&fixture(4, "opening", present)).unwrap();
    assert_eq!(actual, Record::Opening(opening), "an opening");
}

#[test]
fn written_records_have_the_bytes_of_their_format() {
    assert_eq!(FORMAT, 4, "a new format needs files of its own here");
    let present = || bytes_of(|out| encode_commit(&commit(), out));
    assert_eq!(present(), fixture(4, "commit", present), "a commit");
    let present = || bytes_of(|out| encode_chunk(&chunk(), out));
    assert_eq!(present(), fixture(4, "snapshot", present), "a snapshot");
    assert!(segment() == fixture(4, "segment", segment), "a segment");
}

#[test]
fn a_segment_of_format_4_restores_the_engine() {
    let scan = scan(&fixture(4, "segment", segment)).unwrap().unwrap();
    let actual: Vec<Commit> = scan.commits.into_iter().map(|(commit, _)| commit).collect();
    assert!(actual == stream(&plan(watched()))[40..42], "its commits");
    let restored = restored(&scan.snapshot, plan(watched()));
    let state = &restored.view().monitors[0];
    assert_eq!(
        state.watermark,
        engine().view().monitors[0].watermark,
        "watermark"
    );
    assert_eq!(state.events, engine().view().monitors[0].events, "events");
    assert_eq!(restored.log().heads, engine().log().heads, "heads");
    assert!(restored.save() == engine().save(), "and all the rest");
    assert!(
        read::<pegel::engine::EngineSnapshot>(&scan.snapshot).is_ok(),
        "whole"
    );
}

/// Writes the checksum of a record that was changed in place.
fn seal(record: &mut [u8]) {
    let checksum = crc32c::crc32c(&record[8..]);
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
}

fn refused(bytes: &[u8]) -> FileLogError {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name(1));
    std::fs::write(&path, bytes).unwrap();
    let refused = FileLog::open(directory.path(), &mut |_| ()).unwrap_err();
    assert_eq!(std::fs::read(path).unwrap(), bytes, "nothing is touched");
    refused
}

#[test]
fn another_format_is_refused_and_left_alone() {
    let check = |bytes: &[u8], format: u8, explanation: &str| {
        let refused = refused(bytes);
        assert!(
            matches!(refused, FileLogError::AnotherFormat { .. }),
            "{refused:?}"
        );
        let text = format!("written in format {format}, {explanation}");
        // As the command line prints it: each cause once.
        let printed = format!("{:#}", anyhow::Error::new(refused));
        assert!(printed.ends_with(&text), "{printed}");
        assert_eq!(printed.matches("written in format").count(), 1, "{printed}");
    };
    let newer = "this program reads up to 4: use the program that wrote it, or a newer one";
    let older = "which no release has used, this program reads format 4: \
                 remove the log, windows then start again";
    let whole = segment();
    let with_header = |format: u8| {
        let mut bytes = whole.clone();
        bytes[7] = format;
        let checksum = crc32c::crc32c(&bytes[..16]);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        bytes
    };
    check(&with_header(FORMAT + 1), FORMAT + 1, newer);
    check(&with_header(1), 1, older);
    let scan = scan(&whole).unwrap().unwrap();
    let last = usize::try_from(scan.commits[1].1).unwrap();
    let mut record = whole.clone();
    let from = whole.len() - last;
    record[from + 8] = FORMAT + 3;
    seal(&mut record[from..]);
    check(&record, FORMAT + 3, newer);
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (log, _) = FileLog::open(&state, &mut |_| ()).unwrap();
    let refused = FileLog::open(&state, &mut |_| ()).unwrap_err();
    let text = format!(
        "state belongs to a running pegel (process {}): stop it, or give this one another state.path",
        std::process::id()
    );
    assert!(refused.to_string().ends_with(&text), "{refused}");
    let started = start(directory.path());
    assert_eq!(
        started.status.code(),
        Some(1),
        "the exit code of a second daemon"
    );
    let errors = String::from_utf8(started.stderr).unwrap();
    assert!(errors.contains(&text), "{errors}");
    drop(log);
    assert!(FileLog::open(&state, &mut |_| ()).is_ok(), "free again");
}

/// Runs a daemon on `state`, which must exit by itself; there is no broker.
fn start(directory: &Path) -> std::process::Output {
    let config = "version: 1
web: {listen_address: \"127.0.0.1:0\"}
state: {path: state}
sources:
  s: {kafka: {brokers: [\"127.0.0.1:1\"], topics: [t], group_id: g}}
monitors:
  - {name: m, source: s, windows: [{size: 1m, slide: 1m}], features: [{name: x, kind: numeric}]}
";
    std::fs::write(directory.join("pegel.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pegel"));
    let command = command.args(["run", "-c", "pegel.yaml"]);
    command.current_dir(directory).output().unwrap()
}
