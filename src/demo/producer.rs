//! A real producer, for the demo: records reach the engine through a real topic.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

/// Sends records to one topic.
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
    /// A producer to `topic` at these brokers.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn try_new(brokers: &str, topic: &str) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "20")
            .set("compression.type", "lz4");
        Ok(TopicProducer {
            producer: config.create()?,
            topic: topic.to_owned(),
        })
    }

    /// Queues a record for its key's partition.
    ///
    /// # Errors
    /// The local queue is full.
    pub fn send(&self, key: &str, payload: &str, timestamp_ms: i64) -> Result<(), KafkaError> {
        let record = BaseRecord::to(&self.topic)
            .key(key)
            .payload(payload)
            .timestamp(timestamp_ms);
        self.producer.send(record).map_err(|(error, _)| error)
    }

    /// Waits until everything queued has been acknowledged.
    ///
    /// # Errors
    /// It was not within `wait`.
    pub fn flush(&self, wait: Duration) -> Result<(), KafkaError> {
        self.producer.flush(wait)
    }
}
