//! The client's properties, and the intervals of a source's periodic work.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use crate::kafka::client_config;
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
    /// librdkafka's `statistics.interval.ms`: lags are at most this old.
    pub statistics: Duration,
    /// The interval between two requests to a leader for the ends of its quiet partitions: this
    /// often, a partition without new records is confirmed to be at its end.
    pub ends: Duration,
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
            ends: Duration::from_secs(1),
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
    std::iter::once(reader_config(spec, &timing))
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
    let properties = [
        ("partition.assignment.strategy", "range,roundrobin"),
        ("session.timeout.ms", "15000"),
        ("heartbeat.interval.ms", "2000"),
        ("topic.metadata.refresh.interval.ms", "30000"),
        ("statistics.interval.ms", "0"),
    ];
    source_config(spec, timing, &properties)
}

/// The limit of all partition queues of a range together, in KiB, as long as each has room for a
/// fetch.
const RANGE_KBYTES: usize = 32 * 1024;
/// The room for one fetch of a partition and the next, in KiB.
const MIN_QUEUE_KBYTES: usize = 2 * 1024;

/// The properties of a client that reads a range of this many partitions. Each partition has a
/// queue of its own, and the queues share the memory.
pub(super) fn range_config(spec: &KafkaSpec, partitions: usize) -> ClientConfig {
    let queue_kbytes = (RANGE_KBYTES / partitions.max(1)).clamp(MIN_QUEUE_KBYTES, RANGE_KBYTES / 4);
    let properties = [
        ("statistics.interval.ms", "0"),
        ("queued.min.messages", "100000"),
        ("queued.max.messages.kbytes", &queue_kbytes.to_string()),
    ];
    source_config(spec, &Timing::default(), &properties)
}

/// The properties of the client that reads a source.
pub(super) fn reader_config(spec: &KafkaSpec, timing: &Timing) -> ClientConfig {
    source_config(spec, timing, &[])
}

/// The properties of every client of a source, before those of its use.
///
/// `auto.offset.reset=error`: otherwise librdkafka moves an offset that retention deleted to the
/// end without a notice and skips the records that are left (librdkafka #521).
/// `fetch.queue.backoff.ms=20`: with a small queue, the default pauses for a second each time the
/// queue was full.
const SOURCE_PROPERTIES: [(&str, &str); 12] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "true"),
    ("check.crcs", "true"),
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.message.max.bytes", "1048576"),
    ("fetch.max.bytes", "16777216"),
    ("fetch.queue.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "10000"),
];

/// The properties of a client: those of every client, overridden by `properties` for its use, and
/// by the user's.
fn source_config(spec: &KafkaSpec, timing: &Timing, properties: &[(&str, &str)]) -> ClientConfig {
    let statistics_interval_ms = timing.statistics.as_millis().to_string();
    let properties = SOURCE_PROPERTIES
        .into_iter()
        .chain([
            ("group.id", spec.group_id.as_str()),
            ("statistics.interval.ms", &statistics_interval_ms),
        ])
        .chain(properties.iter().copied());
    client_config(
        &spec.brokers,
        RDKafkaLogLevel::Info,
        properties,
        &spec.properties,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StartAt;

    #[test]
    fn the_properties_of_a_use_override_the_source_and_the_user_overrides_both() {
        let spec = KafkaSpec {
            brokers: vec!["a:9092".to_owned(), "b:9092".to_owned()],
            topics: vec!["loans".to_owned()],
            group_id: "pegel-loans".to_owned(),
            start: StartAt::Latest,
            properties: BTreeMap::from([
                ("queued.min.messages".to_owned(), "5".to_owned()),
                ("session.timeout.ms".to_owned(), "45000".to_owned()),
            ]),
        };
        let assert_value = |config: &ClientConfig, property: &str, expected: &str| {
            assert_eq!(config.get(property), Some(expected), "{property}");
        };
        let reader = reader_config(&spec, &Timing::default());
        assert_value(&reader, "bootstrap.servers", "a:9092,b:9092");
        assert_value(&reader, "group.id", "pegel-loans");
        assert_value(&reader, "statistics.interval.ms", "2000");
        assert_value(&reader, "queued.max.messages.kbytes", "16384");
        assert_value(&reader, "reconnect.backoff.max.ms", "10000");
        assert_value(&reader, "queued.min.messages", "5");

        let member = member_config(&spec, &Timing::default());
        assert_value(&member, "statistics.interval.ms", "0");
        assert_value(&member, "session.timeout.ms", "45000");

        let range = range_config(&spec, 4);
        assert_value(&range, "statistics.interval.ms", "0");
        assert_value(&range, "queued.max.messages.kbytes", "8192");
        assert_value(&range, "queued.min.messages", "5");
    }
}
