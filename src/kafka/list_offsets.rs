//! Kafka's ListOffsets, for many partitions in one request.
//!
//! rdkafka's `fetch_watermarks` asks for one partition at a time. `offsets_for_times` takes a list,
//! and it also accepts librdkafka's logical offsets for the two ends of a partition.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

use super::topic_partition::{TopicPartition, partition_list};
use crate::model::EventTime;

/// Requests the first offset at or after a time, or at an end, of each partition.
///
/// `at` is a time from [`at_time`], [`Offset::Beginning`] or [`Offset::End`]. The offset of a
/// partition is `None` if no record is at or after the time, and an error if its leader does not
/// answer. Partitions come in the order of librdkafka's answer.
///
/// # Errors
/// The request as a whole failed.
pub fn list_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    at: Offset,
    timeout: Duration,
) -> KafkaResult<Vec<(TopicPartition, KafkaResult<Option<i64>>)>> {
    let mut list = partition_list(partitions);
    list.set_all_offsets(at)?;
    let answer = consumer.offsets_for_times(list, timeout)?;
    Ok(answer
        .elements()
        .into_iter()
        .map(|element| {
            let partition = TopicPartition::new(element.topic(), element.partition());
            let offset = element.error().map(|()| match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            });
            (partition, offset)
        })
        .collect())
}

/// The argument of [`list_offsets`] for a time. A time before the epoch becomes the epoch, because
/// negative numbers are logical offsets.
#[must_use]
pub fn at_time(time: EventTime) -> Offset {
    Offset::Offset(time.as_millis().max(0))
}
