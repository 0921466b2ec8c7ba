//! What windows are compared with: fitted files, and stretches of the stream itself.

use std::path::PathBuf;
use std::time::Duration;

use super::{EventTime, WindowSpec};

/// What windows are compared with, and what it is called in labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceSpec {
    /// Unique in its monitor; default `training`.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl ReferenceSpec {
    /// A fitted reference in a file.
    #[must_use]
    pub fn fitted(name: &str, file: impl Into<PathBuf>) -> Self {
        ReferenceSpec {
            name: name.to_owned(),
            origin: Origin::File(file.into()),
        }
    }
}

/// Where a reference comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A fitted file.
    File(PathBuf),
    /// The same hour of the week in a fitted file.
    HourOfWeek(PathBuf),
    /// What the stream held before the window.
    Rolling(Rolling),
}

impl Origin {
    /// What it is, in one word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Origin::File(_) => "file",
            Origin::HourOfWeek(_) => "hour_of_week",
            Origin::Rolling(Rolling { period: None, .. }) => "previous",
            Origin::Rolling(_) => "trailing",
        }
    }

    /// The artefact; `None` where the stream is its own reference.
    #[must_use]
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Origin::File(file) | Origin::HourOfWeek(file) => Some(file),
            Origin::Rolling(_) => None,
        }
    }
}

/// A stretch of the stream that ends `delay` before the window begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolling {
    /// How long; `None` = as long as the window.
    pub period: Option<Duration>,
    /// How long before the window's start it ends.
    pub delay: Duration,
}

impl Rolling {
    /// More panes than this are joined to wider ones: memory stays bounded however long the period.
    const PANES: u32 = 200;

    /// Its length before a window.
    #[must_use]
    pub fn period(&self, window: &WindowSpec) -> Duration {
        self.period.unwrap_or(window.size)
    }

    /// The width of the panes it is kept in: a whole number of the window's slides.
    #[must_use]
    pub fn pane_width(&self, window: &WindowSpec) -> Duration {
        let slides = self.period(window).as_millis() / window.slide.as_millis().max(1);
        let joined = slides.div_ceil(u128::from(Self::PANES)).max(1);
        window.slide * u32::try_from(joined).unwrap_or(u32::MAX)
    }

    /// First instant inside and first after, for a window that begins at `start`; whole panes, at least the period.
    #[must_use]
    pub fn span(&self, window: &WindowSpec, start: EventTime) -> (EventTime, EventTime) {
        let width = self.pane_width(window);
        let end = start.minus(self.delay).align_down(width);
        let panes = self
            .period(window)
            .as_millis()
            .div_ceil(width.as_millis().max(1));
        let period = width * u32::try_from(panes).unwrap_or(u32::MAX);
        (end.minus(period), end)
    }
}

/// How far a window's rolling reference looks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookback {
    /// Index into the monitor's windows.
    pub window: usize,
    /// Which stretch.
    pub rolling: Rolling,
    /// Width of its panes.
    pub width: Duration,
}
