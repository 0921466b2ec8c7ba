//! Questions to brokers about offsets, each for many partitions at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::KafkaSource;
use super::callbacks::CallbackContext;
use super::health::Concern;
use super::resume::Bounds;
use crate::model::{EventTime, StartAt};
use crate::source::ResumePoint;

/// A partition by name.
pub(super) type Key = (String, i32);

/// A request that failed, and what it was about.
pub(super) struct Trouble {
    pub(super) concern: Concern,
    pub(super) error: KafkaError,
}

impl Trouble {
    pub(super) fn with(concern: Concern) -> impl FnOnce(KafkaError) -> Trouble {
        move |error| Trouble { concern, error }
    }
}

impl KafkaSource {
    /// The positions the group holds.
    pub(super) fn committed(&mut self, keys: &[Key]) -> Result<BTreeMap<Key, i64>, Trouble> {
        let answer = self
            .link
            .consumer()
            .committed_offsets(list_of(keys), self.rhythm.patience())
            .map_err(Trouble::with(Concern::Group))?;
        let offsets = offsets_of(&answer).map_err(Trouble::with(Concern::Group))?;
        self.health.set(Concern::Group, None);
        Ok(offsets)
    }

    /// What the partitions hold; one whose leader does not answer is left out.
    pub(super) fn bounds(&self, keys: &[Key]) -> Result<BTreeMap<Key, Bounds>, Trouble> {
        let consumer = self.link.consumer();
        bounds(consumer, keys, self.rhythm.patience()).map_err(about_topic(keys))
    }

    /// Where partitions without a position begin; one that is missing here begins at its end.
    ///
    /// A topic or partition that came after us begins at its oldest record: `latest` means "from when I was first started on", and nothing in it is older.
    pub(super) fn chosen(
        &self,
        new: &[Key],
        committed: &BTreeMap<Key, i64>,
        left: &BTreeMap<&Key, ResumePoint>,
    ) -> Result<BTreeMap<Key, i64>, Trouble> {
        let counted = left
            .iter()
            .filter(|(_, left)| matches!(left, ResumePoint::At { .. }))
            .map(|(key, _)| *key);
        let known = committed.keys().chain(counted).map(|(topic, _)| &**topic);
        let known: BTreeSet<&str> = known.collect();
        let is_late = |topic: &str, partition: i32| {
            let first = self.first_seen.get(topic);
            let is_added = first
                .is_some_and(|count| usize::try_from(partition).is_ok_and(|place| place >= *count));
            known.contains(topic) || is_added || self.awaited.contains(topic)
        };
        let earliest = self.spec.start == StartAt::Earliest;
        let (oldest, first): (Vec<Key>, Vec<Key>) = new
            .iter()
            .filter(|key| !committed.contains_key(key))
            .cloned()
            .partition(|(topic, partition)| earliest || is_late(topic, *partition));
        let mut chosen: BTreeMap<Key, i64> = oldest.into_iter().map(|key| (key, 0)).collect();
        if let StartAt::Timestamp(at) = self.spec.start
            && !first.is_empty()
        {
            let (consumer, patience) = (self.link.consumer(), self.rhythm.patience());
            let found = listed(consumer, &first, at_time(at), patience);
            let found = found.map_err(about_topic(&first))?;
            chosen.extend(found.into_iter().filter_map(|(key, at)| Some((key, at?))));
        }
        Ok(chosen)
    }
}

/// The topic of these partitions is what a failed request was about.
pub(super) fn about_topic(keys: &[Key]) -> impl FnOnce(KafkaError) -> Trouble {
    Trouble::with(Concern::Topic(keys[0].0.clone()))
}

/// What the partitions hold; one whose leader does not answer is left out.
pub(super) fn bounds(
    consumer: &BaseConsumer<CallbackContext>,
    keys: &[Key],
    patience: Duration,
) -> KafkaResult<BTreeMap<Key, Bounds>> {
    let low = listed(consumer, keys, Offset::Beginning, patience)?;
    let high = listed(consumer, keys, Offset::End, patience)?;
    let both = |(key, low): (Key, Option<i64>)| {
        let (low, high) = (low?, (*high.get(&key)?)?);
        Some((key, Bounds { low, high }))
    };
    Ok(low.into_iter().filter_map(both).collect())
}

/// Kafka's ListOffsets for many partitions at once; its special times for the two ends are librdkafka's logical offsets. `None` = nothing is at or after the
/// time; a partition whose leader does not answer is left out.
pub(super) fn listed(
    consumer: &BaseConsumer<CallbackContext>,
    keys: &[Key],
    at: Offset,
    patience: Duration,
) -> KafkaResult<BTreeMap<Key, Option<i64>>> {
    let mut list = list_of(keys);
    list.set_all_offsets(at)?;
    let answer = consumer.offsets_for_times(list, patience)?;
    let answered = answer.elements().into_iter().filter_map(|element| {
        let key = (element.topic().to_owned(), element.partition());
        match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(offset)) => Some((key, Some(offset))),
            (Ok(()), _) => Some((key, None)),
            (Err(_), _) => None,
        }
    });
    Ok(answered.collect())
}

/// What `listed` takes for a time: the first record at or after it.
pub(super) fn at_time(at: EventTime) -> Offset {
    Offset::Offset(at.as_millis().max(0))
}

/// A list of partitions without offsets.
pub(super) fn list_of(keys: &[Key]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(keys.len());
    for (topic, partition) in keys {
        list.add_partition(topic, *partition);
    }
    list
}

fn offsets_of(list: &TopicPartitionList) -> KafkaResult<BTreeMap<Key, i64>> {
    let mut offsets = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert((element.topic().to_owned(), element.partition()), offset);
        }
    }
    Ok(offsets)
}
