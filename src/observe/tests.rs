//! Tests of the observer: the outcome of a record, and the commits that its counts end up in.

use std::sync::Arc;
use std::time::Duration;

use super::event_clock::EventClocks;
use super::{Observer, ObserverPlan, SourceTime};
use crate::decode::{DecodeError, Decoder};
use crate::model::{
    DropReason, EventTime, Kind, Literal, Moment, MonitorSpec, Pointer, Select, Shard,
    TimestampFormat, TimestampSpec, WindowSpec,
};
use crate::panes::{Commit, Head, Heads, MonitorCommit, Rejected};
use crate::stats::{Bins, CategoricalLayout, CellScale, Layout, NumericLayout};

/// The observer of one monitor, and the decoder of its records.
struct Bench {
    decoder: Decoder,
    observer: Observer,
    next: i64,
}

/// Wall clock of the tests, in seconds: an hour after the epoch.
const NOW: i64 = 3600;

fn at(second: i64) -> EventTime {
    EventTime::from_millis(second * 1000)
}

fn moment(second: i64) -> Option<Moment> {
    Some(Moment::simulated(at(second)))
}

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

/// A monitor of records with `"type": "a"`: panes of a minute, and one window of five minutes.
fn spec() -> MonitorSpec {
    MonitorSpec {
        select: Some(Select {
            path: pointer("/type"),
            equals: vec![Literal::Text("a".to_owned())],
        }),
        timestamp: TimestampSpec {
            path: Some(pointer("/ms")),
            format: TimestampFormat::EpochMs,
            ..TimestampSpec::default()
        },
        windows: vec![WindowSpec {
            name: "5m".to_owned(),
            size: Duration::from_secs(300),
            slide: Duration::from_secs(60),
            min_samples: 1,
        }],
        ..MonitorSpec::bare()
    }
}

/// The features of the monitor: a number, a category, a boolean, and a number without a layout.
fn features() -> Vec<(String, Kind, Option<Arc<Layout>>)> {
    let numeric = Layout::Numeric(NumericLayout::new(
        Bins::try_new(vec![0.0, 1.0, 2.0]).unwrap(),
        CellScale::try_new(1.0, 1.0).unwrap(),
    ));
    let categories = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Layout::Categorical(CategoricalLayout::new(names, Vec::new()))
    };
    let (letters, truth) = (categories(&["x", "y"]), categories(&["false", "true"]));
    vec![
        ("n".to_owned(), Kind::Numeric, Some(Arc::new(numeric))),
        ("c".to_owned(), Kind::Categorical, Some(Arc::new(letters))),
        ("b".to_owned(), Kind::Boolean, Some(Arc::new(truth))),
        ("free".to_owned(), Kind::Numeric, None),
    ]
}

fn plan(spec: &MonitorSpec) -> ObserverPlan {
    let mut plan = ObserverPlan::default();
    plan.add(spec, &features());
    plan
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

impl Bench {
    /// Reads the shard from offset `base` on.
    fn open(spec: &MonitorSpec, base: i64, head: Option<&Head>) -> Self {
        let plan = plan(spec);
        let mut observer = Observer::new(plan.monitors);
        observer.open(0, &shard(), base, false, head);
        Bench {
            decoder: Decoder::new(&plan.paths),
            observer,
            next: base,
        }
    }

    /// Observes one record; `source_time` in seconds.
    fn record(&mut self, json: &str, source_time: Option<i64>) {
        match self.decoder.json(json.as_bytes()) {
            Ok(fields) => {
                let source_time = source_time.map(at);
                let arrived_at = source_time.filter(|time| time.as_millis() > 0);
                let arrived_at = arrived_at.or(Some(at(NOW)));
                self.observer.observe(0, fields, source_time, arrived_at);
            }
            Err(error) => self.observer.reject(0, self.next, error),
        }
        self.next += 1;
        let source_time = source_time.map(|second| SourceTime {
            time: at(second),
            is_of_reader: false,
        });
        self.observer.pass_record(0, self.next, source_time);
    }

    /// Observes an event of the monitor at a time in seconds.
    fn event(&mut self, second: i64) {
        let ms = second * 1000;
        self.record(&format!(r#"{{"type":"a","ms":{ms}}}"#), None);
    }

    fn commit(&mut self) -> Option<Commit> {
        self.observer.commit(0, moment(NOW))
    }

    /// Takes the next commit, and returns the counts of the monitor.
    fn counts(&mut self) -> MonitorCommit {
        self.commit().unwrap().monitors.remove(0)
    }
}

#[test]
fn an_event_is_counted_in_the_pane_of_its_time() {
    let mut bench = Bench::open(&spec(), 0, None);
    for second in [3000, 3059, 3060, 3005] {
        bench.event(second);
    }
    let counts = bench.counts();
    let panes: Vec<(EventTime, u64)> = counts
        .panes
        .iter()
        .map(|pane| (pane.start, pane.events))
        .collect();
    assert_eq!(panes, [(at(3000), 3), (at(3060), 1)], "panes");
    assert_eq!(counts.first_event_time, Some(at(3000)), "first to arrive");
    assert_eq!(counts.max_event_time, Some(at(3060)), "newest");
}

#[test]
fn every_decoded_record_is_an_event_or_dropped_for_one_reason() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.event(3000);
    bench.record(r#"{"type":"b","ms":3000000}"#, None);
    bench.record(r#"{"ms":3000000}"#, None);
    bench.record(r#"{"type":"a"}"#, Some(3000));
    bench.record(r#"{"type":"a","ms":"soon"}"#, Some(3000));
    bench.record(r#"{"type":"a","ms":0}"#, Some(3000));
    bench.event(NOW + 301);
    // The watermark is at 2970, and the longest window reaches back to 2670.
    bench.event(2669);
    bench.record("{", None);
    bench.observer.tombstone(0);
    let commit = bench.commit().unwrap();
    let counts = &commit.monitors[0];
    let expected = [
        (DropReason::Filtered, 2),
        (DropReason::NoTimestamp, 1),
        (DropReason::BadTimestamp, 2),
        (DropReason::Future, 1),
        (DropReason::Late, 1),
    ];
    for (reason, count) in expected {
        assert_eq!(counts.dropped[reason as usize], count, "{reason:?}");
    }
    let dropped: u64 = counts.dropped.iter().sum();
    assert_eq!(commit.records.decoded, counts.events + dropped, "decoded");
    let json = DecodeError::ALL
        .iter()
        .position(|error| *error == DecodeError::Json)
        .unwrap();
    assert_eq!(commit.records.errors[json], 1, "malformed");
    assert_eq!(commit.records.consumed(), 10, "all records");
}

/// A log line gave the reason of the latest record and neither a number nor a place.
#[test]
fn undecodable_records_are_reported_with_their_number_and_the_place_of_the_first() {
    let mut bench = Bench::open(&spec(), 40, None);
    for json in ["{", "[]", "{\"type\":", "{\"type\":\"a\",\"ms\":1}"] {
        bench.record(json, None);
    }
    let rejections: Vec<_> = bench
        .observer
        .take_rejections()
        .iter()
        .map(|rejected| (rejected.error, rejected.count, rejected.offset))
        .collect();
    let expected = [
        (DecodeError::Json, 2, 40),
        (DecodeError::NotAnObject, 1, 41),
    ];
    assert_eq!(rejections, expected);
    assert!(bench.observer.take_rejections().is_empty(), "once");
}

#[test]
fn an_event_behind_the_watermark_is_late_but_counted_within_the_longest_window() {
    let mut bench = Bench::open(&spec(), 0, None);
    for second in [3000, 2970, 2969, 2670] {
        bench.event(second);
    }
    let counts = bench.counts();
    assert_eq!((counts.events, counts.events_late), (4, 2), "2969 and 2670");
}

#[test]
fn an_event_in_the_future_does_not_move_the_watermark() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.event(NOW + 301);
    assert_eq!(bench.observer.newest(0), None, "dropped");
    bench.event(NOW + 300);
    assert_eq!(
        bench.observer.newest(0),
        Some(at(NOW + 300)),
        "at the limit"
    );
}

#[test]
fn the_source_s_time_is_used_only_as_the_configured_fallback() {
    let mut spec = spec();
    spec.timestamp.fallback_kafka = true;
    let mut bench = Bench::open(&spec, 0, None);
    bench.record(r#"{"type":"a"}"#, Some(3000));
    bench.record(r#"{"type":"a","ms":3060000}"#, Some(2990));
    bench.record(r#"{"type":"a"}"#, Some(0));
    bench.record(r#"{"type":"a"}"#, None);
    // An unreadable time was replaced by the source's, and nobody was told.
    bench.record(r#"{"type":"a","ms":"soon"}"#, Some(3000));
    bench.record(r#"{"type":"a","ms":null}"#, Some(3000));
    let counts = bench.counts();
    let starts: Vec<EventTime> = counts.panes.iter().map(|pane| pane.start).collect();
    assert_eq!(starts, [at(3000), at(3060)], "fallback, then the field");
    let dropped = counts.dropped[DropReason::NoTimestamp as usize];
    assert_eq!(dropped, 2, "a time of 0 is not a time");
    assert_eq!(counts.events, 3, "null is missing");
    let unreadable = counts.dropped[DropReason::BadTimestamp as usize];
    assert_eq!(unreadable, 1, "not replaced");
}

/// Milliseconds that were read as microseconds were counted as events of January 1970. No window of
/// them ever ended, and nothing said so.
#[test]
fn a_time_in_another_unit_than_configured_is_a_bad_timestamp() {
    const PRESENT: i64 = 1_794_147_835;
    let mut spec = spec();
    spec.timestamp.format = TimestampFormat::EpochUs;
    let mut bench = Bench::open(&spec, 0, None);
    for ms in [PRESENT * 1000, PRESENT * 1_000_000] {
        bench.record(&format!("{{\"type\":\"a\",\"ms\":{ms}}}"), Some(PRESENT));
    }
    let counts = bench.counts();
    let unreadable = counts.dropped[DropReason::BadTimestamp as usize];
    assert_eq!(
        (unreadable, counts.events),
        (1, 1),
        "milliseconds, microseconds"
    );
}

#[test]
fn each_event_gives_each_feature_a_value_a_missing_or_an_invalid_one() {
    let mut bench = Bench::open(&spec(), 0, None);
    for values in [
        r#""n":0.5,"c":"x","b":true,"free":7"#,
        r#""n":1.5,"c":"z","b":false,"free":8"#,
        r#""n":1e999,"c":null,"b":null"#,
        r#""n":"text","c":{},"b":1,"free":null"#,
        r#""c":5"#,
    ] {
        let json = format!(r#"{{"type":"a","ms":3000000,{values}}}"#);
        bench.record(&json, None);
    }
    let counts = bench.counts();
    let pane = &counts.panes[0];
    // Values, missing (null, absent, NaN), invalid (wrong kind, infinite).
    let expected = [
        (2, [0, 1, 0], [1, 1]),
        (3, [1, 0, 0], [1, 0]),
        (2, [1, 1, 0], [1, 0]),
        (2, [1, 2, 0], [0, 0]),
    ];
    for (feature, (values, missing, invalid)) in pane.features.iter().zip(expected) {
        let (index, tallies) = (feature.feature, &feature.tallies);
        assert_eq!(tallies.values, values, "values of {index}");
        assert_eq!(tallies.missing, missing, "missing of {index}");
        assert_eq!(tallies.invalid, invalid, "invalid of {index}");
        assert_eq!(tallies.events(), pane.events, "events of {index}");
    }
    let bins: Vec<&(u16, Vec<u32>)> = pane.features.iter().map(|feature| &feature.bins).collect();
    assert_eq!(*bins[0], (1, vec![1, 1]), "0.5 and 1.5, after the guard");
    assert_eq!(*bins[1], (0, vec![1, 0, 0, 2]), "x, and two unseen");
    assert_eq!(*bins[2], (0, vec![1, 1]), "false and true");
    assert_eq!(*bins[3], (0, Vec::new()), "no layout, tallies only");
    let cells: u32 = pane.features[0].cells.counts.iter().sum();
    assert_eq!(cells, 2, "each number is in a cell");
}

#[test]
fn commits_tile_the_offsets_and_are_accepted_only_in_their_order() {
    let mut bench = Bench::open(&spec(), 700, None);
    let mut commits = Vec::new();
    for records in [2, 1, 3] {
        (0..records).for_each(|_| bench.event(3000));
        commits.push(bench.commit().unwrap());
    }
    let ranges: Vec<(i64, i64)> = commits
        .iter()
        .map(|commit| (commit.base, commit.upto))
        .collect();
    assert_eq!(ranges, [(700, 702), (702, 703), (703, 706)], "offsets");
    let opens: Vec<bool> = commits.iter().map(|commit| commit.opens).collect();
    assert_eq!(opens, [true, false, false], "only the first opens");
    let mut heads = Heads::default();
    assert_eq!(
        heads.fold(&commits[1].claim()),
        Err(Rejected::NoHead),
        "second before first"
    );
    for commit in &commits {
        assert_eq!(heads.fold(&commit.claim()), Ok(()), "from {}", commit.base);
    }
    assert_eq!(
        heads.fold(&commits[2].claim()),
        Err(Rejected::Overlap),
        "twice"
    );
}

#[test]
fn a_gap_in_the_offsets_belongs_to_the_commit_after_it() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.event(3000);
    bench.commit().unwrap();
    bench.observer.lose(0, 4);
    bench.observer.position(0, 9, Some(at(NOW)));
    let commit = bench.commit().unwrap();
    assert_eq!((commit.base, commit.upto), (1, 9), "no record in between");
    assert_eq!(commit.offsets_lost, 4, "lost");
    assert_eq!(commit.read_time, Some(at(NOW)), "at the end");
    assert!(commit.is_read_time_of_writer, "by its leader");
}

#[test]
fn a_shard_without_news_commits_only_as_a_heartbeat() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.observer.position(0, 0, Some(at(NOW)));
    let heartbeat = i64::try_from(bench.observer.heartbeat().as_secs()).unwrap();
    assert!(bench.commit().is_some(), "the first commit opens the shard");
    let early = bench.observer.commit(0, moment(NOW + heartbeat - 1));
    assert_eq!(early, None, "nothing new");
    let due = bench.observer.commit(0, moment(NOW + heartbeat)).unwrap();
    assert_eq!((due.base, due.upto), (0, 0), "no offsets");
    assert!(due.counted.monitors.is_empty(), "the schema is known");
}

/// The first commit came before the end of the partition was confirmed, and the heartbeats after it
/// did not say what they counted: a quiet partition that was opened at its end was never covered.
#[test]
fn a_quiet_shard_names_its_schema_until_its_read_time_is_known() {
    let mut bench = Bench::open(&spec(), 700, None);
    let mut now = NOW;
    let mut heartbeat = |bench: &mut Bench| {
        now += 30;
        let commit = bench.observer.commit(0, moment(now)).unwrap();
        (commit.counted.monitors.len(), commit.read_time)
    };
    assert_eq!(heartbeat(&mut bench), (1, None), "the first");
    assert_eq!(heartbeat(&mut bench), (1, None), "not confirmed yet");
    bench.observer.position(0, 700, Some(at(NOW)));
    assert_eq!(heartbeat(&mut bench), (1, Some(at(NOW))), "confirmed");
    assert_eq!(heartbeat(&mut bench), (0, Some(at(NOW))), "known");
}

#[test]
fn a_commit_is_requested_when_many_panes_are_open() {
    let mut bench = Bench::open(&spec(), 0, None);
    (1..=8).for_each(|minute| bench.event(60 * minute));
    assert!(!bench.observer.wants_commit(), "eight panes");
    bench.event(60 * 9);
    assert!(bench.observer.wants_commit(), "nine panes");
    let commits = bench.observer.commits(moment(NOW));
    assert_eq!(commits[0].1.monitors[0].panes.len(), 9, "committed");
    assert!(!bench.observer.wants_commit(), "until the next");
}

#[test]
fn lateness_continues_from_the_head_after_a_restart() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.event(3000);
    let mut heads = Heads::default();
    heads.fold(&bench.commit().unwrap().claim()).unwrap();
    let mut restarted = Bench::open(&spec(), 1, heads.of(&shard()));
    restarted.event(2669);
    let commit = restarted.commit().unwrap();
    assert!(!commit.opens, "the shard has a head");
    let late = commit.monitors[0].dropped[DropReason::Late as usize];
    assert_eq!(late, 1, "as before the restart");
}

#[test]
fn a_monitor_keeps_its_watermark_when_the_plan_changes() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.event(3000);
    bench.commit().unwrap();
    bench.observer.switch_plan(plan(&spec()).monitors);
    let schema = bench.commit().unwrap().counted;
    assert_eq!(schema.monitors.len(), 1, "the new schema is published");
    assert_eq!(bench.observer.newest(0), Some(at(3000)), "kept");
}

#[test]
fn dropped_counts_are_in_no_commit() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.event(3000);
    bench.observer.forget(0);
    assert_eq!(bench.commit(), None, "forgotten");
    bench.observer.open(0, &shard(), 0, false, None);
    bench.event(3000);
    let last = bench.observer.close(0, moment(NOW)).unwrap();
    assert_eq!(last.monitors[0].events, 1, "counted once");
    assert_eq!(bench.commit(), None, "closed");
}

/// A monitor of records of another `type`, in the same source and with the same time.
fn spec_of(kind: &str) -> MonitorSpec {
    MonitorSpec {
        name: kind.to_owned(),
        select: Some(Select {
            path: pointer("/type"),
            equals: vec![Literal::Text(kind.to_owned())],
        }),
        ..spec()
    }
}

/// A foreign record returned `filtered` before its time was read, so a monitor of few records never
/// learned that time went on, and its windows never closed on a busy topic.
#[test]
fn records_that_a_monitor_does_not_select_move_its_event_time() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.event(3000);
    bench.record(r#"{"type":"b","ms":3060000}"#, Some(3070));
    bench.record(r#"{"type":"b","ms":3030000}"#, Some(3071));
    let counts = bench.counts();
    assert_eq!(counts.newest_event_time, Some(at(3060)), "of a foreign one");
    assert_eq!(counts.newest_arrived_at, Some(at(3070)), "its arrival");
    assert_eq!(counts.first_event_time, Some(at(3000)), "the first");
    assert_eq!(counts.max_event_time, Some(at(3000)), "newest counted");
    assert_eq!(counts.dropped[DropReason::Filtered as usize], 2, "dropped");
    // The watermark is at 3030 now, although the monitor itself counted nothing after 3000.
    bench.event(3029);
    assert_eq!(bench.counts().events_late, 1, "late by foreign records");
}

#[test]
fn a_foreign_record_without_a_readable_time_moves_only_the_read_time() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.record(r#"{"type":"b"}"#, Some(3000));
    bench.record("{", Some(3010));
    bench.record(r#"{"type":"b"}"#, Some(2900));
    let commit = bench.commit().unwrap();
    assert_eq!(commit.monitors[0].newest_event_time, None, "no event time");
    assert_eq!(commit.read_time, Some(at(3000)), "median Kafka timestamp");
    assert!(!commit.is_read_time_of_writer, "not by the leader");
}

/// One record of a backlog that was stamped hours ahead was the read time of its commit, and the
/// windows of the whole backlog closed before it was read.
#[test]
fn a_timestamp_far_ahead_does_not_stand_for_what_was_read() {
    let mut bench = Bench::open(&spec(), 0, None);
    let mut read_times = Vec::new();
    for commit in 0..4 {
        for second in 0..1000 {
            let is_ahead = commit == 1 && second == 500;
            let time = if is_ahead { 3599 } else { 100 * commit };
            bench.record(r#"{"type":"b"}"#, Some(time + second / 10));
        }
        let commit = bench.commit().unwrap();
        read_times.push(commit.read_time.unwrap().as_millis() / 1000);
    }
    assert_eq!(read_times, [49, 149, 249, 349], "the middle of each commit");
}

#[test]
fn records_behind_a_confirmed_end_do_not_move_the_read_time_back() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.record(r#"{"type":"b"}"#, Some(3500));
    bench.observer.position(0, 1, Some(at(3400)));
    bench.record(r#"{"type":"b"}"#, Some(3000));
    let commit = bench.commit().unwrap();
    assert_eq!(commit.read_time, Some(at(3400)), "the end");
    assert!(commit.is_read_time_of_writer, "by the leader");
    bench.record(r#"{"type":"b"}"#, Some(3010));
    let commit = bench.commit().unwrap();
    assert_eq!(commit.read_time, Some(at(3400)), "nothing newer");
    bench.record(r#"{"type":"b"}"#, Some(3410));
    let commit = bench.commit().unwrap();
    assert_eq!(commit.read_time, Some(at(3410)), "a newer record");
    assert!(!commit.is_read_time_of_writer, "by the record");
}

#[test]
fn the_read_time_is_never_beyond_the_wall_clock() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.observer.position(0, 0, Some(at(NOW + 3600)));
    bench.event(3000);
    let commit = bench.commit().unwrap();
    assert_eq!(commit.read_time, Some(at(NOW)), "the clock was set back");
}

#[test]
fn monitors_that_read_their_time_alike_share_one_clock() {
    let mut plan = plan(&spec());
    plan.add(&spec_of("b"), &features());
    let mut elsewhere = spec_of("c");
    elsewhere.timestamp.path = Some(pointer("/elsewhere"));
    plan.add(&elsewhere, &features());
    let clocks = EventClocks::new(&plan.monitors);
    assert_eq!(clocks.of_monitor, [0, 0, 1], "one for each path");
}

#[test]
fn a_monitor_that_counted_nothing_continues_from_its_event_time_after_a_restart() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.record(r#"{"type":"b","ms":3000000}"#, None);
    let mut heads = Heads::default();
    heads.fold(&bench.commit().unwrap().claim()).unwrap();
    let mut restarted = Bench::open(&spec(), 1, heads.of(&shard()));
    restarted.event(2669);
    let late = restarted.counts().dropped[DropReason::Late as usize];
    assert_eq!(late, 1, "by the head");
}

/// `max_future` was measured from the wall clock, so in a backlog a record stamped hours ahead of
/// its time passed, and everything after it in the shard was late.
#[test]
fn an_event_far_beyond_its_arrival_is_in_the_future_also_in_a_backlog() {
    let mut bench = Bench::open(&spec(), 0, None);
    bench.record(r#"{"type":"a","ms":3500000}"#, Some(1000));
    bench.record(r#"{"type":"b","ms":3500000}"#, Some(1000));
    bench.record(r#"{"type":"a","ms":1000000}"#, Some(1001));
    let counts = bench.counts();
    assert_eq!(counts.dropped[DropReason::Future as usize], 1, "dropped");
    assert_eq!(counts.events, 1, "the next event is not late");
    assert_eq!(counts.newest_event_time, Some(at(1000)), "not poisoned");
}

/// A heartbeat was due by the wall clock: a clock that was set back by an hour stopped them for an
/// hour, and shards without records looked lost.
#[test]
fn heartbeats_follow_the_monotonic_clock() {
    let mut bench = Bench::open(&spec(), 0, None);
    assert!(bench.commit().is_some(), "the first commit opens the shard");
    let heartbeat = bench.observer.heartbeat();
    let set_back = |after: Duration| Moment {
        wall: at(NOW - 3600),
        uptime: moment(NOW).unwrap().uptime + after,
    };
    let early = bench.observer.commit(0, Some(set_back(heartbeat / 2)));
    assert_eq!(early, None, "too early");
    let due = bench.observer.commit(0, Some(set_back(heartbeat)));
    assert!(due.is_some(), "due, whatever the wall clock reads");
}

/// The size of a commit followed the width of the layouts: above 7,000 features every record was a
/// commit of its own, and the log took 60 times the bytes.
#[test]
fn records_of_many_features_share_a_commit() {
    let mut plan = ObserverPlan::default();
    let (_, kind, layout) = features().swap_remove(0);
    let wide: Vec<_> = (0..10_000)
        .map(|index| (format!("n{index}"), kind, layout.clone()))
        .collect();
    let select_all = MonitorSpec {
        select: None,
        ..spec()
    };
    plan.add(&select_all, &wide);
    let mut decoder = Decoder::new(&plan.paths);
    let mut observer = Observer::new(plan.monitors);
    observer.set_largest_commit(3 << 20);
    observer.open(0, &shard(), 0, true, None);
    let fields: Vec<String> = (0..10_000)
        .map(|index| format!("\"n{index}\":1.5"))
        .collect();
    let record = format!("{{\"ms\":{},{}}}", NOW * 1000, fields.join(","));
    for offset in 0..100 {
        let fields = decoder.json(record.as_bytes()).unwrap();
        observer.observe(0, fields, None, Some(at(NOW)));
        observer.position(0, offset + 1, None);
        assert!(!observer.wants_commit(), "after {} records", offset + 1);
    }
    let commit = observer.commit(0, moment(NOW)).unwrap();
    assert_eq!(commit.records.decoded, 100, "one commit");
    observer.set_largest_commit(100_000);
    let fields = decoder.json(record.as_bytes()).unwrap();
    observer.observe(0, fields, None, Some(at(NOW)));
    assert!(observer.wants_commit(), "a log that accepts no more");
}
