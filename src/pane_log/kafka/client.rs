//! The configuration that all clients of the log share.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::model::PanesTopicSpec;

/// Largest record of the topic in bytes.
///
/// A commit is closed at an estimated 512 KiB. It can be larger, because the estimate is rough and
/// because one record alone may touch many features.
pub(super) const MAX_MESSAGE_BYTES: &str = "4194304";

/// The properties of every client, before those of its use.
const SHARED: [(&str, &str); 5] = [
    ("client.id", "pegel"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "5000"),
    ("log.connection.close", "false"),
    ("allow.auto.create.topics", "false"),
];

/// Returns the properties of a client.
///
/// Later ones override earlier ones: those of every client, `properties` for this use, the brokers,
/// and the user's.
pub(super) fn client_config(spec: &PanesTopicSpec, properties: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Warning);
    for (property, value) in SHARED.iter().chain(properties) {
        config.set(*property, *value);
    }
    config.set("bootstrap.servers", spec.brokers.join(","));
    for (property, value) in &spec.properties {
        config.set(property, value);
    }
    config
}
