//! The first record of each partition: the number of partitions of the log.
//!
//! Shards are spread by that number, so a process that is configured with another one would look
//! for commits in the wrong partitions. The first process that finds a partition empty writes it,
//! and every process checks it.

use std::collections::BTreeMap;

use super::client::RecordLimit;
use super::error::{KafkaLogError, TopicProblem};
use super::reader::{Entry, MAX_EMPTY_POLLS, POLL_WAIT, Reader};
use super::writer::Writer;
use crate::model::PanesTopicSpec;
use crate::pane_log::codec::{CodecError, Record, decode};

/// Writes the first record of empty partitions, and checks that of all partitions.
///
/// # Errors
/// Returns an error if no broker answers, the log was started with another number of partitions, or
/// a newer program wrote it.
pub fn open_partitions(spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
    let reader = Reader::try_new(spec)?;
    let ends = reader.ends(0..spec.partitions)?;
    let empty: Vec<u32> = (0..spec.partitions)
        .filter(|partition| ends.get(partition).is_none_or(|end| *end == 0))
        .collect();
    if !empty.is_empty() {
        Writer::try_new(spec, RecordLimit::default())?.openings(empty)?;
    }
    inspect(spec)
}

/// Checks the partitions that still hold their first record; writes nothing.
///
/// # Errors
/// Returns an error if no broker answers, the log was started with another number of partitions, or
/// a newer program wrote it.
pub fn inspect(spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
    let mut reader = Reader::try_new(spec)?;
    let ends = reader.ends(0..spec.partitions)?;
    for (partition, first) in reader.beginnings()? {
        if first == 0 && ends.get(&partition).is_some_and(|end| *end > 0) {
            reader.follow(partition, 0)?;
        }
    }
    for (partition, first) in first_records(&mut reader, spec)? {
        first.check(partition, spec)?;
    }
    Ok(())
}

/// Reads the first record of each partition that `reader` follows.
fn first_records(
    reader: &mut Reader,
    spec: &PanesTopicSpec,
) -> Result<BTreeMap<u32, FirstRecord>, KafkaLogError> {
    let mut firsts: BTreeMap<u32, FirstRecord> = BTreeMap::new();
    let mut empty_polls = 0;
    loop {
        let Some(unread) = (0..spec.partitions)
            .find(|partition| reader.follows(*partition) && !firsts.contains_key(partition))
        else {
            return Ok(firsts);
        };
        let records = reader.poll(POLL_WAIT, &mut |entry| {
            firsts
                .entry(entry.partition)
                .or_insert_with(|| FirstRecord::of(&entry));
        })?;
        empty_polls = if records == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > MAX_EMPTY_POLLS {
            return Err(KafkaLogError::Silent {
                topic: spec.topic.clone(),
                partition: unread,
            });
        }
    }
}

/// The facts in the first record of a partition.
enum FirstRecord {
    /// The number of partitions its writer was configured with.
    ///
    /// A commit carries the number too: a topic that was deleted and created again may receive a
    /// commit before its opening.
    Partitions(u32),
    /// A record of another version of the program.
    AnotherFormat(CodecError),
    /// A record that pegel did not write.
    Foreign,
}

impl FirstRecord {
    fn of(entry: &Entry<'_>) -> Self {
        match (decode(entry.bytes), entry.key) {
            (Ok(Record::Opening(opening)), _) => FirstRecord::Partitions(opening.partitions),
            (Err(error), Some(_)) if error.is_another_format() => FirstRecord::AnotherFormat(error),
            (_, Some(key)) => FirstRecord::Partitions(key.partitions),
            (_, None) => FirstRecord::Foreign,
        }
    }

    fn check(self, partition: u32, spec: &PanesTopicSpec) -> Result<(), KafkaLogError> {
        let configured = spec.partitions;
        let problem = match self {
            FirstRecord::Partitions(actual) if actual == configured => return Ok(()),
            FirstRecord::Partitions(actual) => TopicProblem::StartedWith { actual, configured },
            FirstRecord::Foreign => TopicProblem::ForeignRecord { partition },
            FirstRecord::AnotherFormat(source) => {
                return Err(KafkaLogError::AnotherFormat {
                    topic: spec.topic.clone(),
                    partition,
                    offset: 0,
                    source,
                });
            }
        };
        Err(KafkaLogError::unfit(spec, problem))
    }
}
