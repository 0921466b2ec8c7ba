//! Where readers begin: the newest snapshot that is whole.
//!
//! Snapshots have a partition of their own, so that finding one does not mean reading commits. They are looked for among the records of the last minutes
//! first; a reader of another part of the monitors can still take the heads from any of them.

use std::time::Duration;

use super::{KafkaLogError, Reader};
use crate::model::{EventTime, PanesTopicSpec};
use crate::pane_log::{Chunk, CodecError, Record, decode};

/// How many snapshot intervals are looked through before everything is.
const INTERVALS: u32 = 3;
/// Polls in a row without a record, a quarter of a second each, before nobody is taken to answer.
const MOST_SILENCES: u32 = 40;

/// A snapshot and which part of the monitors it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// As `0/1`.
    pub scope: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Puts pieces together; writers may interleave theirs.
#[derive(Debug, Default)]
pub struct Assembly {
    open: Vec<(u64, Vec<u8>, u32)>,
}

/// Snapshots being written at the same time; more are taken for abandoned, oldest first.
const MOST_OPEN: usize = 8;

impl Assembly {
    /// Takes a piece; returns the snapshot it completes.
    pub fn take(&mut self, chunk: Chunk) -> Option<Whole> {
        if chunk.part == 0 {
            self.open.retain(|(id, ..)| *id != chunk.id);
            if self.open.len() >= MOST_OPEN {
                self.open.remove(0);
            }
            self.open.push((chunk.id, Vec::new(), 0));
        }
        let place = self.open.iter().position(|(id, ..)| *id == chunk.id)?;
        let (_, bytes, next) = &mut self.open[place];
        if *next != chunk.part {
            self.open.remove(place);
            return None;
        }
        bytes.extend_from_slice(&chunk.bytes);
        *next += 1;
        (*next == chunk.parts).then(|| Whole {
            scope: chunk.scope,
            bytes: self.open.remove(place).1,
        })
    }
}

/// The newest whole snapshot of each scope, oldest first. Older records are looked through only when the recent ones are not `enough`.
///
/// # Errors
/// Nobody answers, or a newer program wrote it.
pub fn newest_snapshots(
    spec: &PanesTopicSpec,
    now: EventTime,
    is_enough: &dyn Fn(&[Whole]) -> bool,
) -> Result<Vec<Whole>, KafkaLogError> {
    let partition = spec.snapshots();
    let reader = Reader::try_new(spec)?;
    let beginning = reader.beginnings()?.get(&partition).copied().unwrap_or(0);
    let end = reader
        .ends([partition])?
        .get(&partition)
        .copied()
        .unwrap_or(0);
    let recent = now.minus(spec.snapshot_interval * INTERVALS).as_millis();
    let recent = reader.position_at(partition, recent)?.clamp(beginning, end);
    let found = scan(reader, spec, recent, end)?;
    if is_enough(&found) || recent == beginning {
        return Ok(found);
    }
    scan(Reader::try_new(spec)?, spec, beginning, end)
}

/// Reads the snapshots' partition in `from..end`. That a broker does not answer is no sign that there is nothing.
fn scan(
    mut reader: Reader,
    spec: &PanesTopicSpec,
    from: i64,
    end: i64,
) -> Result<Vec<Whole>, KafkaLogError> {
    let (mut assembly, mut found) = (Assembly::default(), Vec::new());
    let (mut next, mut newer, mut silences) = (from, None, 0);
    reader.follow(spec.snapshots(), from)?;
    while next < end && newer.is_none() {
        let taken = reader.poll(Duration::from_millis(250), &mut |entry| {
            next = entry.offset + 1;
            match decode(entry.bytes) {
                Ok(Record::Snapshot(chunk)) => keep(assembly.take(chunk), &mut found),
                Err(source @ CodecError::Newer { .. }) if entry.key.is_some() => {
                    newer = Some((entry.partition, entry.offset, source));
                }
                _ => {}
            }
        })?;
        silences = if taken == 0 { silences + 1 } else { 0 };
        if silences > MOST_SILENCES {
            return Err(KafkaLogError::Silent {
                topic: spec.topic.clone(),
                partition: spec.snapshots(),
            });
        }
    }
    match newer {
        Some((partition, offset, source)) => Err(KafkaLogError::Newer {
            topic: spec.topic.clone(),
            partition,
            offset,
            source,
        }),
        None => Ok(found),
    }
}

/// Keeps the newest of each scope.
fn keep(whole: Option<Whole>, found: &mut Vec<Whole>) {
    if let Some(whole) = whole {
        found.retain(|older| older.scope != whole.scope);
        found.push(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: u64, part: u32, parts: u32, text: &str) -> Chunk {
        Chunk {
            id,
            scope: "0/1".to_owned(),
            part,
            parts,
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn pieces_of_two_writers_make_two_snapshots() {
        let mut assembly = Assembly::default();
        let mut check = |chunk: Chunk, expected: Option<&str>| {
            let text = format!("{chunk:?}");
            let found = assembly.take(chunk).map(|whole| whole.bytes);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{text}");
        };
        check(chunk(1, 0, 2, "a"), None);
        check(chunk(2, 0, 2, "x"), None);
        check(chunk(1, 1, 2, "b"), Some("ab"));
        check(chunk(2, 1, 2, "y"), Some("xy"));
        check(chunk(3, 0, 1, "z"), Some("z"));
    }

    #[test]
    fn a_snapshot_with_a_missing_piece_is_never_whole() {
        let mut assembly = Assembly::default();
        for (part, text) in [(0, "a"), (2, "c"), (1, "b"), (2, "c")] {
            let found = assembly.take(chunk(1, part, 3, text));
            assert_eq!(found, None, "piece {part}");
        }
        assert_eq!(assembly.take(chunk(1, 1, 2, "b")), None, "without a first");
    }
}
