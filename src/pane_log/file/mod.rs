//! The pane log in files: one log per process, in segments.
//!
//! ```text
//!   00000000000000000007.panes   snapshot | commit commit commit ...   <- appended to
//!   00000000000000000006.panes   snapshot | commit ...                 <- kept as a spare
//! ```
//!
//! A segment begins with a snapshot of everything before it. So a start reads one segment however
//! long the windows are, and all segments but the last two are removed. There is one kind of file:
//! no index and no file that marks a clean shutdown, because none is needed. Each record carries
//! its length and a CRC-32C. The longest valid prefix of a segment counts, and a torn tail is cut
//! off.
//!
//! All commits of a flush are one write and one fsync. After a failed fsync the content of the disk
//! is unknown, so the log accepts nothing more: the process ends, and the next one begins at the
//! valid prefix.

mod directory;
mod error;
mod log;
mod segment;

pub use error::FileLogError;
pub use log::{FileLog, RecoveredEntry, Recovery};
pub use segment::{Scan, scan};
