//! The file log with segments of three commits, so that many kills hit the change from one segment
//! to the next. Needs no broker.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pegel::app::observer_plan;
use pegel::engine::{Engine, EngineSnapshot};
use pegel::ingest::Ingest;
use pegel::model::Shard;
use pegel::pane_log::file::{FileLog, RecoveredEntry};
use pegel::pane_log::{HeadLookup, read, write};
use pegel::source::{RawRecord, Sink as _};
use rand::RngExt as _;

use crate::chaos::{chance, from_environment, millis};
use crate::recount::{assert_same, engine};
use crate::stage::{configuration, fit_reference};

const NAME: &str =
    "rolling::a_writer_killed_while_it_rolls_segments_keeps_every_acknowledged_commit";
/// Environment variable of the process that is killed: the directory it writes to.
const DIRECTORY: &str = "PEGEL_TEST_ROLLING";
/// Number of records in a commit, and of commits in a segment.
const TOGETHER: i64 = 5;
const SEGMENT: i64 = 3;

#[test]
fn a_writer_killed_while_it_rolls_segments_keeps_every_acknowledged_commit() {
    if let Ok(directory) = std::env::var(DIRECTORY) {
        return write_until_killed(Path::new(&directory));
    }
    let mut random = chance();
    let kills = from_environment("PEGEL_TEST_KILLS", 200_u32);
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let text = configuration("nobody:9092", "t", "path: state", "");
    std::fs::write(directory.path().join("pegel.yaml"), text).unwrap();
    let (_, mut expected) = engine(&directory.path().join("pegel.yaml"));
    let mut ingest = ingest(&expected, 0);
    let (mut counted, mut segments) = (0, 0);
    for _ in 0..kills {
        let pause = millis(&mut random, 0..30);
        let safe = run(directory.path(), pause, random.random_bool(0.1));
        let (actual, log) = recover(directory.path());
        let upto = upto_of(&actual);
        assert!(upto >= safe, "{upto} found, {safe} were safe");
        count(&mut ingest, counted..upto);
        for flushed in ingest.flush() {
            expected.apply(&flushed.commit).unwrap();
        }
        counted = upto;
        assert_same(&actual, &expected);
        drop(log);
        segments = segments.max(newest_segment(directory.path()));
    }
    println!("{kills} kills, {segments} segments");
    assert!(
        segments > u64::from(kills),
        "{segments} segments are too few to hit their changes"
    );
}

/// Runs a writer, kills it, and returns the last position it acknowledged.
fn run(directory: &Path, pause: std::time::Duration, at_once: bool) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut safe = lines
        .map_while(Result::ok)
        .filter_map(|line| line.rsplit_once("safe ")?.1.parse().ok());
    let first = if at_once { None } else { safe.next() };
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    safe.last().or(first).unwrap_or(0)
}

fn write_until_killed(directory: &Path) {
    let (mut engine, mut log) = recover(directory);
    let mut upto = upto_of(&engine);
    let mut ingest = ingest(&engine, upto);
    loop {
        count(&mut ingest, upto..upto + TOGETHER);
        upto += TOGETHER;
        for flushed in ingest.flush() {
            let next = engine.log().next(0);
            engine.accept(0, next, &flushed.commit.claim()).unwrap();
            let bytes = log.append(&flushed.commit);
            log.sync().unwrap();
            engine.ingest_counts(0, &flushed.commit, bytes);
        }
        println!("safe {upto}");
        if upto % (TOGETHER * SEGMENT) == 0 {
            let mut snapshot = Vec::new();
            write(&engine.save(), &mut snapshot);
            log.roll(&snapshot).unwrap();
        }
    }
}

fn recover(directory: &Path) -> (Engine, FileLog) {
    let (_, mut engine) = engine(&directory.join("pegel.yaml"));
    let opened = FileLog::open(&directory.join("state"), &mut |actual| match actual {
        RecoveredEntry::Snapshot(bytes) => engine.restore(read::<EngineSnapshot>(&bytes).unwrap()),
        RecoveredEntry::Commit(position, commit, bytes) => {
            engine.accept(0, position, &commit.claim()).unwrap();
            engine.ingest_counts(0, &commit, bytes);
        }
    });
    let (log, _) = opened.unwrap();
    (engine, log)
}

fn ingest(engine: &Engine, from: i64) -> Ingest {
    let plan = observer_plan("s", &[Arc::clone(engine.plan(0))]);
    let head_lookup = HeadLookup::resolved(&engine.log().heads);
    let mut ingest = Ingest::new(plan, 1 << 20).with_head_lookup(Arc::new(head_lookup));
    ingest.set_now(Some(pegel::clock::now()));
    ingest.opened(0, &shard(), from, from == 0);
    ingest
}

fn count(ingest: &mut Ingest, offsets: std::ops::Range<i64>) {
    for offset in offsets {
        // Event times move back and forth, so that some records are late: lateness must survive,
        // too.
        let ts = 1_793_491_200_000 + offset + offset * 7919 % 1000;
        let (x, word) = (offset * 7919 % 997, offset % 11);
        let record = format!("{{\"ts\":{ts},\"x\":{x},\"y\":{offset},\"c\":\"c{word}\"}}");
        ingest.record(RawRecord {
            slot: 0,
            offset,
            timestamp_ms: None,
            payload: Some(record.as_bytes()),
        });
    }
}

fn upto_of(engine: &Engine) -> i64 {
    let head = engine.log().heads.of(&shard());
    head.map_or(0, |head| head.upto)
}

fn shard() -> Shard {
    Shard {
        source: "s".to_owned(),
        cluster: "c".to_owned(),
        topic: "t".to_owned(),
        partition: 0,
        incarnation: 0,
    }
}

fn newest_segment(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory.join("state"))
        .unwrap()
        .flatten();
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let numbers = entries.filter_map(|entry| number(&entry.path()));
    numbers.max().unwrap_or(0)
}
