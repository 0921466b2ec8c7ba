//! NullModel: what is known about the scores of one feature against one reference when nothing happens.
//!
//! Null laws are made on first need and kept, so asking twice gives the same answer; everything else is arithmetic on what the reference stores. A reference
//! without time knows nothing of how the stream breathes: the first quiet windows teach it.

use std::time::Duration;

use super::null_distribution::{BlockThreshold, NullDistribution, RateNull, ScoreNull};
use super::null_grid::NullGrid;
use super::null_table::{noise, place, simulate};
use super::online::{MIN_QUIET_WINDOWS, OnlineDispersion};
use crate::model::{Kind, Statistic};
use crate::reference::{
    BlockStatistics, FeatureCalibration, FeatureReference, NullSize, NullTable,
};
use crate::score::{Rates, Scorer, samples_behind};
use crate::stats::{EmpiricalDistribution, FeatureCounts, LEAST, RateDistribution, TAIL_FROM};

/// Whole stretches that a shorter length must have to stand in for the window's.
const STAND_IN: f64 = 8.0;
/// The pseudo-count that stored tables were made with.
const STORED_PSEUDO_COUNT: f64 = 0.5;

/// What limits the trust in a line; each is a value of the label `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalibrationStatus {
    /// The window holds more than a tenth of the reference: lines hold on average over references only.
    ReferenceSmall,
    /// The budget asks for rarer events than the reference's stretches can show.
    BudgetExtrapolated,
    /// The reference carries no time; how much windows differ is still being learned.
    PhiLearning,
    /// The reference is too short for stretches as long as the window; shorter ones stand in.
    BlocksShort,
    /// The window's values repeat each other so much that they are worth fewer than `min_samples`: calibrated alerts wait.
    TooFewEffective,
}

impl CalibrationStatus {
    /// Every status.
    pub const ALL: [CalibrationStatus; 5] = [
        CalibrationStatus::ReferenceSmall,
        CalibrationStatus::BudgetExtrapolated,
        CalibrationStatus::PhiLearning,
        CalibrationStatus::BlocksShort,
        CalibrationStatus::TooFewEffective,
    ];

    /// The name in JSON and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CalibrationStatus::ReferenceSmall => "reference_small",
            CalibrationStatus::BudgetExtrapolated => "budget_extrapolated",
            CalibrationStatus::PhiLearning => "phi_learning",
            CalibrationStatus::BlocksShort => "blocks_short",
            CalibrationStatus::TooFewEffective => "too_few_effective",
        }
    }
}

/// What is known about the window that is judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct WindowContext<'a> {
    /// Its length; `None` where time plays no part.
    pub window: Option<Duration>,
    /// What quiet windows have taught.
    pub learned: Option<&'a OnlineDispersion>,
    /// What it is compared with, where that moves with the window; else what the laws were made from.
    pub reference: Option<&'a FeatureReference>,
}

/// The calibration of one feature against one reference.
#[derive(Debug)]
pub struct NullModel {
    scorer: Scorer,
    seed: String,
    nulls: NullGrid,
    stretches: Vec<BlockStatistics>,
}

impl NullModel {
    /// The calibration of what `scorer` compares with; `hash` is the reference's, `stored` what its artefact holds.
    #[must_use]
    pub fn new(scorer: Scorer, hash: &str, stored: Option<&FeatureCalibration>) -> Self {
        let same_scores = (scorer.pseudo_count() - STORED_PSEUDO_COUNT).abs() < f64::EPSILON;
        let bins = scorer.reference().counts.bins.len();
        let usable = stored.filter(|_| same_scores).into_iter();
        NullModel {
            scorer,
            seed: hash.to_owned(),
            nulls: NullGrid::new(bins, usable.flat_map(|stored| &stored.nulls)),
            stretches: stored.map_or_else(Vec::new, |stored| stored.stretches.clone()),
        }
    }

    /// The scorer whose scores are judged.
    #[must_use]
    pub const fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// Makes the tables for windows of `n` values, if they are not made yet: about a tenth of a second.
    pub fn prepare(&self, n: u64) {
        self.nulls.prepare(n, |size| self.simulated(size));
    }

    /// Whether windows of `n` values need no more tables.
    #[must_use]
    pub fn is_prepared(&self, n: u64) -> bool {
        self.nulls.is_prepared(n)
    }

    /// Everything that is worth storing with the reference.
    #[must_use]
    pub fn to_stored(&self) -> FeatureCalibration {
        FeatureCalibration {
            nulls: self.nulls.made().cloned().collect(),
            stretches: self.stretches.clone(),
            hour_of_week: Vec::new(),
        }
    }

    /// Takes what the reference's stretches say.
    pub fn set_stretches(&mut self, stretches: Vec<BlockStatistics>) {
        self.stretches = stretches;
    }

    /// The gauge of a statistic for a window; `None` where there is no such score or it has no law.
    #[must_use]
    pub fn gauge(
        &self,
        statistic: Statistic,
        counts: &FeatureCounts,
        context: &WindowContext<'_>,
    ) -> Option<NullDistribution> {
        if statistic.is_rate() {
            return self
                .rate(statistic, counts, context)
                .map(NullDistribution::Rate);
        }
        let (n, m) = (counts.tallies.values, self.values_behind(context));
        let place = place(statistic).filter(|_| n > 0)?;
        let null = self.null(place, n)?;
        let v = noise(n as f64, m);
        let (design_effect, blocks) = self.breathing(place, &null, n, v, context);
        Some(NullDistribution::Score(ScoreNull {
            statistic,
            null,
            v,
            design_effect,
            blocks,
        }))
    }

    /// What limits the trust in the lines of a window of `n` values at `alpha`.
    #[must_use]
    pub fn statuses(
        &self,
        n: u64,
        alpha: f64,
        context: &WindowContext<'_>,
    ) -> Vec<CalibrationStatus> {
        const SHOWN: f64 = 300.0;
        const RARE: f64 = 1e-3;
        let found = self.stretches_for(n, context);
        let learned = context.learned.filter(|learned| learned.is_complete());
        let is_known = found.is_some() || learned.is_some();
        let effective = found.map_or(f64::from(MIN_QUIET_WINDOWS), |(stretches, _)| {
            stretches.effective
        });
        let holds = |status: &CalibrationStatus| match status {
            CalibrationStatus::ReferenceSmall => n as f64 > self.values_behind(context) / 10.0,
            CalibrationStatus::BudgetExtrapolated => is_known && effective < SHOWN && alpha < RARE,
            CalibrationStatus::PhiLearning => !is_known,
            CalibrationStatus::BlocksShort => found.is_some_and(|(_, is_short)| is_short),
            // That is for who knows how many are needed.
            CalibrationStatus::TooFewEffective => false,
        };
        CalibrationStatus::ALL.into_iter().filter(holds).collect()
    }

    /// Whether the reference carries no time, so that quiet windows have to teach.
    #[must_use]
    pub fn estimates_online(&self) -> bool {
        self.stretches.is_empty()
    }

    /// What a window is compared with.
    fn reference<'a>(&'a self, context: &WindowContext<'a>) -> &'a FeatureReference {
        context.reference.unwrap_or(self.scorer.reference())
    }

    fn values_behind(&self, context: &WindowContext<'_>) -> f64 {
        self.reference(context).counts.tallies.values as f64
    }

    /// The null law of a simulated statistic for windows of `n` values.
    pub(super) fn null(&self, place: usize, n: u64) -> Option<EmpiricalDistribution> {
        self.nulls.law(place, n, |size| self.simulated(size))
    }

    fn simulated(&self, size: NullSize) -> NullTable {
        simulate(&self.scorer, size, &self.seed)
    }

    /// How the stream breathes: design effect and block line of a statistic.
    fn breathing(
        &self,
        place: usize,
        null: &EmpiricalDistribution,
        n: u64,
        v: f64,
        context: &WindowContext<'_>,
    ) -> (f64, Option<BlockThreshold>) {
        if let Some((stretches, is_short)) = self.stretches_for(n, context) {
            let law = stretches.laws.get(place).and_then(Option::as_ref);
            let line = law.map(|law| {
                let v = carried(v, stretches.v, is_short);
                block_line(
                    law,
                    stretches.effective,
                    v,
                    null.mean,
                    null.degrees_of_freedom,
                )
            });
            let design_effect = stretches.design_effect.get(place).copied();
            return (design_effect.unwrap_or(1.0), line);
        }
        let Some(learned) = context.learned.filter(|learned| learned.is_complete()) else {
            return (1.0, None);
        };
        let design_effect = (learned.mean(place) / null.mean).max(1.0);
        let line = least(null.degrees_of_freedom, learned.degrees_of_freedom(place)).map(
            |degrees_of_freedom| BlockThreshold::Spread {
                mean: learned.mean(place).max(null.mean),
                degrees_of_freedom,
                stretches: f64::from(learned.windows),
                v: v.max(learned.v / f64::from(learned.windows)),
            },
        );
        (design_effect, line)
    }

    /// The stretches that speak for a window, and whether they are shorter than it.
    fn stretches_for(
        &self,
        n: u64,
        context: &WindowContext<'_>,
    ) -> Option<(&BlockStatistics, bool)> {
        let usable = || self.stretches.iter().filter(|own| own.effective >= LEAST);
        let Some(window) = context.window else {
            let gap = |own: &&BlockStatistics| (own.samples.max(1.0) / n.max(1) as f64).ln().abs();
            let nearest = usable().min_by(|a, b| gap(a).total_cmp(&gap(b)))?;
            return Some((nearest, nearest.samples < n as f64 / 2.0));
        };
        let wanted = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        if let Some(own) = usable().find(|own| own.window_ms == wanted) {
            return Some((own, false));
        }
        let stand_ins = || usable().filter(|own| own.effective >= STAND_IN);
        let shorter = stand_ins().filter(|own| own.window_ms < wanted);
        let longest = shorter.max_by_key(|own| own.window_ms);
        let stand_in = longest.or_else(|| stand_ins().min_by_key(|own| own.window_ms));
        stand_in.map(|own| (own, own.window_ms < wanted))
    }

    fn rate(
        &self,
        statistic: Statistic,
        counts: &FeatureCounts,
        context: &WindowContext<'_>,
    ) -> Option<RateNull> {
        let reference = self.reference(context);
        Rates::of(counts, &reference.layout).get(statistic)?;
        let tallies = &counts.tallies;
        let is_missing = statistic == Statistic::MissingRatio;
        let n = samples_behind(statistic, tallies);
        let law = rate_law(statistic, reference)?;
        let expected = Rates::of(&reference.counts, &reference.layout)
            .get(statistic)
            .unwrap_or(0.0);
        let window = law.window(n);
        let stretches = self.stretches_for(tallies.values, context);
        let blocks = stretches
            .filter(|_| is_missing)
            .and_then(|(stretches, is_short)| {
                let v = noise(n as f64, reference.counts.tallies.events() as f64);
                let (mean, variance) = window.moments(|rate| (rate - expected).powi(2) / v);
                let degrees_of_freedom = (variance > 0.0).then(|| 2.0 * mean * mean / variance);
                let law = stretches.missing.as_ref()?;
                let v = carried(v, stretches.missing_v, is_short);
                Some(block_line(
                    law,
                    stretches.effective,
                    v,
                    mean,
                    degrees_of_freedom,
                ))
            });
        Some(RateNull {
            law: window,
            expected,
            n,
            is_two_sided: is_missing,
            blocks,
        })
    }
}

/// The line over stretches: their tail where there are enough of them, else their mean and spread, neither below the null's.
fn block_line(
    law: &EmpiricalDistribution,
    effective: f64,
    v: f64,
    null_mean: f64,
    null_freedom: Option<f64>,
) -> BlockThreshold {
    let degrees_of_freedom = least(null_freedom, law.degrees_of_freedom);
    match degrees_of_freedom {
        Some(degrees_of_freedom) if effective < TAIL_FROM => BlockThreshold::Spread {
            mean: law.mean.max(null_mean),
            degrees_of_freedom,
            stretches: effective,
            v,
        },
        _ => BlockThreshold::ExponentialTail {
            law: law.clone(),
            v,
        },
    }
}

/// The `v` that carries stretches to a window. Larger windows are given no credit for averaging that the stretches do not show, unless only shorter stretches
/// exist at all: then averaging has to be believed in, and the status says so.
fn carried(v: f64, of_stretches: f64, is_short: bool) -> f64 {
    if is_short { v } else { v.max(of_stretches) }
}

/// The smaller of what is known.
fn least(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// What the reference knows of a rate.
fn rate_law(statistic: Statistic, reference: &FeatureReference) -> Option<RateDistribution> {
    let counts = &reference.counts;
    let (values, events) = (counts.tallies.values as f64, counts.tallies.events() as f64);
    match statistic {
        Statistic::MissingRatio => {
            RateDistribution::seen(counts.tallies.missing_total() as f64, events)
        }
        Statistic::UnseenRatio if reference.kind != Kind::Boolean => {
            let seen = counts.unseen(&reference.layout).max(reference.seen_once) as f64;
            let x = seen.max(0.5);
            RateDistribution::try_new(x + 0.5, (values - x).max(0.0) + 0.5)
        }
        Statistic::OutOfRangeRatio => out_of_range_law(reference, values),
        _ => None,
    }
}

/// Fitted edges lie at the extremes: one more value falls beyond each like the next of a sample. Given edges say nothing, so what was seen has to.
fn out_of_range_law(reference: &FeatureReference, values: f64) -> Option<RateDistribution> {
    let layout = reference.layout.numeric()?;
    let (below, above) = reference.counts.out_of_range(&reference.layout);
    let guards = [layout.bins.has_lower_guard(), layout.bins.has_upper_guard()];
    let guards = guards.into_iter().filter(|guard| *guard).count();
    if reference.numbers?.edges_given || below + above > 0 {
        return RateDistribution::seen((below + above) as f64, values);
    }
    RateDistribution::try_new(guards as f64, values)
}
