//! The bytes of a segment: a header, the pieces of a snapshot, and commits.
//!
//! ```text
//!   header    magic (7) | format (1) | number of the first commit (8) | CRC-32C of these (4)
//!   record    length of the body (4) | CRC-32C of the body (4) | body
//! ```
//!
//! Integers are little-endian. The header is the same in every format and has a checksum, so that a
//! damaged header is not mistaken for one of a newer format.

use std::path::Path;

use super::error::FileLogError;
use crate::pane_log::codec::{CodecError, FORMAT, OLDEST_FORMAT, Record, decode};
use crate::panes::Commit;

const MAGIC: &[u8; 7] = b"pegelog";
/// Size of the header: magic, format, number of the first commit, checksum.
const HEADER_BYTES: usize = 20;
/// Size of the length and the checksum before a record's body.
const FRAME_BYTES: usize = 8;

/// Encodes the header of a segment; `first` is the number of its first commit.
pub(super) fn header(first: i64) -> Vec<u8> {
    let mut header = [&MAGIC[..], &[FORMAT], &first.to_le_bytes()].concat();
    let checksum = crc32c::crc32c(&header);
    header.extend(checksum.to_le_bytes());
    header
}

/// Appends a record to `out`, with its length and checksum before the body that `write` appends.
pub(super) fn append_framed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; FRAME_BYTES]);
    write(out);
    let body = &out[start + FRAME_BYTES..];
    let length = u32::try_from(body.len()).expect("a record is far smaller than 4 GiB");
    let checksum = crc32c::crc32c(body);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// The content of a segment's longest valid prefix.
#[derive(Debug, PartialEq)]
pub struct Scan {
    /// Number of its first commit.
    pub first: i64,
    /// Bytes of its snapshot; empty in the first segment of a log.
    pub snapshot: Vec<u8>,
    /// Size of the header and the snapshot.
    pub snapshot_bytes: usize,
    /// Its commits, each with its size in bytes.
    pub commits: Vec<(Commit, u64)>,
    /// Size of the valid prefix.
    pub valid_bytes: usize,
}

/// Reads the longest valid prefix of a segment; `None` if its header or snapshot is damaged.
///
/// # Errors
/// Returns an error if the header or a record of the prefix has a format that is not read.
pub fn scan(bytes: &[u8]) -> Result<Option<Scan>, CodecError> {
    let Some(first) = read_header(bytes)? else {
        return Ok(None);
    };
    let mut at = HEADER_BYTES;
    let Some(snapshot) = read_snapshot(bytes, &mut at)? else {
        return Ok(None);
    };
    let mut scan = Scan {
        first,
        snapshot,
        snapshot_bytes: at,
        commits: Vec::new(),
        valid_bytes: at,
    };
    while let Some(Record::Commit(commit)) = next_record(bytes, &mut at)? {
        let size = (at - scan.valid_bytes) as u64;
        scan.commits.push((commit, size));
        scan.valid_bytes = at;
    }
    Ok(Some(scan))
}

/// Reads the number of the first commit; `None` if the header is damaged.
fn read_header(bytes: &[u8]) -> Result<Option<i64>, CodecError> {
    let Some((header, checksum)) = bytes
        .get(..HEADER_BYTES)
        .and_then(|header| header.split_last_chunk())
    else {
        return Ok(None);
    };
    if !header.starts_with(MAGIC) || crc32c::crc32c(header) != u32::from_le_bytes(*checksum) {
        return Ok(None);
    }
    let format = header[MAGIC.len()];
    if format > FORMAT {
        return Err(CodecError::Newer { format });
    }
    if (1..OLDEST_FORMAT).contains(&format) {
        return Err(CodecError::Older { format });
    }
    let first = header[MAGIC.len() + 1..].try_into().map(i64::from_le_bytes);
    Ok(first.ok().filter(|first| format > 0 && *first >= 0))
}

/// Reads the pieces of the snapshot at `at`, and moves behind them; `None` if one is missing.
fn read_snapshot(bytes: &[u8], at: &mut usize) -> Result<Option<Vec<u8>>, CodecError> {
    let (mut snapshot, mut first_piece) = (Vec::new(), None);
    for part in 0.. {
        let Some(Record::Snapshot(chunk)) = next_record(bytes, at)? else {
            return Ok(None);
        };
        let expected = *first_piece.get_or_insert((chunk.id, chunk.parts));
        if (chunk.id, chunk.parts) != expected || chunk.part != part {
            return Ok(None);
        }
        snapshot.extend_from_slice(&chunk.bytes);
        if part + 1 >= chunk.parts {
            break;
        }
    }
    Ok(Some(snapshot))
}

/// Reads the record at `at`, and moves behind it; `None` if there is no complete and valid record.
///
/// A body with a valid checksum was written like this. If its format is newer, that is an error, so
/// that nothing of a newer program is cut off. If its format is known and it still cannot be
/// decoded, it ends the valid prefix like damage.
fn next_record(bytes: &[u8], at: &mut usize) -> Result<Option<Record>, CodecError> {
    let Some((length, rest)) = bytes.get(*at..).and_then(split_u32) else {
        return Ok(None);
    };
    let Some((checksum, rest)) = split_u32(rest) else {
        return Ok(None);
    };
    let Some(body) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.get(..length))
    else {
        return Ok(None);
    };
    if crc32c::crc32c(body) != checksum {
        return Ok(None);
    }
    match decode(body) {
        Ok(record) => {
            *at += FRAME_BYTES + body.len();
            Ok(Some(record))
        }
        Err(CodecError::Newer { format: 0 }) => Ok(None),
        Err(error) if error.is_another_format() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Splits a little-endian number off the front; `None` if there are fewer than 4 bytes.
fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes
        .split_first_chunk()
        .map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}

/// The content of a segment on the disk.
#[derive(Debug)]
pub(super) struct SegmentContent {
    /// Its longest valid prefix.
    pub(super) scan: Scan,
    /// Size of the file.
    pub(super) total_bytes: u64,
}

/// Reads a segment from the disk; `None` if its header or snapshot is damaged.
pub(super) fn read_segment(path: &Path) -> Result<Option<SegmentContent>, FileLogError> {
    let bytes = std::fs::read(path).map_err(FileLogError::io(path, "be read"))?;
    let scan = scan(&bytes).map_err(|source| FileLogError::AnotherFormat {
        path: path.to_owned(),
        source,
    })?;
    Ok(scan.map(|scan| SegmentContent {
        scan,
        total_bytes: bytes.len() as u64,
    }))
}
