//! The first record of each partition: how many partitions the log has.
//!
//! Shards are spread by that number, so a log is useless to whoever believes in another one. It is written once, by the first process that finds a partition
//! empty, and read by all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{KafkaLogError, Reader, Writer};
use crate::model::PanesTopicSpec;
use crate::panes::log::{CodecError, Record, decode};

/// Opens empty partitions, and checks the others.
///
/// # Errors
/// Nobody answers, the log was begun with another number of partitions, or a newer program wrote it.
pub fn open_partitions(spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
    let mut reader = Reader::try_new(spec)?;
    let beginnings = reader.beginnings()?;
    let ends = reader.ends(0..spec.partitions)?;
    let end = |partition: u32| ends.get(&partition).copied().unwrap_or(0);
    let whole: Vec<u32> = beginnings
        .into_iter()
        .filter(|(_, first)| *first == 0)
        .map(|(partition, _)| partition)
        .collect();
    let (failed, failures) = crossbeam_channel::unbounded();
    let mut writer = Writer::try_new(spec, failed)?;
    for partition in whole.iter().filter(|partition| end(**partition) == 0) {
        writer.opening(*partition)?;
    }
    writer.flush(Duration::from_secs(30))?;
    if let Ok(failure) = failures.try_recv() {
        let reason = failure.reason;
        let problem = format!("its first records cannot be written: {reason}");
        return Err(unfit(spec, problem));
    }
    for partition in whole {
        reader.follow(partition, 0)?;
    }
    check(&reader, spec)
}

/// Reads the first record of each followed partition.
fn check(reader: &Reader, spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
    let mut firsts: BTreeMap<u32, Result<Record, CodecError>> = BTreeMap::new();
    let mut silences = 0;
    while !(0..spec.partitions)
        .all(|partition| firsts.contains_key(&partition) || !reader.follows(partition))
    {
        let taken = reader.poll(Duration::from_millis(250), &mut |entry| {
            firsts
                .entry(entry.partition)
                .or_insert_with(|| decode(entry.bytes));
        })?;
        silences = if taken == 0 { silences + 1 } else { 0 };
        if silences > 40 {
            return Err(unfit(spec, "its first records cannot be read".to_owned()));
        }
    }
    for (partition, first) in firsts {
        match first {
            Ok(Record::Opening(opening)) if opening.partitions == spec.partitions => {}
            Ok(Record::Opening(opening)) => {
                let (found, wanted) = (opening.partitions, spec.partitions);
                let problem = format!(
                    "it was begun with {found} partitions and state.panes_partitions is {wanted}; the number must never change"
                );
                return Err(unfit(spec, problem));
            }
            Err(source @ CodecError::Newer { .. }) => {
                return Err(KafkaLogError::Newer {
                    topic: spec.topic.clone(),
                    partition,
                    offset: 0,
                    source,
                });
            }
            _ => {
                let problem =
                    format!("partition {partition} begins with something that is not pegel's");
                return Err(unfit(spec, problem));
            }
        }
    }
    Ok(())
}

fn unfit(spec: &PanesTopicSpec, problem: String) -> KafkaLogError {
    KafkaLogError::Unfit {
        topic: spec.topic.clone(),
        problem,
    }
}
