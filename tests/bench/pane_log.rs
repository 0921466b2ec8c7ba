//! The cost of the file log: `cargo bench --bench pane_log`.
//!
//! 1. The same records through decoder, observer, fold and engine, with the log on the disk and
//!    without it, in turn on one thread. The ratio of a round counts. Time is the CPU time of the
//!    thread plus the time it waits for the disk, so other work on the machine does not count. The
//!    daemon writes the log on another thread than it reads on, so its ratio is better.
//! 2. The size of a commit, and the cost of writing and reading one.
//! 3. The time of a start with 1,000 features: a snapshot, and the longest log that can follow it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking and reads clocks"
)]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pegel::app::observer_plan;
use pegel::engine::{Engine, EngineSnapshot, MonitorPlan};
use pegel::ingest::Ingest;
use pegel::model::{EventTime, FeatureSpec, Kind, MonitorSpec, ReferenceSpec, Shard, WindowSpec};
use pegel::pane_log::file::{FileLog, RecoveredEntry};
use pegel::pane_log::{decode, encode_commit, read, write};
use pegel::panes::{Commit, CommitSchema, Frame, MonitorCommit, MonitorSchema, RecordCounts};
use pegel::reference::{Column, FitOptions, Reference, fit};
use pegel::source::{RawRecord, Sink as _};
use pegel::stats::{DELAY_BOUNDS, DurationHistogram, Layout};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

const START_MS: i64 = 1_793_491_200_000;
const MINUTE: Duration = Duration::from_secs(60);
const PARTITIONS: usize = 64;
const ROUNDS: usize = 9;
/// Number of records between two readings of the clock; it divides the number of records.
const TOGETHER: usize = 1000;
/// One side of a round.
const ROUND: Duration = Duration::from_secs(4);
/// The directory in which cargo builds: a disk, which the directory for temporary files may not be.
const DISK: &str = env!("CARGO_TARGET_TMPDIR");
const SEGMENT_BYTES: usize = 32 << 20;

fn main() {
    for flush_interval in [Duration::from_secs(1), Duration::from_millis(100)] {
        throughput(flush_interval);
    }
    commits();
    recovery(MINUTE * 60, MINUTE * 4);
    recovery(MINUTE * 60 * 24, MINUTE * 15);
}

fn throughput(flush_interval: Duration) {
    let records = records();
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let memory = records_per_second(&records, flush_interval, false);
        let file = records_per_second(&records, flush_interval, true);
        ratios.push(file / memory);
        println!(
            "flush {flush_interval:?}: memory {memory:.0}, file {file:.0} records per second, ratio {:.3}",
            file / memory
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "flush {flush_interval:?}: file / memory: median {:.3}, range {:.3} to {:.3}",
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1]
    );
}

/// 600 bytes, 27 fields.
fn records() -> Vec<String> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let normal = Normal::new(10.0, 3.0).unwrap();
    let record = |i: i64| {
        let floats =
            (0..20).map(|f| format!("\"feature_{f:02}\":{:.9}", normal.sample(&mut random)));
        let floats: Vec<String> = floats.collect();
        let texts: Vec<String> = (0..5)
            .map(|t| format!("\"text_{t}\":\"value {t}\""))
            .collect();
        let ts = START_MS + i % 60_000;
        format!(
            "{{\"id\":{i},\"ts\":{ts},{},{}}}",
            floats.join(","),
            texts.join(",")
        )
    };
    (0..100_000).map(record).collect()
}

/// Four events with each of so many delays of some milliseconds.
fn delays(count: u64) -> DurationHistogram {
    let mut delays = DurationHistogram::default();
    (0..count).for_each(|delay| {
        delays.record(&DELAY_BOUNDS, Duration::from_millis(delay * 10), 4);
    });
    delays
}

fn records_per_second(records: &[String], flush_interval: Duration, on_disk: bool) -> f64 {
    let directory = tempfile::tempdir_in(DISK).unwrap();
    let names: Vec<String> = (0..10).map(|f| format!("feature_{:02}", f * 2)).collect();
    let mut engine = Engine::new(vec![plan("m", &names, MINUTE * 15, MINUTE)]);
    let mut ingest = Ingest::new(
        observer_plan("data", &[Arc::clone(engine.plan(0))]),
        1 << 20,
    );
    ingest.set_now(Some(EventTime::from_millis(START_MS + 60_000)));
    for slot in 0..PARTITIONS {
        ingest.opened(slot, &shard(slot), 0, true);
    }
    let mut log = on_disk.then(|| FileLog::open(directory.path(), &mut |_| ()).unwrap().0);
    let (began, mut flushed_at, mut count) = (Instant::now(), Instant::now(), 0_usize);
    let (busy, mut waited) = (cpu(), Duration::ZERO);
    while began.elapsed() < ROUND {
        let from = count % records.len();
        for record in &records[from..from + TOGETHER] {
            ingest.record(RawRecord {
                slot: count % PARTITIONS,
                offset: i64::try_from(count / PARTITIONS).unwrap(),
                timestamp_ms: None,
                payload: Some(record.as_bytes()),
            });
            count += 1;
        }
        if flushed_at.elapsed() >= flush_interval {
            flushed_at = Instant::now();
            waited += take(&mut ingest, &mut engine, log.as_mut());
        }
    }
    waited += take(&mut ingest, &mut engine, log.as_mut());
    let busy = cpu() - busy + waited;
    let events = engine.view().monitors[0].events;
    assert_eq!(events, count as u64, "all are counted");
    count as f64 / busy.as_secs_f64()
}

/// Time of this thread on the processor.
fn cpu() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = schedule.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(nanos.unwrap())
}

/// Does what the scorer's thread does with the commits of a flush; returns how long it waited for
/// the disk.
fn take(ingest: &mut Ingest, engine: &mut Engine, mut log: Option<&mut FileLog>) -> Duration {
    let flushed = ingest.flush();
    for flushed in &flushed {
        let next = engine.log().next(0);
        engine.accept(0, next, &flushed.commit.claim()).unwrap();
        if let Some(log) = &mut log {
            log.append(&flushed.commit);
        }
    }
    let began = Instant::now();
    if let Some(log) = log {
        log.sync().unwrap();
    }
    let waited = began.elapsed();
    for flushed in &flushed {
        engine.ingest_counts(0, &flushed.commit, 0);
        engine.advance(0, &mut |_, _| ());
    }
    waited
}

fn commits() {
    for rows in [100, 1_000, 10_000, 100_000] {
        let plans = plans(1, 10, MINUTE * 60, MINUTE * 4);
        let commit = commit(&plans, rows, shard(0), 0..1, &[START_MS]);
        let mut bytes = Vec::new();
        let encode = time(|| {
            bytes.clear();
            encode_commit(black_box(&commit), &mut bytes);
        });
        let decode = time(|| drop(black_box(decode(&bytes).unwrap())));
        println!(
            "{rows} rows, 10 numeric features: {:.0} bytes per feature, encode {encode:.1?}, decode {decode:.1?}",
            bytes.len() as f64 / 10.0
        );
    }
}

/// The middle of many runs.
fn time(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..201)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// A start with 1,000 features and one window.
fn recovery(size: Duration, slide: Duration) {
    let directory = tempfile::tempdir_in(DISK).unwrap();
    let plans = plans(10, 100, size, slide);
    let mut engine = Engine::new(plans.clone());
    let slide_ms = i64::try_from(slide.as_millis()).unwrap();
    let panes = i64::try_from(size.as_millis() / slide.as_millis()).unwrap() + 1;
    let starts: Vec<i64> = (0..panes).map(|pane| START_MS + pane * slide_ms).collect();
    let full = commit(&plans, 10_000, shard(0), 0..1, &starts);
    engine.apply(&full).unwrap();
    for monitor in 0..engine.monitors() {
        engine.advance(monitor, &mut |_, _| ());
    }
    let (mut log, _) = FileLog::open(directory.path(), &mut |_| ()).unwrap();
    let began = Instant::now();
    let mut snapshot = Vec::new();
    write(&engine.save(), &mut snapshot);
    let (saved, began) = (began.elapsed(), Instant::now());
    log.roll(&snapshot).unwrap();
    let written = began.elapsed();
    let tail = tail(&mut log, &plans, starts[starts.len() - 1], snapshot.len());
    drop(log);
    let hash = engine.log().partitions[&0].hash;
    drop(engine);
    let began = Instant::now();
    let recovered = recover(directory.path(), plans);
    let took = began.elapsed();
    assert_ne!(
        recovered.log().partitions[&0].hash,
        hash,
        "the tail was counted"
    );
    println!(
        "1,000 features, {} panes: snapshot {} MB (made in {saved:.1?}, written in {written:.1?}), then {tail} commits in {} MB: ready after {took:.1?}, {} MB resident at most",
        starts.len(),
        snapshot.len() >> 20,
        (segment_bytes(directory.path()) - snapshot.len() as u64) >> 20,
        peak_mb()
    );
}

/// The most that can follow a snapshot before the next one: flushes of 64 partitions, 150 rows
/// each. Returns the number of commits.
fn tail(log: &mut FileLog, plans: &[MonitorPlan], pane_ms: i64, snapshot_bytes: usize) -> usize {
    let most = SEGMENT_BYTES.max(2 * snapshot_bytes);
    let single = commit(plans, 150, shard(0), 0..1, &[pane_ms]);
    let mut bytes = 0;
    for number in 0.. {
        let offset = i64::try_from(number / PARTITIONS).unwrap();
        let mut commit = single.clone();
        // The first partition is where the snapshot left it.
        let is_known = number % PARTITIONS == 0;
        let base = offset + i64::from(is_known);
        commit.opens = offset == 0 && !is_known;
        (commit.shard, commit.base, commit.upto) =
            (Arc::new(shard(number % PARTITIONS)), base, base + 1);
        bytes += usize::try_from(log.append(&commit)).unwrap();
        if number % PARTITIONS == PARTITIONS - 1 {
            log.sync().unwrap();
            if bytes >= most {
                return number + 1;
            }
        }
    }
    0
}

/// Does what `pegel run` does before it reads its first record.
fn recover(directory: &Path, plans: Vec<MonitorPlan>) -> Engine {
    let mut engine = Engine::new(plans);
    let opened = FileLog::open(directory, &mut |actual| match actual {
        RecoveredEntry::Snapshot(bytes) => engine.restore(read::<EngineSnapshot>(&bytes).unwrap()),
        RecoveredEntry::Commit(position, commit, bytes) => {
            engine.accept(0, position, &commit.claim()).unwrap();
            engine.ingest_counts(0, &commit, bytes);
            for monitor in 0..engine.monitors() {
                engine.advance(monitor, &mut |_, _| ());
            }
        }
    });
    opened.unwrap();
    engine
}

fn segment_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    let sizes = entries.map(|entry| entry.metadata().unwrap().len());
    sizes.max().unwrap_or_default()
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kb.unwrap_or_default() / 1024
}

fn shard(partition: usize) -> Shard {
    Shard {
        source: "data".to_owned(),
        cluster: "c".to_owned(),
        topic: "t".to_owned(),
        partition: i32::try_from(partition).unwrap(),
        incarnation: 0,
    }
}

fn plans(monitors: usize, features: usize, size: Duration, slide: Duration) -> Vec<MonitorPlan> {
    let names: Vec<String> = (0..features).map(|f| format!("feature_{f:02}")).collect();
    (0..monitors)
        .map(|monitor| plan(&format!("m{monitor}"), &names, size, slide))
        .collect()
}

fn plan(name: &str, features: &[String], size: Duration, slide: Duration) -> MonitorPlan {
    let mut spec = MonitorSpec::bare();
    name.clone_into(&mut spec.name);
    "data".clone_into(&mut spec.source);
    spec.timestamp.path = pegel::model::Pointer::parse("/ts");
    spec.references = vec![ReferenceSpec::fitted("training", "none")];
    spec.windows = vec![WindowSpec {
        name: "w".to_owned(),
        size,
        slide,
        min_samples: 1,
    }];
    spec.features = features
        .iter()
        .map(|name| FeatureSpec::new(name, Kind::Numeric))
        .collect();
    let column = Column {
        numbers: normal(2, 10_000),
        ..Column::default()
    };
    let fitted = features
        .iter()
        .map(|name| fit(name, Kind::Numeric, column.clone(), &FitOptions::default()).unwrap());
    let reference = Reference::new(EventTime::from_millis(0), 10_000, fitted.collect());
    MonitorPlan::new(spec, vec![Ok(Arc::new(reference))])
}

fn normal(seed: u64, count: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(10.0, 3.0).unwrap();
    (0..count).map(|_| normal.sample(&mut random)).collect()
}

/// A commit with the same `rows` values of every feature in each pane.
fn commit(
    plans: &[MonitorPlan],
    rows: usize,
    shard: Shard,
    offsets: std::ops::Range<i64>,
    panes_ms: &[i64],
) -> Commit {
    let counted = plans.iter().map(|plan| MonitorSchema {
        id: plan.id,
        features: plan.features.iter().map(|feature| feature.id).collect(),
    });
    let counted = counted.collect();
    let newest = panes_ms.last().map(|ms| EventTime::from_millis(*ms));
    let monitors = plans
        .iter()
        .enumerate()
        .map(|(monitor, plan)| MonitorCommit {
            monitor,
            newest_event_time: newest,
            max_event_time: newest,
            first_event_time: panes_ms.first().map(|ms| EventTime::from_millis(*ms)),
            events: (rows * panes_ms.len()) as u64,
            delays: delays(40),
            panes: panes_ms.iter().map(|ms| pane(plan, rows, *ms)).collect(),
            ..MonitorCommit::default()
        });
    Commit {
        shard: Arc::new(shard),
        base: offsets.start,
        upto: offsets.end,
        written_at: newest,
        read_time: newest,
        is_read_time_of_writer: false,
        from_start: true,
        offsets_lost: 0,
        source_shards: 0,
        topic_id: None,
        opens: true,
        monitors: monitors.collect(),
        counted: Arc::new(CommitSchema { monitors: counted }),
        records: RecordCounts {
            decoded: (rows * panes_ms.len()) as u64,
            ..RecordCounts::default()
        },
    }
}

fn pane(plan: &MonitorPlan, rows: usize, start_ms: i64) -> pegel::panes::PaneDelta {
    let layouts: Vec<Option<&Layout>> = plan
        .features
        .iter()
        .map(|feature| feature.layout.as_deref())
        .collect();
    let mut frame = Frame::new(layouts.iter().copied());
    frame.begin(EventTime::from_millis(start_ms));
    (0..rows).for_each(|_| frame.count_event());
    for (feature, layout) in layouts.iter().enumerate() {
        let numeric = layout.and_then(Layout::numeric).unwrap();
        for x in normal(feature as u64, rows) {
            frame.record_number(feature, numeric, x);
        }
    }
    frame.take()
}
