//! References as configured: fitted files, and past periods of the stream itself.

use std::path::PathBuf;
use std::time::Duration;

use super::event_time::EventTime;
use super::window::WindowSpec;

/// A reference of a monitor, with its name in labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceSpec {
    /// Unique in its monitor.
    pub name: String,
    /// The data it is made from.
    pub origin: Origin,
}

impl ReferenceSpec {
    /// The default name of a reference in a file.
    pub const DEFAULT_NAME: &'static str = "training";

    /// A fitted reference in a file.
    #[must_use]
    pub fn fitted(name: &str, file: impl Into<PathBuf>) -> Self {
        ReferenceSpec {
            name: name.to_owned(),
            origin: Origin::File(file.into()),
        }
    }
}

/// The data a reference is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A fitted file.
    File(PathBuf),
    /// The same hour of the week in a fitted file.
    HourOfWeek(PathBuf),
    /// A period of the stream before the window.
    Rolling(Rolling),
}

impl Origin {
    /// The option that configures this kind of reference.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Origin::File(_) => "file",
            Origin::HourOfWeek(_) => "hour_of_week",
            Origin::Rolling(Rolling { period: None, .. }) => "previous",
            Origin::Rolling(_) => "trailing",
        }
    }

    /// The file of the fitted reference; `None` for a rolling reference.
    #[must_use]
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Origin::File(file) | Origin::HourOfWeek(file) => Some(file),
            Origin::Rolling(_) => None,
        }
    }
}

/// A period of the stream that ends `delay` before the window begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolling {
    /// Length of the period; `None` = the size of the window.
    pub period: Option<Duration>,
    /// Time between the end of the period and the start of the window.
    pub delay: Duration,
}

impl Rolling {
    /// The largest number of panes that are kept. A longer period has wider panes, so that memory
    /// does not grow with it.
    const MAX_PANES: u32 = 200;

    /// The length of the period before a window.
    #[must_use]
    pub fn period(&self, window: &WindowSpec) -> Duration {
        self.period.unwrap_or(window.size)
    }

    /// The width of the reference's panes: a whole number of the window's slides.
    #[must_use]
    pub fn pane_width(&self, window: &WindowSpec) -> Duration {
        let slides = self.period(window).as_millis() / window.slide.as_millis().max(1);
        let slides_per_pane = slides.div_ceil(u128::from(Self::MAX_PANES)).max(1);
        window.slide * u32::try_from(slides_per_pane).unwrap_or(u32::MAX)
    }

    /// The period `[start, end)` before a window that begins at `window_start`. It is a whole
    /// number of panes and at least as long as asked for.
    #[must_use]
    pub fn span(&self, window: &WindowSpec, window_start: EventTime) -> (EventTime, EventTime) {
        let width = self.pane_width(window);
        let end = window_start.minus(self.delay).align_down(width);
        let panes = self
            .period(window)
            .as_millis()
            .div_ceil(width.as_millis().max(1));
        let length = width * u32::try_from(panes).unwrap_or(u32::MAX);
        (end.minus(length), end)
    }
}

/// The rolling reference of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookback {
    /// Index into the monitor's windows.
    pub window: usize,
    /// Period and delay of the reference.
    pub rolling: Rolling,
    /// Width of the reference's panes.
    pub width: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn window() -> WindowSpec {
        WindowSpec {
            name: "15m".to_owned(),
            size: 15 * MINUTE,
            slide: MINUTE,
            min_samples: WindowSpec::DEFAULT_MIN_SAMPLES,
        }
    }

    /// The span of a rolling reference before a window that starts at minute 1000, in minutes.
    fn span(period: Option<Duration>, delay: Duration) -> (i64, i64) {
        let start = EventTime::from_millis(1000 * 60_000);
        let (start, end) = Rolling { period, delay }.span(&window(), start);
        (start.as_millis() / 60_000, end.as_millis() / 60_000)
    }

    #[test]
    fn a_period_ends_the_delay_before_the_window() {
        assert_eq!(span(None, Duration::ZERO), (985, 1000), "previous window");
        assert_eq!(span(Some(60 * MINUTE), 30 * MINUTE), (910, 970), "an hour");
    }

    #[test]
    fn a_long_period_has_wider_panes_and_is_not_shorter_than_asked_for() {
        let day = Rolling {
            period: Some(1440 * MINUTE),
            delay: Duration::ZERO,
        };
        assert_eq!(
            day.pane_width(&window()),
            8 * MINUTE,
            "1440 slides in at most 200 panes"
        );
        assert_eq!(
            span(day.period, day.delay),
            (1000 - 1440, 1000),
            "a whole number of panes"
        );
        assert_eq!(
            span(Some(1441 * MINUTE), MINUTE),
            (992 - 1448, 992),
            "rounded up to panes"
        );
    }
}
