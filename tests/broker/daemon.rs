//! The daemon as a process on a broker: its counts, and the effect of a restart.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pegel::demo::{EmbeddedBroker, TopicProducer};

/// A running `pegel run`.
pub(crate) struct Daemon {
    child: Child,
    address: String,
    /// The path of its configuration.
    pub(crate) config: PathBuf,
}

impl Daemon {
    pub(crate) fn start(brokers: &str, topic: &str, directory: &std::path::Path) -> Self {
        Self::start_as(brokers, topic, directory, "flush_interval: 100ms", &[])
    }

    /// Starts a daemon with more settings of the state, and arguments.
    pub(crate) fn start_as(
        brokers: &str,
        topic: &str,
        directory: &std::path::Path,
        state: &str,
        arguments: &[&str],
    ) -> Self {
        let monitors = "  - name: m
    source: s
    timestamp: {path: /ts}
    windows: [{size: 1m, slide: 1s, min_samples: 1}]
    reference: {file: reference.json}
    alerts: []
    lateness: {out_of_orderness: 0s, idle_after: 1h}
";
        Self::start_with(brokers, topic, directory, state, monitors, arguments)
    }

    /// Starts a daemon with other monitors.
    pub(crate) fn start_with(
        brokers: &str,
        topic: &str,
        directory: &std::path::Path,
        state: &str,
        monitors: &str,
        arguments: &[&str],
    ) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let config = directory.join(format!("{}.yaml", address.replace(':', "-")));
        let text = format!(
            "version: 1
web: {{listen_address: {address:?}}}
state: {{{state}}}
sources:
  s: {{kafka: {{brokers: [{brokers:?}], topics: [{topic:?}], group_id: {topic:?}, start: earliest, properties: {{session.timeout.ms: 6000}}}}}}
monitors:
{monitors}"
        );
        std::fs::write(config.as_path(), text).unwrap();
        let log = std::fs::File::create(config.with_extension("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .arg("run")
            .arg("-c")
            .arg(&config)
            .args(arguments)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Daemon {
            child,
            address,
            config,
        }
    }

    /// Kills the process, as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn scrape(&self) -> String {
        let url = format!("http://{}/metrics", self.address);
        let answer = ureq::get(&url).call();
        answer
            .ok()
            .and_then(|mut answer| answer.body_mut().read_to_string().ok())
            .unwrap_or_default()
    }

    /// The answer of `/-/ready`, or nothing while there is none.
    fn readiness(&self) -> String {
        let url = format!("http://{}/-/ready", self.address);
        let config = ureq::get(&url).config().http_status_as_error(false).build();
        config
            .call()
            .ok()
            .and_then(|mut answer| answer.body_mut().read_to_string().ok())
            .unwrap_or_default()
    }

    fn until_readiness(&self, what: &str, is_reached: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let readiness = self.readiness();
            if is_reached(&readiness) {
                return;
            }
            assert!(Instant::now() < deadline, "not {what}: {readiness}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until `/-/ready` gives a reason.
    pub(crate) fn expect_unready(&self, reason: &str) {
        self.until_readiness(reason, |readiness| readiness.contains(reason));
    }

    /// Waits until `/-/ready` answers without a reason.
    pub(crate) fn expect_unready_over(&self, reason: &str) {
        self.until_readiness("over", |readiness| {
            !readiness.is_empty() && !readiness.contains(reason)
        });
    }

    /// Waits until a series has the value `expected`, and returns it.
    pub(crate) fn expect(&self, series: &str, expected: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let scrape = self.scrape();
            let line = scrape
                .lines()
                .find(|line| line.starts_with(series))
                .unwrap_or_default();
            if line.rsplit(' ').next() == Some(expected) {
                return scrape;
            }
            assert!(
                Instant::now() < deadline,
                "{series} is not {expected}: {line:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(kill.unwrap().success(), "kill -{name}");
    }

    /// Asks for a reload by HTTP; returns the status and the body.
    pub(crate) fn reload(&self) -> (u16, String) {
        let url = format!("http://{}/-/reload", self.address);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        let mut answer = ureq::Agent::from(agent).post(&url).send_empty().unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_to_string().unwrap(),
        )
    }

    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success(), "a clean end");
    }
}

/// A failed test leaves no process behind.
impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn produce(producer: &TopicProducer, from: u64, to: u64) {
    let now = pegel::clock::now().as_millis();
    for i in from..to {
        // Ten seconds of event time, so that windows close without waiting for an idle partition.
        let ts = now - i64::try_from((to - i) * 10_000 / (to - from)).unwrap();
        let record = format!("{{\"ts\":{ts},\"x\":{},\"c\":\"de\"}}", i % 100);
        producer.send(&i.to_string(), &record, now).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
}

pub(crate) fn fit_reference(directory: &std::path::Path) {
    let mut data = std::fs::File::create(directory.join("data.csv")).unwrap();
    writeln!(data, "x,c").unwrap();
    (0..1000).for_each(|i| {
        writeln!(data, "{},{}", i % 100, if i % 2 == 0 { "de" } else { "fr" }).unwrap()
    });
    let fit = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["fit", "data.csv", "-o", "reference.json"])
        .current_dir(directory)
        .stderr(Stdio::null())
        .status();
    assert!(fit.unwrap().success(), "fit");
}

#[test]
fn a_restart_continues_with_the_same_windows() {
    let broker = EmbeddedBroker::start("daemon", 3).unwrap();
    restart(&broker.bootstrap_servers(), "daemon");
}

#[test]
fn a_restart_on_apache_kafka_continues_with_the_same_windows() {
    if let Some(kafka) = crate::cluster::kafka() {
        restart(&kafka.bootstrap, &kafka.topic(3));
    }
}

fn restart(brokers: &str, topic: &str) {
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let producer = TopicProducer::try_new(brokers, topic).unwrap();
    produce(&producer, 0, 2000);
    let daemon = Daemon::start(brokers, topic, directory.path());
    daemon.expect("pegel_events_total{monitor=\"m\"}", "2000");
    let scrape = daemon.expect("pegel_score_ready{monitor=\"m\",feature=\"x\"", "1");
    assert!(
        scrape.contains("pegel_drift_score{monitor=\"m\",feature=\"c\""),
        "read from the start: ready at once"
    );
    let before = window_of(&scrape);
    daemon.stop();
    let daemon = Daemon::start(brokers, topic, directory.path());
    let scrape = daemon.expect("pegel_events_total{monitor=\"m\"}", "2000");
    assert_eq!(window_of(&scrape), before, "the same windows at once");
    produce(&producer, 2000, 2500);
    daemon.expect("pegel_events_total{monitor=\"m\"}", "2500");
    daemon.stop();
}

/// The latest window as a scrape shows it.
pub(crate) fn window_of(scrape: &str) -> Vec<&str> {
    let families = ["pegel_drift_score{", "pegel_window_", "pegel_score_ready{"];
    let is_of_window = |line: &&str| families.iter().any(|family| line.starts_with(family));
    scrape.lines().filter(is_of_window).collect()
}

/// A number that had become text was counted as invalid, and the log said nothing about it.
#[test]
fn a_value_of_a_wrong_kind_is_logged_once_per_feature_with_the_remedy() {
    let broker = EmbeddedBroker::start("kinds", 1).unwrap();
    let brokers = broker.bootstrap_servers();
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let producer = TopicProducer::try_new(&brokers, "kinds").unwrap();
    let now = pegel::clock::now().as_millis();
    for i in 0..500 {
        let record = format!("{{\"ts\":{now},\"x\":\"{i}\",\"c\":{{\"code\":1}}}}");
        producer.send(&i.to_string(), &record, now).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    let daemon = Daemon::start(&brokers, "kinds", directory.path());
    daemon.expect("pegel_events_total{monitor=\"m\"}", "500");
    let log = daemon.config.with_extension("log");
    daemon.stop();
    let log = std::fs::read_to_string(log).unwrap();
    let lines_with = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    let of_x = "values are invalid: text \"0\" where numbers are expected: set `coerce: true` or \
                `kind: categorical`";
    let of_c = "values are invalid: an object or an array where texts are expected: set `path` to a \
                value in it";
    assert_eq!(lines_with(of_x), 1, "{log}");
    assert_eq!(lines_with(of_c), 1, "{log}");
    assert_eq!(lines_with("values are invalid"), 2, "{log}");
    for words in ["monitor=\"m\" feature=\"x\"", "monitor=\"m\" feature=\"c\""] {
        assert_eq!(lines_with(words), 1, "{words}: {log}");
    }
}
