//! Errors of the file log.

use std::path::{Path, PathBuf};

use super::segment::SegmentError;
use crate::pane_log::codec::CodecError;

/// The reason why the log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum FileLogError {
    /// The operating system reported an error.
    #[error("{path}: cannot {action}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operation that failed, after "cannot".
        action: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process holds the lock.
    #[error(
        "{path} belongs to a running pegel (process {owner}): stop it, or give this one another state.path"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Process id of the owner, or `unknown`.
        owner: String,
    },
    /// A segment was written by another version of the program.
    #[error("{path} cannot be read")]
    AnotherFormat {
        /// The segment.
        path: PathBuf,
        /// Its format, and the one that this program reads.
        source: CodecError,
    },
    /// A record is undamaged and cannot be read, so it is not cut off like a torn tail.
    #[error(
        "{path}: the record at byte {at} is undamaged but cannot be read: use the program that wrote it, or move the file away to start without it"
    )]
    Undecodable {
        /// The segment.
        path: PathBuf,
        /// Byte of the segment at which the record begins.
        at: u64,
        /// Content that cannot be read.
        source: CodecError,
    },
    /// The files of the open log were removed or replaced, and new ones cannot be written.
    #[error("{path} was removed or replaced while pegel runs and cannot be written again")]
    Removed {
        /// The directory.
        path: PathBuf,
        /// The reason why the new files cannot be written.
        source: Box<FileLogError>,
    },
    /// The process was asked to stop while the log was read.
    #[error("{path}: reading stopped")]
    Interrupted {
        /// The directory.
        path: PathBuf,
    },
}

impl FileLogError {
    /// Returns a function that adds path and action to an error of the operating system.
    pub(super) fn io(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> FileLogError {
        let path = path.to_owned();
        move |source| FileLogError::Io {
            path,
            action,
            source,
        }
    }

    /// Returns a function that adds the path to an error of reading a segment.
    pub(super) fn segment(path: &Path) -> impl FnOnce(SegmentError) -> FileLogError {
        let path = path.to_owned();
        move |error| match error {
            SegmentError::Io(source) => FileLogError::io(&path, "be read")(source),
            SegmentError::Codec { source, .. } if source.is_another_format() => {
                FileLogError::AnotherFormat { path, source }
            }
            SegmentError::Codec { at, source } => FileLogError::Undecodable { path, at, source },
        }
    }
}
