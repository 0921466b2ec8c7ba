//! Partitions from which no record comes: they are read, so they are covered.

use std::time::{Duration, Instant};

use pegel::clock;
use pegel::engine::MonitorPlan;
use pegel::model::{Lateness, MonitorSpec, Pointer, StartAt, TimestampSpec, WindowSpec};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::Producer as _;

use crate::cluster::{DEADLINE, kafka, producer, send_one};
use crate::pipeline::Pipeline;
use crate::vocabulary::{produce, spec};

fn monitor() -> MonitorPlan {
    let spec = MonitorSpec {
        source: "fraud".to_owned(),
        timestamp: TimestampSpec {
            path: Pointer::parse("/ts"),
            ..TimestampSpec::default()
        },
        windows: vec![WindowSpec {
            name: "2s".to_owned(),
            size: Duration::from_secs(2),
            slide: Duration::from_secs(1),
            min_samples: 1,
        }],
        lateness: Lateness {
            out_of_orderness: Duration::ZERO,
            idle_after: Duration::from_secs(1),
            ..Lateness::DEFAULT
        },
        ..MonitorSpec::bare()
    };
    MonitorPlan::new(spec, Vec::new())
}

/// Opens three partitions that hold old records at their ends, and sends new ones to two of them
/// until a window is covered.
fn cover(bootstrap: &str, topic: &str) {
    produce(bootstrap, topic, 3, "old", 30);
    let source = spec(bootstrap, &[topic], StartAt::Latest);
    let mut pipeline = Pipeline::new(&source, vec![monitor()]);
    let producer = producer(bootstrap, &[("linger.ms", "5")]);
    let deadline = Instant::now() + DEADLINE;
    let coverage = |pipeline: &Pipeline| {
        let last = pipeline.evaluations[0].last();
        last.map_or(0.0, |evaluation| evaluation.coverage)
    };
    while coverage(&pipeline) < 1.0 {
        assert!(
            Instant::now() < deadline,
            "not covered: {:?}",
            pipeline.evaluations
        );
        let now = clock::now().as_millis();
        for partition in 0..2 {
            let text = format!("{{\"ts\":{now}}}");
            send_one(&producer, topic, partition, Some(&text), Some(now));
        }
        producer.flush(DEADLINE).unwrap();
        pipeline.poll();
    }
}

/// The first commit of a partition came before its end was confirmed, and only commits with records
/// named their schema after that: windows stayed `partial` until the partition received a record.
#[test]
fn a_partition_without_new_records_is_covered_from_its_end_on() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("predictions", 3, 1).unwrap();
    cover(&cluster.bootstrap_servers(), "predictions");
}

#[test]
fn on_apache_kafka_a_partition_without_new_records_is_covered() {
    if let Some(kafka) = kafka() {
        cover(&kafka.bootstrap, &kafka.topic(3));
    }
}
