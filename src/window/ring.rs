//! The panes of one slide width, from the oldest that a window can still reach to the newest.
//!
//! Panes are keyed by their start, so panes without events take no memory and a gap costs nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::EventTime;
use crate::panes::{PaneCounts, PaneDelta};

/// Accepted counts by pane.
#[derive(Debug, Clone)]
pub struct Ring {
    slide: Duration,
    /// Panes that begin earlier have expired.
    floor: EventTime,
    panes: BTreeMap<EventTime, Pane>,
}

/// The counts of one pane.
#[derive(Debug, Clone, Default)]
struct Pane {
    /// Events of the monitor, whatever features they have.
    events: u64,
    /// By feature; features after the last one with counts have no entry.
    features: Vec<PaneCounts>,
}

impl Pane {
    fn feature_mut(&mut self, feature: usize) -> &mut PaneCounts {
        if self.features.len() <= feature {
            self.features.resize(feature + 1, PaneCounts::default());
        }
        &mut self.features[feature]
    }
}

impl Ring {
    /// Creates an empty ring of panes one `slide` wide.
    #[must_use]
    pub fn new(slide: Duration) -> Self {
        Ring {
            slide,
            floor: EventTime::MIN,
            panes: BTreeMap::new(),
        }
    }

    /// Returns the width of a pane.
    #[must_use]
    pub fn slide(&self) -> Duration {
        self.slide
    }

    /// Returns the time before which panes have expired.
    #[must_use]
    pub fn floor(&self) -> EventTime {
        self.floor
    }

    /// Iterates over all panes: their start, their events, and their counts by feature.
    pub fn panes(&self) -> impl Iterator<Item = (EventTime, u64, &[PaneCounts])> {
        self.panes
            .iter()
            .map(|(start, pane)| (*start, pane.events, &*pane.features))
    }

    /// Adds events to the pane that contains `start`, and creates it if it does not exist.
    pub fn put_events(&mut self, start: EventTime, events: u64) {
        let pane = self.panes.entry(start.align_down(self.slide)).or_default();
        pane.events += events;
    }

    /// Adds counts to the pane that contains `start`, which must not have expired.
    pub fn put(&mut self, start: EventTime, feature: usize, counts: &PaneCounts) {
        let pane = self.panes.entry(start.align_down(self.slide)).or_default();
        pane.feature_mut(feature).absorb(counts);
    }

    /// Adds a delta to the pane that contains its start; returns false if that pane has expired.
    ///
    /// `features` maps each feature of the delta to a feature of the ring; a delta's feature
    /// without an entry is skipped.
    pub fn add(&mut self, delta: &PaneDelta, features: &[Option<usize>]) -> bool {
        let start = delta.start.align_down(self.slide);
        if start < self.floor {
            return false;
        }
        let pane = self.panes.entry(start).or_default();
        pane.events += delta.events;
        for counts in &delta.features {
            let Some(feature) = features.get(counts.feature).copied().flatten() else {
                continue;
            };
            pane.feature_mut(feature).merge(counts);
        }
        true
    }

    /// Iterates over the panes that begin in `start..end`.
    pub fn range(
        &self,
        start: EventTime,
        end: EventTime,
    ) -> impl Iterator<Item = (EventTime, &[PaneCounts])> {
        self.panes
            .range(start..end.max(start))
            .map(|(start, pane)| (*start, &*pane.features))
    }

    /// Returns the number of events in the panes that begin in `start..end`.
    #[must_use]
    pub fn events(&self, start: EventTime, end: EventTime) -> u64 {
        self.panes
            .range(start..end.max(start))
            .map(|(_, pane)| pane.events)
            .sum()
    }

    /// Returns the counts of a feature in the pane that begins at `start`.
    #[must_use]
    pub fn pane(&self, start: EventTime, feature: usize) -> Option<&PaneCounts> {
        self.panes.get(&start)?.features.get(feature)
    }

    /// Returns the start of the first pane that begins at or after `start`.
    #[must_use]
    pub fn first_from(&self, start: EventTime) -> Option<EventTime> {
        self.panes.range(start..).next().map(|(start, _)| *start)
    }

    /// Drops panes that begin before `floor`; the floor never moves back.
    pub fn expire(&mut self, floor: EventTime) {
        if floor > self.floor {
            self.floor = floor;
            self.panes = self.panes.split_off(&floor);
        }
    }
}
