//! Where readers begin: the newest snapshot that is whole.
//!
//! Snapshots have a partition of their own, so that finding one does not mean reading commits. They are looked for among the records of the last minutes
//! first; a reader of another part of the monitors can still take the heads from any of them.

use std::time::Duration;

use super::{KafkaLogError, Reader};
use crate::model::{EventTime, PanesTopicSpec};
use crate::panes::log::{Chunk, CodecError, Record, decode};

/// How many snapshot intervals are looked through before everything is.
const INTERVALS: u32 = 3;

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

/// The newest whole snapshot: of this scope if there is one, else of any; `None` = of any.
///
/// # Errors
/// Nobody answers, or a newer program wrote it.
pub fn newest_snapshot(
    spec: &PanesTopicSpec,
    scope: Option<&str>,
    now: EventTime,
) -> Result<Option<Whole>, KafkaLogError> {
    let partition = spec.snapshots();
    let mut reader = Reader::try_new(spec)?;
    let beginning = reader.beginnings()?.get(&partition).copied().unwrap_or(0);
    let end = reader
        .ends([partition])?
        .get(&partition)
        .copied()
        .unwrap_or(0);
    let recent = now.minus(spec.snapshot_interval * INTERVALS).as_millis();
    let recent = reader.position_at(partition, recent)?.clamp(beginning, end);
    reader.follow(partition, recent)?;
    let found = scan(&reader, spec, scope, end)?;
    let is_ours = |found: &Whole| scope.is_none_or(|scope| found.scope == scope);
    if found.as_ref().is_some_and(is_ours) || recent == beginning {
        return Ok(found);
    }
    let mut reader = Reader::try_new(spec)?;
    reader.follow(partition, beginning)?;
    scan(&reader, spec, scope, end)
}

fn scan(
    reader: &Reader,
    spec: &PanesTopicSpec,
    scope: Option<&str>,
    end: i64,
) -> Result<Option<Whole>, KafkaLogError> {
    let (mut assembly, mut best): (Assembly, Option<Whole>) = Default::default();
    let (mut next, mut newer) = (0, None);
    // A partition may end with records that never come (compaction is refused, so this is only caution): a silence ends the search too.
    let mut silences = 0;
    while next < end && silences < 20 && newer.is_none() {
        let taken = reader.poll(Duration::from_millis(250), &mut |entry| {
            next = entry.offset + 1;
            match decode(entry.bytes) {
                Ok(Record::Snapshot(chunk)) => {
                    let is_ours = |whole: &Whole| scope.is_none_or(|scope| whole.scope == scope);
                    let is_better =
                        |whole: &Whole| is_ours(whole) || !best.as_ref().is_some_and(is_ours);
                    if let Some(whole) = assembly.take(chunk).filter(is_better) {
                        best = Some(whole);
                    }
                }
                Err(source @ CodecError::Newer { .. }) => {
                    newer = Some((entry.partition, entry.offset, source));
                }
                _ => {}
            }
        })?;
        silences = if taken == 0 { silences + 1 } else { 0 };
    }
    match newer {
        Some((partition, offset, source)) => Err(KafkaLogError::Newer {
            topic: spec.topic.clone(),
            partition,
            offset,
            source,
        }),
        None => Ok(best),
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
