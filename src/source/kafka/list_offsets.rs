//! Kafka's ListOffsets, for many partitions in one request.
//!
//! rdkafka's `fetch_watermarks` asks for one partition at a time. `offsets_for_times` takes a list,
//! and it also accepts librdkafka's logical offsets for the two ends of a partition.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

use super::resume::OffsetBounds;
use super::topic_partition::{TopicPartition, partition_list};
use crate::model::EventTime;

/// Requests the first offset at or after a time, or at an end, of each partition.
///
/// The value is `None` if no record is at or after the time. A partition whose leader does not
/// answer is left out.
pub(super) fn list_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    at: Offset,
    timeout: Duration,
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    let mut list = partition_list(partitions);
    list.set_all_offsets(at)?;
    let answer = consumer.offsets_for_times(list, timeout)?;
    Ok(answer
        .elements()
        .into_iter()
        .filter_map(|element| {
            element.error().ok()?;
            let partition = TopicPartition::new(element.topic(), element.partition());
            Some(match element.offset() {
                Offset::Offset(offset) => (partition, Some(offset)),
                _ => (partition, None),
            })
        })
        .collect())
}

/// Requests the bounds of each partition; one whose leader does not answer is left out.
pub(super) fn list_bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> KafkaResult<BTreeMap<TopicPartition, OffsetBounds>> {
    let low = list_offsets(consumer, partitions, Offset::Beginning, timeout)?;
    let high = list_offsets(consumer, partitions, Offset::End, timeout)?;
    Ok(low
        .into_iter()
        .filter_map(|(partition, low)| {
            let high = *high.get(&partition)?;
            let bounds = OffsetBounds {
                low: low?,
                high: high?,
            };
            Some((partition, bounds))
        })
        .collect())
}

/// The argument of [`list_offsets`] for a time. A time before the epoch becomes the epoch, because
/// negative numbers are logical offsets.
pub(super) fn at_time(time: EventTime) -> Offset {
    Offset::Offset(time.as_millis().max(0))
}
