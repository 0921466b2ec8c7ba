//! On Apache Kafka: a process that is stopped for longer than `idle_after` while records arrive
//! evaluates the windows of that time completely.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use pegel::clock;
use rdkafka::producer::Producer as _;

use crate::cluster::{DEADLINE, kafka, producer, send_one};
use crate::daemon::{Daemon, fit_reference};

/// The time between two events of a partition.
const INTERVAL_MS: i64 = 100;
/// The size and the slide of the window.
const WINDOW_MS: i64 = 2_000;
/// The partitions that receive events; one more stays empty.
const BUSY: i32 = 3;
const IDLE_AFTER_MS: i64 = 5_000;

/// A monitor with an alert on every window that lacks a single event.
fn monitors() -> String {
    let events = i64::from(BUSY) * WINDOW_MS / INTERVAL_MS;
    format!(
        "  - name: m
    source: s
    timestamp: {{path: /ts}}
    windows: [{{size: 2s, slide: 2s, min_samples: 1}}]
    reference: {{file: reference.json}}
    alerts: []
    volume: {{min_events: {events}}}
    lateness: {{out_of_orderness: 1s, idle_after: {IDLE_AFTER_MS}ms}}
"
    )
}

/// Sends one event to each busy partition every `INTERVAL_MS` of event time, from `first` on, and
/// stores the time before which all were sent.
fn send_events(bootstrap: &str, topic: &str, first: i64, sent: &AtomicI64, is_over: &AtomicBool) {
    let producer = producer(bootstrap, &[("linger.ms", "5")]);
    let mut time = first;
    while !is_over.load(Ordering::Relaxed) {
        let ahead = time - clock::now().as_millis();
        if ahead > 0 {
            std::thread::sleep(Duration::from_millis(ahead.unsigned_abs()));
        }
        for partition in 0..BUSY {
            let text = format!("{{\"ts\":{time},\"x\":1,\"c\":\"de\"}}");
            send_one(&producer, topic, partition, Some(&text), Some(time));
        }
        time += INTERVAL_MS;
        sent.store(time, Ordering::Relaxed);
    }
    producer.flush(DEADLINE).unwrap();
}

/// Waits until a condition holds.
fn until(what: &str, mut is_reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE * 2;
    while !is_reached() {
        assert!(Instant::now() < deadline, "not reached: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The value of a series of the monitor; 0 while there is none.
fn value(scrape: &str, family: &str) -> f64 {
    let series = format!("pegel_{family}{{monitor=\"m\"");
    scrape
        .lines()
        .find(|line| line.starts_with(&series))
        .and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0.0)
}

/// The end of the latest window, in milliseconds.
fn end_of_window(scrape: &str) -> f64 {
    value(scrape, "window_end_timestamp_seconds") * 1000.0
}

fn until_evaluated(daemon: &Daemon, time: i64) {
    until("later windows", || {
        end_of_window(&daemon.scrape()) >= time as f64
    });
}

/// Stops the daemon for longer than `idle_after`, resumes it, and checks every window.
fn pause_and_check(daemon: &Daemon, first: i64, sent: &AtomicI64) {
    until_evaluated(daemon, first + 2 * WINDOW_MS);
    daemon.signal("STOP");
    let stopped_at = sent.load(Ordering::Relaxed);
    until("records of the pause", || {
        sent.load(Ordering::Relaxed) >= stopped_at + 2 * IDLE_AFTER_MS
    });
    daemon.signal("CONT");
    until_evaluated(daemon, sent.load(Ordering::Relaxed) + 3 * WINDOW_MS);
    let scrape = daemon.scrape();
    let windows = (end_of_window(&scrape) - first as f64) / WINDOW_MS as f64;
    let evaluations = value(&scrape, "evaluations_total");
    assert!(
        (evaluations - windows).abs() < 1e-9,
        "{evaluations} evaluations of {windows} windows"
    );
    let coverage = value(&scrape, "window_coverage_ratio");
    assert!((coverage - 1.0).abs() < 1e-9, "coverage {coverage}");
    let fired: Vec<&str> = scrape
        .lines()
        .filter(|line| line.starts_with("pegel_alert_transitions_total"))
        .filter(|line| line.contains("to=\"firing\"") && !line.ends_with(" 0"))
        .collect();
    assert!(
        fired.is_empty(),
        "a window without all of its events: {fired:?}"
    );
}

#[test]
fn a_process_that_is_stopped_while_records_arrive_misses_none_of_them() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(BUSY + 1);
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let first = (clock::now().as_millis() / WINDOW_MS + 1) * WINDOW_MS;
    let (sent, is_over) = (AtomicI64::new(first), AtomicBool::new(false));
    let check = || {
        // The first window is whole only if the stream begins with it.
        until("the first event", || sent.load(Ordering::Relaxed) > first);
        let daemon = start(&kafka.bootstrap, &topic, directory.path());
        pause_and_check(&daemon, first, &sent);
        daemon.stop();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| send_events(&kafka.bootstrap, &topic, first, &sent, &is_over));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        is_over.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

fn start(bootstrap: &str, topic: &str, directory: &Path) -> Daemon {
    let state = "flush_interval: 100ms";
    Daemon::start_with(bootstrap, topic, directory, state, &monitors(), &[])
}
