//! Topics that are not simply appended to: with transactions, compacted, cut by retention, grown, made anew. Each is read by processes that are killed.

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

/// Where the log is.
type Make = fn(&Kafka, &str) -> Stage;

/// Runs a process for a moment, long enough to count or not.
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

/// Waits until a process has counted so many records.
fn wait_for_count(daemon: &Daemon, expected: u64) {
    let families = [
        "pegel_events_total{",
        "pegel_events_dropped_total{",
        "pegel_decode_errors_total{",
    ];
    let expected = expected as f64;
    wait_for(daemon, &format!("{expected} counted"), |scrape| {
        let found: f64 = families.iter().map(|family| sum(scrape, family)).sum();
        (found - expected).abs() < 0.5
    });
}

fn is_read_to_its_end(scrape: &str, partitions: usize) -> bool {
    let known = scrape.lines().filter(|line| line.starts_with(LAG)).count();
    known == partitions && sum(scrape, LAG) < 0.5
}

/// Waits until everything is counted; then nothing may be missing, be said to be missing, or be there twice.
fn assert_complete(stage: &Stage) {
    let expected = stage.recount();
    let daemon = stage.daemon();
    Stage::expect(&daemon, &expected);
    assert_nothing_lost(&daemon);
    daemon.kill();
    let (found, lost) = stage.read_log_and_losses();
    assert_same(&found, &expected);
    assert_same_windows(&found, &expected);
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
fn aborted_transactions_are_not_lost_for_a_log_in_a_topic_either() {
    aborted(Stage::on_topic);
}

fn aborted(make: Make) {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let stage = make(&kafka, &kafka.topic(2));
    let id = unique("transactions");
    let (place, properties) = (
        (&*stage.bootstrap, &*stage.topic),
        [("transactional.id", &*id)],
    );
    let mut workload = Workload::with(place, 2, random.random(), &properties);
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
    // The end of the topic: nothing but what nobody may read.
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
fn what_compaction_took_is_not_reported_as_lost() {
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
        // All but the last record of each key go away, the one a process was killed at too.
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

/// Waits until of each key one record is left. Records with keys of their own end segments, because the last one is never compacted.
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
        let own = left.keys().filter(|key| key.starts_with(word)).count();
        (own == keys + number && left.values().all(|count| *count == 1)).then_some(())
    };
    eventually(SOON, ask, || "not compacted".to_owned());
}

#[test]
fn what_retention_took_is_counted_to_the_offset_and_reading_goes_on() {
    retention(Stage::new);
}

#[test]
fn what_retention_took_is_counted_by_a_log_in_a_topic_too() {
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
    // While it runs, but does not get to read more than the answer to what it asked before.
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
    let (found, lost) = stage.read_log_and_losses();
    let source = &found.view().sources[0];
    let end = ends(&stage.bootstrap, &stage.topic)[0].unsigned_abs();
    assert!(lost > 2300, "{lost} offsets were lost");
    assert_eq!(
        counted(&found) + source.tombstones + lost,
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
fn added_partitions_are_counted_from_their_start_by_a_log_in_a_topic_too() {
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
fn a_topic_made_anew_while_running_and_while_down_is_counted_in_all_its_lives() {
    lives(Stage::new);
}

#[test]
fn a_topic_made_anew_is_counted_in_all_its_lives_by_a_log_in_a_topic_too() {
    lives(Stage::on_topic);
}

fn lives(make: Make) {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let stage = make(&kafka, &kafka.topic(2));
    let (config, mut expected) = engine(&stage.config);
    let anew = || {
        kafka.delete(&stage.topic);
        kafka.create(&stage.topic, 2);
    };
    let mut live = |incarnation: u32, records: usize, random: &mut ChaCha8Rng| {
        let mut workload = stage.workload(2, random.random());
        workload.write(records);
        workload.flush();
        let place = (&*stage.bootstrap, &*stage.topic);
        recount_into(&mut expected, &config, place, incarnation);
        counted(&expected)
    };
    let first = live(0, 600, &mut random);
    let daemon = stage.daemon();
    wait_for_count(&daemon, first);
    anew();
    let second = live(1, 100, &mut random);
    wait_for_count(&daemon, second);
    daemon.kill();
    // Longer than the lives before: no offset tells that it is another one.
    anew();
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
