//! The configuration that all clients of the log share.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::kafka::client_config;
use crate::model::PanesTopicSpec;

/// Largest record of the topic in bytes.
///
/// A commit is closed at an estimated 512 KiB. It can be larger, because the estimate is rough and
/// because one record alone may touch many features.
pub(super) const MAX_MESSAGE_BYTES: &str = "4194304";

/// Returns the properties of a client: those of every client, overridden by `properties` for its
/// use, and by the user's.
pub(super) fn log_client_config(
    spec: &PanesTopicSpec,
    properties: &[(&str, &str)],
) -> ClientConfig {
    client_config(
        &spec.brokers,
        RDKafkaLogLevel::Warning,
        std::iter::once(("reconnect.backoff.max.ms", "5000")).chain(properties.iter().copied()),
        &spec.properties,
    )
}
