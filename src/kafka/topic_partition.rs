//! Names of partitions, and librdkafka's lists of them.

use std::fmt;

use rdkafka::topic_partition_list::TopicPartitionList;

use crate::model::Shard;

/// A partition by topic and number, whichever incarnation it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition in the topic.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition of a topic.
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        TopicPartition {
            topic: topic.to_owned(),
            partition,
        }
    }
}

impl From<&Shard> for TopicPartition {
    fn from(shard: &Shard) -> Self {
        TopicPartition::new(&shard.topic, shard.partition)
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} of topic {}", self.partition, self.topic)
    }
}

/// Builds a list of partitions without offsets.
#[must_use]
pub fn partition_list<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for TopicPartition { topic, partition } in partitions {
        list.add_partition(topic, *partition);
    }
    list
}
