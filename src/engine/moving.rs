//! References that are another one for every window: the same hours of the week, or what the stream held before.
//!
//! What a window was compared with is kept in plain numbers, so that a restart compares with the same. A stretch of stream whose own alerts were pending or firing is
//! left out of later references: drift must not teach what is normal. When a change stays, the good stretches age, the reference runs dry, its alerts end with it,
//! and the new state of things becomes the reference.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ReferenceView;
use super::shards::Shards;
use super::windows::incompleteness;
use crate::calibration::NullModel;
use crate::model::{EventTime, MonitorSpec, NotReady, Origin, ReferenceSpec, Rolling, WindowSpec};
use crate::panes::PaneCounts;
use crate::reference::{FeatureCalibration, FeatureReference, HOURS, HourOfWeek};
use crate::reference::{HourMixture, dominant};
use crate::score::Scorer;
use crate::stats::{FeatureCounts, divergences};
use crate::window::{Due, Ring};

/// Laws of a rolling reference are made anew at least this rarely.
const RENEW_AFTER: Duration = Duration::from_secs(86_400);
/// Or when it holds this many times more or fewer values than they were made from,
const OTHER_SIZE: u64 = 2;
/// or when its distribution has moved this far, in bits of JS divergence.
const OTHER_SHAPE_BITS: f64 = 0.05;

/// How a reference moves.
#[derive(Debug, Clone)]
pub enum Mover {
    /// With the hour of the week.
    Hours(Arc<Hours>),
    /// With the stream.
    Rolling {
        /// Which stretch of it.
        rolling: Rolling,
        /// The fitted reference that lends its layout.
        like: Arc<FeatureReference>,
        /// How the stream breathes, where the fitted reference knows it and the stretch is a trailing one; else quiet windows teach it.
        breathing: FeatureCalibration,
    },
}

/// A feature by hour of the week.
#[derive(Debug)]
pub struct Hours {
    seasonal: HourMixture,
    clock: HourOfWeek,
    pseudo_count: f64,
    hash: String,
    stored: FeatureCalibration,
    /// By hour, and of the whole week.
    calibrations: Vec<OnceLock<Arc<NullModel>>>,
}

impl Hours {
    /// Hours by a clock; `hash` is the reference's, `stored` what its artefact knows of the feature.
    #[must_use]
    pub fn new(
        seasonal: HourMixture,
        clock: HourOfWeek,
        pseudo_count: f64,
        hash: &str,
        stored: Option<&FeatureCalibration>,
    ) -> Self {
        let stored = stored.cloned().unwrap_or_default();
        Hours {
            seasonal,
            clock,
            pseudo_count,
            hash: hash.to_owned(),
            stored: FeatureCalibration {
                stretches: stored.hour_of_week,
                nulls: stored.nulls,
                ..FeatureCalibration::default()
            },
            calibrations: (0..=HOURS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The laws of windows with these events: those of the hour most of them are in, else of the week.
    fn calibration(&self, events: &[(u16, u64)]) -> Arc<NullModel> {
        let hour = dominant(events).map_or(HOURS, usize::from);
        let found = self
            .calibrations
            .get(hour)
            .unwrap_or(&self.calibrations[HOURS]);
        Arc::clone(found.get_or_init(|| Arc::new(self.make(hour))))
    }

    fn make(&self, hour: usize) -> NullModel {
        let own = u16::try_from(hour)
            .ok()
            .filter(|hour| usize::from(*hour) < HOURS);
        let own = own.and_then(|hour| self.seasonal.mixed(&[(hour, 1)], &[]));
        match own {
            Some(reference) => {
                let scorer = Scorer::new(Arc::new(reference), self.pseudo_count);
                let stored = FeatureCalibration {
                    nulls: Vec::new(),
                    ..self.stored.clone()
                };
                NullModel::new(scorer, &format!("{} {hour}", self.hash), Some(&stored))
            }
            None => {
                let scorer = Scorer::new(Arc::clone(self.seasonal.week()), self.pseudo_count);
                NullModel::new(scorer, &self.hash, Some(&self.stored))
            }
        }
    }
}

/// How a feature's references move, one entry per reference; `scorers` are those of the files.
pub(super) fn movers(
    name: &str,
    spec: &MonitorSpec,
    references: &[ReferenceView],
    scorers: &[Option<Scorer>],
) -> Vec<Option<Mover>> {
    let fitted = references
        .iter()
        .zip(scorers)
        .find(|(_, scorer)| scorer.is_some());
    let like = fitted
        .and_then(|(_, scorer)| scorer.as_ref())
        .map(Scorer::reference);
    let stored = fitted.and_then(|(reference, _)| reference.loaded.as_ref()?.calibration_of(name));
    let breathing = |rolling: Rolling| FeatureCalibration {
        // A window differs from the one before it less than from the long run.
        stretches: stored
            .filter(|_| rolling.period.is_some())
            .map_or_else(Vec::new, |stored| stored.stretches.clone()),
        ..FeatureCalibration::default()
    };
    let mover =
        |((own, reference), scorer): ((&ReferenceSpec, &ReferenceView), &Option<Scorer>)| match own
            .origin
        {
            Origin::File(_) => None,
            Origin::Rolling(rolling) => Some(Mover::Rolling {
                rolling,
                like: Arc::clone(like?),
                breathing: breathing(rolling),
            }),
            Origin::HourOfWeek(_) => {
                let loaded = reference.loaded.as_ref()?;
                let clock = HourOfWeek::try_new(&loaded.profiles.as_ref()?.timezone).ok()?;
                let week = Arc::clone(scorer.as_ref()?.reference());
                let seasonal = HourMixture::new(week, loaded.hours_of(name)?.into());
                let stored = loaded.calibration_of(name);
                let hours = Hours::new(seasonal, clock, spec.pseudo_count, &loaded.hash, stored);
                Some(Mover::Hours(Arc::new(hours)))
            }
        };
    let all = spec.references.iter().zip(references).zip(scorers);
    all.map(mover).collect()
}

/// What the latest window was compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Basis {
    /// Counts of earlier panes.
    Counts(FeatureCounts),
    /// The window's events by hour of the week.
    Hours(Vec<(u16, u64)>),
    /// Nothing, and why.
    Absent(NotReady),
}

/// Everything remembered about a moving reference of one feature; plain numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) basis: Basis,
    /// BlockStatistics of stream that are no reference: first instant inside and first after, ascending.
    left_out: Vec<(EventTime, EventTime)>,
    /// What the laws are made from, and since when; rolling references only.
    model: Option<(EventTime, FeatureCounts)>,
}

/// A moving reference of one feature.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) memory: Memory,
    scorer: Option<Scorer>,
    calibration: Option<Arc<NullModel>>,
}

/// What a basis is found in.
#[derive(Debug, Clone, Copy)]
pub(super) struct History<'a> {
    /// All rings of the monitor.
    pub(super) rings: &'a [Ring],
    pub(super) shards: &'a Shards,
    pub(super) stall_after: Duration,
    pub(super) min_coverage: f64,
}

/// Which window of which feature it is found for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) feature: usize,
    pub(super) window: &'a WindowSpec,
    pub(super) due: Due,
}

impl Moving {
    /// Nothing known yet.
    pub(super) fn new() -> Self {
        Moving {
            memory: Memory {
                basis: Basis::Absent(NotReady::Warming),
                left_out: Vec::new(),
                model: None,
            },
            scorer: None,
            calibration: None,
        }
    }

    /// What the window is compared with and the laws it is judged by.
    ///
    /// # Errors
    /// There is nothing to compare with.
    pub(super) fn standard(&self) -> Result<(&Scorer, Option<&NullModel>), NotReady> {
        match (&self.scorer, &self.memory.basis) {
            (Some(scorer), _) => Ok((scorer, self.calibration.as_deref())),
            (None, Basis::Absent(reason)) => Err(*reason),
            (None, _) => Err(NotReady::NoReference),
        }
    }

    /// Moves on to the window that is due.
    pub(super) fn advance(
        &mut self,
        mover: &Mover,
        place: &Place<'_>,
        history: &History<'_>,
        is_calibrated: bool,
    ) {
        let window = place.window;
        self.memory.basis = match mover {
            Mover::Hours(hours) => hours_in(hours, place, history),
            Mover::Rolling { rolling, like, .. } => {
                let (from, _) = rolling.span(window, place.due.start);
                self.memory.left_out.retain(|(_, end)| *end > from);
                self.earlier(*rolling, like, place, history)
            }
        };
        if let (Mover::Rolling { rolling, like, .. }, Basis::Counts(counts), true) =
            (mover, &self.memory.basis, is_calibrated)
        {
            let age = |since: EventTime| place.due.end.since(since);
            let is_old = |since| age(since) >= RENEW_AFTER.max(rolling.period(window));
            let known = self.memory.model.as_ref();
            if known.is_none_or(|(since, model)| is_old(*since) || differs(model, counts, like)) {
                self.memory.model = Some((place.due.end, counts.clone()));
                self.calibration = None;
            }
        }
    }

    /// Makes what follows from memory.
    pub(super) fn settle(&mut self, mover: &Mover, pseudo_count: f64, is_calibrated: bool) {
        let reference = match (mover, &self.memory.basis) {
            (Mover::Hours(hours), Basis::Hours(events)) => hours.seasonal.mixed(events, &[]),
            (Mover::Rolling { like, .. }, Basis::Counts(counts)) => {
                Some(like.with_counts(counts.clone(), true))
            }
            _ => None,
        };
        self.scorer = reference.map(|reference| Scorer::new(Arc::new(reference), pseudo_count));
        match (mover, &self.memory.basis, &self.memory.model) {
            _ if !is_calibrated => self.calibration = None,
            (Mover::Hours(hours), Basis::Hours(events), _) => {
                self.calibration = Some(hours.calibration(events))
            }
            (
                Mover::Rolling {
                    like, breathing, ..
                },
                _,
                Some((since, model)),
            ) if self.calibration.is_none() => {
                let scorer = Scorer::new(
                    Arc::new(like.with_counts(model.clone(), true)),
                    pseudo_count,
                );
                self.calibration = Some(Arc::new(NullModel::new(
                    scorer,
                    &since.to_string(),
                    Some(breathing),
                )));
            }
            _ => {}
        }
    }

    /// Takes over what an earlier process remembered.
    pub(super) fn restore(&mut self, memory: Memory) {
        self.memory = memory;
        self.calibration = None;
    }

    /// Leaves a stretch of stream out of later references.
    pub(super) fn leave_out(&mut self, start: EventTime, end: EventTime) {
        match self.memory.left_out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => self.memory.left_out.push((start, end)),
        }
    }

    /// The counts of an earlier stretch.
    fn earlier(
        &self,
        rolling: Rolling,
        like: &FeatureReference,
        place: &Place<'_>,
        history: &History<'_>,
    ) -> Basis {
        let (from, to) = rolling.span(place.window, place.due.start);
        let width = rolling.pane_width(place.window);
        let Some(ring) = history.rings.iter().find(|ring| ring.slide() == width) else {
            return Basis::Absent(NotReady::NoReference);
        };
        let (floor, patience) = (ring.floor(), history.stall_after);
        let coverage = history
            .shards
            .coverage(place.feature, (from, to), width, floor, patience);
        if let Some(reason) = incompleteness(coverage, history.min_coverage) {
            return Basis::Absent(reason);
        }
        let mut counts = FeatureCounts::new(&like.layout);
        for (start, pane) in ring.range(from, to) {
            let end = start.plus(width);
            let touches = |(first, after): &(EventTime, EventTime)| *first < end && start < *after;
            let own = pane.get(place.feature);
            if let (Some(own), false) = (own, self.memory.left_out.iter().any(touches)) {
                own.add_to(&mut counts);
            }
        }
        if counts.tallies.values < place.window.min_samples.max(1) {
            return Basis::Absent(NotReady::NoReference);
        }
        Basis::Counts(counts)
    }
}

/// Whether laws made from `model` should not speak for `counts` any more.
fn differs(model: &FeatureCounts, counts: &FeatureCounts, like: &FeatureReference) -> bool {
    let (was, is) = (model.tallies.values, counts.tallies.values);
    let moved = divergences(&counts.bins, &model.bins, &like.layout.open(), 0.5);
    let is_moved = moved.is_some_and(|moved| moved.js > OTHER_SHAPE_BITS);
    is > was * OTHER_SIZE || was > is * OTHER_SIZE || is_moved
}

/// How the window's events fall into hours.
fn hours_in(hours: &Hours, place: &Place<'_>, history: &History<'_>) -> Basis {
    let slide = place.window.slide;
    let own = history.rings.iter().find(|ring| ring.slide() == slide);
    let mut events: Vec<(u16, u64)> = Vec::new();
    for (start, pane) in own
        .into_iter()
        .flat_map(|ring| ring.range(place.due.start, place.due.end))
    {
        let count = pane.get(place.feature).map_or(0, PaneCounts::events);
        let hour = hours.clock.of(start);
        match events.last_mut().filter(|(last, _)| *last == hour) {
            Some((_, sum)) => *sum += count,
            None => events.push((hour, count)),
        }
    }
    events.retain(|(_, count)| *count > 0);
    if events.is_empty() {
        return Basis::Absent(NotReady::Empty);
    }
    Basis::Hours(events)
}
