//! On Apache Kafka: windows close in time although few of a topic's records belong to a monitor.
//!
//! The reading half and the engine run in this process, so that each evaluation can be compared
//! with what had been read at that moment. A machine that is too slow reads later and evaluates
//! later, but never fails: the limit is measured from the time up to which the slowest partition
//! was read, and not from the wall clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pegel::app::observer_plan;
use pegel::clock;
use pegel::engine::{Engine, MonitorPlan};
use pegel::ingest::{Flushed, Ingest};
use pegel::model::{
    EventTime, KafkaReport, Lateness, Literal, MonitorSpec, Pointer, Select, Shard, StartAt,
    TimestampSpec, WindowSpec,
};
use pegel::source::{KafkaSource, Source as _, Timing};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::cluster::{kafka, producer, send_one};
use crate::vocabulary::spec;

const PARTITIONS: i32 = 64;
const SLIDE: Duration = Duration::from_secs(2);
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// The number of windows of each monitor that must be evaluated.
const WINDOWS: usize = 5;
const LIMIT: Duration = Duration::from_secs(120);
/// A gap in the stream beyond the usual one, or in this thread, after which lateness is that of the
/// machine.
const STALL: Duration = Duration::from_millis(500);

/// A monitor of one model, whose records hold their time at a path.
fn monitor(model: usize, path: &str) -> MonitorPlan {
    let spec = MonitorSpec {
        name: format!("m{model}"),
        source: "fraud".to_owned(),
        select: Some(Select {
            path: Pointer::parse("/model").unwrap(),
            equals: vec![Literal::Text(format!("m{model}"))],
        }),
        timestamp: TimestampSpec {
            path: Pointer::parse(path),
            ..TimestampSpec::default()
        },
        windows: vec![WindowSpec {
            name: "4s".to_owned(),
            size: SLIDE * 2,
            slide: SLIDE,
            min_samples: 1,
        }],
        lateness: Lateness {
            out_of_orderness: Duration::from_millis(500),
            idle_after: Duration::from_secs(1),
            ..Lateness::DEFAULT
        },
        ..MonitorSpec::bare()
    };
    MonitorPlan::new(spec, Vec::new())
}

/// One evaluation of a window.
#[derive(Debug)]
struct Evaluation {
    end: EventTime,
    coverage: f64,
    /// Time of the log at the evaluation.
    log_time: EventTime,
}

/// The reading half, the engine, and what they did.
struct Stage {
    source: KafkaSource,
    ingest: Ingest,
    engine: Engine,
    /// The time up to which each shard was read, as committed.
    read_times: BTreeMap<Arc<Shard>, EventTime>,
    /// The newest event time of all commits.
    newest_event: Option<EventTime>,
    /// The usual time between two events.
    event_interval: Duration,
    /// The evaluations of each monitor, in order.
    evaluations: Vec<Vec<Evaluation>>,
}

impl Stage {
    fn new(bootstrap: &str, topic: &str, plans: Vec<MonitorPlan>) -> Self {
        let shared: Vec<Arc<MonitorPlan>> = plans.iter().cloned().map(Arc::new).collect();
        let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
        let spec = spec(bootstrap, &[topic], StartAt::Earliest);
        Stage {
            source: KafkaSource::with_timing(&spec, report, Timing::default()).unwrap(),
            ingest: Ingest::new(observer_plan("fraud", &shared), 1 << 20).with_clock(clock::moment),
            evaluations: plans.iter().map(|_| Vec::new()).collect(),
            engine: Engine::new(plans),
            read_times: BTreeMap::new(),
            newest_event: None,
            event_interval: Duration::ZERO,
        }
    }

    /// Applies commits as the scorer does.
    fn apply(&mut self, flushed: Vec<Flushed>) {
        for Flushed { commit, .. } in flushed {
            self.engine.apply(&commit).unwrap();
            if let Some(read_time) = commit.read_time {
                self.read_times.insert(Arc::clone(&commit.shard), read_time);
            }
            let newest = commit
                .monitors
                .iter()
                .map(|counts| counts.newest_event_time);
            self.newest_event = newest.chain([self.newest_event]).max().flatten();
            for (monitor, evaluations) in self.evaluations.iter_mut().enumerate() {
                self.engine.advance(monitor, &mut |_, window| {
                    // A window that becomes stale is not an evaluation.
                    if let Some(end) = window.end
                        && evaluations.last().is_none_or(|last| last.end < end)
                    {
                        evaluations.push(Evaluation {
                            end,
                            coverage: window.coverage,
                            log_time: commit.written_at.unwrap(),
                        });
                    }
                });
            }
        }
    }

    /// The time up to which every partition was read; `None` while one has not been.
    fn read_everywhere(&self) -> Option<EventTime> {
        let partitions = usize::try_from(PARTITIONS).unwrap();
        let is_complete = self.read_times.len() == partitions;
        self.read_times
            .values()
            .min()
            .copied()
            .filter(|_| is_complete)
    }

    /// True if the stream or this thread stood still: a busy machine runs neither.
    fn is_stalled(&self, polled_at: Instant, read: EventTime) -> bool {
        let is_quiet = |newest: EventTime| newest.plus(self.event_interval + STALL) < read;
        polled_at.elapsed() > STALL || self.newest_event.is_none_or(is_quiet)
    }

    /// Reads until every monitor has evaluated so many windows. Each window must be evaluated
    /// before every partition was read two slides beyond its end, unless the machine stood still.
    fn run(&mut self) {
        let deadline = Instant::now() + LIMIT;
        let mut flushed_at = Instant::now();
        let mut first_end = None;
        while self.evaluations.iter().any(|done| done.len() < WINDOWS) {
            let polled_at = Instant::now();
            self.source
                .poll(Duration::from_millis(50), &mut self.ingest);
            let flushed = if flushed_at.elapsed() >= FLUSH_INTERVAL {
                flushed_at = Instant::now();
                self.ingest.flush()
            } else {
                self.ingest.take_early()
            };
            self.apply(flushed);
            let Some(read) = self.read_everywhere() else {
                assert!(Instant::now() < deadline, "some partitions are not read");
                continue;
            };
            if self.is_stalled(polled_at, read) {
                first_end = None;
            }
            // Windows that began before the first record was read are of no interest.
            let first_end = *first_end.get_or_insert(read.plus(SLIDE * 3));
            let due = read.minus(SLIDE * 2).align_down(SLIDE);
            for (monitor, evaluations) in self.evaluations.iter().enumerate() {
                let end = evaluations.last().map(|evaluation| evaluation.end);
                assert!(
                    due < first_end || end >= Some(due),
                    "monitor m{monitor} evaluated up to {end:?} when every partition was read up \
                     to {read}"
                );
            }
            assert!(
                Instant::now() < deadline,
                "too few windows: {:?}",
                self.evaluations
            );
        }
    }

    /// Checks that the last window of each monitor is covered, and prints the time from the end of
    /// a window to its evaluation.
    fn finish(self) {
        let mut waits: Vec<Duration> = Vec::new();
        for (monitor, evaluations) in self.evaluations.iter().enumerate() {
            let last = evaluations.last().unwrap();
            assert!(last.coverage > 0.99, "m{monitor}: {last:?}");
            waits.extend(
                evaluations
                    .iter()
                    .skip(2)
                    .map(|evaluation| evaluation.log_time.since(evaluation.end)),
            );
        }
        waits.sort_unstable();
        let (median, longest) = (waits[waits.len() / 2], waits.last());
        println!("end of a window to its evaluation: median {median:?}, longest {longest:?}");
        for monitor in &self.engine.view().monitors {
            assert!(monitor.events > 0, "{} counted nothing", monitor.spec.name);
        }
    }
}

/// Sends a record that happens now.
fn send(producer: &BaseProducer, topic: &str, partition: usize, model: usize, path: &str) {
    let now = clock::now().as_millis();
    let text = format!("{{\"model\":\"m{model}\",\"{path}\":{now}}}");
    let partition = i32::try_from(partition).unwrap();
    send_one(producer, topic, partition, Some(&text), Some(now));
}

/// Runs `produce` every `interval` on a thread of its own, until `stage` has run.
fn while_producing(
    mut stage: Stage,
    bootstrap: &str,
    interval: Duration,
    mut produce: impl FnMut(&BaseProducer) + Send,
) {
    stage.event_interval = interval;
    let producer = producer(bootstrap, &[("linger.ms", "5")]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = Instant::now();
            while !is_over.load(Ordering::Relaxed) {
                produce(&producer);
                // A machine that cannot keep up sends less, and not everything at once later.
                next = (next + interval).max(Instant::now());
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            producer.flush(Duration::from_secs(10)).ok();
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run()));
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    stage.finish();
}

/// A foreign record was dropped before its time was looked at, and a shard without records of the
/// monitor was idle only if an end of the partition was the last thing that was read of it. With 64
/// partitions and 3,200 records a second, a window was evaluated once in four hours.
#[test]
fn windows_of_twenty_monitors_on_a_busy_topic_close_in_time() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(PARTITIONS);
    // The records of every other model hold their time elsewhere, so that they do not tell the
    // time of the other half of the monitors.
    let path = |model: usize| if model.is_multiple_of(2) { "ts" } else { "t" };
    let plans = (0..20).map(|model| monitor(model, &format!("/{}", path(model))));
    let stage = Stage::new(&kafka.bootstrap, &topic, plans.collect());
    // 5,000 records a second, each model on three partitions; four partitions stay empty.
    let mut count = 0;
    while_producing(
        stage,
        &kafka.bootstrap,
        Duration::from_millis(20),
        |producer| {
            for _ in 0..100 {
                let (model, partition) = (count % 20, count % 60);
                send(producer, &topic, partition, model, path(model));
                count += 1;
            }
        },
    );
}

#[test]
fn windows_of_a_monitor_with_one_event_a_second_on_many_partitions_close_in_time() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(PARTITIONS);
    let stage = Stage::new(&kafka.bootstrap, &topic, vec![monitor(0, "/ts")]);
    let mut partitions = (0..64).cycle();
    while_producing(
        stage,
        &kafka.bootstrap,
        Duration::from_secs(1),
        |producer| {
            send(producer, &topic, partitions.next().unwrap(), 0, "ts");
        },
    );
}
