//! The bytes of a segment: a header, the pieces of a snapshot, and commits.
//!
//! ```text
//!   header    magic (7) | format (1) | number of the first commit (8) | CRC-32C of these (4)
//!   record    length of the body (4) | CRC-32C of the body (4) | body
//! ```
//!
//! Integers are little-endian. The header is the same in every format and has a checksum, so that a
//! damaged header is not mistaken for one of a newer format.
//!
//! Records are read one by one, so that reading a segment takes the memory of its largest record
//! and not that of the segment.

use std::io::Read;

use crate::model::SchemaId;
use crate::pane_log::codec::{CodecError, FORMAT, OLDEST_FORMAT, Record, decode_with};
use crate::pane_log::schemas::SchemaTable;
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

/// The reason why a segment cannot be read on.
#[derive(Debug)]
pub(super) enum SegmentError {
    /// The bytes are as they were written, and this program cannot read them.
    Codec {
        /// Byte of the segment at which they begin.
        at: u64,
        /// Format or content that cannot be read.
        source: CodecError,
    },
    /// The operating system reported an error.
    Io(std::io::Error),
}

/// The header and the snapshot of a segment.
#[derive(Debug)]
pub(super) struct SegmentOpening {
    /// Number of the first commit.
    pub(super) first: i64,
    /// Bytes of the snapshot; empty in the first segment of a log.
    pub(super) snapshot: Vec<u8>,
    /// Size of both in the segment.
    pub(super) bytes: u64,
}

/// Reads a segment record by record.
#[derive(Debug)]
pub(super) struct SegmentReader<R> {
    input: R,
    /// Bytes that are not read yet.
    unread_bytes: u64,
    /// Size of the valid prefix so far.
    valid_bytes: u64,
    /// Body of the last record.
    body: Vec<u8>,
    /// Schemas of the commits so far.
    schemas: SchemaTable,
}

impl<R: Read> SegmentReader<R> {
    /// Reads the header and the snapshot of a segment of `total_bytes`; `None` if one is damaged.
    ///
    /// # Errors
    /// Returns an error if the bytes are undamaged and of a format that is not read.
    pub(super) fn open(
        input: R,
        total_bytes: u64,
    ) -> Result<Option<(Self, SegmentOpening)>, SegmentError> {
        let mut reader = SegmentReader {
            input,
            unread_bytes: total_bytes,
            valid_bytes: 0,
            body: Vec::new(),
            schemas: SchemaTable::default(),
        };
        let mut header = [0; HEADER_BYTES];
        if !reader.fill(&mut header)? {
            return Ok(None);
        }
        let first = read_header(&header).map_err(|source| SegmentError::Codec { at: 0, source })?;
        let Some(first) = first else {
            return Ok(None);
        };
        reader.valid_bytes = HEADER_BYTES as u64;
        let Some(snapshot) = reader.read_snapshot()? else {
            return Ok(None);
        };
        let bytes = reader.valid_bytes;
        let opening = SegmentOpening {
            first,
            snapshot,
            bytes,
        };
        Ok(Some((reader, opening)))
    }

    /// Returns the ids of the schemas that were read.
    pub(super) fn schemas(&self) -> impl Iterator<Item = SchemaId> {
        self.schemas.ids()
    }

    /// Returns the size of the valid prefix so far.
    pub(super) fn valid_bytes(&self) -> u64 {
        self.valid_bytes
    }

    /// Reads the next commit and its size in bytes; `None` at the end of the valid prefix.
    ///
    /// # Errors
    /// Returns an error if the next record is undamaged and cannot be read: a newer program wrote
    /// it. It must not be cut off as damage.
    pub(super) fn next_commit(&mut self) -> Result<Option<(Commit, u64)>, SegmentError> {
        let at = self.valid_bytes;
        match self.next_record()? {
            Some(Record::Commit(commit)) => Ok(Some((commit, self.valid_bytes - at))),
            None => Ok(None),
            // No program of this format writes another kind behind the snapshot.
            Some(_) => Err(SegmentError::Codec {
                at,
                source: CodecError::Body,
            }),
        }
    }

    /// Reads the pieces of the snapshot; `None` if one is missing.
    fn read_snapshot(&mut self) -> Result<Option<Vec<u8>>, SegmentError> {
        let (mut snapshot, mut first_piece) = (Vec::new(), None);
        for part in 0.. {
            let Some(Record::Snapshot(chunk)) = self.next_record()? else {
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

    /// Reads the next record; `None` if there is no complete and valid record.
    ///
    /// A body with a valid checksum was written like this, so that one which cannot be decoded is
    /// an error and not damage.
    fn next_record(&mut self) -> Result<Option<Record>, SegmentError> {
        if !self.read_body()? {
            return Ok(None);
        }
        match decode_with(&self.body, &mut self.schemas) {
            Ok(record) => {
                self.valid_bytes += (FRAME_BYTES + self.body.len()) as u64;
                Ok(Some(record))
            }
            Err(source) => Err(SegmentError::Codec {
                at: self.valid_bytes,
                source,
            }),
        }
    }

    /// Reads the next body; `false` if it is torn or its checksum is wrong.
    ///
    /// A length of 0 is damage: file systems fill torn tails with zeros, and the checksum of
    /// nothing is 0.
    fn read_body(&mut self) -> Result<bool, SegmentError> {
        let mut frame = [0; FRAME_BYTES];
        if !self.fill(&mut frame)? {
            return Ok(false);
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = frame;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if length == 0 || u64::from(length) > self.unread_bytes {
            return Ok(false);
        }
        let mut body = std::mem::take(&mut self.body);
        body.resize(length as usize, 0);
        let is_whole = self.fill(&mut body)?;
        self.body = body;
        Ok(is_whole && crc32c::crc32c(&self.body) == u32::from_le_bytes([c0, c1, c2, c3]))
    }

    /// Fills the buffer; `false` if the segment ends before.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, SegmentError> {
        if (buffer.len() as u64) > self.unread_bytes {
            return Ok(false);
        }
        self.input.read_exact(buffer).map_err(SegmentError::Io)?;
        self.unread_bytes -= buffer.len() as u64;
        Ok(true)
    }
}

/// Reads the number of the first commit; `None` if the header is damaged.
fn read_header(header: &[u8; HEADER_BYTES]) -> Result<Option<i64>, CodecError> {
    let Some((header, checksum)) = header.split_last_chunk() else {
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

/// Reads the longest valid prefix of a segment in memory; `None` if its header or snapshot is
/// damaged. The log itself reads segments commit by commit.
///
/// # Errors
/// Returns an error if the header or a record of the prefix is undamaged and cannot be read.
pub fn scan(bytes: &[u8]) -> Result<Option<Scan>, CodecError> {
    scan_whole(bytes).map_err(|error| match error {
        SegmentError::Codec { source, .. } => source,
        SegmentError::Io(_) => CodecError::Short,
    })
}

fn scan_whole(bytes: &[u8]) -> Result<Option<Scan>, SegmentError> {
    let Some((mut reader, opening)) = SegmentReader::open(bytes, bytes.len() as u64)? else {
        return Ok(None);
    };
    let mut commits = Vec::new();
    while let Some(commit) = reader.next_commit()? {
        commits.push(commit);
    }
    let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(Some(Scan {
        first: opening.first,
        snapshot: opening.snapshot,
        snapshot_bytes: size(opening.bytes),
        commits,
        valid_bytes: size(reader.valid_bytes()),
    }))
}
