//! The bytes of a segment: a header, then records behind their length and checksum.

use std::ffi::OsStr;
use std::path::Path;

use super::{FileLogError, io};
use crate::pane_log::codec::{CodecError, FORMAT, Record, decode};
use crate::panes::Commit;

const MAGIC: &[u8; 7] = b"pegelog";
/// Magic, format, number of the first record, and a checksum of these: the same in every format, so that a damaged header is not taken for a newer one.
const HEADER_BYTES: usize = 20;
/// Length and checksum.
const FRAME_BYTES: usize = 8;

/// A segment's name; names sort as numbers do.
pub(super) fn name_of(number: u64) -> String {
    format!("{number:020}.panes")
}

/// The number in a segment's name; `None` for other files.
pub(super) fn number_of(name: &OsStr) -> Option<u64> {
    name.to_str()?.strip_suffix(".panes")?.parse().ok()
}

/// The header of a segment whose first commit has this number.
pub(super) fn header(first: i64) -> Vec<u8> {
    let mut header = [&MAGIC[..], &[FORMAT], &first.to_le_bytes()].concat();
    let checksum = crc32c::crc32c(&header);
    header.extend(checksum.to_le_bytes());
    header
}

/// Appends a record behind its length and checksum.
pub(super) fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; FRAME_BYTES]);
    write(out);
    let body = &out[start + FRAME_BYTES..];
    let length = u32::try_from(body.len()).expect("a record is far smaller than 4 GiB");
    let checksum = crc32c::crc32c(body);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// What the valid prefix of a segment holds.
#[derive(Debug, PartialEq)]
pub struct Scan {
    /// Number of its first commit.
    pub first: i64,
    /// The bytes of its snapshot; empty where nothing was before it.
    pub snapshot: Vec<u8>,
    /// Bytes of the header and the snapshot.
    pub snapshot_bytes: usize,
    /// Its commits, each with its size in bytes.
    pub commits: Vec<(Commit, u64)>,
    /// Length of the valid prefix.
    pub valid_bytes: usize,
}

/// Reads the longest valid prefix of a segment; `None` when its opening is not whole.
///
/// # Errors
/// A newer program wrote it.
pub fn scan(bytes: &[u8]) -> Result<Option<Scan>, CodecError> {
    let Some(first) = read_header(bytes)? else {
        return Ok(None);
    };
    let mut at = HEADER_BYTES;
    let Some(snapshot) = read_snapshot(bytes, &mut at)? else {
        return Ok(None);
    };
    let mut found = Scan {
        first,
        snapshot,
        snapshot_bytes: at,
        commits: Vec::new(),
        valid_bytes: at,
    };
    while let Some(record) = next_record(bytes, &mut at)? {
        let Record::Commit(commit) = record else {
            break;
        };
        found
            .commits
            .push((commit, (at - found.valid_bytes) as u64));
        found.valid_bytes = at;
    }
    Ok(Some(found))
}

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
    let found = header[MAGIC.len()];
    if found > FORMAT {
        return Err(CodecError::Newer { found });
    }
    let first = header[MAGIC.len() + 1..].try_into().map(i64::from_le_bytes);
    Ok(first.ok().filter(|first| found > 0 && *first >= 0))
}

fn read_snapshot(bytes: &[u8], at: &mut usize) -> Result<Option<Vec<u8>>, CodecError> {
    let (mut snapshot, mut expected) = (Vec::new(), None);
    for part in 0.. {
        let Some(Record::Snapshot(chunk)) = next_record(bytes, at)? else {
            return Ok(None);
        };
        let own = *expected.get_or_insert((chunk.id, chunk.parts));
        if (chunk.id, chunk.parts) != own || chunk.part != part {
            return Ok(None);
        }
        snapshot.extend_from_slice(&chunk.bytes);
        if part + 1 >= chunk.parts {
            break;
        }
    }
    Ok(Some(snapshot))
}

/// The record at `at`, which moves behind it; `None` when there is no whole record.
///
/// A body that passes its checksum was written so: if it cannot be read, a newer program wrote it.
fn next_record(bytes: &[u8], at: &mut usize) -> Result<Option<Record>, CodecError> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let Some((frame, rest)) = rest.split_at_checked(FRAME_BYTES) else {
        return Ok(None);
    };
    let number = |place: usize| {
        let four = frame[place..place + 4].try_into();
        four.map_or(0, u32::from_le_bytes)
    };
    let Some(body) = usize::try_from(number(0))
        .ok()
        .and_then(|length| rest.get(..length))
    else {
        return Ok(None);
    };
    if crc32c::crc32c(body) != number(4) {
        return Ok(None);
    }
    match decode(body) {
        Ok(record) => {
            *at += FRAME_BYTES + body.len();
            Ok(Some(record))
        }
        Err(newer @ CodecError::Newer { found }) if found > FORMAT => Err(newer),
        Err(_) => Ok(None),
    }
}

/// A segment as it was found on the disk.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) first: i64,
    pub(super) snapshot: Vec<u8>,
    pub(super) snapshot_bytes: u64,
    pub(super) commits: Vec<(Commit, u64)>,
    pub(super) valid_bytes: u64,
    pub(super) total_bytes: u64,
}

/// Reads a segment; `None` when its opening is not whole.
pub(super) fn open_segment(path: &Path) -> Result<Option<Opened>, FileLogError> {
    let bytes = std::fs::read(path).map_err(io(path, "be read"))?;
    let found = scan(&bytes).map_err(|source| FileLogError::Newer {
        path: path.to_owned(),
        source,
    })?;
    Ok(found.map(|found| Opened {
        first: found.first,
        snapshot: found.snapshot,
        snapshot_bytes: found.snapshot_bytes as u64,
        commits: found.commits,
        valid_bytes: found.valid_bytes as u64,
        total_bytes: bytes.len() as u64,
    }))
}
