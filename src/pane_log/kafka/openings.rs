//! The first record of each partition: how many partitions the log has.
//!
//! Shards are spread by that number, so a log is useless to whoever believes in another one. It is written once, by the first process that finds a partition
//! empty, and read by all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Entry, KafkaLogError, Reader, Writer};
use crate::model::PanesTopicSpec;
use crate::pane_log::{CodecError, Record, decode};

/// Opens empty partitions, and checks the others.
///
/// # Errors
/// Nobody answers, the log was begun with another number of partitions, or a newer program wrote it.
pub fn open_partitions(spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
    let reader = Reader::try_new(spec)?;
    let ends = reader.ends(0..spec.partitions)?;
    let mut writer = Writer::try_new(spec)?;
    let is_new = |partition: &u32| ends.get(partition).is_none_or(|end| *end == 0);
    for partition in (0..spec.partitions).filter(is_new) {
        writer.opening(partition)?;
    }
    writer.flush(Duration::from_secs(30))?;
    inspect(spec)
}

/// Checks the partitions that still have their first record; writes nothing.
///
/// # Errors
/// As above.
pub fn inspect(spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
    let mut reader = Reader::try_new(spec)?;
    let ends = reader.ends(0..spec.partitions)?;
    for (partition, first) in reader.beginnings()? {
        if first == 0 && ends.get(&partition).is_some_and(|end| *end > 0) {
            reader.follow(partition, 0)?;
        }
    }
    check(&reader, spec)
}

/// Reads the first record of each followed partition.
fn check(reader: &Reader, spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
    let mut firsts: BTreeMap<u32, First> = BTreeMap::new();
    let mut silences = 0;
    let is_read = |partition: &u32, firsts: &BTreeMap<u32, First>| {
        firsts.contains_key(partition) || !reader.follows(*partition)
    };
    while !(0..spec.partitions).all(|partition| is_read(&partition, &firsts)) {
        let taken = reader.poll(Duration::from_millis(250), &mut |entry| {
            firsts
                .entry(entry.partition)
                .or_insert_with(|| First::of(&entry));
        })?;
        silences = if taken == 0 { silences + 1 } else { 0 };
        if silences > 40 {
            return Err(KafkaLogError::Silent {
                topic: spec.topic.clone(),
                partition: 0,
            });
        }
    }
    let mut firsts = firsts.into_iter();
    firsts.try_for_each(|(partition, first)| first.judge(partition, spec))
}

/// What the first record of a partition says.
enum First {
    /// How many partitions its writer believed in. A commit says so too: a topic made anew may get one before its opening.
    Partitions(u32),
    Newer(CodecError),
    Foreign,
}

impl First {
    fn of(entry: &Entry<'_>) -> Self {
        match (decode(entry.bytes), entry.key) {
            (Ok(Record::Opening(opening)), _) => First::Partitions(opening.partitions),
            (Err(newer @ CodecError::Newer { .. }), Some(_)) => First::Newer(newer),
            (_, Some(key)) => First::Partitions(key.partitions),
            (_, None) => First::Foreign,
        }
    }

    fn judge(self, partition: u32, spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
        let wanted = spec.partitions;
        match self {
            First::Partitions(found) if found == wanted => Ok(()),
            First::Partitions(found) => Err(unfit(
                spec,
                format!(
                    "it was begun with {found} partitions and state.panes_partitions is {wanted}; the number must never change"
                ),
            )),
            First::Newer(source) => Err(KafkaLogError::Newer {
                topic: spec.topic.clone(),
                partition,
                offset: 0,
                source,
            }),
            First::Foreign => Err(unfit(
                spec,
                format!("partition {partition} begins with something that is not pegel's"),
            )),
        }
    }
}

fn unfit(spec: &PanesTopicSpec, problem: String) -> KafkaLogError {
    KafkaLogError::Unfit {
        topic: spec.topic.clone(),
        problem,
    }
}
