//! Errors of the file log.

use std::path::{Path, PathBuf};

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
}
