//! A broker inside this process, for the demo and for tests.
//!
//! It is librdkafka's own mock cluster: it speaks the Kafka protocol on a loopback port, so that the demo exercises the same client, decoder and engine as
//! a real deployment. It keeps at most 5 MiB or 100,000 batches per partition and then drops from the front, knows no transactions, compaction or
//! authorization, and forgets everything when it is dropped.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Why the embedded broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// librdkafka could not listen on a loopback port.
    #[error("the embedded broker cannot start")]
    Start(#[source] KafkaError),
    /// A topic could not be created.
    #[error("the embedded broker cannot create the topic {topic} with {partitions} partitions")]
    Topic {
        /// Its name.
        topic: String,
        /// How many partitions it was to have.
        partitions: i32,
        /// librdkafka's reason.
        source: KafkaError,
    },
}

/// A running embedded broker; it stops when this is dropped.
pub struct EmbeddedBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl EmbeddedBroker {
    /// Starts a broker that holds one topic.
    pub fn start(topic: &str, partitions: i32) -> Result<Self, BrokerError> {
        let cluster = MockCluster::new(1).map_err(BrokerError::Start)?;
        let broker = EmbeddedBroker { cluster };
        broker.create_topic(topic, partitions)?;
        Ok(broker)
    }

    /// Adds a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), BrokerError> {
        self.cluster
            .create_topic(topic, partitions, 1)
            .map_err(|source| BrokerError::Topic {
                topic: topic.to_owned(),
                partitions,
                source,
            })
    }

    /// `host:port` for clients.
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
