//! A progress bar while a file is read; on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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

/// A bar over the bytes of a file; invisible when standard error is no terminal.
#[must_use]
pub fn over_file(what: &str, size_bytes: u64) -> ProgressBar {
    let bar =
        ProgressBar::with_draw_target(Some(size_bytes), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{prefix} {wide_bar} {bytes}/{total_bytes} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
