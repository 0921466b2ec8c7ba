//! The directory of a file log: its lock and its segments.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::error::FileLogError;

const LOCK: &str = "lock";

/// The lock of a directory.
///
/// A child process shares it between its fork and its exec, so closing the file alone does not
/// release it at once. Dropping this does.
#[derive(Debug)]
pub(super) struct DirectoryLock(File);

impl DirectoryLock {
    /// Returns true if the lock file is still in the directory: without it, another process can
    /// take the lock.
    pub(super) fn is_in(&self, directory: &Path) -> bool {
        is_same_file(&self.0, &directory.join(LOCK))
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file is the other way to release it.
        self.0.unlock().ok();
    }
}

/// Takes the lock of the directory; the operating system releases it when the process ends, however
/// it ends.
///
/// The lock file holds the process id, for the message of the next process.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, FileLogError> {
    let path = directory.join(LOCK);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(FileLogError::io(&path, "be opened"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let content = std::fs::read_to_string(&path).unwrap_or_default();
            let owner = match content.trim() {
                "" => "unknown",
                owner => owner,
            };
            return Err(FileLogError::Locked {
                path: directory.to_owned(),
                owner: owner.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => {
            return Err(FileLogError::io(&path, "be locked")(source));
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(FileLogError::io(&path, "be written"))?;
    Ok(DirectoryLock(file))
}

/// Returns true if the path names the open file, and not another one or none.
#[cfg(unix)]
pub(super) fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(identity).ok() == std::fs::metadata(path).map(identity).ok()
}

/// Returns true if the path names a file: open files cannot be removed here.
#[cfg(not(unix))]
pub(super) fn is_same_file(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Returns the file name of a segment; names sort like their numbers.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:020}.panes")
}

/// Returns the number in the file name of a segment; `None` for other files.
fn segment_number(name: &OsStr) -> Option<u64> {
    name.to_str()?.strip_suffix(".panes")?.parse().ok()
}

/// Returns the numbers of the segments in the directory, in ascending order.
pub(super) fn segments(directory: &Path) -> Result<Vec<u64>, FileLogError> {
    let entries = std::fs::read_dir(directory).map_err(FileLogError::io(directory, "be listed"))?;
    let mut numbers: Vec<u64> = entries
        .flatten()
        .filter_map(|entry| segment_number(&entry.file_name()))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates an empty segment, replacing a file of that name.
pub(super) fn create_segment(path: &Path) -> Result<File, FileLogError> {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .map_err(FileLogError::io(path, "be created"))
}

/// Removes a segment.
pub(super) fn remove_segment(path: &Path) -> Result<(), FileLogError> {
    std::fs::remove_file(path).map_err(FileLogError::io(path, "be removed"))
}

/// Renames a segment that cannot be read, so that it is kept and is no segment any more; returns
/// the new path.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, FileLogError> {
    let renamed = (0_u32..)
        .map(|number| match number {
            0 => path.with_extension("panes.damaged"),
            number => path.with_extension(format!("panes.damaged.{number}")),
        })
        .find(|renamed| !renamed.exists())
        .unwrap_or_else(|| path.with_extension("panes.damaged"));
    std::fs::rename(path, &renamed).map_err(FileLogError::io(path, "be renamed"))?;
    Ok(renamed)
}

/// Syncs the directory, so that created and removed segments survive a crash of the machine.
pub(super) fn sync(directory: &Path) -> Result<(), FileLogError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(FileLogError::io(directory, "be synced"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that was being started kept the lock of a log that was closed meanwhile.
    #[test]
    fn a_lock_that_is_dropped_is_free_although_a_child_has_inherited_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        assert!(lock(directory.path()).is_err(), "held");
        let inherited = first.0.try_clone().unwrap();
        drop(first);
        assert!(lock(directory.path()).is_ok(), "free");
        drop(inherited);
    }
}
