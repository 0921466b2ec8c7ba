//! Apache Kafka for tests: a broker, its administration client, and a producer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// A name that no other test of this run, or of an earlier one, uses.
pub(crate) fn unique(word: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since_epoch.unwrap().as_millis();
    format!("{word}-{}-{millis}-{number}", std::process::id())
}

/// A broker and its administration client.
pub(crate) struct Kafka {
    pub(crate) bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

pub(crate) fn kafka() -> Option<Kafka> {
    match std::env::var("PEGEL_TEST_KAFKA") {
        Ok(bootstrap) => Some(Kafka::at(bootstrap)),
        Err(_) => {
            let required = std::env::var("PEGEL_TEST_REQUIRE").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "PEGEL_TEST_REQUIRE=1 but PEGEL_TEST_KAFKA is not set"
            );
            println!("skipped: PEGEL_TEST_KAFKA is not set");
            None
        }
    }
}

impl Kafka {
    pub(crate) fn at(bootstrap: String) -> Self {
        Self::with(bootstrap, &[])
    }

    /// A broker whose clients need these properties.
    pub(crate) fn with(bootstrap: String, properties: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap);
        for (property, value) in properties {
            config.set(*property, *value);
        }
        Kafka {
            bootstrap,
            admin: config.create().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    fn options() -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(DEADLINE))
    }

    pub(crate) fn topic(&self, partitions: i32) -> String {
        let name = unique("topic");
        self.create(&name, partitions);
        name
    }

    pub(crate) fn create(&self, name: &str, partitions: i32) {
        self.create_with(name, partitions, &[]);
    }

    /// A topic with settings of its own.
    pub(crate) fn create_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = settings
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = self.admin.create_topics([&topic], &Self::options());
        self.runtime.block_on(created).unwrap()[0].as_ref().unwrap();
    }

    pub(crate) fn delete(&self, name: &str) {
        let names = [name];
        let options = Self::options();
        let deleted = self.admin.delete_topics(&names, &options);
        self.runtime.block_on(deleted).unwrap()[0].as_ref().unwrap();
    }

    pub(crate) fn grow(&self, name: &str, partitions: usize) {
        let wanted = NewPartitions::new(name, partitions);
        let grown = self.admin.create_partitions([&wanted], &Self::options());
        self.runtime.block_on(grown).unwrap()[0].as_ref().unwrap();
    }

    /// Deletes the records before an offset, or all records.
    pub(crate) fn delete_before(&self, name: &str, partition: i32, offset: Offset) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(name, partition, offset).unwrap();
        let options = Self::options();
        let deleted = self.admin.delete_records(&list, &options);
        self.runtime.block_on(deleted).unwrap();
    }
}

pub(crate) fn producer(bootstrap: &str, properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (property, value) in properties {
        config.set(*property, *value);
    }
    config.create().unwrap()
}

pub(crate) fn send_one(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    text: Option<&str>,
    timestamp: Option<i64>,
) {
    send_keyed(producer, topic, partition, "k", text, timestamp);
}

/// Sends a record; waits while the producer's queue is full, and for a partition that was just
/// added: the broker whose metadata the producer has may not know it yet.
pub(crate) fn send_keyed(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    key: &str,
    text: Option<&str>,
    timestamp: Option<i64>,
) {
    let mut record = BaseRecord::<str, str>::to(topic)
        .partition(partition)
        .key(key);
    record.payload = text;
    record.timestamp = timestamp;
    let deadline = Instant::now() + DEADLINE;
    let mut rest = Some(record);
    while let Some(record) = rest.take() {
        if let Err((error, record)) = producer.send(record) {
            match error {
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {}
                KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition)
                    if Instant::now() < deadline =>
                {
                    // Metadata of the producer is renewed by a request.
                    producer.client().fetch_metadata(Some(topic), DEADLINE).ok();
                }
                error => panic!("cannot send: {error}"),
            }
            producer.poll(Duration::from_millis(10));
            rest = Some(record);
        }
    }
    producer.poll(Duration::ZERO);
}
