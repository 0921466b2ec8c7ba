//! Turns the times of a range into offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use super::bounds::{RangeBounds, RangeStart};
use super::error::RangeError;
use super::partition::RangePartition;
use super::session::Session;
use crate::kafka::TopicPartition;
use crate::model::{EventTime, Shard, SourceSpec};
use crate::source::kafka::callbacks::CallbackContext;
use crate::source::kafka::health::{ProblemScope, RequestError};
use crate::source::kafka::partition_offsets::{list_bounds, list_offsets_at};
use crate::source::kafka::resume::OffsetBounds;

/// The first offset at or after a time, by partition; `None` if there is no such record.
type TimeOffsets = BTreeMap<TopicPartition, Option<i64>>;

/// Requests the offsets of the range in each partition; partitions without any are left out.
pub(super) fn find_partitions(
    spec: &SourceSpec,
    bounds: RangeBounds,
    patience: Duration,
) -> Result<Vec<RangePartition>, RangeError> {
    let mut session = Session::try_new(spec, 1, patience)?;
    let mut names = Vec::new();
    for topic in &spec.kafka.topics {
        names.extend(
            session.request(|consumer, timeout| list_partitions(consumer, topic, timeout))?,
        );
    }
    let held = session.request(|consumer, timeout| request_bounds(consumer, &names, timeout))?;
    let mut offsets_at = |time: EventTime| {
        session.request(|consumer, timeout| request_offsets(consumer, &names, time, timeout))
    };
    let from = match bounds.from {
        RangeStart::Earliest => None,
        RangeStart::At(time) => Some(offsets_at(time)?),
    };
    let to = bounds.to.map(offsets_at).transpose()?;
    Ok(names
        .iter()
        .filter_map(|name| {
            let offset_in = |offsets: &TimeOffsets| offsets.get(name).copied().flatten();
            let partition = range_of_partition(
                &spec.name,
                name,
                *held.get(name)?,
                from.as_ref().map(offset_in),
                to.as_ref().map(offset_in),
            );
            (partition.begin < partition.end).then_some(partition)
        })
        .collect())
}

/// The range of one partition.
///
/// A bound is `None` if no time was given, and `Some(None)` if no record is at or after the time,
/// which is the end of the partition. Offsets are clamped to `held`, the bounds that the partition
/// reported first.
fn range_of_partition(
    source: &str,
    TopicPartition { topic, partition }: &TopicPartition,
    held: OffsetBounds,
    from: Option<Option<i64>>,
    to: Option<Option<i64>>,
) -> RangePartition {
    let held_end = held.high.max(held.low);
    let clamp =
        |offset: Option<i64>| offset.map_or(held_end, |offset| offset.clamp(held.low, held_end));
    let begin = from.map_or(held.low, clamp);
    RangePartition {
        shard: Shard {
            source: source.to_owned(),
            cluster: String::new(),
            topic: topic.clone(),
            partition: *partition,
            incarnation: 0,
        },
        begin,
        end: to.map_or(held.high, clamp),
        is_truncated: from.is_some() && begin == held.low && held.low > 0,
    }
}

/// Requests the partitions of a topic, each of which must have a leader.
fn list_partitions(
    consumer: &BaseConsumer<CallbackContext>,
    topic: &str,
    timeout: Duration,
) -> Result<Vec<TopicPartition>, RequestError> {
    let scope = ProblemScope::Topic(topic.to_owned());
    let metadata = consumer
        .fetch_metadata(Some(topic), timeout)
        .map_err(RequestError::in_scope(scope))?;
    let description = metadata.topics().first();
    if let Some(error) = description.and_then(|description| description.error()) {
        return Err(RequestError::of_topic(topic, RDKafkaErrorCode::from(error)));
    }
    let partitions = description.map_or(&[][..], |description| description.partitions());
    if partitions.is_empty() || partitions.iter().any(|partition| partition.leader() < 0) {
        return Err(RequestError::of_topic(
            topic,
            RDKafkaErrorCode::LeaderNotAvailable,
        ));
    }
    Ok(partitions
        .iter()
        .map(|partition| TopicPartition::new(topic, partition.id()))
        .collect())
}

fn request_bounds(
    consumer: &BaseConsumer<CallbackContext>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, OffsetBounds>, RequestError> {
    let bounds = list_bounds(consumer, partitions, timeout)
        .map_err(RequestError::in_topic_of(partitions))?;
    require_all(bounds, partitions)
}

fn request_offsets(
    consumer: &BaseConsumer<CallbackContext>,
    partitions: &[TopicPartition],
    time: EventTime,
    timeout: Duration,
) -> Result<TimeOffsets, RequestError> {
    let offsets = list_offsets_at(consumer, partitions, time, timeout)
        .map_err(RequestError::in_topic_of(partitions))?;
    require_all(offsets, partitions)
}

/// Returns an answer that covers every partition; an incomplete one is an error, so that the
/// request is repeated.
fn require_all<T>(
    answer: BTreeMap<TopicPartition, T>,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, T>, RequestError> {
    match partitions.iter().find(|name| !answer.contains_key(name)) {
        None => Ok(answer),
        Some(TopicPartition { topic, .. }) => Err(RequestError::of_topic(
            topic,
            RDKafkaErrorCode::LeaderNotAvailable,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_clamped_to_the_bounds_of_the_partition() {
        let name = TopicPartition::new("t", 0);
        let held = OffsetBounds { low: 10, high: 50 };
        let check = |from, to, begin: i64, end: i64, is_truncated: bool| {
            let range = range_of_partition("s", &name, held, from, to);
            let actual = (range.begin, range.end, range.is_truncated);
            assert_eq!(actual, (begin, end, is_truncated), "{from:?} to {to:?}");
        };
        check(None, None, 10, 50, false);
        check(Some(Some(20)), Some(Some(30)), 20, 30, false);
        check(Some(Some(10)), None, 10, 50, true);
        check(Some(None), None, 50, 50, false);
        check(Some(Some(20)), Some(None), 20, 50, false);
        check(Some(Some(60)), Some(Some(70)), 50, 50, false);
    }
}
