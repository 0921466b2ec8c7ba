//! What every candidate made of a replay: how often a line was exceeded, which alarms that raised, and how long the first one took.
//!
//! An alarm is an episode in which at least one rule of a candidate fires for a feature, in one window and against one reference: that is what a budget is about,
//! and what wakes a person. Two statistics that fire at once are one alarm. One that lasts is held against the budget once per length of its window: a line that is
//! always exceeded would otherwise be a single alarm.
//!
//! Candidates that differ in their patience only share their rules in the engine, because lines cost more than anything else; their alerts are stepped here, by the
//! engine's own code, over the scores and lines it found.

use std::collections::{BTreeMap, BTreeSet};

use super::alarm_trace::{At, Judged, Trail, is_judged, judged};
use crate::alert::AlertState;
use crate::calibration::CalibrationStatus;
use crate::engine::{AlertView, MonitorPlan, WindowFeatureView, WindowView};
use crate::model::{EventTime, NotReady};

/// Where a trail belongs; features as numbered in the undamaged monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    candidate: usize,
    feature: usize,
    window: usize,
    reference: usize,
}

/// The rules of some candidates, which one monitor of an engine carries one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The monitor.
    pub(crate) monitor: String,
    /// Its first candidate.
    pub(crate) first: usize,
    /// How many sets of rules it carries; at least 1.
    pub(crate) sets: usize,
    /// The candidates of each set: evaluations in a row above a line. The engine fires after one then. Empty = one candidate, as the engine has it.
    pub(crate) patience: Vec<u32>,
}

/// Takes evaluations.
#[derive(Debug)]
pub(crate) struct Ledger {
    parts: Vec<Part>,
    /// The number in the undamaged monitor of each feature.
    features: Vec<usize>,
    /// Only windows that end after the first and not after the second count.
    span: (EventTime, EventTime),
    /// By part and window.
    ends: BTreeMap<(usize, usize), EventTime>,
    trails: BTreeMap<Place, Trail>,
    /// Features, by status.
    doubts: [BTreeSet<usize>; CalibrationStatus::ALL.len()],
    /// The first and the last end of a window in which something was judged.
    judged: Option<(EventTime, EventTime)>,
    /// Why a feature could not be judged, most recently.
    reasons: BTreeMap<usize, NotReady>,
}

impl Ledger {
    /// A ledger of candidates; `features` are the numbers of those that are watched.
    #[must_use]
    pub(crate) fn new(
        parts: Vec<Part>,
        features: Vec<usize>,
        span: (EventTime, EventTime),
    ) -> Self {
        Ledger {
            parts,
            features,
            span,
            ends: BTreeMap::new(),
            trails: BTreeMap::new(),
            doubts: Default::default(),
            judged: None,
            reasons: BTreeMap::new(),
        }
    }

    /// Takes an evaluation; one that only says that nothing has come is none.
    pub(crate) fn take(&mut self, plan: &MonitorPlan, window: &WindowView) {
        let mut parts = self.parts.iter();
        let Some(part) = parts.position(|part| part.monitor == plan.spec.name) else {
            return;
        };
        let Some(end) = window.end else { return };
        let before = self.ends.insert((part, window.index), end);
        if before.is_some_and(|before| before >= end) || end > self.span.1 {
            return;
        }
        if lines_of(window).any(is_judged) {
            self.judged = Some((self.judged.map_or(end, |(first, _)| first.min(end)), end));
        }
        for (feature, state) in window.features.iter().enumerate() {
            let at = At {
                end,
                size: plan.spec.windows[window.index].size,
            };
            self.take_feature((part, feature, window.index), state, at);
        }
    }

    fn take_feature(
        &mut self,
        (part, feature, window): (usize, usize, usize),
        state: &WindowFeatureView,
        at: At,
    ) {
        let Some(&feature) = self.features.get(feature) else {
            return;
        };
        self.note_doubts(feature, state);
        for (reference, comparison) in state.comparisons.iter().enumerate() {
            let judged = judged(&comparison.alerts, comparison.assessment.as_deref());
            let rules = (judged.len() / self.parts[part].sets).max(1);
            for (set, judged) in judged.chunks(rules).enumerate() {
                self.step((part, set), (feature, window, reference), judged, at);
            }
        }
    }

    /// Steps the candidates that share a set of rules.
    fn step(
        &mut self,
        (part, set): (usize, usize),
        (feature, window, reference): (usize, usize, usize),
        judged: &[Judged<'_>],
        at: At,
    ) {
        let Part {
            first, patience, ..
        } = &self.parts[part];
        let each = patience.len().max(1);
        for own in 0..each {
            let place = Place {
                candidate: first + set * each + own,
                feature,
                window,
                reference,
            };
            let trail = self.trails.entry(place).or_default();
            let is_on = trail.is_firing(judged, patience.get(own).copied());
            trail.step(is_on, judged, at, self.span.0);
        }
    }

    fn note_doubts(&mut self, feature: usize, state: &WindowFeatureView) {
        for status in state
            .comparisons
            .iter()
            .filter_map(|comparison| comparison.assessment.as_deref())
            .flat_map(|assessment| &assessment.statuses)
        {
            self.doubts[*status as usize].insert(feature);
        }
        let reason = state.alerts().find_map(|alert| match alert.state {
            AlertState::NotReady(reason) => Some(reason),
            _ => None,
        });
        if let Some(reason) = reason {
            self.reasons.insert(feature, reason);
        }
    }

    /// The trails of a candidate on a feature.
    pub(crate) fn trails(&self, candidate: usize, feature: usize) -> impl Iterator<Item = &Trail> {
        let place = |window, reference| Place {
            candidate,
            feature,
            window,
            reference,
        };
        let own = self
            .trails
            .range(place(0, 0)..=place(usize::MAX, usize::MAX));
        own.map(|(_, trail)| trail)
    }

    /// A candidate on a feature, all windows and references together.
    #[must_use]
    pub(crate) fn total(&self, candidate: usize, feature: usize) -> Trail {
        let trails = self.trails(candidate, feature);
        trails.fold(Trail::default(), |sum, own| sum.with(own))
    }

    /// The features watched, as numbered in the undamaged monitor.
    #[must_use]
    pub(crate) fn features(&self) -> &[usize] {
        &self.features
    }

    /// Features whose lines are to be taken with care for this reason.
    #[must_use]
    pub(crate) fn doubted(&self, status: CalibrationStatus) -> &BTreeSet<usize> {
        &self.doubts[status as usize]
    }

    /// The first and the last end of a window in which something was judged.
    #[must_use]
    pub(crate) fn judged(&self) -> Option<(EventTime, EventTime)> {
        self.judged
    }

    /// Why a feature could not be judged the last time it could not.
    #[must_use]
    pub(crate) fn reason(&self, feature: usize) -> Option<NotReady> {
        self.reasons.get(&feature).copied()
    }
}

fn lines_of(window: &WindowView) -> impl Iterator<Item = &AlertView> {
    window.features.iter().flat_map(WindowFeatureView::alerts)
}
