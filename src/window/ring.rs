//! The panes of one slide width, from the oldest that a window can still reach to the newest.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::EventTime;
use crate::panes::{PaneCounts, PaneDelta};
use crate::stats::FeatureCounts;

/// Accepted counts by pane; panes without events take no room.
#[derive(Debug, Clone)]
pub struct Ring {
    slide: Duration,
    /// Panes that begin earlier have left.
    floor: EventTime,
    panes: BTreeMap<EventTime, Vec<PaneCounts>>,
}

impl Ring {
    /// An empty ring of panes one `slide` wide.
    #[must_use]
    pub fn new(slide: Duration) -> Self {
        Ring {
            slide,
            floor: EventTime::MIN,
            panes: BTreeMap::new(),
        }
    }

    /// Width of a pane.
    #[must_use]
    pub fn slide(&self) -> Duration {
        self.slide
    }

    /// Panes that begin earlier have left.
    #[must_use]
    pub fn floor(&self) -> EventTime {
        self.floor
    }

    /// Every pane, each with its features by place.
    pub fn panes(&self) -> impl Iterator<Item = (EventTime, &[PaneCounts])> {
        self.panes.iter().map(|(start, pane)| (*start, &**pane))
    }

    /// Makes the pane that contains `start`, should nothing be in it.
    pub fn touch(&mut self, start: EventTime) {
        self.panes.entry(start.align_down(self.slide)).or_default();
    }

    /// Adds counts to the pane that contains `start`, which must not have left.
    pub fn put(&mut self, start: EventTime, feature: usize, counts: &PaneCounts) {
        let pane = self.panes.entry(start.align_down(self.slide)).or_default();
        if pane.len() <= feature {
            pane.resize(feature + 1, PaneCounts::default());
        }
        pane[feature].absorb(counts);
    }

    /// Adds a delta to the pane it lies in; `false` when that pane has left. `places` says which feature of ours each of its features is.
    pub fn add(&mut self, delta: &PaneDelta, places: &[Option<usize>]) -> bool {
        let start = delta.start.align_down(self.slide);
        if start < self.floor {
            return false;
        }
        let pane = self.panes.entry(start).or_default();
        for feature in &delta.features {
            let Some(place) = places.get(feature.feature).copied().flatten() else {
                continue;
            };
            if pane.len() <= place {
                pane.resize(place + 1, PaneCounts::default());
            }
            pane[place].merge(feature);
        }
        true
    }

    /// The panes that begin in `start..end`.
    pub fn range(
        &self,
        start: EventTime,
        end: EventTime,
    ) -> impl Iterator<Item = (EventTime, &[PaneCounts])> {
        let panes = self.panes.range(start..end.max(start));
        panes.map(|(start, pane)| (*start, &**pane))
    }

    /// Adds what the panes in `start..end` hold of a feature to `counts`.
    pub fn sum(
        &self,
        start: EventTime,
        end: EventTime,
        feature: usize,
        counts: &mut FeatureCounts,
    ) {
        for (_, pane) in self.range(start, end) {
            if let Some(sparse) = pane.get(feature) {
                sparse.add_to(counts);
            }
        }
    }

    /// The first pane with events that begins at or after `start`.
    #[must_use]
    pub fn first_from(&self, start: EventTime) -> Option<EventTime> {
        self.panes.range(start..).next().map(|(start, _)| *start)
    }

    /// Lets go of panes that begin before `floor`.
    pub fn expire(&mut self, floor: EventTime) {
        if floor > self.floor {
            self.floor = floor;
            self.panes = self.panes.split_off(&floor);
        }
    }
}
