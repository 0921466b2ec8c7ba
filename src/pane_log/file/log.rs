//! The file log: opened with recovery, appended to, synced, and continued in a new segment.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::directory::{self, DirectoryLock, segment_name, segments};
use super::error::FileLogError;
use super::segment::{SegmentOpening, SegmentReader, append_framed, header};
use crate::model::SchemaId;
use crate::pane_log::codec::{SnapshotChunk, encode_chunk, encode_commit, encode_commit_by_id};
use crate::pane_log::schemas::SchemaIds;
use crate::panes::Commit;

/// Growth after which a segment is followed by a new one, unless twice its snapshot is more.
const SEGMENT_BYTES: u64 = 32 << 20;
/// Size of the pieces in which a snapshot is written.
const CHUNK_BYTES: usize = 4 << 20;
/// Size of the buffer through which a segment is read.
const READ_BUFFER_BYTES: usize = 1 << 20;

/// Statistics of opening the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Commits after the snapshot.
    pub commits: u64,
    /// Size of the valid prefix that was read.
    pub bytes: u64,
    /// Bytes cut off or set aside because they were damaged or torn.
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
    lock: DirectoryLock,
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
    /// The schemas that the segment holds whole.
    schemas: BTreeSet<SchemaId>,
    schema_ids: SchemaIds,
}

impl FileLog {
    /// Opens the log in `directory` and passes its entries to `on_entry`; a missing directory is
    /// created.
    ///
    /// # Errors
    /// As for [`FileLog::open_until`].
    pub fn open(
        directory: &Path,
        on_entry: &mut dyn FnMut(RecoveredEntry),
    ) -> Result<(Self, Recovery), FileLogError> {
        Self::open_until(directory, &|| false, on_entry)
    }

    /// Opens the log in `directory` and passes each of its entries to `on_entry` as soon as it is
    /// read; gives up when `is_stopping` returns true.
    ///
    /// A damaged tail is cut off, and a segment whose header or snapshot is damaged is renamed: the
    /// segment before holds everything up to it. Both are logged and counted in [`Recovery`].
    ///
    /// # Errors
    /// Returns an error if another process uses the directory, a newer program wrote it, an
    /// undamaged record cannot be read, the operating system reports an error, or `is_stopping`.
    pub fn open_until(
        directory: &Path,
        is_stopping: &dyn Fn() -> bool,
        on_entry: &mut dyn FnMut(RecoveredEntry),
    ) -> Result<(Self, Recovery), FileLogError> {
        std::fs::create_dir_all(directory).map_err(FileLogError::io(directory, "be created"))?;
        let lock = directory::lock(directory)?;
        let numbers = segments(directory)?;
        let mut recovery = Recovery::default();
        for number in numbers.iter().rev() {
            let path = directory.join(segment_name(*number));
            let file = File::open(&path).map_err(FileLogError::io(&path, "be read"))?;
            let total_bytes = file
                .metadata()
                .map_err(FileLogError::io(&path, "be read"))?
                .len();
            let input = BufReader::with_capacity(READ_BUFFER_BYTES, file);
            let opened =
                SegmentReader::open(input, total_bytes).map_err(FileLogError::segment(&path))?;
            match opened {
                Some((reader, opening)) => {
                    let mut log = Self::at_segment(directory, lock, *number, &opening)?;
                    log.replay(reader, opening, is_stopping, on_entry, &mut recovery)?;
                    log.cut_tail(total_bytes, &mut recovery)?;
                    return Ok((log, recovery));
                }
                None => set_aside(&path, total_bytes, &mut recovery)?,
            }
        }
        let number = numbers.last().map_or(1, |last| last + 1);
        Ok((Self::create(directory, lock, number)?, recovery))
    }

    /// Starts a log without entries.
    fn create(directory: &Path, lock: DirectoryLock, number: u64) -> Result<Self, FileLogError> {
        let path = directory.join(segment_name(number));
        let mut log = FileLog {
            directory: directory.to_owned(),
            lock,
            segment: directory::create_segment(&path)?,
            path,
            number,
            next: 0,
            snapshot_bytes: 0,
            grown_bytes: 0,
            segment_bytes: SEGMENT_BYTES,
            pending: Vec::new(),
            snapshot_id: 0,
            schemas: BTreeSet::new(),
            schema_ids: SchemaIds::default(),
        };
        log.begin_segment(&[])?;
        Ok(log)
    }

    /// Opens an existing segment for writing.
    fn at_segment(
        directory: &Path,
        lock: DirectoryLock,
        number: u64,
        opening: &SegmentOpening,
    ) -> Result<Self, FileLogError> {
        let path = directory.join(segment_name(number));
        let segment = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(FileLogError::io(&path, "be written"))?;
        Ok(FileLog {
            directory: directory.to_owned(),
            lock,
            segment,
            path,
            number,
            next: opening.first,
            snapshot_bytes: opening.bytes,
            grown_bytes: 0,
            segment_bytes: SEGMENT_BYTES,
            pending: Vec::new(),
            snapshot_id: number,
            schemas: BTreeSet::new(),
            schema_ids: SchemaIds::default(),
        })
    }

    /// Passes the entries of the open segment to `on_entry`.
    fn replay(
        &mut self,
        mut reader: SegmentReader<impl Read>,
        opening: SegmentOpening,
        is_stopping: &dyn Fn() -> bool,
        on_entry: &mut dyn FnMut(RecoveredEntry),
        recovery: &mut Recovery,
    ) -> Result<(), FileLogError> {
        if !opening.snapshot.is_empty() {
            on_entry(RecoveredEntry::Snapshot(opening.snapshot));
        }
        loop {
            if is_stopping() {
                return Err(FileLogError::Interrupted {
                    path: self.directory.clone(),
                });
            }
            let commit = reader
                .next_commit()
                .map_err(FileLogError::segment(&self.path))?;
            let Some((commit, bytes)) = commit else {
                break;
            };
            on_entry(RecoveredEntry::Commit(self.next, Box::new(commit), bytes));
            self.next += 1;
            self.grown_bytes += bytes;
            recovery.commits += 1;
        }
        recovery.bytes += reader.valid_bytes();
        self.schemas = reader.schemas().collect();
        Ok(())
    }

    /// Cuts off what follows the valid prefix, and continues there.
    fn cut_tail(&mut self, total_bytes: u64, recovery: &mut Recovery) -> Result<(), FileLogError> {
        let valid_bytes = self.snapshot_bytes + self.grown_bytes;
        let cut_bytes = total_bytes - valid_bytes;
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

    /// Returns the directory of the log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the number of the commit that is appended next.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Buffers a commit until the next `sync`, and returns its size in bytes.
    pub fn append(&mut self, commit: &Commit) -> u64 {
        let before = self.pending.len();
        let schema = self.schema_ids.of(&commit.counted);
        let is_whole = commit.counted.monitors.is_empty() || self.schemas.insert(schema);
        append_framed(&mut self.pending, |out| {
            if is_whole {
                encode_commit(commit, out);
            } else {
                encode_commit_by_id(commit, schema, out);
            }
        });
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

    /// Returns true if the directory still holds the files that this log has open.
    ///
    /// Writing to a removed file succeeds, so nothing else would notice that the next start finds
    /// nothing.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.lock.is_in(&self.directory) && directory::is_same_file(&self.segment, &self.path)
    }

    /// Continues after the files were removed or replaced: creates the directory where it is
    /// missing, takes its lock, and starts a segment with a snapshot of everything so far.
    ///
    /// Segments that came in between are kept: the new one has a higher number.
    ///
    /// # Errors
    /// Returns [`FileLogError::Removed`] with the reason if that is impossible, for example because
    /// another process has taken the directory; the log must not be used any more.
    pub fn recreate(&mut self, snapshot: &[u8]) -> Result<(), FileLogError> {
        self.try_recreate(snapshot)
            .map_err(|error| FileLogError::Removed {
                path: self.directory.clone(),
                source: Box::new(error),
            })
    }

    fn try_recreate(&mut self, snapshot: &[u8]) -> Result<(), FileLogError> {
        let directory = &self.directory;
        std::fs::create_dir_all(directory).map_err(FileLogError::io(directory, "be created"))?;
        if !self.lock.is_in(directory) {
            self.lock = directory::lock(directory)?;
        }
        let newest = segments(directory)?.last().copied();
        self.number = newest.max(Some(self.number)).unwrap_or_default() + 1;
        self.path = directory.join(segment_name(self.number));
        self.segment = directory::create_segment(&self.path)?;
        self.begin_segment(snapshot)
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
        self.schemas.clear();
        self.segment
            .write_all(&bytes)
            .and_then(|()| self.segment.sync_data())
            .map_err(FileLogError::io(&self.path, "be written"))?;
        directory::sync(&self.directory)
    }
}

/// Renames a segment whose header or snapshot is damaged.
fn set_aside(path: &Path, bytes: u64, recovery: &mut Recovery) -> Result<(), FileLogError> {
    let renamed = directory::set_aside(path)?;
    warn!(
        path = %path.display(),
        renamed = %renamed.display(),
        bytes,
        "pane log segment has a damaged header or snapshot: renamed, the segment before is used"
    );
    recovery.cut_bytes += bytes;
    Ok(())
}
