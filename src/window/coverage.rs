//! Which part of event time was counted, and the holes in it.
//!
//! A window is only as good as what was counted of it. Counting of a layout on a shard begins somewhere, and may pause: an older configuration owned the
//! shard for a while and counted something else, or retention took records before they were read. What happened meanwhile is unknown; what is known is
//! the newest event before and those of the first stretch after. The hole reaches from the one to the newest of the others, both panes included, and earlier by
//! the allowed disorder.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::EventTime;

/// What one shard tells of one layout.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Covered {
    /// Event time from which on it was counted, holes aside; `None` = not known yet.
    from: Option<EventTime>,
    /// Ascending and apart: first and last instant not counted.
    holes: Vec<(EventTime, EventTime)>,
    /// First instant of a hole whose end is not known yet.
    open_hole: Option<EventTime>,
}

impl Covered {
    /// Counted from this time on.
    #[must_use]
    pub fn since(from: EventTime) -> Self {
        Covered {
            from: Some(from),
            ..Covered::default()
        }
    }

    /// Notes a stretch that was counted: its first event in order of arrival and its newest one, or twice the moment at which there was none.
    ///
    /// `whole` says that nothing was ever before this stretch.
    pub fn count(&mut self, events: Option<(EventTime, EventTime)>, whole: bool) {
        if whole && self.from.is_none() {
            self.from = Some(EventTime::MIN);
        }
        let Some((first, newest)) = events else {
            return;
        };
        self.from = self.from.or(Some(first));
        if let Some(begin) = self.open_hole.take() {
            self.close(begin, newest.max(begin));
        }
    }

    /// Notes that records passed uncounted; `newest` is the newest event counted before, less the allowed disorder.
    pub fn miss(&mut self, newest: Option<EventTime>) {
        if let Some(from) = self.from {
            self.open_hole = self.open_hole.or(newest).or(Some(from));
        }
    }

    fn close(&mut self, begin: EventTime, end: EventTime) {
        match self.holes.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => self.holes.push((begin, end)),
        }
    }

    /// Forgets holes that end before `floor`.
    pub fn expire(&mut self, floor: EventTime) {
        self.holes.retain(|(_, end)| *end >= floor);
    }

    /// Whether counting began after `start`, or has not begun.
    #[must_use]
    pub fn began_after(&self, start: EventTime) -> bool {
        self.from.is_none_or(|from| from > start)
    }

    /// How many of `panes` panes, each one `slide` wide, the first beginning at `start`, were counted whole.
    #[must_use]
    pub fn panes(&self, start: EventTime, slide: Duration, panes: usize) -> usize {
        let Some(from) = self.from else {
            return 0;
        };
        let missed = if from <= start {
            0
        } else {
            let missed = from
                .since(start)
                .as_millis()
                .div_ceil(slide.as_millis().max(1));
            usize::try_from(missed).unwrap_or(panes).min(panes)
        };
        if self.holes.is_empty() && self.open_hole.is_none() {
            return panes - missed;
        }
        let open = self.open_hole.map(|begin| (begin, END));
        let holes: Vec<(EventTime, EventTime)> = self.holes.iter().copied().chain(open).collect();
        (missed..panes)
            .filter(|pane| {
                let place = u32::try_from(*pane).unwrap_or(u32::MAX);
                let (first, after) = (start.plus(slide * place), start.plus(slide * (place + 1)));
                !holes
                    .iter()
                    .any(|(begin, end)| *begin < after && first <= *end)
            })
            .count()
    }
}

/// Later than every time a record can carry.
const END: EventTime = EventTime::from_millis(i64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    const SLIDE: Duration = Duration::from_secs(60);

    fn at(second: i64) -> EventTime {
        EventTime::from_millis(second * 1000)
    }

    /// Of five panes of a minute from 0 on.
    fn panes(covered: &Covered) -> usize {
        covered.panes(at(0), SLIDE, 5)
    }

    #[test]
    fn panes_before_counting_began_are_not_covered() {
        let check = |from: Option<i64>, expected: usize| {
            let covered = from.map_or_else(Covered::default, |from| Covered::since(at(from)));
            assert_eq!(panes(&covered), expected, "from {from:?}");
            let began = from.is_none_or(|from| from > 0);
            assert_eq!(covered.began_after(at(0)), began, "from {from:?}");
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
    fn a_hole_takes_every_pane_it_touches() {
        let check = |begin: i64, end: i64, expected: usize| {
            let mut covered = Covered::since(at(-600));
            covered.miss(Some(at(begin)));
            covered.count(Some((at(end), at(end))), false);
            assert_eq!(panes(&covered), expected, "hole {begin} to {end}");
        };
        check(70, 80, 4);
        check(59, 60, 3);
        check(-100, -1, 5);
        check(-100, 0, 4);
        check(299, 500, 4);
        check(300, 500, 5);
    }

    #[test]
    fn a_hole_without_an_end_reaches_to_the_end() {
        let mut covered = Covered::since(at(-600));
        covered.miss(Some(at(130)));
        assert_eq!(panes(&covered), 2, "while it is open");
        covered.miss(Some(at(250)));
        covered.count(None, false);
        assert_eq!(panes(&covered), 2, "nothing tells where it ends");
        covered.count(Some((at(190), at(190))), false);
        assert_eq!(panes(&covered), 3, "from 130 to 190");
    }

    #[test]
    fn holes_one_after_the_other_are_one() {
        let mut covered = Covered::since(EventTime::MIN);
        for second in (0..240).step_by(2) {
            covered.miss(Some(at(second)));
            covered.count(Some((at(second + 2), at(second + 2))), false);
        }
        assert_eq!(covered.holes, [(at(0), at(240))], "one hole");
        assert_eq!(panes(&covered), 0, "of five panes");
        covered.expire(at(241));
        assert_eq!(panes(&covered), 5, "forgotten once no window reaches it");
    }

    #[test]
    fn a_straggler_does_not_end_a_hole() {
        let mut covered = Covered::since(at(-600));
        covered.miss(Some(at(70)));
        covered.count(Some((at(10), at(200))), false);
        assert_eq!(
            panes(&covered),
            2,
            "from 70 to the newest of the next stretch"
        );
    }

    #[test]
    fn nothing_is_missed_before_counting_began() {
        let mut covered = Covered::default();
        covered.miss(Some(at(100)));
        covered.count(Some((at(120), at(120))), false);
        assert_eq!(covered, Covered::since(at(120)), "begins there");
        let mut whole = Covered::default();
        whole.count(None, true);
        assert_eq!(whole, Covered::since(EventTime::MIN), "from the very first");
    }
}
