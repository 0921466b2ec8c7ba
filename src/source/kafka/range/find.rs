//! From times to offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use super::session::{Session, trouble};
use super::{RangeBounds, RangeError, RangePart, RangeStart};
use crate::model::{EventTime, Shard, SourceSpec};
use crate::source::kafka::callbacks::CallbackContext;
use crate::source::kafka::health::Concern;
use crate::source::kafka::list_offsets::{self, Key, Trouble, at_time, listed};
use crate::source::kafka::resume::Bounds;

/// Where the first record at or after a time is; `None` = there is none.
type Places = BTreeMap<Key, Option<i64>>;

/// What each partition holds of the range; partitions with nothing in it are left out.
pub(super) fn parts(
    spec: &SourceSpec,
    bounds: RangeBounds,
    patience: Duration,
) -> Result<Vec<RangePart>, RangeError> {
    let mut session = Session::try_new(spec, 1, patience)?;
    let mut keys = Vec::new();
    for topic in &spec.kafka.topics {
        keys.extend(session.ask(|consumer, wait| partitions(consumer, topic, wait))?);
    }
    let held = session.ask(|consumer, wait| held(consumer, &keys, wait))?;
    let mut at = |time: Option<EventTime>| {
        let ask = |time| session.ask(|consumer, wait| first_at(consumer, &keys, time, wait));
        time.map(ask).transpose()
    };
    let from = at(match bounds.from {
        RangeStart::Earliest => None,
        RangeStart::At(time) => Some(time),
    })?;
    let to = at(bounds.to)?;
    let part = |key: &Key| {
        let held = *held.get(key)?;
        let part = part(&spec.name, key, held, place(&from, key), place(&to, key));
        (part.begin < part.end).then_some(part)
    };
    Ok(keys.iter().filter_map(part).collect())
}

/// The place of one partition, where a time was asked for.
fn place(places: &Option<Places>, key: &Key) -> Option<Option<i64>> {
    places.as_ref().map(|places| places.get(key).copied()?)
}

/// A time beyond the last record is at the end; places are kept within what the partition held when it was asked first.
fn part(
    source: &str,
    (topic, partition): &Key,
    held: Bounds,
    from: Option<Option<i64>>,
    to: Option<Option<i64>>,
) -> RangePart {
    let within = |place: Option<i64>| {
        let end = held.high.max(held.low);
        place.map_or(end, |place| place.clamp(held.low, end))
    };
    let begin = from.map_or(held.low, within);
    RangePart {
        shard: Shard {
            source: source.to_owned(),
            cluster: String::new(),
            topic: topic.clone(),
            partition: *partition,
            incarnation: 0,
        },
        begin,
        end: to.map_or(held.high, within),
        is_curtailed: from.is_some() && begin == held.low && held.low > 0,
    }
}

/// The partitions of a topic, each of which must have a leader.
fn partitions(
    consumer: &BaseConsumer<CallbackContext>,
    topic: &str,
    wait: Duration,
) -> Result<Vec<Key>, Trouble> {
    let concern = Concern::Topic(topic.to_owned());
    let metadata = consumer
        .fetch_metadata(Some(topic), wait)
        .map_err(Trouble::with(concern))?;
    let found = metadata.topics().first();
    if let Some(error) = found.and_then(|found| found.error()) {
        return Err(trouble(topic, RDKafkaErrorCode::from(error)));
    }
    let partitions = found.map_or(&[][..], |found| found.partitions());
    if partitions.is_empty() || partitions.iter().any(|one| one.leader() < 0) {
        return Err(trouble(topic, RDKafkaErrorCode::LeaderNotAvailable));
    }
    let key = |id: i32| (topic.to_owned(), id);
    Ok(partitions.iter().map(|one| key(one.id())).collect())
}

fn held(
    consumer: &BaseConsumer<CallbackContext>,
    keys: &[Key],
    wait: Duration,
) -> Result<BTreeMap<Key, Bounds>, Trouble> {
    let found = list_offsets::bounds(consumer, keys, wait);
    complete(found.map_err(list_offsets::about_topic(keys))?, keys)
}

fn first_at(
    consumer: &BaseConsumer<CallbackContext>,
    keys: &[Key],
    time: EventTime,
    wait: Duration,
) -> Result<Places, Trouble> {
    let found = listed(consumer, keys, at_time(time), wait);
    complete(found.map_err(list_offsets::about_topic(keys))?, keys)
}

/// An answer about every partition; anything less is asked again.
fn complete<T>(found: BTreeMap<Key, T>, keys: &[Key]) -> Result<BTreeMap<Key, T>, Trouble> {
    match keys.iter().find(|key| !found.contains_key(key)) {
        None => Ok(found),
        Some((topic, _)) => Err(trouble(topic, RDKafkaErrorCode::LeaderNotAvailable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_within_what_the_partition_holds() {
        let key = ("t".to_owned(), 0);
        let held = Bounds { low: 10, high: 50 };
        let check = |from, to, begin: i64, end: i64, is_curtailed: bool| {
            let found = part("s", &key, held, from, to);
            let found = (found.begin, found.end, found.is_curtailed);
            assert_eq!(found, (begin, end, is_curtailed), "{from:?} to {to:?}");
        };
        check(None, None, 10, 50, false);
        check(Some(Some(20)), Some(Some(30)), 20, 30, false);
        check(Some(Some(10)), None, 10, 50, true);
        check(Some(None), None, 50, 50, false);
        check(Some(Some(20)), Some(None), 20, 50, false);
        check(Some(Some(60)), Some(Some(70)), 50, 50, false);
    }
}
