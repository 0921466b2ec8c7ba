//! The ingest half against a bare consumer: `cargo bench --bench end_to_end`.
//!
//! Each round reads the same 600-byte messages from the embedded broker twice: with a bare
//! librdkafka callback loop that ignores them, and with source, decoder and observer and 10 of 27
//! fields monitored. It compares CPU time per message over all threads of the client, without the
//! broker's threads. The ratio of one round counts, not the absolute times.
#![allow(unsafe_code, reason = "the bare loop is librdkafka's C interface")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking and reads clocks"
)]

use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pegel::app::observer_plan;
use pegel::demo::{EmbeddedBroker, TopicProducer};
use pegel::engine::MonitorPlan;
use pegel::ingest::Ingest;
use pegel::model::{
    FeatureSpec, KafkaReport, KafkaSpec, Kind, MonitorSpec, ReferenceSpec, SourceSpec, StartAt,
};
use pegel::reference::{Column, FitOptions, Reference, fit};
use pegel::source::{KafkaSource, Source as _};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};
use rdkafka::ClientConfig;
use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

const MESSAGES: u64 = 200_000;
const PARTITIONS: i32 = 64;
const ROUNDS: usize = 5;

fn main() {
    let broker = EmbeddedBroker::start("bench", PARTITIONS).unwrap();
    let brokers = broker.bootstrap_servers();
    produce(&brokers);
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| round(&brokers)).collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "messages per CPU second, pegel / bare: median {:.3}, range {:.3} to {:.3}",
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1]
    );
}

fn round(brokers: &str) -> f64 {
    let bare = bare(brokers);
    let pegel = own(brokers);
    println!(
        "bare {bare:.0} ns, pegel {pegel:.0} ns of CPU per message, ratio {:.3}",
        bare / pegel
    );
    bare / pegel
}

fn produce(brokers: &str) {
    let producer = TopicProducer::try_new(brokers, "bench").unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let normal = Normal::new(10.0, 3.0).unwrap();
    for i in 0..MESSAGES {
        let floats: Vec<String> = (0..20)
            .map(|f| format!("\"feature_{f:02}\":{:.9}", normal.sample(&mut random)))
            .collect();
        let texts: Vec<String> = (0..5)
            .map(|t| format!("\"text_{t}\":\"value {t}\""))
            .collect();
        let record = format!(
            "{{\"id\":{i},\"ts\":{},{},{}}}",
            1_793_491_200_000 + i,
            floats.join(","),
            texts.join(",")
        );
        while producer
            .send(
                &i.to_string(),
                &record,
                1_793_491_200_000 + i64::try_from(i).unwrap(),
            )
            .is_err()
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// CPU nanoseconds of all threads but the broker's.
fn cpu_ns() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let of = |task: std::fs::DirEntry| {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let is_broker = read("comm").contains("mock");
        let ns: f64 = read("schedstat")
            .split(' ')
            .next()
            .and_then(|ns| ns.parse().ok())
            .unwrap_or(0.0);
        if is_broker { 0.0 } else { ns }
    };
    tasks.map(of).sum()
}

unsafe extern "C" fn count(message: *mut rd::rd_kafka_message_t, counter: *mut c_void) {
    // SAFETY: librdkafka passes a valid message, and the counter outlives the call.
    unsafe {
        if (*message).err == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            *counter.cast::<u64>() += 1;
        }
    }
}

/// CPU time per message of a loop that ignores the messages.
fn bare(brokers: &str) -> f64 {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "16384")
        .create()
        .unwrap();
    let topic = CString::new("bench").unwrap();
    let mut seen = 0_u64;
    let before = cpu_ns();
    // SAFETY: plain calls on a live client; the topic and the queue are destroyed before it.
    unsafe {
        let client = consumer.client().native_ptr();
        let topic = rd::rd_kafka_topic_new(client, topic.as_ptr(), std::ptr::null_mut());
        let queue = rd::rd_kafka_queue_new(client);
        for partition in 0..PARTITIONS {
            rd::rd_kafka_consume_start_queue(
                topic,
                partition,
                rd::RD_KAFKA_OFFSET_BEGINNING.into(),
                queue,
            );
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while seen < MESSAGES && Instant::now() < deadline {
            rd::rd_kafka_consume_callback_queue(queue, 100, Some(count), (&raw mut seen).cast());
        }
        let used = cpu_ns() - before;
        for partition in 0..PARTITIONS {
            rd::rd_kafka_consume_stop(topic, partition);
        }
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_topic_destroy(topic);
        assert_eq!(seen, MESSAGES, "all messages");
        used / MESSAGES as f64
    }
}

/// CPU time per message of source, decoder and observer, commits included.
fn own(brokers: &str) -> f64 {
    let kafka = KafkaSpec {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        topics: vec!["bench".to_owned()],
        group_id: "own".to_owned(),
        start: StartAt::Earliest,
        properties: std::collections::BTreeMap::new(),
    };
    let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
    let plan = Arc::new(plan());
    let mut ingest = Ingest::new(observer_plan("data", &[plan]), 1 << 20);
    let before = cpu_ns();
    let mut source = KafkaSource::try_new(
        &SourceSpec {
            name: "data".to_owned(),
            kafka,
        },
        report,
    )
    .unwrap();
    let (mut counted, deadline) = (0, Instant::now() + Duration::from_secs(60));
    while counted < MESSAGES && Instant::now() < deadline {
        source.poll(Duration::from_millis(100), &mut ingest);
        for flushed in ingest.flush() {
            counted += flushed
                .commit
                .monitors
                .iter()
                .map(|monitor| monitor.events)
                .sum::<u64>();
        }
    }
    let used = cpu_ns() - before;
    assert_eq!(counted, MESSAGES, "all messages");
    used / MESSAGES as f64
}

fn plan() -> MonitorPlan {
    let mut spec = MonitorSpec::bare();
    spec.timestamp.path = pegel::model::Pointer::parse("/ts");
    spec.references = vec![ReferenceSpec::fitted("training", "none")];
    let minute = Duration::from_secs(60);
    spec.windows = vec![pegel::model::WindowSpec {
        name: "15m".to_owned(),
        size: minute * 15,
        slide: minute,
        min_samples: 1,
    }];
    let names: Vec<String> = (0..10).map(|f| format!("feature_{:02}", f * 2)).collect();
    spec.features = names
        .iter()
        .map(|name| FeatureSpec::new(name, Kind::Numeric))
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let normal = Normal::new(10.0, 3.0).unwrap();
    let column = Column {
        numbers: (0..10_000).map(|_| normal.sample(&mut random)).collect(),
        ..Column::default()
    };
    let fitted = names
        .iter()
        .map(|name| fit(name, Kind::Numeric, column.clone(), &FitOptions::default()).unwrap());
    let reference = Reference::new(
        pegel::model::EventTime::from_millis(0),
        10_000,
        fitted.collect(),
    );
    MonitorPlan::new(spec, vec![Ok(Arc::new(reference))])
}
