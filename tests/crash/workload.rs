//! Good and bad records that can be told apart, and a thread that writes them.
//!
//! All event times are in one hour. The last record of each partition is at its end and closes the
//! one window that holds the whole hour.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::cluster::{DEADLINE, producer, send_keyed, send_one};

const SLIDE_MS: i64 = 300_000;
const HOUR_MS: i64 = 3_600_000;
/// Number of records written at once, and the interval between batches.
const BATCH: usize = 10;
const PAUSE: Duration = Duration::from_millis(25);
/// Event time between two records.
const STEP_MS: i64 = 30;

/// A topic that is written to.
pub(crate) struct Workload {
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    begin_ms: i64,
    written: i64,
    random: ChaCha8Rng,
    pub(crate) producer: BaseProducer,
}

impl Workload {
    pub(crate) fn new(index: (&str, &str), partitions: i32, seed: u64) -> Self {
        Self::with(index, partitions, seed, &[])
    }

    /// A topic written with extra properties of the producer.
    pub(crate) fn with(
        (bootstrap, topic): (&str, &str),
        partitions: i32,
        seed: u64,
        properties: &[(&str, &str)],
    ) -> Self {
        let patient = [
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "120000"),
            ("transaction.timeout.ms", "120000"),
        ];
        let properties = [&patient, properties].concat();
        Workload {
            topic: topic.to_owned(),
            partitions,
            begin_ms: begin_ms(),
            written: 0,
            random: ChaCha8Rng::seed_from_u64(seed),
            producer: producer(bootstrap, &properties),
        }
    }

    /// Writes to more partitions from now on; a producer reads the number of partitions when it is
    /// created.
    pub(crate) fn widen(&mut self, bootstrap: &str, partitions: usize) {
        self.flush();
        self.partitions = i32::try_from(partitions).unwrap();
        self.producer = producer(bootstrap, &[]);
    }

    /// Writes the next records to random partitions.
    pub(crate) fn write(&mut self, records: usize) {
        for _ in 0..records {
            let partition = self.random.random_range(0..self.partitions);
            let record = self.next();
            self.send(partition, record.as_deref());
        }
    }

    /// Writes records with repeating keys to one partition; no record deletes its key.
    pub(crate) fn write_keyed(&mut self, word: &str, keys: usize, records: usize) {
        for key in (0..keys).cycle().take(records) {
            let record = self.next().unwrap_or_else(|| "[1, 2]".to_owned());
            self.send_keyed(&format!("{word} {key}"), &record);
        }
    }

    pub(crate) fn send_keyed(&mut self, key: &str, record: &str) {
        send_keyed(&self.producer, &self.topic, 0, key, Some(record), None);
        self.written += 1;
    }

    /// Waits until the broker has all records.
    pub(crate) fn flush(&self) {
        self.producer.flush(DEADLINE).unwrap();
    }

    /// Ends the hour on every partition, and waits until the broker has all records.
    pub(crate) fn close(&mut self) {
        let last = format!("{{\"ts\":{}}}", self.begin_ms + HOUR_MS);
        for partition in 0..self.partitions {
            self.send(partition, Some(&last));
        }
        self.flush();
    }

    pub(crate) fn send(&mut self, partition: i32, record: Option<&str>) {
        send_one(&self.producer, &self.topic, partition, record, None);
        self.written += 1;
    }

    /// Writes at a steady rate until it is stopped.
    pub(crate) fn start(mut self) -> Writing {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                self.write(BATCH);
                std::thread::sleep(PAUSE);
            }
            self
        });
        Writing { stop, thread }
    }

    /// One record in 20 is bad in one of several ways; one in 8 lacks a value or has an unusual
    /// one.
    fn next(&mut self) -> Option<String> {
        let late_ms = self.random.random_range(0..30_000);
        let ts =
            self.begin_ms + (self.written * STEP_MS).min(HOUR_MS - SLIDE_MS) + 30_000 - late_ms;
        let x: f64 = Normal::new(50.0, 25.0).unwrap().sample(&mut self.random);
        let (y, word) = (x.abs() * 3.0, self.random.random_range(0..10));
        let good = format!("{{\"ts\":{ts},\"x\":{x:.6},\"y\":{y:.3},\"c\":\"c{word}\"}}");
        Some(match self.random.random_range(0..160) {
            0 => return None,
            1 => good[..good.len() - 3].to_owned(),
            2 => "[1, 2]".to_owned(),
            3 => format!("{{\"ts\":{ts},\"x\":1,\"x\":2}}"),
            4 => format!("{{\"x\":{x},\"y\":{y},\"c\":\"c1\"}}"),
            5 => format!("{{\"ts\":{},\"x\":1}}", ts + 100 * HOUR_MS),
            6..12 => format!("{{\"ts\":{ts},\"x\":null,\"y\":\"wrong\",\"c\":7}}"),
            12..20 => format!("{{\"ts\":{ts},\"y\":1e308,\"c\":\"never seen\"}}"),
            _ => good,
        })
    }
}

/// A workload that is being written.
pub(crate) struct Writing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Workload>,
}

impl Writing {
    /// Stops writing and ends the hour.
    pub(crate) fn close(self) -> Workload {
        self.stop.store(true, Ordering::Relaxed);
        let mut workload = self.thread.join().unwrap();
        workload.close();
        workload
    }
}

/// Two hours ago, aligned to a slide.
fn begin_ms() -> i64 {
    let now = pegel::clock::now().as_millis();
    (now - 2 * HOUR_MS).div_euclid(SLIDE_MS) * SLIDE_MS
}
