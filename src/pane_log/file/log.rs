//! The file log: opened with recovery, appended to, synced, and continued in a new segment.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::directory::{self, segment_name, segments};
use super::error::FileLogError;
use super::segment::{SegmentContent, append_framed, header, read_segment};
use crate::pane_log::codec::{SnapshotChunk, encode_chunk, encode_commit};
use crate::panes::Commit;

/// Growth after which a segment is followed by a new one, unless twice its snapshot is more.
const SEGMENT_BYTES: u64 = 32 << 20;
/// Size of the pieces in which a snapshot is written.
const CHUNK_BYTES: usize = 4 << 20;

/// Statistics of opening the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Commits after the snapshot.
    pub commits: u64,
    /// Size of the valid prefix that was read.
    pub bytes: u64,
    /// Bytes cut off because they were damaged or torn.
    pub cut_bytes: u64,
}

/// An entry of the log, in order: at most one snapshot, then commits.
#[derive(Debug)]
pub enum RecoveredEntry {
    /// The bytes of a snapshot.
    Snapshot(Vec<u8>),
    /// A commit with its record number and its size in bytes.
    Commit(i64, Box<Commit>, u64),
}

/// An open log, the only one of its directory.
#[derive(Debug)]
pub struct FileLog {
    directory: PathBuf,
    _lock: File,
    segment: File,
    path: PathBuf,
    number: u64,
    /// Number of the commit that is appended next.
    next: i64,
    /// Size of the segment's header and snapshot.
    snapshot_bytes: u64,
    /// Bytes appended after the snapshot.
    grown_bytes: u64,
    segment_bytes: u64,
    /// Records that are not written yet.
    pending: Vec<u8>,
    /// Id of the last snapshot written.
    snapshot_id: u64,
}

impl FileLog {
    /// Opens the log in `directory` and passes its entries to `on_entry`; a missing directory is
    /// created.
    ///
    /// A damaged tail is cut off, and a segment whose header or snapshot is damaged is removed: the
    /// segment before holds everything up to it. Both are logged and counted in [`Recovery`].
    ///
    /// # Errors
    /// Returns an error if another process uses the directory, a newer program wrote it, or the
    /// operating system reports one.
    pub fn open(
        directory: &Path,
        on_entry: &mut dyn FnMut(RecoveredEntry),
    ) -> Result<(Self, Recovery), FileLogError> {
        std::fs::create_dir_all(directory).map_err(FileLogError::io(directory, "be created"))?;
        let lock = directory::lock(directory)?;
        let numbers = segments(directory)?;
        let mut recovery = Recovery::default();
        for number in numbers.iter().rev() {
            let path = directory.join(segment_name(*number));
            match read_segment(&path)? {
                Some(content) => {
                    let mut log = Self::at_segment(directory, lock, *number, &content)?;
                    log.replay(content, on_entry, &mut recovery)?;
                    return Ok((log, recovery));
                }
                None => discard_segment(&path, &mut recovery)?,
            }
        }
        let number = numbers.last().map_or(1, |last| last + 1);
        Ok((Self::create(directory, lock, number)?, recovery))
    }

    /// Starts a log without entries.
    fn create(directory: &Path, lock: File, number: u64) -> Result<Self, FileLogError> {
        let path = directory.join(segment_name(number));
        let mut log = FileLog {
            directory: directory.to_owned(),
            _lock: lock,
            segment: directory::create_segment(&path)?,
            path,
            number,
            next: 0,
            snapshot_bytes: 0,
            grown_bytes: 0,
            segment_bytes: SEGMENT_BYTES,
            pending: Vec::new(),
            snapshot_id: 0,
        };
        log.begin_segment(&[])?;
        Ok(log)
    }

    /// Opens an existing segment for writing.
    fn at_segment(
        directory: &Path,
        lock: File,
        number: u64,
        content: &SegmentContent,
    ) -> Result<Self, FileLogError> {
        let path = directory.join(segment_name(number));
        let segment = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(FileLogError::io(&path, "be written"))?;
        let scan = &content.scan;
        Ok(FileLog {
            directory: directory.to_owned(),
            _lock: lock,
            segment,
            path,
            number,
            next: scan.first,
            snapshot_bytes: scan.snapshot_bytes as u64,
            grown_bytes: (scan.valid_bytes - scan.snapshot_bytes) as u64,
            segment_bytes: SEGMENT_BYTES,
            pending: Vec::new(),
            snapshot_id: number,
        })
    }

    /// Passes the entries of the open segment to `on_entry`, and cuts off a damaged tail.
    fn replay(
        &mut self,
        content: SegmentContent,
        on_entry: &mut dyn FnMut(RecoveredEntry),
        recovery: &mut Recovery,
    ) -> Result<(), FileLogError> {
        let scan = content.scan;
        if !scan.snapshot.is_empty() {
            on_entry(RecoveredEntry::Snapshot(scan.snapshot));
        }
        for (commit, bytes) in scan.commits {
            on_entry(RecoveredEntry::Commit(self.next, Box::new(commit), bytes));
            self.next += 1;
            recovery.commits += 1;
        }
        let valid_bytes = scan.valid_bytes as u64;
        recovery.bytes += valid_bytes;
        let cut_bytes = content.total_bytes - valid_bytes;
        if cut_bytes > 0 {
            recovery.cut_bytes += cut_bytes;
            warn!(
                path = %self.path.display(),
                cut_bytes,
                at = valid_bytes,
                "pane log segment has a damaged tail: cut after the last valid record, the source is read again from there"
            );
            self.segment
                .set_len(valid_bytes)
                .and_then(|()| self.segment.sync_data())
                .map_err(FileLogError::io(&self.path, "be cut"))?;
        }
        self.segment
            .seek(SeekFrom::End(0))
            .map_err(FileLogError::io(&self.path, "be written"))?;
        Ok(())
    }

    /// Sets the size of segments, for tests.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Returns the number of the commit that is appended next.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Buffers a commit until the next `sync`, and returns its size in bytes.
    pub fn append(&mut self, commit: &Commit) -> u64 {
        let before = self.pending.len();
        append_framed(&mut self.pending, |out| encode_commit(commit, out));
        self.next += 1;
        (self.pending.len() - before) as u64
    }

    /// Writes the buffered commits and waits for the fsync.
    ///
    /// # Errors
    /// Returns the error of the operating system; the log must not be used any more.
    pub fn sync(&mut self) -> Result<(), FileLogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.grown_bytes += self.pending.len() as u64;
        self.segment
            .write_all(&self.pending)
            .and_then(|()| self.segment.sync_data())
            .map_err(FileLogError::io(&self.path, "be written"))?;
        self.pending.clear();
        Ok(())
    }

    /// Returns true if the segment has grown so much that a new one should follow.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.grown_bytes >= self.segment_bytes.max(2 * self.snapshot_bytes)
    }

    /// Starts a segment with a snapshot of everything so far, and removes all segments but the last
    /// two.
    ///
    /// # Errors
    /// Returns the error of the operating system; the log must not be used any more.
    pub fn roll(&mut self, snapshot: &[u8]) -> Result<(), FileLogError> {
        self.sync()?;
        self.number += 1;
        self.path = self.directory.join(segment_name(self.number));
        self.segment = directory::create_segment(&self.path)?;
        self.begin_segment(snapshot)?;
        for number in segments(&self.directory)? {
            if number + 1 < self.number {
                directory::remove_segment(&self.directory.join(segment_name(number)))?;
            }
        }
        directory::sync(&self.directory)
    }

    /// Writes and syncs the header and the snapshot of an empty segment.
    fn begin_segment(&mut self, snapshot: &[u8]) -> Result<(), FileLogError> {
        self.snapshot_id += 1;
        let pieces: Vec<&[u8]> = match snapshot {
            [] => vec![&[]],
            snapshot => snapshot.chunks(CHUNK_BYTES).collect(),
        };
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let mut bytes = header(self.next);
        for (part, piece) in (0..count).zip(pieces) {
            let chunk = SnapshotChunk {
                id: self.snapshot_id,
                scope: String::new(),
                part,
                parts: count,
                bytes: piece.to_vec(),
            };
            append_framed(&mut bytes, |out| encode_chunk(&chunk, out));
        }
        self.snapshot_bytes = bytes.len() as u64;
        self.grown_bytes = 0;
        self.segment
            .write_all(&bytes)
            .and_then(|()| self.segment.sync_data())
            .map_err(FileLogError::io(&self.path, "be written"))?;
        directory::sync(&self.directory)
    }
}

/// Removes a segment whose header or snapshot is damaged.
fn discard_segment(path: &Path, recovery: &mut Recovery) -> Result<(), FileLogError> {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    warn!(
        path = %path.display(),
        bytes,
        "pane log segment has a damaged header or snapshot: removed, the segment before is used"
    );
    recovery.cut_bytes += bytes;
    directory::remove_segment(path)
}
