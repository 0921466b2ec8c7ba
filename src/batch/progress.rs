//! Progress bars on standard error; they are invisible when it is not a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::source::Size;

/// Creates a bar that counts items of work.
#[must_use]
pub fn over_items(label: &str, count: usize) -> ProgressBar {
    bar(label, count as u64, "{prefix} {wide_bar} {pos}/{len} {eta}")
}

/// Creates a bar for reading rows, in bytes of a file or offsets of a topic range.
#[must_use]
pub fn over_rows(label: &str, size: Size) -> ProgressBar {
    let bar = match size {
        Size::Bytes(bytes) => bar(
            label,
            bytes,
            "{prefix} {wide_bar} {bytes}/{total_bytes} {eta}",
        ),
        Size::Offsets(offsets) => bar(
            label,
            offsets,
            "{prefix} {wide_bar} {human_pos}/{human_len} {eta}",
        ),
    };
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn bar(label: &str, length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(label.to_owned());
    bar
}
