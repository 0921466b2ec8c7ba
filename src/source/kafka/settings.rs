//! The client's properties, and the intervals of a source's periodic work.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use crate::model::KafkaSpec;

/// An error that prevents the creation of a Kafka source.
///
/// A broker that is down is not one of them: the source waits for it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourceError {
    /// A property is unknown, or its value is not legal. The message leaves out the value, because
    /// it may be a secret.
    #[error("librdkafka does not accept the property {property}: {reason}")]
    Property {
        /// The property's name.
        property: String,
        /// The message of librdkafka.
        reason: String,
    },
    /// The properties contradict each other, or a file they name cannot be read.
    #[error("librdkafka cannot make a client: {reason}")]
    Client {
        /// The message of librdkafka.
        reason: String,
    },
    /// The client did not create a queue.
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
            KafkaError::ClientCreation(reason) => SourceError::Client { reason },
            other => SourceError::Client {
                reason: other.to_string(),
            },
        }
    }
}

/// The intervals and timeouts of a source. Tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The interval between requests for new partitions.
    pub refresh: Duration,
    /// The first delay after a failed request; it doubles with each failure, up to `refresh`.
    pub retry: Duration,
    /// The timeout of a request to a broker, during which the reading thread is blocked.
    ///
    /// It doubles with each timeout, up to eight times this value, while a connection is open and
    /// no answer comes in time.
    pub request: Duration,
    /// The interval between commits of positions to the group.
    pub commit: Duration,
    /// The interval between reports.
    pub publish: Duration,
    /// librdkafka's `statistics.interval.ms`: lags are at most this old, and a partition without
    /// new records is confirmed to be at its end this often.
    pub statistics: Duration,
    /// The shortest pause of a partition whose counts the pane log rejected; the pause is random,
    /// up to five times this value.
    pub rejected: Duration,
    /// The longest time for the last commit when the source is dropped, and for closing the client
    /// after it.
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

/// Checks each property by itself; returns the name and the problem of each that librdkafka
/// rejects.
#[must_use]
pub fn property_problems(properties: &BTreeMap<String, String>) -> Vec<(String, String)> {
    properties
        .iter()
        .filter_map(|(property, value)| {
            let mut config = ClientConfig::new();
            config.set(property, value);
            let problem = match SourceError::from(config.create_native_config().err()?) {
                SourceError::Property { reason, .. } => format!("librdkafka says: {reason}"),
                other => other.to_string(),
            };
            Some((property.clone(), problem))
        })
        .collect()
}

/// Checks all properties together; returns the first problem of the client that reads or, with a
/// group, of the client that is its member. Sends nothing to a broker.
#[must_use]
pub fn client_problem(spec: &KafkaSpec, is_in_group: bool) -> Option<String> {
    let timing = Timing::default();
    let member = is_in_group.then(|| member_config(spec, &timing));
    std::iter::once(client_config(spec, &timing))
        .chain(member)
        .find_map(|mut config| {
            config.remove("bootstrap.servers");
            config.set_log_level(RDKafkaLogLevel::Emerg);
            let client: Result<BaseConsumer, KafkaError> = config.create();
            Some(SourceError::from(client.err()?).to_string())
        })
}

/// The properties of the client that is a member of the group. It reads nothing; the thread that
/// reads polls it.
///
/// The eager protocol is used because the cooperative one has known stalls in librdkafka 2.12. It
/// would gain nothing: partitions start at the heads of the pane log anyway. The group expels a
/// member that sends no heartbeat for 15 s, unless `kafka.properties` sets another timeout.
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

/// The limit of all partition queues of a range together, in KiB, as long as each has room for a
/// fetch.
const RANGE_KBYTES: usize = 32 * 1024;
/// The room for one fetch of a partition and the next, in KiB.
const MIN_QUEUE_KBYTES: usize = 2 * 1024;

/// The properties of a client that reads a range of this many partitions. Each partition has a
/// queue of its own, and the queues share the memory.
pub(super) fn range_config(spec: &KafkaSpec, partitions: usize) -> ClientConfig {
    let mut config = client_config(spec, &Timing::default());
    let queue_kbytes = (RANGE_KBYTES / partitions.max(1)).clamp(MIN_QUEUE_KBYTES, RANGE_KBYTES / 4);
    for (property, value) in [
        ("statistics.interval.ms", "0".to_owned()),
        ("queued.min.messages", "100000".to_owned()),
        ("queued.max.messages.kbytes", queue_kbytes.to_string()),
    ] {
        if !spec.properties.contains_key(property) {
            config.set(property, value);
        }
    }
    config
}

/// The properties of every client: pegel's, overridden by the user's.
///
/// `auto.offset.reset=error`: otherwise librdkafka moves an offset that retention deleted to the
/// end without a notice and skips the records that are left (librdkafka #521).
/// `fetch.queue.backoff.ms=20`: with a small queue, the default pauses for a second each time the
/// queue was full.
pub(super) fn client_config(spec: &KafkaSpec, timing: &Timing) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Otherwise the level depends on a logger of the `log` crate, which pegel does not install.
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
