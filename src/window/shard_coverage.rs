//! The event time that was counted of one layout on one shard, and the holes in it.
//!
//! Counting begins at some event and may pause: another writer counted something else for a while,
//! or retention deleted records before they were read. The records in between are not known. Known
//! are the newest event before the pause and the events of the first commit after it. So a hole
//! begins at the newest event before the pause, less the allowed disorder, and ends at the newest
//! event of the first commit after it. Panes that a hole touches at either end are not covered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::EventTime;

/// An instant later than every time a record can carry.
const END: EventTime = EventTime::from_millis(i64::MAX);

/// The event time that was counted of one layout on one shard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShardCoverage {
    /// Event time from which on it was counted, apart from holes; `None` if not known yet.
    from: Option<EventTime>,
    /// First and last instant not counted; ascending and disjoint.
    holes: Vec<(EventTime, EventTime)>,
    /// First instant of a hole whose end is not known yet.
    open_hole: Option<EventTime>,
}

impl ShardCoverage {
    /// Returns coverage without holes that begins at `from`.
    #[must_use]
    pub fn since(from: EventTime) -> Self {
        ShardCoverage {
            from: Some(from),
            ..ShardCoverage::default()
        }
    }

    /// Adds a commit that counted the layout, and closes an open hole.
    ///
    /// `events` holds the time of the first event in order of arrival and of the newest one. For a
    /// commit without events it is twice the moment at which the shard had no further record, or
    /// `None`. `from_start` is true if the shard held no records before the commit.
    pub fn count(&mut self, events: Option<(EventTime, EventTime)>, from_start: bool) {
        if from_start && self.from.is_none() {
            self.from = Some(EventTime::MIN);
        }
        let Some((first, newest)) = events else {
            return;
        };
        self.from = self.from.or(Some(first));
        if let Some(start) = self.open_hole.take() {
            self.add_hole(start, newest.max(start));
        }
    }

    /// Opens a hole: records passed that were not counted.
    ///
    /// `newest` is the newest event counted before, less the allowed disorder. A hole that is
    /// already open keeps its start. Before counting began there is no hole.
    pub fn miss(&mut self, newest: Option<EventTime>) {
        if let Some(from) = self.from {
            self.open_hole = self.open_hole.or(newest).or(Some(from));
        }
    }

    fn add_hole(&mut self, start: EventTime, end: EventTime) {
        match self.holes.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => self.holes.push((start, end)),
        }
    }

    /// Removes holes that end before `floor`.
    pub fn expire(&mut self, floor: EventTime) {
        self.holes.retain(|(_, end)| *end >= floor);
    }

    /// Returns true if counting began after `start` or has not begun.
    #[must_use]
    pub fn began_after(&self, start: EventTime) -> bool {
        self.from.is_none_or(|from| from > start)
    }

    /// Returns the number of panes that were counted completely, among `panes` panes that are one
    /// `slide` wide and begin at `start`.
    #[must_use]
    pub fn counted_panes(&self, start: EventTime, slide: Duration, panes: usize) -> usize {
        let Some(from) = self.from else {
            return 0;
        };
        let uncounted = if from <= start {
            0
        } else {
            let slides = from
                .since(start)
                .as_millis()
                .div_ceil(slide.as_millis().max(1));
            usize::try_from(slides).unwrap_or(panes).min(panes)
        };
        if self.holes.is_empty() && self.open_hole.is_none() {
            return panes - uncounted;
        }
        let open_hole = self.open_hole.map(|start| (start, END));
        let holes: Vec<(EventTime, EventTime)> =
            self.holes.iter().copied().chain(open_hole).collect();
        (uncounted..panes)
            .filter(|pane| {
                let pane = u32::try_from(*pane).unwrap_or(u32::MAX);
                let pane_start = start.plus(slide * pane);
                let pane_end = start.plus(slide * (pane + 1));
                !holes
                    .iter()
                    .any(|(hole_start, hole_end)| *hole_start < pane_end && pane_start <= *hole_end)
            })
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLIDE: Duration = Duration::from_secs(60);

    fn at(second: i64) -> EventTime {
        EventTime::from_millis(second * 1000)
    }

    /// Counts the covered panes among five of a minute each, starting at 0.
    fn panes(coverage: &ShardCoverage) -> usize {
        coverage.counted_panes(at(0), SLIDE, 5)
    }

    #[test]
    fn panes_before_counting_began_are_not_counted() {
        let check = |from: Option<i64>, expected: usize| {
            let coverage = from.map_or_else(ShardCoverage::default, |from| {
                ShardCoverage::since(at(from))
            });
            assert_eq!(panes(&coverage), expected, "from {from:?}");
            let began = from.is_none_or(|from| from > 0);
            assert_eq!(coverage.began_after(at(0)), began, "from {from:?}");
        };
        check(Some(-5), 5);
        check(Some(0), 5);
        check(Some(1), 4);
        check(Some(60), 4);
        check(Some(61), 3);
        check(Some(900), 0);
        check(None, 0);
    }

    #[test]
    fn a_hole_excludes_every_pane_it_touches() {
        let check = |begin: i64, end: i64, expected: usize| {
            let mut coverage = ShardCoverage::since(at(-600));
            coverage.miss(Some(at(begin)));
            coverage.count(Some((at(end), at(end))), false);
            assert_eq!(panes(&coverage), expected, "hole {begin} to {end}");
        };
        check(70, 80, 4);
        check(59, 60, 3);
        check(-100, -1, 5);
        check(-100, 0, 4);
        check(299, 500, 4);
        check(300, 500, 5);
    }

    #[test]
    fn a_hole_without_an_end_excludes_everything_after_it() {
        let mut coverage = ShardCoverage::since(at(-600));
        coverage.miss(Some(at(130)));
        assert_eq!(panes(&coverage), 2, "while it is open");
        coverage.miss(Some(at(250)));
        coverage.count(None, false);
        assert_eq!(
            panes(&coverage),
            2,
            "a commit without events does not end it"
        );
        coverage.count(Some((at(190), at(190))), false);
        assert_eq!(panes(&coverage), 3, "from 130 to 190");
    }

    #[test]
    fn adjacent_holes_merge() {
        let mut coverage = ShardCoverage::since(EventTime::MIN);
        for second in (0..240).step_by(2) {
            coverage.miss(Some(at(second)));
            coverage.count(Some((at(second + 2), at(second + 2))), false);
        }
        assert_eq!(coverage.holes, [(at(0), at(240))], "one hole");
        assert_eq!(panes(&coverage), 0, "of five panes");
        coverage.expire(at(241));
        assert_eq!(panes(&coverage), 5, "removed once no window reaches it");
    }

    #[test]
    fn a_late_event_does_not_end_a_hole() {
        let mut coverage = ShardCoverage::since(at(-600));
        coverage.miss(Some(at(70)));
        coverage.count(Some((at(10), at(200))), false);
        assert_eq!(
            panes(&coverage),
            2,
            "from 70 to the newest event of the next commit"
        );
    }

    #[test]
    fn a_hole_before_counting_began_is_ignored() {
        let mut coverage = ShardCoverage::default();
        coverage.miss(Some(at(100)));
        coverage.count(Some((at(120), at(120))), false);
        assert_eq!(
            coverage,
            ShardCoverage::since(at(120)),
            "counted from the first event"
        );
        let mut whole = ShardCoverage::default();
        whole.count(None, true);
        assert_eq!(
            whole,
            ShardCoverage::since(EventTime::MIN),
            "counted from the start of the shard"
        );
    }
}
