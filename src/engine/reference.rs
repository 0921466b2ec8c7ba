//! The reference of a comparison: a fixed file, or one that is built for every window.
//!
//! A dynamic reference keeps its basis in plain numbers, so that a restart compares with exactly
//! the same. A rolling reference excludes every window whose own alerts were pending or firing:
//! drift must not become the reference only because it lasts. When a change stays, the panes from
//! before it leave the period and the reference runs out of values. Then there is no score, its
//! alerts end, and the new state becomes the reference.
//!
//! The null model of a rolling reference is renewed from time to time. Its tables may have to be
//! simulated first, so the model in force stays until those of the next one exist.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{FeaturePlan, HourOfWeekReference, ReferenceDynamics};
use super::shards::{Shards, incompleteness};
use crate::calibration::NullModel;
use crate::model::{EventTime, NotReady, Rolling, WindowSpec};
use crate::panes::{FeatureDelta, PaneCounts};
use crate::reference::{FeatureCalibration, FeatureReference};
use crate::score::Scorer;
use crate::stats::{FeatureCounts, divergences};
use crate::window::{Due, Ring, SlidingSum};

/// Null distributions of a rolling reference are rebuilt after this time, or after one period if
/// the period is longer.
const MAX_NULL_AGE: Duration = Duration::from_secs(86_400);
/// They are also rebuilt when the number of values has grown or shrunk by this factor since then.
const MAX_SIZE_RATIO: u64 = 2;
/// They are also rebuilt when its distribution has moved this far, in bits of JS divergence.
const MAX_SHAPE_CHANGE_BITS: f64 = 0.05;
/// The tables of an hour of the week are requested so long before it begins.
const HOUR_AHEAD: Duration = Duration::from_secs(3_600);
/// A stream whose volume changes from window to window by at most this factor finds the tables of
/// its next window already requested: 5 / 4.
const VOLUME_AHEAD: (u64, u64) = (5, 4);

/// The counted panes of a monitor, from which dynamic references are built.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedPanes<'a> {
    /// All rings of the monitor.
    pub(super) rings: &'a [Ring],
    pub(super) shards: &'a Shards,
    pub(super) stall_after: Duration,
    pub(super) min_coverage: f64,
}

impl CountedPanes<'_> {
    fn ring(&self, width: Duration) -> Option<&Ring> {
        self.rings.iter().find(|ring| ring.slide() == width)
    }
}

/// A feature of the window that is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowFeatureRef<'a> {
    /// Index into the monitor's features.
    pub(super) feature: usize,
    pub(super) window: &'a WindowSpec,
    pub(super) due: Due,
}

/// The data that the latest window was compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum ReferenceBasis {
    /// Counts of earlier panes.
    Counts(FeatureCounts),
    /// Events of the window by hour of the week.
    Hours(Vec<(u16, u64)>),
    /// None, for this reason.
    Absent(NotReady),
}

/// The saved state of a dynamic reference, in plain numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DynamicReferenceState {
    basis: ReferenceBasis,
    /// Spans of the stream that are not used as reference: first instant inside and first after,
    /// ascending.
    excluded: Vec<(EventTime, EventTime)>,
    /// Counts that the null model was built from; rolling references only.
    null_basis: Option<NullBasis>,
}

/// Time and counts from which a null model was built.
type NullBasis = (EventTime, FeatureCounts);

/// A null model that replaces the one in force once its tables exist.
#[derive(Debug)]
struct NextNullModel {
    basis: NullBasis,
    null_model: Arc<NullModel>,
}

/// A reference that is built for every window.
#[derive(Debug)]
pub(super) struct DynamicReference {
    dynamics: Arc<ReferenceDynamics>,
    pseudo_count: f64,
    /// True if a budgeted rule needs a null model.
    is_calibrated: bool,
    state: DynamicReferenceState,
    /// The panes of a rolling reference, without the excluded ones.
    sum: SlidingSum,
    /// Built from the state's basis.
    scorer: Option<Scorer>,
    /// Built from the state's null basis.
    null_model: Option<Arc<NullModel>>,
    /// Not saved: a later process builds it again from its own counts.
    next_null_model: Option<NextNullModel>,
}

impl DynamicReference {
    fn new(dynamics: Arc<ReferenceDynamics>, pseudo_count: f64, is_calibrated: bool) -> Self {
        DynamicReference {
            dynamics,
            pseudo_count,
            is_calibrated,
            state: DynamicReferenceState {
                basis: ReferenceBasis::Absent(NotReady::Warming),
                excluded: Vec::new(),
                null_basis: None,
            },
            sum: SlidingSum::default(),
            scorer: None,
            null_model: None,
            next_null_model: None,
        }
    }

    fn current(&self) -> Result<(&Scorer, Option<&Arc<NullModel>>), NotReady> {
        match (&self.scorer, &self.state.basis) {
            (Some(scorer), _) => Ok((scorer, self.null_model.as_ref())),
            (None, ReferenceBasis::Absent(reason)) => Err(*reason),
            (None, _) => Err(NotReady::NoReference),
        }
    }

    fn advance(&mut self, position: &WindowFeatureRef<'_>, panes: &CountedPanes<'_>) {
        let (window, due) = (position.window, position.due);
        let dynamics = Arc::clone(&self.dynamics);
        match &*dynamics {
            ReferenceDynamics::HourOfWeek(hours) => {
                self.state.basis = events_by_hour(hours, position, panes);
            }
            ReferenceDynamics::Rolling {
                rolling,
                like,
                blocks,
            } => {
                self.state.basis = self.earlier_counts(*rolling, like, position, panes);
                // The panes that left the sum needed the spans before this period.
                let (from, _) = rolling.span(window, due.start);
                self.state.excluded.retain(|(_, end)| *end > from);
                let max_age = MAX_NULL_AGE.max(rolling.period(window));
                if self.is_calibrated {
                    self.refresh_null_basis(due.end, max_age, like, blocks);
                }
            }
        }
        self.rebuild();
    }

    /// The counts of the panes in the period before the window, without the excluded ones.
    fn earlier_counts(
        &mut self,
        rolling: Rolling,
        like: &FeatureReference,
        position: &WindowFeatureRef<'_>,
        panes: &CountedPanes<'_>,
    ) -> ReferenceBasis {
        let (from, to) = rolling.span(position.window, position.due.start);
        let width = rolling.pane_width(position.window);
        let Some(ring) = panes.ring(width) else {
            return ReferenceBasis::Absent(NotReady::NoReference);
        };
        let coverage = panes.shards.coverage(
            position.feature,
            (from, to),
            width,
            ring.floor(),
            panes.stall_after,
        );
        if let Some(reason) = incompleteness(coverage, panes.min_coverage) {
            self.sum.reset();
            return ReferenceBasis::Absent(reason);
        }
        let excluded = &self.state.excluded;
        self.sum.slide(
            ring,
            position.feature,
            Some(&like.layout),
            (from, to),
            |start| is_excluded(excluded, start, width),
        );
        let counts = self.sum.counts(ring, position.feature);
        if counts.tallies.values < position.window.min_samples.max(1) {
            return ReferenceBasis::Absent(NotReady::NoReference);
        }
        ReferenceBasis::Counts(counts)
    }

    /// Adds late counts of a pane to the sum if it holds the pane already.
    fn add_late(&mut self, start: EventTime, window: &WindowSpec, delta: &FeatureDelta) {
        if let ReferenceDynamics::Rolling { rolling, .. } = &*self.dynamics {
            let width = rolling.pane_width(window);
            let pane_start = start.align_down(width);
            if !is_excluded(&self.state.excluded, pane_start, width) {
                self.sum.add_late(pane_start, delta);
            }
        }
    }

    /// Removes the panes that no later reference reaches from the sum, before the ring drops them.
    fn leave_panes(
        &mut self,
        feature: usize,
        rings: &[Ring],
        window: &WindowSpec,
        floor: EventTime,
    ) {
        if let ReferenceDynamics::Rolling { rolling, .. } = &*self.dynamics {
            let width = rolling.pane_width(window);
            let (from, _) = rolling.span(window, floor);
            let excluded = &self.state.excluded;
            if let Some(ring) = rings.iter().find(|ring| ring.slide() == width) {
                self.sum.leave(ring, feature, from, |start| {
                    is_excluded(excluded, start, width)
                });
            }
        }
    }

    /// Builds the next null model if the one in force is too old, or was built from another
    /// distribution.
    fn refresh_null_basis(
        &mut self,
        now: EventTime,
        max_age: Duration,
        like: &FeatureReference,
        blocks: &FeatureCalibration,
    ) {
        let ReferenceBasis::Counts(counts) = &self.state.basis else {
            return;
        };
        let is_usable = |(since, null_counts): &NullBasis| {
            now.since(*since) < max_age && !is_different(null_counts, counts, like)
        };
        if self.state.null_basis.as_ref().is_some_and(is_usable) {
            self.next_null_model = None;
            return;
        }
        let next = self.next_null_model.as_ref();
        if next.is_some_and(|next| is_usable(&next.basis)) {
            return;
        }
        let basis = (now, counts.clone());
        let null_model = build_null_model(&basis, like, blocks, self.pseudo_count);
        self.next_null_model = Some(NextNullModel { basis, null_model });
    }

    /// Puts the next null model in force if it can assess a window of `n` values, and returns the
    /// one that it replaces.
    ///
    /// If missing tables come later (`is_deferred`), the one in force stays until they are there.
    fn renew(&mut self, n: Option<u64>, is_deferred: bool) -> Option<Arc<NullModel>> {
        let is_in_force = self
            .null_model
            .as_ref()
            .is_some_and(|null_model| null_model.has_tables());
        let next = self.next_null_model.take_if(|next| {
            !is_deferred || !is_in_force || n.is_some_and(|n| next.null_model.is_prepared(n))
        })?;
        self.state.null_basis = Some(next.basis);
        self.null_model.replace(next.null_model)
    }

    /// The null models that later windows may need, with their numbers of values; `n` is that of
    /// the window that ends at `end`.
    fn expected_null_models(
        &self,
        n: u64,
        end: EventTime,
        size: Duration,
    ) -> Vec<(Arc<NullModel>, u64)> {
        let (more, fewer) = VOLUME_AHEAD;
        let (next_model, next_n) = match &*self.dynamics {
            ReferenceDynamics::HourOfWeek(hours) => {
                let (null_model, n) = hours.expected(n, end, size, HOUR_AHEAD);
                (Some(null_model), n)
            }
            ReferenceDynamics::Rolling { .. } => (self.next().cloned(), n),
        };
        let around = |n: u64| [n / more * fewer, n, n / fewer * more];
        let of_model = |null_model: Option<Arc<NullModel>>, n: u64| {
            null_model
                .into_iter()
                .flat_map(move |null_model| around(n).map(|n| (Arc::clone(&null_model), n)))
        };
        of_model(self.null_model.clone(), n)
            .chain(of_model(next_model, next_n))
            .collect()
    }

    /// The null model that replaces the one in force once its tables exist.
    fn next(&self) -> Option<&Arc<NullModel>> {
        Some(&self.next_null_model.as_ref()?.null_model)
    }

    /// Builds scorer and null model from the state.
    fn rebuild(&mut self) {
        let reference = match (&*self.dynamics, &self.state.basis) {
            (ReferenceDynamics::HourOfWeek(hours), ReferenceBasis::Hours(events)) => {
                hours.reference_for(events)
            }
            (ReferenceDynamics::Rolling { like, .. }, ReferenceBasis::Counts(counts)) => {
                Some(like.with_counts(counts.clone(), true))
            }
            _ => None,
        };
        self.scorer =
            reference.map(|reference| Scorer::new(Arc::new(reference), self.pseudo_count));
        match (&*self.dynamics, &self.state.basis, &self.state.null_basis) {
            _ if !self.is_calibrated => self.null_model = None,
            (ReferenceDynamics::HourOfWeek(hours), ReferenceBasis::Hours(events), _) => {
                self.null_model = Some(hours.null_model(events));
            }
            (ReferenceDynamics::Rolling { like, blocks, .. }, _, Some(basis))
                if self.null_model.is_none() =>
            {
                let null_model = build_null_model(basis, like, blocks, self.pseudo_count);
                self.null_model = Some(null_model);
            }
            _ => {}
        }
    }

    fn exclude(&mut self, start: EventTime, end: EventTime) {
        if self.sum.overlaps(start, end) {
            self.sum.reset();
        }
        match self.state.excluded.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => self.state.excluded.push((start, end)),
        }
    }
}

/// True if a pane of this width overlaps an excluded span.
fn is_excluded(
    excluded: &[(EventTime, EventTime)],
    pane_start: EventTime,
    width: Duration,
) -> bool {
    let pane_end = pane_start.plus(width);
    excluded
        .iter()
        .any(|(start, end)| *start < pane_end && pane_start < *end)
}

/// The null model of a rolling reference.
fn build_null_model(
    (since, counts): &NullBasis,
    like: &FeatureReference,
    blocks: &FeatureCalibration,
    pseudo_count: f64,
) -> Arc<NullModel> {
    let reference = like.with_counts(counts.clone(), true);
    let scorer = Scorer::new(Arc::new(reference), pseudo_count);
    Arc::new(NullModel::new(scorer, &since.to_string(), Some(blocks)))
}

/// True if the null distributions of `null_counts` are not those of `counts` any more.
fn is_different(
    null_counts: &FeatureCounts,
    counts: &FeatureCounts,
    like: &FeatureReference,
) -> bool {
    let (before, now) = (null_counts.tallies.values, counts.tallies.values);
    let divergences = divergences(&counts.bins, &null_counts.bins, &like.layout.open(), 0.5);
    now > before * MAX_SIZE_RATIO
        || before > now * MAX_SIZE_RATIO
        || divergences.is_some_and(|divergences| divergences.js > MAX_SHAPE_CHANGE_BITS)
}

/// The events of the window by hour of the week.
fn events_by_hour(
    hours: &HourOfWeekReference,
    position: &WindowFeatureRef<'_>,
    panes: &CountedPanes<'_>,
) -> ReferenceBasis {
    let mut events: Vec<(u16, u64)> = Vec::new();
    let ring = panes.ring(position.window.slide);
    let width = position.window.slide;
    for (start, pane) in ring
        .into_iter()
        .flat_map(|ring| ring.range(position.due.start, position.due.end))
    {
        let count = pane.get(position.feature).map_or(0, PaneCounts::events);
        hours.add_events((start, width), count, &mut events);
    }
    events.retain(|(_, count)| *count > 0);
    if events.is_empty() {
        return ReferenceBasis::Absent(NotReady::Empty);
    }
    ReferenceBasis::Hours(events)
}

/// The reference of one comparison.
#[derive(Debug)]
pub(super) enum ComparedReference {
    /// None: no file has the feature.
    Missing,
    /// A fitted file.
    Fixed {
        scorer: Arc<Scorer>,
        null_model: Option<Arc<NullModel>>,
    },
    /// One that is built for every window.
    Dynamic(Box<DynamicReference>),
}

impl ComparedReference {
    /// The reference with this index of a feature's references.
    pub(super) fn new(feature: &FeaturePlan, reference: usize, pseudo_count: f64) -> Self {
        let plan = &feature.references[reference];
        match (&plan.dynamics, &plan.scorer) {
            (Some(dynamics), _) => {
                let dynamics = Arc::clone(dynamics);
                ComparedReference::Dynamic(Box::new(DynamicReference::new(
                    dynamics,
                    pseudo_count,
                    feature.is_calibrated(),
                )))
            }
            (None, Some(scorer)) => ComparedReference::Fixed {
                scorer: Arc::clone(scorer),
                null_model: plan.null_model.clone(),
            },
            (None, None) => ComparedReference::Missing,
        }
    }

    /// The scorer and the null model in force.
    ///
    /// # Errors
    /// The reason why there is nothing to compare with.
    pub(super) fn current(&self) -> Result<(&Scorer, Option<&Arc<NullModel>>), NotReady> {
        match self {
            ComparedReference::Missing => Err(NotReady::NoReference),
            ComparedReference::Fixed { scorer, null_model } => Ok((scorer, null_model.as_ref())),
            ComparedReference::Dynamic(dynamic) => dynamic.current(),
        }
    }

    /// Builds a dynamic reference for the window that is due.
    pub(super) fn advance(&mut self, position: &WindowFeatureRef<'_>, panes: &CountedPanes<'_>) {
        if let ComparedReference::Dynamic(dynamic) = self {
            dynamic.advance(position, panes);
        }
    }

    /// Adds late counts of a pane to a rolling reference that holds it already.
    pub(super) fn add_late(&mut self, start: EventTime, window: &WindowSpec, delta: &FeatureDelta) {
        if let ComparedReference::Dynamic(dynamic) = self {
            dynamic.add_late(start, window, delta);
        }
    }

    /// Removes the panes that no later reference reaches, before the rings drop them; the next
    /// window begins at `floor`.
    pub(super) fn leave_panes(
        &mut self,
        feature: usize,
        rings: &[Ring],
        window: &WindowSpec,
        floor: EventTime,
    ) {
        if let ComparedReference::Dynamic(dynamic) = self {
            dynamic.leave_panes(feature, rings, window, floor);
        }
    }

    /// The null model that replaces the one in force once its tables exist; `None` where none is
    /// due.
    pub(super) fn next_null_model(&self) -> Option<&Arc<NullModel>> {
        match self {
            ComparedReference::Dynamic(dynamic) => dynamic.next(),
            ComparedReference::Missing | ComparedReference::Fixed { .. } => None,
        }
    }

    /// Puts the next null model in force if it can assess a window of `n` values, and returns the
    /// one that it replaces.
    pub(super) fn renew(&mut self, n: Option<u64>, is_deferred: bool) -> Option<Arc<NullModel>> {
        match self {
            ComparedReference::Dynamic(dynamic) => dynamic.renew(n, is_deferred),
            ComparedReference::Missing | ComparedReference::Fixed { .. } => None,
        }
    }

    /// The null models that later windows may need, with their numbers of values.
    ///
    /// A fixed reference has one model for ever. Its tables are made once for each size that
    /// occurs, and `fit` stores those that are expected.
    pub(super) fn expected_null_models(
        &self,
        n: u64,
        end: EventTime,
        size: Duration,
    ) -> Vec<(Arc<NullModel>, u64)> {
        match self {
            ComparedReference::Dynamic(dynamic) => dynamic.expected_null_models(n, end, size),
            ComparedReference::Missing | ComparedReference::Fixed { .. } => Vec::new(),
        }
    }

    /// True if the null model in force is one of an hour of the week.
    pub(super) fn is_hour_of_week(&self) -> bool {
        matches!(self, ComparedReference::Dynamic(dynamic)
            if matches!(&*dynamic.dynamics, ReferenceDynamics::HourOfWeek(_)))
    }

    /// Excludes a span of the stream from later rolling references; other kinds ignore it.
    pub(super) fn exclude(&mut self, start: EventTime, end: EventTime) {
        if let ComparedReference::Dynamic(dynamic) = self
            && matches!(&*dynamic.dynamics, ReferenceDynamics::Rolling { .. })
        {
            dynamic.exclude(start, end);
        }
    }

    /// The state to save; `None` where the plan holds everything.
    pub(super) fn state(&self) -> Option<&DynamicReferenceState> {
        match self {
            ComparedReference::Dynamic(dynamic) => Some(&dynamic.state),
            ComparedReference::Missing | ComparedReference::Fixed { .. } => None,
        }
    }

    /// Continues from the state of an earlier process.
    pub(super) fn restore(&mut self, state: DynamicReferenceState) {
        if let ComparedReference::Dynamic(dynamic) = self {
            dynamic.state = state;
            dynamic.sum.reset();
            dynamic.null_model = None;
            dynamic.next_null_model = None;
            dynamic.rebuild();
        }
    }
}
