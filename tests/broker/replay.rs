//! `pegel replay`, `calibrate` and `fit` on a range of a topic, compared with the same records in a
//! file.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use pegel::demo::EmbeddedBroker;
use rdkafka::producer::Producer;
use rdkafka::topic_partition_list::Offset;

use crate::cluster::{DEADLINE, kafka, producer, send_one, unique};
use crate::daemon::fit_reference;
use crate::range::{MIDNIGHT, archive};

/// 3,000 records in half an hour, each up to `disorder` seconds early or late.
fn records(disorder: i64) -> Vec<(i64, String)> {
    let record = |i: i64| {
        let late = if i % 7 == 3 { disorder * 1000 } else { 0 };
        let ts = MIDNIGHT + i * 600 - late;
        let c = if i % 3 == 0 { "fr" } else { "de" };
        (
            MIDNIGHT + i * 600,
            format!("{{\"ts\":{ts},\"x\":{},\"c\":\"{c}\"}}", (i * 37) % 100),
        )
    };
    (0..3000).map(record).collect()
}

/// A topic with these records, and a directory with a configuration, a reference and the same
/// records in a file.
struct Stage {
    directory: tempfile::TempDir,
}

impl Stage {
    fn new(bootstrap: &str, topic: &str, partitions: i32, records: &[(i64, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fit_reference(directory.path());
        let producer = producer(bootstrap, &[]);
        let mut lines = String::new();
        for ((time, text), index) in records.iter().zip(0..) {
            // Partitions are neither filled in turn nor evenly.
            let partition = (index / 10 + index % 2) % partitions;
            send_one(&producer, topic, partition, Some(text), Some(*time));
            writeln!(lines, "{text}").unwrap();
        }
        producer.flush(DEADLINE).unwrap();
        std::fs::write(directory.path().join("data.ndjson"), lines).unwrap();
        let stage = Stage { directory };
        stage.configure(bootstrap, topic, "timestamp: {path: /ts}");
        stage
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn configure(&self, bootstrap: &str, topic: &str, more: &str) {
        let text = format!(
            "version: 1
sources:
  s: {{kafka: {{brokers: [{bootstrap:?}], topics: [{topic:?}]}}}}
monitors:
  - name: m
    source: s
    {more}
    windows: [{{size: 5m, slide: 1m, min_samples: 1}}]
    reference: {{file: reference.json}}
    features: [{{name: x, kind: numeric}}, {{name: c, kind: categorical}}]
    lateness: {{out_of_orderness: 10s}}
    alerts: [{{statistic: js, critical: 0.1}}]
"
        );
        std::fs::write(self.path().join("pegel.yaml"), text).unwrap();
    }

    fn pegel(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pegel"))
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    /// The evaluations, and the messages on standard error.
    fn replay(&self, arguments: &[&str]) -> (String, String) {
        let output = self.pegel(&[&["replay", "-c", "pegel.yaml"], arguments].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (lines, messages) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{arguments:?}: {messages}");
        (lines, messages)
    }

    /// The proposal as JSON.
    fn calibrate(&self, arguments: &[&str]) -> String {
        let command = ["calibrate", "-c", "pegel.yaml", "--format", "json"];
        let output = self.pegel(&[&command, arguments].concat());
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {messages}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn hash(&self, arguments: &[&str], output: &str) -> serde_json::Value {
        let fitted = self.pegel(&[&["fit", "-o", output], arguments].concat());
        let messages = String::from_utf8_lossy(&fitted.stderr).into_owned();
        assert!(fitted.status.success(), "{arguments:?}: {messages}");
        let text = std::fs::read_to_string(self.path().join(output)).unwrap();
        let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
        reference["hash"].clone()
    }
}

const FROM_START: [&str; 2] = ["--from", "earliest"];
const FROM_FILE: [&str; 2] = ["--input", "data.ndjson"];

/// Fails with the first line that differs instead of all of them.
fn assert_same(actual: &str, expected: &str, what: &str) {
    assert!(!actual.is_empty(), "{what}: nothing was evaluated");
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(actual, expected, "{what}");
    }
    assert_eq!(actual.lines().count(), expected.lines().count(), "{what}");
}

fn one_partition_is_a_file(bootstrap: &str, topic: &str) {
    let stage = Stage::new(bootstrap, topic, 1, &records(60));
    let (lines, messages) = stage.replay(&FROM_START);
    assert!(
        messages.contains("3000 offsets in 1 partition\n"),
        "{messages}"
    );
    assert!(
        lines.contains("\"verdict\":\"none\""),
        "windows were scored"
    );
    assert_same(&lines, &stage.replay(&FROM_FILE).0, "the lines of the file");
    let calibrated = stage.calibrate(&FROM_START);
    assert!(calibrated.contains("\"damage\": \"x10\""), "{calibrated}");
    assert_same(&calibrated, &stage.calibrate(&FROM_FILE), "calibrated");
}

fn three_partitions_are_one_stream(bootstrap: &str, topic: &str) {
    let stage = Stage::new(bootstrap, topic, 3, &records(5));
    let (lines, messages) = stage.replay(&FROM_START);
    assert!(
        messages.contains("3000 offsets in 3 partitions"),
        "{messages}"
    );
    assert_same(
        &lines,
        &stage.replay(&FROM_START).0,
        "the same a second time",
    );
    // No record is later than the allowed disorder, so the order cannot matter.
    assert_same(&lines, &stage.replay(&FROM_FILE).0, "the lines of the file");
}

#[test]
fn a_range_of_one_partition_gives_the_lines_of_its_records_in_a_file() {
    let broker = EmbeddedBroker::start("one", 1).unwrap();
    one_partition_is_a_file(&broker.bootstrap_servers(), "one");
}

#[test]
fn partitions_are_merged_by_event_time_whatever_arrives_first() {
    let broker = EmbeddedBroker::start("three", 3).unwrap();
    three_partitions_are_one_stream(&broker.bootstrap_servers(), "three");
}

#[test]
fn a_replay_from_apache_kafka_gives_the_same_lines() {
    let Some(kafka) = kafka() else { return };
    one_partition_is_a_file(&kafka.bootstrap, &archive(&kafka, 1));
    three_partitions_are_one_stream(&kafka.bootstrap, &archive(&kafka, 3));
}

#[test]
fn late_records_of_several_partitions_give_the_same_counts_each_time() {
    let broker = EmbeddedBroker::start("late", 3).unwrap();
    let stage = Stage::new(&broker.bootstrap_servers(), "late", 3, &records(90));
    let (lines, messages) = stage.replay(&FROM_START);
    assert!(messages.contains("3000 events"), "{messages}");
    assert_same(
        &lines,
        &stage.replay(&FROM_START).0,
        "the same a second time",
    );
    let (_, of_file) = stage.replay(&FROM_FILE);
    assert!(of_file.contains("3000 events"), "{of_file}");
}

#[test]
fn a_partition_filled_long_before_the_others_waits_for_them() {
    let broker = EmbeddedBroker::start("apart", 2).unwrap();
    let bootstrap = broker.bootstrap_servers();
    let stage = Stage::new(&bootstrap, "apart", 2, &[]);
    let producer = producer(&bootstrap, &[]);
    let (first, second): (Vec<_>, Vec<_>) =
        (0..).zip(records(0)).partition(|(index, _)| index % 2 == 0);
    // All records of one partition, then all of the other, as a bulk load does it: Kafka's
    // timestamps do not follow event time.
    for (partition, half) in [(1, first), (0, second)] {
        for (_, (_, text)) in half {
            let loaded_at = MIDNIGHT + 86_400_000 * (2 - i64::from(partition));
            send_one(&producer, "apart", partition, Some(&text), Some(loaded_at));
        }
    }
    producer.flush(DEADLINE).unwrap();
    let total: String = records(0)
        .into_iter()
        .map(|(_, text)| text + "\n")
        .collect();
    std::fs::write(stage.path().join("data.ndjson"), total).unwrap();
    let (lines, messages) = stage.replay(&FROM_START);
    assert!(
        messages.contains("3000 events (0 late, dropped: none)"),
        "{messages}"
    );
    assert_same(&lines, &stage.replay(&FROM_FILE).0, "the lines of the file");
}

#[test]
fn a_partition_with_records_of_other_monitors_does_not_hold_the_windows() {
    let broker = EmbeddedBroker::start("others", 2).unwrap();
    let bootstrap = broker.bootstrap_servers();
    let stage = Stage::new(&bootstrap, "others", 2, &[]);
    stage.configure(
        &bootstrap,
        "others",
        "timestamp: {path: /ts}\n    select: {where: {path: /c, equals: de}}",
    );
    let producer = producer(&bootstrap, &[]);
    for (time, text) in records(0) {
        let partition = i32::from(text.contains("fr"));
        send_one(&producer, "others", partition, Some(&text), Some(time));
    }
    producer.flush(DEADLINE).unwrap();
    let (lines, messages) = stage.replay(&FROM_START);
    assert!(
        messages.contains("2000 events (0 late, dropped: 1000 filtered)"),
        "{messages}"
    );
    let slides = lines.matches("\"feature\":\"x\"").count();
    assert_eq!(slides, 30, "every slide of half an hour was evaluated");
}

#[test]
fn a_reference_fitted_on_a_range_equals_the_one_fitted_on_a_file() {
    let broker = EmbeddedBroker::start("fit", 3).unwrap();
    let stage = Stage::new(&broker.bootstrap_servers(), "fit", 3, &records(0));
    let config = ["--config", "pegel.yaml"];
    let from = stage.hash(&[&config[..], &FROM_START].concat(), "range.json");
    let file = stage.hash(&[&config[..], &["data.ndjson"]].concat(), "file.json");
    assert_eq!(from, file, "the same rows are the same reference");
    // Without a time in the records, Kafka's timestamp gives the blocks of the reference.
    stage.configure(
        &broker.bootstrap_servers(),
        "fit",
        "timestamp: {fallback: kafka}",
    );
    stage.hash(&[&config[..], &FROM_START].concat(), "kafka.json");
    stage.hash(&[&config[..], &["data.ndjson"]].concat(), "untimed.json");
    let has_stretches = |name: &str| {
        let text = std::fs::read_to_string(stage.path().join(name)).unwrap();
        text.contains("window_ms")
    };
    assert!(has_stretches("range.json"), "times of the records");
    assert!(has_stretches("kafka.json"), "times of Kafka");
    assert!(!has_stretches("untimed.json"), "a file without times");
}

#[test]
fn a_range_that_cannot_be_read_is_reported_in_one_line() {
    let broker = EmbeddedBroker::start("empty", 2).unwrap();
    let bootstrap = broker.bootstrap_servers();
    let stage = Stage::new(&bootstrap, "empty", 2, &[]);
    let check = |words: &str| {
        let output = stage.pegel(&["replay", "-c", "pegel.yaml", "--from", "earliest"]);
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{messages}");
        assert!(messages.contains(words), "{words:?} in {messages}");
    };
    check("topic empty holds no record from its beginning to its end");
    let missing = unique("missing");
    stage.configure(&bootstrap, &missing, "timestamp: {path: /ts}");
    check(&format!("topic {missing} does not exist"));
}

#[test]
fn records_missing_at_the_start_of_a_range_are_reported() {
    let Some(kafka) = kafka() else { return };
    let topic = archive(&kafka, 1);
    let stage = Stage::new(&kafka.bootstrap, &topic, 1, &records(0));
    kafka.delete_before(&topic, 0, Offset::Offset(1000));
    let (_, messages) = stage.replay(&["--from", "2026-11-01T00:05:00Z"]);
    assert!(messages.contains("older records are gone"), "{messages}");
    assert!(messages.contains("begins at offset 1000"), "{messages}");
    assert!(messages.contains("2000 events"), "{messages}");
    let (_, messages) = stage.replay(&[
        "--from",
        "2026-11-01T00:15:00Z",
        "--to",
        "2026-11-01T00:20:00Z",
    ]);
    assert!(!messages.contains("gone"), "{messages}");
    assert!(messages.contains("500 events"), "{messages}");
}
