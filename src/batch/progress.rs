//! A progress bar while rows are read; on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::source::Size;

/// A bar over pieces of work; invisible when standard error is no terminal.
#[must_use]
pub fn over_items(what: &str, count: usize) -> ProgressBar {
    let bar =
        ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}

/// A bar over rows that are read; invisible when standard error is no terminal.
#[must_use]
pub fn over_rows(what: &str, size: Size) -> ProgressBar {
    let (length, template) = match size {
        Size::Bytes(bytes) => (bytes, "{prefix} {wide_bar} {bytes}/{total_bytes} {eta}"),
        Size::Offsets(offsets) => (offsets, "{prefix} {wide_bar} {human_pos}/{human_len} {eta}"),
    };
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
