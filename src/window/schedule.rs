//! The schedule of one window: it is due once per slide, when the watermark passes its end.
//!
//! The watermark decides, and not a timer: a backlog is evaluated window by window at full speed,
//! and a file gives the same evaluations as the stream it was recorded from.

use std::time::Duration;

use super::ring::Ring;
use crate::model::{EventTime, WindowSpec};

/// A window that is ready to be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// First instant inside.
    pub start: EventTime,
    /// First instant after.
    pub end: EventTime,
    /// Number of empty windows skipped before this one: a long gap is one evaluation, not a loop.
    pub skipped: u64,
}

/// The end of the next window to evaluate.
#[derive(Debug, Clone)]
pub struct Schedule {
    size: Duration,
    slide: Duration,
    next_end: Option<EventTime>,
}

impl Schedule {
    /// Creates a schedule with nothing evaluated yet.
    #[must_use]
    pub fn new(spec: &WindowSpec) -> Self {
        Schedule {
            size: spec.size,
            slide: spec.slide,
            next_end: None,
        }
    }

    /// Returns the next window whose end `watermark` has passed, if any, and moves on.
    ///
    /// The first window ever ends with the oldest pane of `ring`, or with the slide that contains
    /// the watermark if the ring is empty. Windows without any pane are skipped up to the next pane
    /// or the watermark.
    pub fn next(&mut self, watermark: EventTime, ring: &Ring) -> Option<Due> {
        let last_end = watermark.align_down(self.slide);
        let end = *self.next_end.get_or_insert_with(|| {
            ring.first_from(EventTime::MIN)
                .unwrap_or(watermark)
                .align_down(self.slide)
                .plus(self.slide)
        });
        if end > last_end {
            return None;
        }
        let end_of_gap = match ring.first_from(end.minus(self.size)) {
            Some(pane) if pane < end => end,
            Some(pane) => pane.align_down(self.slide).min(last_end),
            None => last_end,
        };
        let gap_slides = end_of_gap.since(end).as_millis() / self.slide.as_millis().max(1);
        self.next_end = Some(end_of_gap.plus(self.slide));
        Some(Due {
            start: end_of_gap.minus(self.size),
            end: end_of_gap,
            skipped: u64::try_from(gap_slides).unwrap_or(u64::MAX),
        })
    }

    /// Returns the end of the window that is evaluated next; `None` before the first.
    #[must_use]
    pub fn next_end(&self) -> Option<EventTime> {
        self.next_end
    }

    /// Restores the schedule of an earlier process; `None` keeps the current one.
    pub fn resume(&mut self, next_end: Option<EventTime>) {
        self.next_end = next_end.or(self.next_end);
    }

    /// Returns the end of the slide that contains `newest`.
    ///
    /// At the end of the input it is used as the watermark, so that every window up to it closes.
    #[must_use]
    pub fn closing(&self, newest: EventTime) -> EventTime {
        newest.align_down(self.slide).plus(self.slide)
    }

    /// Returns the time before which panes belong to no further window.
    #[must_use]
    pub fn floor(&self) -> EventTime {
        self.next_end
            .map_or(EventTime::MIN, |end| end.minus(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panes::PaneDelta;

    const SLIDE: Duration = Duration::from_secs(60);

    fn at(minute: i64) -> EventTime {
        EventTime::from_millis(minute * 60_000)
    }

    fn schedule() -> Schedule {
        Schedule::new(&WindowSpec {
            name: "5m".to_owned(),
            size: SLIDE * 5,
            slide: SLIDE,
            min_samples: 1,
        })
    }

    fn ring(minutes: &[i64]) -> Ring {
        let mut ring = Ring::new(SLIDE);
        for minute in minutes {
            assert!(
                ring.add(
                    &PaneDelta {
                        start: at(*minute),
                        events: 1,
                        features: Vec::new()
                    },
                    &[]
                ),
                "kept"
            );
        }
        ring
    }

    fn ends(schedule: &mut Schedule, watermark: EventTime, ring: &Ring) -> Vec<(i64, u64)> {
        std::iter::from_fn(|| schedule.next(watermark, ring))
            .map(|due| (due.end.as_millis() / 60_000, due.skipped))
            .collect()
    }

    #[test]
    fn a_window_is_due_once_per_slide_when_the_watermark_passes_its_end() {
        let (mut schedule, ring) = (schedule(), ring(&[10, 11, 12]));
        assert_eq!(ends(&mut schedule, at(11), &ring), vec![(11, 0)], "first");
        assert_eq!(ends(&mut schedule, at(11), &ring), vec![], "not twice");
        assert_eq!(
            ends(&mut schedule, at(13), &ring),
            vec![(12, 0), (13, 0)],
            "two more"
        );
    }

    #[test]
    fn a_long_gap_is_one_evaluation_and_a_count_of_skipped_windows() {
        let (mut schedule, ring) = (schedule(), ring(&[10, 1_000_000]));
        let due = ends(&mut schedule, at(1_000_001), &ring);
        let full: Vec<(i64, u64)> = (11..=15).map(|end| (end, 0)).collect();
        assert_eq!(due[..5], full[..], "the window drains");
        assert_eq!(
            due[5..],
            [(1_000_000, 999_984), (1_000_001, 0)],
            "then one empty window"
        );
    }

    #[test]
    fn panes_expire_when_no_window_can_reach_them() {
        let (mut schedule, mut ring) = (schedule(), ring(&[10, 11]));
        assert_eq!(
            ends(&mut schedule, at(20), &ring).len(),
            7,
            "11 to 16, then the gap"
        );
        ring.expire(schedule.floor());
        assert_eq!(ring.first_from(EventTime::MIN), None, "all panes expired");
        assert!(
            !ring.add(
                &PaneDelta {
                    start: at(15),
                    events: 1,
                    features: Vec::new()
                },
                &[]
            ),
            "expired"
        );
    }
}
