//! The topics of a source as the brokers describe them: partitions, and the id of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::health::{ProblemScope, RequestError};
use super::partition_reader::PartitionReader;
use crate::kafka::TopicPartition;

/// The partitions that one round of requests returned.
#[derive(Debug)]
pub(super) struct DiscoveredPartitions {
    /// The partitions that have a leader.
    pub(super) with_leader: Vec<TopicPartition>,
    /// The number of all partitions of each topic.
    pub(super) counts: BTreeMap<String, i32>,
}

impl DiscoveredPartitions {
    /// The number of all partitions.
    pub(super) fn count(&self) -> u32 {
        self.counts.values().map(|count| count.unsigned_abs()).sum()
    }

    /// All partitions of a topic.
    pub(super) fn of_topic(&self, topic: &str) -> impl Iterator<Item = TopicPartition> {
        let count = self.counts.get(topic).copied().unwrap_or(0);
        (0..count).map(move |partition| TopicPartition::new(topic, partition))
    }
}

/// Requests metadata, and remembers what existed at first.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    cluster: Option<String>,
    /// Topics that did not exist at one of the requests.
    missing_topics: BTreeSet<String>,
    /// The number of partitions of each topic in the first answer about it.
    initial_counts: BTreeMap<String, usize>,
}

impl Discovery {
    /// True if a topic or a partition was created after the source started: all of its records are
    /// newer than the source.
    pub(super) fn is_created_later(
        &self,
        TopicPartition { topic, partition }: &TopicPartition,
    ) -> bool {
        let is_added = self.initial_counts.get(topic).is_some_and(|count| {
            usize::try_from(*partition).is_ok_and(|partition| partition >= *count)
        });
        is_added || self.missing_topics.contains(topic)
    }

    /// The id of the cluster, if it was requested before.
    pub(super) fn known_cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The id of the cluster, requested once. Without it, nothing can be opened: shards carry it.
    ///
    /// # Errors
    /// The brokers report none.
    pub(super) fn cluster(
        &mut self,
        reader: &mut PartitionReader,
        timeout: Duration,
    ) -> Result<String, RequestError> {
        if self.cluster.is_none() {
            self.cluster = reader.client.consumer().client().fetch_cluster_id(timeout);
        }
        let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnsupportedFeature);
        let cluster = self
            .cluster
            .clone()
            .ok_or_else(|| RequestError::in_scope(ProblemScope::Cluster)(missing))?;
        reader.health.set_problem(ProblemScope::Cluster, None);
        Ok(cluster)
    }

    /// The number of partitions of a topic in the first answer about it.
    pub(super) fn initial_count(&self, topic: &str) -> Option<i32> {
        self.initial_counts
            .get(topic)
            .map(|count| i32::try_from(*count).unwrap_or(i32::MAX))
    }

    /// Requests the partitions of each topic, and updates the problems of the topics.
    pub(super) fn discover_partitions(
        &mut self,
        topics: &[String],
        reader: &mut PartitionReader,
        timeout: Duration,
    ) -> Result<DiscoveredPartitions, RequestError> {
        let mut discovered = DiscoveredPartitions {
            with_leader: Vec::new(),
            counts: BTreeMap::new(),
        };
        for name in topics {
            let scope = ProblemScope::Topic(name.clone());
            let metadata = reader
                .client
                .consumer()
                .fetch_metadata(Some(name), timeout)
                .map_err(RequestError::in_scope(scope.clone()))?;
            reader.health.answered();
            let Some(topic) = metadata.topics().first() else {
                continue;
            };
            if let Some(error) = topic.error() {
                let code = RDKafkaErrorCode::from(error);
                reader.health.count_error(code as i32);
                let problem = Some(scope.describe(code as i32));
                if code == RDKafkaErrorCode::UnknownTopicOrPartition {
                    self.missing_topics.insert(name.clone());
                }
                // Requests about the partitions would fail with a less telling error.
                reader.health.set_problem(scope, problem);
                continue;
            }
            let mut problem = None;
            let count = topic.partitions().len();
            if count > 0 {
                discovered
                    .counts
                    .insert(name.clone(), i32::try_from(count).unwrap_or(i32::MAX));
                self.initial_counts.entry(name.clone()).or_insert(count);
            }
            let leaders = topic
                .partitions()
                .iter()
                .filter(|metadata| metadata.leader() >= 0)
                .map(|metadata| (metadata.id(), metadata.leader()))
                .collect();
            reader.table.set_leaders(name, leaders);
            for metadata in topic.partitions() {
                let partition = TopicPartition::new(name, metadata.id());
                if metadata.leader() < 0 {
                    problem = Some(format!("{partition} has no leader"));
                } else {
                    discovered.with_leader.push(partition);
                }
            }
            reader.health.set_problem(scope, problem);
        }
        Ok(discovered)
    }
}
