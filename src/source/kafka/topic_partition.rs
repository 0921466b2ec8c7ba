//! Names of partitions, and librdkafka's lists of them.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::model::Shard;

/// A partition by topic and number, whichever incarnation it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TopicPartition {
    pub(super) topic: String,
    pub(super) partition: i32,
}

impl TopicPartition {
    pub(super) fn new(topic: &str, partition: i32) -> Self {
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
pub(super) fn partition_list<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for TopicPartition { topic, partition } in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

/// Reads the offsets of a list; a partition without one is left out.
///
/// # Errors
/// The list carries an error for one of its partitions.
pub(super) fn offsets_of(list: &TopicPartitionList) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let mut offsets = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            let partition = TopicPartition::new(element.topic(), element.partition());
            offsets.insert(partition, offset);
        }
    }
    Ok(offsets)
}
