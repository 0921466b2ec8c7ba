//! The configuration that all clients of the log share.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::kafka::client_config;
use crate::model::PanesTopicSpec;

/// Largest record that pegel's own topics accept, in bytes.
///
/// A commit is closed at 512 KiB. It can be larger where one record alone touches many features.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The `message.max.bytes` that librdkafka accepts; any other prevents the start.
const CLIENT_MESSAGE_BYTES: (usize, usize) = (1000, 1_000_000_000);
/// Bytes of a record that are not counts: its key and the framing of its batch.
const RECORD_OVERHEAD_BYTES: usize = 1 << 10;

/// The size of the largest record that the topic accepts: its `max.message.bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimit(usize);

impl RecordLimit {
    /// Returns the limit of a topic with this `max.message.bytes`.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        RecordLimit(bytes)
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// Returns the `message.max.bytes` of a client: the limit, within the range of librdkafka.
    pub(super) fn client_bytes(self) -> usize {
        let (least, most) = CLIENT_MESSAGE_BYTES;
        self.0.clamp(least, most)
    }

    /// Returns the largest size at which a commit should be closed: a quarter of the limit is left
    /// for the record that closes it.
    #[must_use]
    pub fn commit_bytes(self) -> usize {
        self.client_bytes().saturating_sub(RECORD_OVERHEAD_BYTES) / 4 * 3
    }
}

impl Default for RecordLimit {
    /// Returns the limit of the topics that pegel creates.
    fn default() -> Self {
        RecordLimit(MAX_MESSAGE_BYTES)
    }
}

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

#[cfg(test)]
mod tests {
    use super::super::fixtures::spec;
    use super::super::writer::Writer;
    use super::*;

    /// A topic that accepts records of any size prevented the start: librdkafka refuses such a
    /// `message.max.bytes`.
    #[test]
    fn a_topic_of_any_record_size_has_a_client() {
        for bytes in [0, 1 << 20, 2_147_483_647] {
            let writer = Writer::try_new(&spec(1), RecordLimit::new(bytes));
            assert!(writer.is_ok(), "{bytes} bytes: {:?}", writer.err());
        }
    }
}
