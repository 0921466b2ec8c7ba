//! On Apache Kafka: windows close in time although few of a topic's records belong to a monitor.
//!
//! The limit is measured from the time that the partitions show, and not from the wall clock: a
//! machine that is too slow produces, reads and evaluates later, but never fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pegel::clock;
use pegel::engine::MonitorPlan;
use pegel::model::{
    EventTime, Lateness, Literal, MonitorSpec, Pointer, Select, StartAt, TimestampSpec, WindowSpec,
};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::cluster::{kafka, producer, send_one};
use crate::pipeline::Pipeline;
use crate::vocabulary::spec;

const PARTITIONS: i32 = 64;
const SLIDE: Duration = Duration::from_secs(2);
/// The number of windows of each monitor that must be evaluated.
const WINDOWS: usize = 5;
const LIMIT: Duration = Duration::from_secs(120);

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

fn read(bootstrap: &str, topic: &str, plans: Vec<MonitorPlan>) -> Pipeline {
    Pipeline::new(&spec(bootstrap, &[topic], StartAt::Earliest), plans)
}

/// Reads until every monitor has evaluated so many windows. Each window must be evaluated before
/// every partition shows a time two slides beyond its end.
fn run(pipeline: &mut Pipeline) {
    let deadline = Instant::now() + LIMIT;
    let partitions = usize::try_from(PARTITIONS).unwrap();
    let mut first_ends: Vec<Option<EventTime>> = vec![None; pipeline.evaluations.len()];
    while pipeline
        .evaluations
        .iter()
        .any(|evaluations| evaluations.len() < WINDOWS)
    {
        pipeline.poll();
        for (monitor, first_end) in first_ends.iter_mut().enumerate() {
            let Some(shown) = pipeline.shown_time(monitor, partitions) else {
                continue;
            };
            // Windows that began before the first record was read are of no interest.
            let first_end = *first_end.get_or_insert(shown.plus(SLIDE * 3));
            let due = shown.minus(SLIDE * 2).align_down(SLIDE);
            let last = pipeline.evaluations[monitor].last();
            let end = last.map(|evaluation| evaluation.end);
            assert!(
                due < first_end || end >= Some(due),
                "monitor m{monitor} evaluated up to {end:?} when every partition showed {shown}"
            );
        }
        assert!(
            Instant::now() < deadline,
            "too few windows: {:?}",
            pipeline.evaluations
        );
    }
}

/// Checks that the last window of each monitor is covered, and prints the time from the end of a
/// window to its evaluation.
fn finish(pipeline: &Pipeline) {
    let mut waits: Vec<Duration> = Vec::new();
    for (monitor, evaluations) in pipeline.evaluations.iter().enumerate() {
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
    for monitor in &pipeline.engine.view().monitors {
        assert!(monitor.events > 0, "{} counted nothing", monitor.spec.name);
    }
}

/// Sends a record that happens now.
fn send(producer: &BaseProducer, topic: &str, partition: usize, model: usize, path: &str) {
    let now = clock::now().as_millis();
    let text = format!("{{\"model\":\"m{model}\",\"{path}\":{now}}}");
    let partition = i32::try_from(partition).unwrap();
    send_one(producer, topic, partition, Some(&text), Some(now));
}

/// Runs `produce` every `interval` on a thread of its own, until all windows are evaluated.
fn while_producing(
    mut pipeline: Pipeline,
    bootstrap: &str,
    interval: Duration,
    mut produce: impl FnMut(&BaseProducer) + Send,
) {
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
        let run = std::panic::AssertUnwindSafe(|| run(&mut pipeline));
        let outcome = std::panic::catch_unwind(run);
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    finish(&pipeline);
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
    let pipeline = read(&kafka.bootstrap, &topic, plans.collect());
    // 5,000 records a second, each model on three partitions; four partitions stay empty.
    let mut count = 0;
    while_producing(
        pipeline,
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
    let pipeline = read(&kafka.bootstrap, &topic, vec![monitor(0, "/ts")]);
    let mut partitions = (0..64).cycle();
    while_producing(
        pipeline,
        &kafka.bootstrap,
        Duration::from_secs(1),
        |producer| {
            send(producer, &topic, partitions.next().unwrap(), 0, "ts");
        },
    );
}
