//! The topics of a source as the brokers describe them: partitions, and the id of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;

use super::health::{ProblemScope, RequestError};
use super::librdkafka::Client;
use super::partition_reader::PartitionReader;
use crate::kafka::TopicPartition;

/// The partitions that one round of requests returned.
#[derive(Debug)]
pub(super) struct DiscoveredPartitions {
    /// The partitions that have a leader.
    pub(super) with_leader: Vec<TopicPartition>,
    /// The number of all partitions.
    pub(super) count: usize,
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

    /// The id of the cluster, requested once.
    pub(super) fn cluster(&mut self, client: &Client, timeout: Duration) -> Option<&str> {
        if self.cluster.is_none() {
            self.cluster = client.consumer().client().fetch_cluster_id(timeout);
        }
        self.cluster.as_deref()
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
            count: 0,
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
            let mut problem = None;
            if let Some(error) = topic.error() {
                let code = RDKafkaErrorCode::from(error);
                reader.health.count_error(code as i32);
                problem = Some(scope.describe(code as i32));
                if code == RDKafkaErrorCode::UnknownTopicOrPartition {
                    self.missing_topics.insert(name.clone());
                }
            }
            let count = topic.partitions().len();
            discovered.count += count;
            if count > 0 {
                self.initial_counts.entry(name.clone()).or_insert(count);
            }
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
