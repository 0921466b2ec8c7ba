//! A Kafka producer for one topic, used by the demo and the tests.
//!
//! Records reach the engine through a real topic and not through a shortcut into the decoder.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

/// An error of the producer.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// The client could not be created.
    #[error("producer for topic {topic} cannot be created")]
    Create {
        /// Name of the topic.
        topic: String,
        /// Error of librdkafka.
        source: KafkaError,
    },
    /// A record was not queued, usually because the local queue is full.
    #[error("record for topic {topic} was not queued")]
    Send {
        /// Name of the topic.
        topic: String,
        /// Error of librdkafka.
        source: KafkaError,
    },
    /// Queued records were not acknowledged in time.
    #[error("records for topic {topic} were not acknowledged")]
    Flush {
        /// Name of the topic.
        topic: String,
        /// Error of librdkafka.
        source: KafkaError,
    },
}

/// A producer that sends records to one topic.
pub struct TopicProducer {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl std::fmt::Debug for TopicProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicProducer")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl TopicProducer {
    /// Creates a producer for `topic` on the brokers, given as a comma-separated list.
    ///
    /// # Errors
    /// The client cannot be created.
    pub fn try_new(brokers: &str, topic: &str) -> Result<Self, ProducerError> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "20")
            .set("compression.type", "lz4")
            .create()
            .map_err(|source| ProducerError::Create {
                topic: topic.to_owned(),
                source,
            })?;
        Ok(TopicProducer {
            producer,
            topic: topic.to_owned(),
        })
    }

    /// Queues a record for the partition of its key.
    ///
    /// # Errors
    /// The record is not queued, usually because the local queue is full.
    pub fn send(&self, key: &str, payload: &str, timestamp_ms: i64) -> Result<(), ProducerError> {
        let record = BaseRecord::to(&self.topic)
            .key(key)
            .payload(payload)
            .timestamp(timestamp_ms);
        self.producer
            .send(record)
            .map_err(|(source, _)| ProducerError::Send {
                topic: self.topic.clone(),
                source,
            })
    }

    /// Blocks until every queued record is acknowledged, at most for `timeout`.
    ///
    /// # Errors
    /// Some records are not acknowledged in time.
    pub fn flush(&self, timeout: Duration) -> Result<(), ProducerError> {
        self.producer
            .flush(timeout)
            .map_err(|source| ProducerError::Flush {
                topic: self.topic.clone(),
                source,
            })
    }
}
