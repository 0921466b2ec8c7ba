//! Missing ACLs on Apache Kafka with its own authorizer: each is named with what to grant, and
//! nothing is lost or counted twice once it is granted.
//!
//! pegel is `User:ANONYMOUS` and has the ACLs that `docs/operations.md` lists, and no other. Topics
//! and records come from the administrator, whose listener has a login.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, Producer as _};

use crate::cluster::{Kafka, producer, send_one};
use crate::daemon::{Daemon, fit_reference};
use crate::node::Node;

const EVENTS: &str = "pegel_events_total{monitor=\"m\"}";
const LOGIN: [(&str, &str); 4] = [
    ("security.protocol", "SASL_PLAINTEXT"),
    ("sasl.mechanism", "PLAIN"),
    ("sasl.username", "admin"),
    ("sasl.password", "admin"),
];
/// Denied requests per second that are no storm: six clients, of which some retry every second.
const DENIED_PER_SECOND: u64 = 10;

/// An ACL that denies an operation, and the problem that names it.
struct Denial {
    acl: String,
    problem: String,
}

/// A node with an authorizer, and a deployment that has the least ACLs.
struct Guarded {
    node: Node,
    directory: tempfile::TempDir,
    brokers: String,
    topic: String,
    producer: BaseProducer,
    produced: usize,
}

impl Guarded {
    /// Starts the node; `None` where no Kafka is wanted.
    fn start() -> Option<Self> {
        crate::cluster::kafka()?;
        let directory = tempfile::tempdir().unwrap();
        fit_reference(directory.path());
        let node = Node(directory.path().join("kafka"));
        let brokers = node.run("start-acls");
        let admin = std::fs::read_to_string(node.0.join("admin")).unwrap();
        let admin = admin.trim().to_owned();
        let kafka = Kafka::with(admin.clone(), &LOGIN);
        let topic = crate::cluster::unique("scored");
        kafka.create(&topic, 2);
        let settings = [("message.timestamp.type", "LogAppendTime")];
        kafka.create_with(&format!("{topic}-panes"), 3, &settings);
        let guarded = Guarded {
            node,
            directory,
            brokers,
            topic,
            producer: producer(&admin, &LOGIN),
            produced: 0,
        };
        let granted = guarded.least_acls();
        guarded.change(
            &granted
                .iter()
                .map(|acl| format!("+allow:{acl}"))
                .collect::<Vec<_>>(),
        );
        Some(guarded)
    }

    /// The ACLs that the table in `docs/operations.md` lists.
    fn least_acls(&self) -> Vec<String> {
        let topic = &self.topic;
        let of_panes = ["read", "write", "describe", "describe_configs"];
        [
            format!("read:topic:{topic}"),
            format!("describe:topic:{topic}"),
            format!("read:group:{topic}"),
            "describe:group:pegel-panes-reader".to_owned(),
        ]
        .into_iter()
        .chain(of_panes.map(|operation| format!("{operation}:topic:{topic}-panes")))
        .collect()
    }

    fn denials(&self) -> Vec<Denial> {
        let topic = &self.topic;
        let panes = format!("{topic}-panes");
        let user = "User:ANONYMOUS";
        [
            (
                format!("read:topic:{topic}"),
                format!("source s: not authorized to read the topic {topic}: grant Read on topic {topic} to {user}"),
            ),
            (
                format!("describe:topic:{topic}"),
                format!("source s: not authorized to describe the topic {topic}: grant Describe and Read on topic {topic} to {user}"),
            ),
            (
                format!("read:group:{topic}"),
                format!("source s: not authorized to use the consumer group {topic}: grant Read on group {topic} to {user}"),
            ),
            (
                format!("read:topic:{panes}"),
                format!("not authorized to read the pane log topic {panes}: grant Read on topic {panes} to {user}"),
            ),
            (
                format!("write:topic:{panes}"),
                format!("not authorized to write to the pane log topic {panes}: grant Write on topic {panes} to {user}"),
            ),
            (
                format!("describe:topic:{panes}"),
                format!("not authorized to describe the pane log topic {panes}: grant Describe, Read and Write on topic {panes} to {user}"),
            ),
        ]
        .map(|(acl, problem)| Denial { acl, problem })
        .into()
    }

    fn change(&self, changes: &[String]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broker/kafka.sh");
        let status = Command::new(script)
            .arg("acl")
            .arg(&self.node.0)
            .args(changes)
            .status()
            .unwrap();
        assert!(status.success(), "{changes:?}: {status}");
    }

    fn start_daemon(&self) -> Daemon {
        let state = format!(
            "flush_interval: 200ms, panes_topic: {}-panes, panes_partitions: 3, snapshot_interval: 2s",
            self.topic
        );
        let path = self.directory.path();
        Daemon::start_as(&self.brokers, &self.topic, path, &state, &["--role", "all"])
    }

    /// Sends records to both partitions.
    fn produce(&mut self, count: usize) {
        let now = pegel::clock::now().as_millis();
        for number in self.produced..self.produced + count {
            let record = format!("{{\"ts\":{now},\"x\":{},\"c\":\"de\"}}", number % 100);
            let partition = i32::from(number % 2 == 0);
            send_one(
                &self.producer,
                &self.topic,
                partition,
                Some(&record),
                Some(now),
            );
        }
        self.producer.flush(Duration::from_secs(30)).unwrap();
        self.produced += count;
    }

    /// The number of requests that the authorizer has denied.
    fn denied_requests(&self) -> u64 {
        let log = std::fs::read_to_string(self.node.0.join("server.log")).unwrap();
        log.matches("is Denied operation").map(|_| 1).sum()
    }

    fn expect_all(&self, daemon: &Daemon) {
        daemon.expect(EVENTS, &self.produced.to_string());
    }
}

/// The lines of a daemon's log that contain a text.
fn log_lines(daemon: &Daemon, text: &str) -> Vec<String> {
    let log = std::fs::read_to_string(daemon.config.with_extension("log")).unwrap();
    log.lines()
        .filter(|line| line.contains(text))
        .map(str::to_owned)
        .collect()
}

/// An ACL that was taken away ended the process, or was shown as an error of one partition; a
/// denied write was not shown at all.
#[test]
fn an_acl_that_is_taken_away_is_named_and_nothing_is_lost_when_it_returns() {
    let Some(mut guarded) = Guarded::start() else {
        return;
    };
    guarded.produce(1000);
    let daemon = guarded.start_daemon();
    guarded.expect_all(&daemon);
    daemon.expect_unready_over("not authorized");
    assert_eq!(guarded.denied_requests(), 0, "with the least ACLs");
    for Denial { acl, problem } in guarded.denials() {
        let (begin, denied_before) = (Instant::now(), guarded.denied_requests());
        guarded.change(&[format!("+deny:{acl}")]);
        guarded.produce(100);
        daemon.expect_unready(&problem);
        let denied = guarded.denied_requests() - denied_before;
        let most = DENIED_PER_SECOND * (5 + begin.elapsed().as_secs());
        eprintln!("{acl}: {denied} denied requests in {:?}", begin.elapsed());
        assert!(denied <= most, "{acl}: {denied} denied requests");
        guarded.change(&[format!("-deny:{acl}")]);
        daemon.expect_unready_over("not authorized");
        guarded.expect_all(&daemon);
        let named = problem.trim_start_matches("source s: ");
        let lines = log_lines(&daemon, named);
        assert!((1..=3).contains(&lines.len()), "{acl}: {lines:#?}");
    }
    daemon.stop();
}

/// An ingester whose heartbeats are denied until the group expels it reads its partitions again
/// from their heads, once it may join.
#[test]
fn an_ingester_that_is_denied_until_the_group_expels_it_joins_again() {
    let Some(mut guarded) = Guarded::start() else {
        return;
    };
    guarded.produce(1000);
    let daemon = guarded.start_daemon();
    guarded.expect_all(&daemon);
    let group = format!("deny:read:group:{}", guarded.topic);
    guarded.change(&[format!("+{group}")]);
    guarded.produce(100);
    let deadline = Instant::now() + Duration::from_secs(60);
    while log_lines(&daemon, "partitions revoked").is_empty() {
        assert!(Instant::now() < deadline, "the group does not expel it");
        std::thread::sleep(Duration::from_millis(100));
    }
    guarded.produce(100);
    daemon.expect_unready("not authorized to use the consumer group");
    guarded.change(&[format!("-{group}")]);
    daemon.expect_unready_over("not authorized");
    guarded.expect_all(&daemon);
    daemon.stop();
}

/// A process that starts without an ACL waits for it.
#[test]
fn an_acl_that_is_missing_at_the_start_is_named_and_nothing_is_lost_when_it_comes() {
    let Some(mut guarded) = Guarded::start() else {
        return;
    };
    guarded.produce(1000);
    for Denial { acl, problem } in guarded.denials() {
        guarded.change(&[format!("+deny:{acl}")]);
        let daemon = guarded.start_daemon();
        daemon.expect_unready(&problem);
        guarded.change(&[format!("-deny:{acl}")]);
        guarded.produce(100);
        daemon.expect_unready_over("not authorized");
        guarded.expect_all(&daemon);
        daemon.stop();
    }
}
