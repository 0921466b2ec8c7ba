//! Offsets of partitions: the bounds, and the first offset at or after a time.
//!
//! A partition whose leader does not answer is left out. The callers use the other partitions, or
//! repeat the request.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

use super::resume::OffsetBounds;
use crate::kafka::{TopicPartition, at_time, list_offsets};
use crate::model::EventTime;

/// Requests the bounds of each partition.
pub(super) fn list_bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> KafkaResult<BTreeMap<TopicPartition, OffsetBounds>> {
    let low = list_answered(consumer, partitions, Offset::Beginning, timeout)?;
    let high = list_answered(consumer, partitions, Offset::End, timeout)?;
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

/// Requests the first offset at or after a time of each partition; `None` if there is no such
/// record.
pub(super) fn list_offsets_at<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    time: EventTime,
    timeout: Duration,
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    list_answered(consumer, partitions, at_time(time), timeout)
}

fn list_answered<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    at: Offset,
    timeout: Duration,
) -> KafkaResult<BTreeMap<TopicPartition, Option<i64>>> {
    Ok(list_offsets(consumer, partitions, at, timeout)?
        .into_iter()
        .filter_map(|(partition, offset)| Some((partition, offset.ok()?)))
        .collect())
}
