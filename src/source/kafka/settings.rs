//! How the client is set up, and how often the source does what it does periodically.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use crate::model::KafkaSpec;

/// Why a Kafka source cannot be made. A broker that is down is none of these: the source waits for it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourceError {
    /// A property is unknown, or its value is not legal. The value is not repeated: it may be a secret.
    #[error("librdkafka does not accept the property {property}: {reason}")]
    Property {
        /// The property's name.
        property: String,
        /// librdkafka's words.
        reason: String,
    },
    /// The properties do not go together, or a file they name cannot be read.
    #[error("librdkafka cannot make a client: {0}")]
    Client(String),
    /// librdkafka returned no queue.
    #[error("librdkafka cannot make a queue")]
    Queue,
}

impl From<KafkaError> for SourceError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, reason, property, _) => SourceError::Property {
                property,
                reason: reason.trim_end().to_owned(),
            },
            KafkaError::ClientCreation(reason) => SourceError::Client(reason),
            other => SourceError::Client(other.to_string()),
        }
    }
}

/// The rhythm of a source. Tests make it faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often topics are asked for new partitions.
    pub refresh: Duration,
    /// The first pause after a request that failed; doubles up to `refresh`.
    pub retry: Duration,
    /// How long a request to a broker may hold up the thread; doubles, up to eight times this, while a broker answers too slowly for it.
    pub request: Duration,
    /// How often positions are committed to the group.
    pub commit: Duration,
    /// How often the report is published.
    pub publish: Duration,
    /// librdkafka's `statistics.interval.ms`: how fresh lags are, and how often a silent partition is confirmed to be at its end.
    pub statistics: Duration,
    /// The shortest pause before a partition that somebody else counted is begun again; up to five times this.
    pub rejected: Duration,
    /// How long the last commit may take when the source is dropped.
    pub close: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            refresh: Duration::from_secs(5),
            retry: Duration::from_millis(500),
            request: Duration::from_millis(500),
            commit: Duration::from_secs(5),
            publish: Duration::from_secs(1),
            statistics: Duration::from_secs(2),
            rejected: Duration::from_secs(1),
            close: Duration::from_secs(2),
        }
    }
}

/// What librdkafka has against properties, each by itself.
#[must_use]
pub fn property_problems(properties: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let wrong = properties.iter().filter_map(|(property, value)| {
        let mut config = ClientConfig::new();
        config.set(property, value);
        let told = match SourceError::from(config.create_native_config().err()?) {
            SourceError::Property { reason, .. } => format!("librdkafka says: {reason}"),
            other => other.to_string(),
        };
        Some((property.clone(), told))
    });
    wrong.collect()
}

/// What librdkafka has against all properties together, in the client that reads or, with a group, in its member. No broker is asked.
#[must_use]
pub fn client_problem(spec: &KafkaSpec, is_in_group: bool) -> Option<String> {
    let timing = Timing::default();
    let member = is_in_group.then(|| member_config(spec, &timing));
    let configs = std::iter::once(client_config(spec, &timing)).chain(member);
    let mut problems = configs.filter_map(|mut config| {
        config.remove("bootstrap.servers");
        config.set_log_level(RDKafkaLogLevel::Emerg);
        let client: Result<BaseConsumer, KafkaError> = config.create();
        Some(SourceError::from(client.err()?).to_string())
    });
    problems.next()
}

/// The properties of a member of the group: it reads nothing, and is polled by the thread that reads.
///
/// The eager protocol, because the cooperative one has known stalls in librdkafka 2.12 and nothing is gained: partitions are begun at the pane log's heads
/// anyway. A member that was not heard of for 15 s is given up; `kafka.properties` may say otherwise.
pub(super) fn member_config(spec: &KafkaSpec, timing: &Timing) -> ClientConfig {
    let mut config = client_config(spec, timing);
    for (property, value) in [
        ("partition.assignment.strategy", "range,roundrobin"),
        ("session.timeout.ms", "15000"),
        ("heartbeat.interval.ms", "2000"),
        ("topic.metadata.refresh.interval.ms", "30000"),
        ("statistics.interval.ms", "0"),
    ] {
        if !spec.properties.contains_key(property) {
            config.set(property, value);
        }
    }
    config
}

/// What the queues of all partitions of a range may hold together, in KiB, as long as each has room for a fetch.
const RANGE_KBYTES: usize = 32 * 1024;
/// A fetch of a partition and its successor, in KiB.
const LEAST_KBYTES: usize = 2 * 1024;

/// The properties of a client that reads a range of this many partitions: each has a queue of its own, and memory is shared among them.
pub(super) fn range_config(spec: &KafkaSpec, partitions: usize) -> ClientConfig {
    let mut config = client_config(spec, &Timing::default());
    let share = (RANGE_KBYTES / partitions.max(1)).clamp(LEAST_KBYTES, RANGE_KBYTES / 4);
    for (property, value) in [
        ("statistics.interval.ms", "0".to_owned()),
        ("queued.min.messages", "100000".to_owned()),
        ("queued.max.messages.kbytes", share.to_string()),
    ] {
        if !spec.properties.contains_key(property) {
            config.set(property, value);
        }
    }
    config
}

/// The client's properties: ours, then the user's.
///
/// `auto.offset.reset=error`: otherwise an offset that retention overtook moves silently to the end and drops what is left (librdkafka #521).
/// `fetch.queue.backoff.ms`: with a small queue the default of a second is a second's pause each time the queue was full.
pub(super) fn client_config(spec: &KafkaSpec, timing: &Timing) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Without this, the level depends on a logger of the `log` crate that does not exist here.
    config.set_log_level(RDKafkaLogLevel::Info);
    for (property, value) in [
        ("client.id", "pegel"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true"),
        ("allow.auto.create.topics", "false"),
        ("check.crcs", "true"),
        ("queued.min.messages", "10000"),
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.message.max.bytes", "1048576"),
        ("fetch.max.bytes", "16777216"),
        ("fetch.queue.backoff.ms", "20"),
        ("socket.keepalive.enable", "true"),
        ("reconnect.backoff.max.ms", "10000"),
        ("log.connection.close", "false"),
    ] {
        config.set(property, value);
    }
    config
        .set("bootstrap.servers", spec.brokers.join(","))
        .set("group.id", &spec.group_id)
        .set(
            "statistics.interval.ms",
            timing.statistics.as_millis().to_string(),
        );
    for (property, value) in &spec.properties {
        config.set(property, value);
    }
    config
}
