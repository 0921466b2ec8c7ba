//! The pane log in files: one log per process, in segments.
//!
//! ```text
//!   00000000000000000007.panes   snapshot | commit commit commit ...   <- appended to
//!   00000000000000000006.panes   snapshot | commit ...                 <- kept, should the newer snapshot be damaged
//! ```
//!
//! A segment opens with a snapshot of everything before it, so a start reads one segment however long the windows are, and older ones are removed once two
//! snapshots stand behind them. There is one kind of file and no side file: records carry their length and a CRC-32C, the longest valid prefix counts, and
//! a torn tail is cut off. Nothing ever says "closed cleanly", so no clean shutdown is needed.
//!
//! An append is one write and one fsync for all commits of a flush. After a failed fsync nobody knows what is on the disk, so the log takes nothing more: the
//! process ends, and the next one begins at the valid prefix.

mod segment;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::codec::CodecError;
use super::file::segment::{Opened, frame, header, name_of, number_of, open_segment};
pub use super::file::segment::{Scan, scan};
use super::{Chunk, encode_chunk, encode_commit};
use crate::panes::Commit;

/// A segment is followed by another one when it has grown by this much, or by twice its snapshot if that is more.
const SEGMENT_BYTES: u64 = 32 << 20;
/// A snapshot is written in pieces of this size.
const CHUNK_BYTES: usize = 4 << 20;
const LOCK: &str = "lock";

/// Why the log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum FileLogError {
    /// The operating system says no.
    #[error("{path}: cannot {what}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it says.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "{path} belongs to a running pegel (process {owner}): stop it, or give this one another state.path"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other's process id, as far as it is known.
        owner: String,
    },
    /// Written by a newer program.
    #[error("{path} cannot be read")]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its format and ours.
        source: CodecError,
    },
}

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Commits behind the snapshot.
    pub commits: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes cut off because they were damaged or torn.
    pub cut_bytes: u64,
}

/// What the log holds, in order: at most one snapshot, then commits with their record number and size in bytes.
#[derive(Debug)]
pub enum Found {
    /// The bytes of a snapshot.
    Snapshot(Vec<u8>),
    /// A commit.
    Commit(i64, Box<Commit>, u64),
}

/// An open log.
#[derive(Debug)]
pub struct FileLog {
    directory: PathBuf,
    _lock: File,
    segment: File,
    path: PathBuf,
    number: u64,
    /// Number of the record that is appended next.
    next: i64,
    snapshot_bytes: u64,
    grown_bytes: u64,
    segment_bytes: u64,
    /// Records not written yet.
    pending: Vec<u8>,
    next_snapshot: u64,
}

impl FileLog {
    /// Opens the log in a directory, which is made when it does not exist, and hands what it holds to `found`.
    ///
    /// # Errors
    /// Another process uses it, a newer program wrote it, or the operating system says no. Damage is no error: it is cut off and told.
    pub fn open(
        directory: &Path,
        found: &mut dyn FnMut(Found),
    ) -> Result<(Self, Recovery), FileLogError> {
        std::fs::create_dir_all(directory).map_err(io(directory, "be made"))?;
        let lock = lock(directory)?;
        let numbers = segments(directory)?;
        let mut recovery = Recovery::default();
        let mut start = None;
        for number in numbers.iter().rev() {
            let path = directory.join(name_of(*number));
            match open_segment(&path)? {
                Some(opened) => {
                    start = Some((*number, path, opened));
                    break;
                }
                None => discard(&path, &mut recovery)?,
            }
        }
        let log = match start {
            Some((number, path, opened)) => {
                Self::resume(directory, lock, number, path, opened, found, &mut recovery)?
            }
            None => {
                let number = numbers.last().map_or(1, |last| last + 1);
                Self::begin(directory, lock, number)?
            }
        };
        Ok((log, recovery))
    }

    fn begin(directory: &Path, lock: File, number: u64) -> Result<Self, FileLogError> {
        let path = directory.join(name_of(number));
        let mut log = FileLog {
            directory: directory.to_owned(),
            _lock: lock,
            segment: create(&path)?,
            path,
            number,
            next: 0,
            snapshot_bytes: 0,
            grown_bytes: 0,
            segment_bytes: SEGMENT_BYTES,
            pending: Vec::new(),
            next_snapshot: 0,
        };
        log.open_with(&[])?;
        Ok(log)
    }

    fn resume(
        directory: &Path,
        lock: File,
        number: u64,
        path: PathBuf,
        opened: Opened,
        found: &mut dyn FnMut(Found),
        recovery: &mut Recovery,
    ) -> Result<Self, FileLogError> {
        let mut next = opened.first;
        if !opened.snapshot.is_empty() {
            found(Found::Snapshot(opened.snapshot));
        }
        for (commit, bytes) in opened.commits {
            found(Found::Commit(next, Box::new(commit), bytes));
            next += 1;
            recovery.commits += 1;
        }
        let mut segment = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(io(&path, "be written"))?;
        recovery.bytes += opened.valid_bytes;
        let cut = opened.total_bytes - opened.valid_bytes;
        if cut > 0 {
            recovery.cut_bytes += cut;
            warn!(
                path = %path.display(),
                cut_bytes = cut,
                at = opened.valid_bytes,
                "the end of the pane log is torn or damaged: cut at the last good record, the rest is counted again from the source"
            );
            let shortened = segment.set_len(opened.valid_bytes);
            shortened
                .and_then(|()| segment.sync_data())
                .map_err(io(&path, "be cut"))?;
        }
        segment
            .seek(SeekFrom::End(0))
            .map_err(io(&path, "be written"))?;
        Ok(FileLog {
            directory: directory.to_owned(),
            _lock: lock,
            segment,
            path,
            number,
            next,
            snapshot_bytes: opened.snapshot_bytes,
            grown_bytes: opened.valid_bytes - opened.snapshot_bytes,
            segment_bytes: SEGMENT_BYTES,
            pending: Vec::new(),
            next_snapshot: number,
        })
    }

    /// Lets segments be smaller, for tests.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Number of the record that is appended next.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Adds a commit to what `sync` writes; returns its size in bytes.
    pub fn append(&mut self, commit: &Commit) -> u64 {
        let before = self.pending.len();
        frame(&mut self.pending, |out| encode_commit(commit, out));
        self.next += 1;
        (self.pending.len() - before) as u64
    }

    /// Writes what was appended, and returns once it is on the disk.
    ///
    /// # Errors
    /// It is not; the log must not be used any more.
    pub fn sync(&mut self) -> Result<(), FileLogError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.grown_bytes += self.pending.len() as u64;
        let written = self.segment.write_all(&self.pending);
        written
            .and_then(|()| self.segment.sync_data())
            .map_err(io(&self.path, "be written"))?;
        self.pending.clear();
        Ok(())
    }

    /// Whether the segment has grown so much that another should follow.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.grown_bytes >= self.segment_bytes.max(2 * self.snapshot_bytes)
    }

    /// Begins a segment with a snapshot of everything up to here, and removes those that are not needed any more.
    ///
    /// # Errors
    /// It is not on the disk; the log must not be used any more.
    pub fn roll(&mut self, snapshot: &[u8]) -> Result<(), FileLogError> {
        self.sync()?;
        self.number += 1;
        self.path = self.directory.join(name_of(self.number));
        self.segment = create(&self.path)?;
        self.open_with(snapshot)?;
        for number in segments(&self.directory)? {
            if number + 1 < self.number {
                let path = self.directory.join(name_of(number));
                std::fs::remove_file(&path).map_err(io(&path, "be removed"))?;
            }
        }
        sync_directory(&self.directory)
    }

    /// Writes the opening of a segment.
    fn open_with(&mut self, snapshot: &[u8]) -> Result<(), FileLogError> {
        let mut bytes = header(self.next);
        self.next_snapshot += 1;
        let pieces: Vec<&[u8]> = match snapshot {
            [] => vec![&[]],
            snapshot => snapshot.chunks(CHUNK_BYTES).collect(),
        };
        let parts = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        for (part, piece) in (0..parts).zip(pieces) {
            let chunk = Chunk {
                id: self.next_snapshot,
                scope: String::new(),
                part,
                parts,
                bytes: piece.to_vec(),
            };
            frame(&mut bytes, |out| encode_chunk(&chunk, out));
        }
        self.snapshot_bytes = bytes.len() as u64;
        self.grown_bytes = 0;
        let written = self.segment.write_all(&bytes);
        written
            .and_then(|()| self.segment.sync_data())
            .map_err(io(&self.path, "be written"))?;
        sync_directory(&self.directory)
    }
}

fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> FileLogError {
    let path = path.to_owned();
    move |source| FileLogError::Io { path, what, source }
}

/// A lock that ends with the process, however it ends.
fn lock(directory: &Path) -> Result<File, FileLogError> {
    let path = directory.join(LOCK);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io(&path, "be opened"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = std::fs::read_to_string(&path).unwrap_or_default();
            let owner = owner.trim();
            return Err(FileLogError::Locked {
                path: directory.to_owned(),
                owner: if owner.is_empty() { "unknown" } else { owner }.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(io(&path, "be locked")(source)),
    }
    let noted = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(io(&path, "be written"))?;
    Ok(file)
}

/// The numbers of the segments, ascending.
fn segments(directory: &Path) -> Result<Vec<u64>, FileLogError> {
    let entries = std::fs::read_dir(directory).map_err(io(directory, "be listed"))?;
    let mut numbers: Vec<u64> = entries
        .flatten()
        .filter_map(|entry| number_of(&entry.file_name()))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn create(path: &Path) -> Result<File, FileLogError> {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .map_err(io(path, "be made"))
}

/// Removes a segment whose opening is torn: the one before holds everything up to it.
fn discard(path: &Path, recovery: &mut Recovery) -> Result<(), FileLogError> {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    warn!(path = %path.display(), bytes, "the opening of a segment of the pane log is torn or damaged: removed, the one before is used");
    recovery.cut_bytes += bytes;
    std::fs::remove_file(path).map_err(io(path, "be removed"))
}

fn sync_directory(directory: &Path) -> Result<(), FileLogError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(io(directory, "be synced"))
}
