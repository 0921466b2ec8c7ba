//! Results on standard output.
//!
//! The macros of `std` and `anstream` panic where the output cannot be written, such as on a full
//! disk. A reader that has read enough, such as `head`, is no error.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

/// Writes a text and a line feed.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print_line(text: impl Display) -> anyhow::Result<()> {
    print_text(format_args!("{text}\n"))
}

/// Writes a text as it is.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print_text(text: impl Display) -> anyhow::Result<()> {
    let mut output = anstream::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output: cannot be written"),
    }
}
