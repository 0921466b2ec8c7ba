//! An embedded Kafka broker for the demo and the tests.
//!
//! It is the mock cluster of librdkafka: it speaks the Kafka protocol on a loopback port, so the
//! demo exercises the same client as a real deployment. It keeps at most 5 MiB or 100,000 batches
//! per partition and then drops the oldest, has no transactions, compaction or authorization, and
//! keeps nothing after it is dropped.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// An error of the embedded broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// librdkafka could not listen on a loopback port.
    #[error("embedded broker failed to start")]
    Start(#[source] KafkaError),
    /// A topic could not be created.
    #[error("embedded broker failed to create topic {topic} with {partitions} partitions")]
    Topic {
        /// Name of the topic.
        topic: String,
        /// Requested number of partitions.
        partitions: i32,
        /// Error of librdkafka.
        source: KafkaError,
    },
}

/// A running embedded broker; dropping it stops it.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts a broker that holds one topic.
    ///
    /// # Errors
    /// The broker cannot listen, or the topic cannot be created.
    pub fn start(topic: &str, partitions: i32) -> Result<Self, BrokerError> {
        let cluster = MockCluster::new(1).map_err(BrokerError::Start)?;
        let broker = EmbeddedBroker { cluster };
        broker.create_topic(topic, partitions)?;
        Ok(broker)
    }

    /// Creates another topic.
    ///
    /// # Errors
    /// The topic cannot be created.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), BrokerError> {
        self.cluster
            .create_topic(topic, partitions, 1)
            .map_err(|source| BrokerError::Topic {
                topic: topic.to_owned(),
                partitions,
                source,
            })
    }

    /// Returns the `host:port` that clients connect to.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker")
            .field("bootstrap_servers", &self.bootstrap_servers())
            .finish_non_exhaustive()
    }
}
