//! The search for the newest complete snapshot, the place where readers begin.
//!
//! Snapshots have a partition of their own, so finding one does not mean reading commits. The
//! records of the last minutes are searched first. A reader of other monitors can still take the
//! heads from any snapshot.

use super::error::KafkaLogError;
use super::reader::{MAX_EMPTY_POLLS, POLL_WAIT, Reader};
use crate::model::{EventTime, PanesTopicSpec};
use crate::pane_log::codec::{Record, SnapshotChunk, decode};

/// Snapshot intervals that are searched before the whole partition is.
const RECENT_INTERVALS: u32 = 3;
/// Snapshots that may be incomplete at the same time; of more, the oldest is dropped as abandoned.
const MAX_INCOMPLETE: usize = 8;

/// A complete snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssembledSnapshot {
    /// The part of the monitors that it covers, as `0/1`.
    pub scope: String,
    /// The bytes of all its pieces.
    pub bytes: Vec<u8>,
}

/// A snapshot that still misses pieces.
#[derive(Debug)]
struct Incomplete {
    id: u64,
    bytes: Vec<u8>,
    next_part: u32,
}

/// Joins pieces to snapshots; the pieces of several writers may be interleaved.
#[derive(Debug, Default)]
pub struct SnapshotAssembly {
    incomplete: Vec<Incomplete>,
}

impl SnapshotAssembly {
    /// Adds a piece, and returns the snapshot that it completes.
    ///
    /// A piece out of order drops its snapshot.
    pub fn take(&mut self, chunk: SnapshotChunk) -> Option<AssembledSnapshot> {
        if chunk.part == 0 {
            self.incomplete.retain(|snapshot| snapshot.id != chunk.id);
            if self.incomplete.len() >= MAX_INCOMPLETE {
                self.incomplete.remove(0);
            }
            self.incomplete.push(Incomplete {
                id: chunk.id,
                bytes: Vec::new(),
                next_part: 0,
            });
        }
        let index = self
            .incomplete
            .iter()
            .position(|snapshot| snapshot.id == chunk.id)?;
        let snapshot = &mut self.incomplete[index];
        if snapshot.next_part != chunk.part {
            self.incomplete.remove(index);
            return None;
        }
        snapshot.bytes.extend_from_slice(&chunk.bytes);
        snapshot.next_part += 1;
        (snapshot.next_part == chunk.parts).then(|| AssembledSnapshot {
            scope: chunk.scope,
            bytes: self.incomplete.remove(index).bytes,
        })
    }
}

/// Returns the newest complete snapshot of each scope, oldest first.
///
/// All records of the partition are searched only if the snapshots among the recent ones are not
/// `is_enough`.
///
/// # Errors
/// Returns an error if no broker answers, or a newer program wrote a record.
pub fn newest_snapshots(
    spec: &PanesTopicSpec,
    now: EventTime,
    is_enough: &dyn Fn(&[AssembledSnapshot]) -> bool,
) -> Result<Vec<AssembledSnapshot>, KafkaLogError> {
    let partition = spec.snapshots();
    let reader = Reader::try_new(spec)?;
    let beginning = reader.beginnings()?.get(&partition).copied().unwrap_or(0);
    let end = reader
        .ends([partition])?
        .get(&partition)
        .copied()
        .unwrap_or(0);
    let recent_ms = now
        .minus(spec.snapshot_interval * RECENT_INTERVALS)
        .as_millis();
    let recent = reader
        .position_at(partition, recent_ms)?
        .clamp(beginning, end);
    let snapshots = read_snapshots(reader, spec, recent, end)?;
    if is_enough(&snapshots) || recent == beginning {
        return Ok(snapshots);
    }
    read_snapshots(Reader::try_new(spec)?, spec, beginning, end)
}

/// Reads the snapshots at offsets `from..end` of their partition.
///
/// A broker that does not answer is an error here: its silence does not mean that there are none.
fn read_snapshots(
    mut reader: Reader,
    spec: &PanesTopicSpec,
    from: i64,
    end: i64,
) -> Result<Vec<AssembledSnapshot>, KafkaLogError> {
    let (mut assembly, mut snapshots) = (SnapshotAssembly::default(), Vec::new());
    let (mut next, mut newer, mut empty_polls) = (from, None, 0);
    reader.follow(spec.snapshots(), from)?;
    while next < end && newer.is_none() {
        let records = reader.poll(POLL_WAIT, &mut |entry| {
            next = entry.offset + 1;
            match decode(entry.bytes) {
                Ok(Record::Snapshot(chunk)) => keep_newest(assembly.take(chunk), &mut snapshots),
                Err(source) if source.is_another_format() && entry.key.is_some() => {
                    newer = Some(KafkaLogError::AnotherFormat {
                        topic: spec.topic.clone(),
                        partition: entry.partition,
                        offset: entry.offset,
                        source,
                    });
                }
                _ => {}
            }
        })?;
        empty_polls = if records == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > MAX_EMPTY_POLLS {
            return Err(KafkaLogError::Silent {
                topic: spec.topic.clone(),
                partition: spec.snapshots(),
            });
        }
    }
    match newer {
        Some(error) => Err(error),
        None => Ok(snapshots),
    }
}

/// Adds a complete snapshot, replacing an older one of the same scope.
fn keep_newest(completed: Option<AssembledSnapshot>, snapshots: &mut Vec<AssembledSnapshot>) {
    if let Some(completed) = completed {
        snapshots.retain(|older| older.scope != completed.scope);
        snapshots.push(completed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: u64, part: u32, count: u32, text: &str) -> SnapshotChunk {
        SnapshotChunk {
            id,
            scope: "0/1".to_owned(),
            part,
            parts: count,
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn interleaved_pieces_of_two_writers_make_two_snapshots() {
        let mut assembly = SnapshotAssembly::default();
        let mut check = |chunk: SnapshotChunk, expected: Option<&str>| {
            let text = format!("{chunk:?}");
            let bytes = assembly.take(chunk).map(|whole| whole.bytes);
            assert_eq!(bytes.as_deref(), expected.map(str::as_bytes), "{text}");
        };
        check(chunk(1, 0, 2, "a"), None);
        check(chunk(2, 0, 2, "x"), None);
        check(chunk(1, 1, 2, "b"), Some("ab"));
        check(chunk(2, 1, 2, "y"), Some("xy"));
        check(chunk(3, 0, 1, "z"), Some("z"));
    }

    #[test]
    fn a_snapshot_with_a_missing_piece_is_never_completed() {
        let mut assembly = SnapshotAssembly::default();
        for (part, text) in [(0, "a"), (2, "c"), (1, "b"), (2, "c")] {
            let whole = assembly.take(chunk(1, part, 3, text));
            assert_eq!(whole, None, "piece {part}");
        }
        assert_eq!(assembly.take(chunk(1, 1, 2, "b")), None, "without a first");
    }
}
