//! The counts of one feature over a span of panes that slides.
//!
//! A window of a day that slides by a minute holds 1,440 panes, of which one is new. So the panes
//! that enter are added and those that leave are subtracted. All counts are integers, so nothing is
//! lost: the result is that of adding all panes, bit for bit. Summaries of names cannot be
//! subtracted; they are merged again from the panes that have one.
//!
//! A sum follows its ring in two ways: late counts of a pane inside the span are added when they
//! come, and panes leave the span before the ring drops them. Where that did not happen, the sum
//! starts again from the panes.

use std::collections::BTreeSet;

use super::ring::Ring;
use crate::model::EventTime;
use crate::panes::{FeatureDelta, PaneCounts};
use crate::stats::{FeatureCounts, HeavyHitters, Layout};

/// The sum of one feature over the panes that begin in a span.
#[derive(Debug, Clone, Default)]
pub struct SlidingSum {
    /// First instant inside and first after; `None` before the first sum.
    span: Option<(EventTime, EventTime)>,
    /// Without the names of unseen categories.
    counts: FeatureCounts,
    /// The panes inside that have names of unseen categories.
    named: BTreeSet<EventTime>,
}

impl SlidingSum {
    /// Moves the span to the panes of `ring` that begin in `start..end`. Panes for which
    /// `is_excluded` returns true are left out; it must return the same for a pane until the sum is
    /// reset.
    pub fn slide(
        &mut self,
        ring: &Ring,
        feature: usize,
        layout: Option<&Layout>,
        (start, end): (EventTime, EventTime),
        is_excluded: impl Fn(EventTime) -> bool,
    ) {
        let (old_start, old_end) = match self.span {
            Some((old_start, old_end))
                if old_start >= ring.floor()
                    && (old_start..old_end).contains(&start)
                    && old_end <= end =>
            {
                (old_start, old_end)
            }
            _ => {
                self.counts = layout.map_or_else(FeatureCounts::default, FeatureCounts::new);
                self.named.clear();
                (start, start)
            }
        };
        for (pane_start, counts) in panes(ring, feature, old_start, start) {
            if !is_excluded(pane_start) {
                counts.subtract_from(&mut self.counts);
                self.named.remove(&pane_start);
            }
        }
        for (pane_start, counts) in panes(ring, feature, old_end, end) {
            if !is_excluded(pane_start) {
                counts.add_counts_to(&mut self.counts);
                if !counts.unexpected_values().is_empty() {
                    self.named.insert(pane_start);
                }
            }
        }
        self.span = Some((start, end));
    }

    /// Removes the panes that begin before `floor`, which the ring is about to drop.
    pub fn leave(
        &mut self,
        ring: &Ring,
        feature: usize,
        floor: EventTime,
        is_excluded: impl Fn(EventTime) -> bool,
    ) {
        let Some((start, end)) = self.span else {
            return;
        };
        if start >= ring.floor() && (start..end).contains(&floor) {
            self.slide(ring, feature, None, (floor, end), is_excluded);
        } else {
            self.reset();
        }
    }

    /// Adds counts that came late to the pane that begins at `pane_start`, if it is inside.
    pub fn add_late(&mut self, pane_start: EventTime, delta: &FeatureDelta) {
        if self.overlaps(pane_start, pane_start) {
            delta.add_counts_to(&mut self.counts);
            if !delta.unexpected_values.is_empty() {
                self.named.insert(pane_start);
            }
        }
    }

    /// Returns true if a pane that begins in `first..=last` may be inside the span.
    #[must_use]
    pub fn overlaps(&self, first: EventTime, last: EventTime) -> bool {
        self.span
            .is_some_and(|(start, end)| start <= last && first < end)
    }

    /// Forgets the sum: the next one starts from the panes.
    pub fn reset(&mut self) {
        self.span = None;
    }

    /// The sum, as if all panes had just been added.
    #[must_use]
    pub fn counts(&self, ring: &Ring, feature: usize) -> FeatureCounts {
        let mut unexpected_values = HeavyHitters::default();
        for start in &self.named {
            if let Some(counts) = ring.pane(*start, feature) {
                unexpected_values.merge(counts.unexpected_values());
            }
        }
        FeatureCounts {
            tallies: self.counts.tallies,
            bins: self.counts.bins.clone(),
            cells: self.counts.cells.trimmed(),
            unexpected_values,
        }
    }
}

/// The counts of a feature in the panes that begin in `start..end`.
fn panes(
    ring: &Ring,
    feature: usize,
    start: EventTime,
    end: EventTime,
) -> impl Iterator<Item = (EventTime, &PaneCounts)> {
    ring.range(start, end)
        .filter_map(move |(start, pane)| Some((start, pane.get(feature)?)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::panes::PaneDelta;
    use crate::stats::{CategoricalLayout, CellRun, Tallies};

    const SLIDE: Duration = Duration::from_secs(60);

    fn at(minute: i64) -> EventTime {
        EventTime::from_millis(minute * 60_000)
    }

    /// Counts of one feature in one pane.
    #[derive(Debug, Clone)]
    struct Counts {
        values: u32,
        first_bin: u16,
        first_cell: u16,
        cells: Vec<u32>,
        name: Option<u8>,
    }

    fn counts() -> impl Strategy<Value = Counts> {
        let inner = proptest::collection::vec(0..3_u32, 0..4);
        let name = proptest::option::of(any::<u8>());
        (1..9_u32, 0..4_u16, 180..200_u16, inner, name).prop_map(
            |(values, first_bin, first_cell, inner, name)| Counts {
                values,
                first_bin,
                first_cell,
                // A run begins and ends with a cell that holds values.
                cells: [vec![values], inner, vec![1]].concat(),
                name,
            },
        )
    }

    fn delta(counts: &Counts) -> FeatureDelta {
        let mut unexpected_values = HeavyHitters::default();
        if let Some(name) = counts.name {
            unexpected_values.record(&format!("name {name}"));
        }
        FeatureDelta {
            feature: 0,
            tallies: Tallies {
                values: u64::from(counts.values),
                missing: [1, 0, 2],
                invalid: [u64::from(counts.first_bin), 1],
                saturated: 0,
            },
            bins: (counts.first_bin, vec![counts.values, 0, 1]),
            cells: CellRun {
                first: counts.first_cell,
                counts: counts.cells.clone(),
                sums: counts.cells.iter().map(|n| i64::from(*n) * -7).collect(),
            },
            unexpected_values,
        }
    }

    /// One step of a stream and its windows.
    #[derive(Debug, Clone)]
    enum Step {
        /// Counts of the minute that lies so far behind the newest one.
        Count(i64, Counts),
        /// The stream goes on by so many minutes.
        Advance(i64),
        /// The window that ends now is due, and the ring drops what is behind it.
        Evaluate { leaves: bool },
        /// The ring is restored, the sum is not.
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..12_i64, counts()).prop_map(|(back, counts)| Step::Count(back, counts)),
            4 => prop_oneof![9 => 1..3_i64, 1 => 1..40_i64].prop_map(Step::Advance),
            4 => any::<bool>().prop_map(|leaves| Step::Evaluate { leaves }),
            1 => Just(Step::Restart),
        ]
    }

    fn layout() -> Layout {
        let names = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
        Layout::Categorical(CategoricalLayout::new(names, Vec::new()))
    }

    /// A pane in three is excluded.
    fn is_excluded(start: EventTime) -> bool {
        start.as_millis() / 60_000 % 3 == 0
    }

    /// The sum over all panes, one by one.
    fn summed(ring: &Ring, layout: &Layout, start: EventTime, end: EventTime) -> FeatureCounts {
        let mut sum = FeatureCounts::new(layout);
        for (start, counts) in panes(ring, 0, start, end) {
            if !is_excluded(start) {
                counts.add_to(&mut sum);
            }
        }
        sum
    }

    proptest! {
        /// Late counts, gaps, panes that the ring drops before they leave the sum, restarts.
        #[test]
        fn a_sliding_sum_is_that_of_its_panes(
            steps in proptest::collection::vec(step(), 1..150),
            size in 1..20_i64,
        ) {
            let layout = layout();
            let (mut ring, mut sum) = (Ring::new(SLIDE), SlidingSum::default());
            let mut now = 1000;
            for step in steps {
                match step {
                    Step::Count(back, counts) => {
                        let delta = delta(&counts);
                        let start = at(now - back);
                        let pane = PaneDelta { start, events: 1, features: vec![delta.clone()] };
                        if ring.add(&pane, &[Some(0)]) && !is_excluded(start) {
                            sum.add_late(start, &delta);
                        }
                    }
                    Step::Advance(minutes) => now += minutes,
                    Step::Evaluate { leaves } => {
                        let (start, end) = (at(now - size), at(now));
                        sum.slide(&ring, 0, Some(&layout), (start, end), is_excluded);
                        prop_assert_eq!(sum.counts(&ring, 0), summed(&ring, &layout, start, end));
                        let floor = at(now - size + 1);
                        if leaves {
                            sum.leave(&ring, 0, floor, is_excluded);
                        }
                        ring.expire(floor);
                    }
                    Step::Restart => sum = SlidingSum::default(),
                }
            }
        }
    }
}
