//! Topics that are not just appended to: with transactions, compacted, cut by retention, grown,
//! recreated. Each is read by processes that are killed.

use std::collections::BTreeMap;
use std::time::Duration;

use pegel::engine::Engine;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rdkafka::message::Message as _;
use rdkafka::producer::Producer as _;

use rdkafka::topic_partition_list::Offset;

use crate::chaos::{chance, eventually, millis};
use crate::cluster::{DEADLINE, Kafka, kafka, unique};
use crate::daemon::{Daemon, sum};
use crate::recount::{
    assert_same, assert_same_windows, counted, each_record, ends, engine, recount_into,
};
use crate::stage::Stage;
use crate::workload::Workload;

const SOON: Duration = Duration::from_secs(60);
const LOST: &str = "pegel_kafka_offsets_lost_total{";
const LAG: &str = "pegel_kafka_consumer_lag_records{";
const COVERAGE: &str = "pegel_window_coverage_ratio{";

/// The location of the log.
type Make = fn(&Kafka, &str) -> Stage;

/// Runs a process for a moment, which may be long enough to count or not.
fn moment(stage: &Stage, random: &mut ChaCha8Rng) {
    let daemon = stage.daemon();
    std::thread::sleep(millis(random, 100..700));
    daemon.kill();
}

fn wait_for(daemon: &Daemon, what: &str, is_there: impl Fn(&str) -> bool) {
    let ask = || is_there(&daemon.scrape()).then_some(());
    eventually(SOON, ask, || format!("{what}: {}", daemon.scrape()));
}

fn wait_for_counts(daemon: &Daemon, expected: &Engine) {
    wait_for_count(daemon, counted(expected));
}

/// Waits until a process has counted this many records.
fn wait_for_count(daemon: &Daemon, expected: u64) {
    let families = [
        "pegel_events_total{",
        "pegel_events_dropped_total{",
        "pegel_decode_errors_total{",
    ];
    let expected = expected as f64;
    wait_for(daemon, &format!("{expected} counted"), |scrape| {
        let actual: f64 = families.iter().map(|family| sum(scrape, family)).sum();
        (actual - expected).abs() < 0.5
    });
}

fn is_read_to_its_end(scrape: &str, partitions: usize) -> bool {
    let known = scrape.lines().filter(|line| line.starts_with(LAG)).count();
    known == partitions && sum(scrape, LAG) < 0.5
}

/// Waits until everything is counted; then nothing may be missing, reported as missing, or counted
/// twice.
fn assert_complete(stage: &Stage) {
    let expected = stage.recount();
    let daemon = stage.daemon();
    Stage::expect(&daemon, &expected);
    assert_nothing_lost(&daemon);
    daemon.kill();
    let (actual, lost) = stage.read_log_and_losses();
    assert_same(&actual, &expected);
    assert_same_windows(&actual, &expected);
    assert_eq!(lost, 0, "offsets lost by the log");
}

fn assert_nothing_lost(daemon: &Daemon) {
    let lost = sum(&daemon.scrape(), LOST);
    assert!(lost < 0.5, "{lost} offsets lost where none were");
}

#[test]
fn aborted_transactions_are_neither_counted_nor_reported_as_lost() {
    aborted(Stage::new);
}

#[test]
fn aborted_transactions_are_not_reported_as_lost_with_the_log_in_a_topic() {
    aborted(Stage::on_topic);
}

fn aborted(make: Make) {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let stage = make(&kafka, &kafka.topic(2));
    let id = unique("transactions");
    let (index, properties) = (
        (&*stage.bootstrap, &*stage.topic),
        [("transactional.id", &*id)],
    );
    let mut workload = Workload::with(index, 2, random.random(), &properties);
    workload.producer.init_transactions(DEADLINE).unwrap();
    for round in 0..12 {
        workload.producer.begin_transaction().unwrap();
        workload.write(200);
        if round % 2 == 0 {
            workload.producer.commit_transaction(DEADLINE).unwrap();
        } else {
            workload.flush();
            workload.producer.abort_transaction(DEADLINE).unwrap();
        }
        moment(&stage, &mut random);
    }
    workload.producer.begin_transaction().unwrap();
    workload.close();
    workload.producer.commit_transaction(DEADLINE).unwrap();
    // The end of the topic holds only records that nobody may read.
    workload.producer.begin_transaction().unwrap();
    workload.write(50);
    workload.flush();
    workload.producer.abort_transaction(DEADLINE).unwrap();
    assert_complete(&stage);
    let daemon = stage.daemon();
    wait_for(&daemon, "no lag", |scrape| is_read_to_its_end(scrape, 2));
    assert!(daemon.terminate().success(), "a clean end");
    for (partition, end) in (0..).zip(ends(&stage.bootstrap, &stage.topic)) {
        kafka.delete_before(&stage.topic, partition, Offset::Offset(end));
    }
    let daemon = stage.daemon();
    wait_for(&daemon, "no lag", |scrape| is_read_to_its_end(scrape, 2));
    assert_nothing_lost(&daemon);
}

#[test]
fn compacted_records_are_not_reported_as_lost() {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let topic = unique("compacted");
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "200"),
        ("min.cleanable.dirty.ratio", "0.0"),
        ("min.compaction.lag.ms", "0"),
    ];
    kafka.create_with(&topic, 1, &settings);
    let stage = Stage::new(&kafka, &topic);
    let mut workload = stage.workload(1, random.random());
    for word in ["a", "b", "c"] {
        // All records but the last one of each key are removed, including the one at which a
        // process was killed.
        workload.write_keyed(word, 50, 600);
        until_compacted(&stage, &mut workload, word, 50);
        for _ in 0..3 {
            moment(&stage, &mut random);
        }
        let daemon = stage.daemon();
        wait_for_counts(&daemon, &stage.recount());
        daemon.kill();
    }
    workload.close();
    assert_complete(&stage);
}

/// Waits until one record of each key is left. Records with keys of their own end segments, because
/// the last segment is never compacted.
fn until_compacted(stage: &Stage, workload: &mut Workload, word: &str, keys: usize) {
    let mut number = 0;
    let mut left = BTreeMap::<String, usize>::new();
    let ask = || {
        number += 1;
        workload.send_keyed(&format!("{word} end {number}"), "[]");
        workload.flush();
        std::thread::sleep(Duration::from_millis(250));
        left.clear();
        each_record(&stage.bootstrap, &stage.topic, &mut |message| {
            let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            *left.entry(key).or_default() += 1;
        });
        let matching = left.keys().filter(|key| key.starts_with(word)).count();
        (matching == keys + number && left.values().all(|count| *count == 1)).then_some(())
    };
    eventually(SOON, ask, || "not compacted".to_owned());
}

#[test]
fn offsets_removed_by_retention_are_counted_exactly_and_reading_continues() {
    retention(Stage::new);
}

#[test]
fn offsets_removed_by_retention_are_counted_with_the_log_in_a_topic() {
    retention(Stage::on_topic);
}

fn retention(make: Make) {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let stage = make(&kafka, &kafka.topic(1)).with_small_fetches();
    let mut workload = stage.workload(1, random.random());
    let mut write = |records: usize| {
        workload.write(records);
        workload.flush();
    };
    write(500);
    let daemon = stage.daemon();
    wait_for_counts(&daemon, &stage.recount());
    daemon.kill();
    // While it is down.
    write(400);
    kafka.delete_before(&stage.topic, 0, Offset::Offset(800));
    for _ in 0..4 {
        moment(&stage, &mut random);
    }
    write(200);
    let daemon = stage.daemon();
    wait_for(&daemon, "the end", |scrape| is_read_to_its_end(scrape, 1));
    // While it runs, but reads no more than the answer to the fetch it sent before.
    daemon.signal("STOP");
    for _ in 0..10 {
        write(300);
    }
    kafka.delete_before(&stage.topic, 0, Offset::Offset(4000));
    daemon.signal("CONT");
    wait_for(&daemon, "the loss", |scrape| {
        sum(scrape, LOST) > 2000.0 && is_read_to_its_end(scrape, 1)
    });
    write(100);
    workload.close();
    wait_for(&daemon, "a window with a hole", |scrape| {
        let coverage = sum(scrape, COVERAGE);
        is_read_to_its_end(scrape, 1) && coverage > 0.0 && coverage < 1.0
    });
    daemon.kill();
    let (actual, lost) = stage.read_log_and_losses();
    let source = &actual.view().sources[0];
    let end = ends(&stage.bootstrap, &stage.topic)[0].unsigned_abs();
    assert!(lost > 2300, "{lost} offsets were lost");
    assert_eq!(
        counted(&actual) + source.tombstones + lost,
        end,
        "counted and lost"
    );
    let daemon = stage.daemon();
    wait_for(&daemon, "the same window", |scrape| {
        (0.01..0.99).contains(&sum(scrape, COVERAGE))
    });
    assert_nothing_lost(&daemon);
}

#[test]
fn partitions_added_while_running_and_while_down_are_counted_from_their_start() {
    growth(Stage::new);
}

#[test]
fn partitions_added_are_counted_from_their_start_with_the_log_in_a_topic() {
    growth(Stage::on_topic);
}

fn growth(make: Make) {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let stage = make(&kafka, &kafka.topic(2)).with_dynamic_members();
    let mut workload = stage.workload(2, random.random());
    workload.write(500);
    let daemon = stage.daemon();
    for partitions in [4, 6] {
        kafka.grow(&stage.topic, partitions);
        workload.widen(&stage.bootstrap, partitions);
        workload.write(500);
    }
    workload.flush();
    wait_for_counts(&daemon, &stage.recount());
    daemon.kill();
    kafka.grow(&stage.topic, 8);
    workload.widen(&stage.bootstrap, 8);
    workload.write(500);
    workload.flush();
    for _ in 0..5 {
        moment(&stage, &mut random);
    }
    workload.close();
    assert_complete(&stage);
}

#[test]
fn a_topic_recreated_while_running_and_while_down_is_counted_in_every_incarnation() {
    lives(Stage::new);
}

#[test]
fn a_recreated_topic_is_counted_in_every_incarnation_with_the_log_in_a_topic() {
    lives(Stage::on_topic);
}

fn lives(make: Make) {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let stage = make(&kafka, &kafka.topic(2));
    let (config, mut expected) = engine(&stage.config);
    let recreate = || {
        kafka.delete(&stage.topic);
        kafka.create(&stage.topic, 2);
    };
    let mut live = |incarnation: u32, records: usize, random: &mut ChaCha8Rng| {
        let mut workload = stage.workload(2, random.random());
        workload.write(records);
        workload.flush();
        let index = (&*stage.bootstrap, &*stage.topic);
        recount_into(&mut expected, &config, index, incarnation);
        counted(&expected)
    };
    let first = live(0, 600, &mut random);
    let daemon = stage.daemon();
    wait_for_count(&daemon, first);
    recreate();
    let second = live(1, 100, &mut random);
    wait_for_count(&daemon, second);
    daemon.kill();
    // Longer than the earlier incarnations: no offset shows that it is another one.
    recreate();
    let third = live(2, 900, &mut random);
    for _ in 0..4 {
        moment(&stage, &mut random);
    }
    let daemon = stage.daemon();
    wait_for_count(&daemon, third);
    assert_nothing_lost(&daemon);
    daemon.kill();
    assert_same(&stage.read_log(), &expected);
}
