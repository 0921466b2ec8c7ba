//! The null model of a feature against one reference: its null distributions for any window.
//!
//! Tables of simulated windows are computed on first need and kept; everything else is arithmetic
//! on stored numbers. So equal arguments always give equal results. Blocks of the reference give
//! the design effect. A reference without time has no blocks; the stream's own history then stands
//! in for them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::block_threshold::{BlockThreshold, FisherQuantiles};
use super::effect::{EffectScores, FeatureEffect};
use super::history::HistorySummary;
use super::null_distribution::{NullDistribution, RateNull, ScoreNull};
use super::null_grid::NullGrid;
use super::null_table::{noise_variance, simulate, simulated_index};
use super::reference_rate::reference_rate;
use super::status::CalibrationStatus;
use super::tolerance::{detectable_shift, learning_tolerance, tolerance_on};
use crate::model::{MonitorSpec, Statistic, Tolerance};
use crate::reference::{
    BlockStatistics, FeatureCalibration, FeatureReference, NullSize, NullTable, RateBlocks,
};
use crate::score::{Rates, Scorer, samples_behind};
use crate::stats::{EmpiricalDistribution, FeatureCounts, MIN_BLOCKS, MIN_BLOCKS_FOR_TAIL};

/// Number of independent blocks from which another length may stand in for the window's, and below
/// which it does.
const MIN_STAND_IN_BLOCKS: f64 = 8.0;
/// Version of the simulation: tables of another version are not those of this program.
const SIMULATION: u32 = 2;
/// Pseudo-count with which stored tables were computed: a fit uses the default.
const STORED_PSEUDO_COUNT: f64 = MonitorSpec::DEFAULT_PSEUDO_COUNT;

/// Facts about the window to calibrate.
#[derive(Debug, Clone, Copy, Default)]
pub struct WindowContext<'a> {
    /// Length of the window; `None` where it has no time.
    pub window: Option<Duration>,
    /// The stream's own history, for a reference without time.
    pub history: Option<&'a HistorySummary>,
    /// The reference to compare with; `None` for the reference of the null model.
    ///
    /// A rolling or hour-of-week reference changes from window to window.
    pub reference: Option<&'a FeatureReference>,
}

/// The null distributions of one feature against one reference.
#[derive(Debug)]
pub struct NullModel {
    scorer: Scorer,
    /// Seed of the simulation: the reference's hash.
    seed: String,
    nulls: NullGrid,
    blocks: Vec<BlockStatistics>,
    /// Quantiles for few blocks.
    quantiles: Arc<FisherQuantiles>,
    /// The scores of the default effect, on first need.
    effect: OnceLock<Option<EffectScores>>,
    id: OnceLock<NullModelId>,
}

/// The hash of everything that null tables depend on, except for their size.
///
/// Models with the same id have the same tables, also after a restart or a reload.
pub type NullModelId = [u8; 32];

/// Variation of a statistic between windows of the stream without drift.
struct Dispersion {
    /// Design effect `phi`; at least 1.
    design_effect: f64,
    blocks: Option<BlockThreshold>,
}

/// The blocks that tell how much windows of one length vary.
#[derive(Clone, Copy)]
struct ChosenBlocks<'a> {
    blocks: &'a BlockStatistics,
    /// True if the blocks are shorter than the window.
    is_short: bool,
    /// Blocks of the window's length, where there are too few of them and shorter ones stand in.
    few: Option<&'a BlockStatistics>,
}

impl ChosenBlocks<'_> {
    /// Number of independent blocks, without the bias of its estimate.
    fn independent(&self) -> f64 {
        self.blocks.independent.unwrap_or(self.blocks.effective)
    }

    /// Factor of the scores of blocks that stand in: `max(1, own mean / their mean)`.
    ///
    /// Windows may vary more than shorter blocks show, by a weekly rhythm for example. So a
    /// reference with few blocks of the window's length never has a lower threshold than their
    /// mean asks for.
    fn scale(&self, mean: impl Fn(&BlockStatistics) -> Option<f64>) -> f64 {
        self.few
            .and_then(&mean)
            .zip(mean(self.blocks))
            .map_or(1.0, |(of_length, stand_in)| (of_length / stand_in).max(1.0))
    }

    /// The design effect of a simulated statistic; at least 1.
    fn design_effect(&self, index: usize) -> f64 {
        [Some(self.blocks), self.few]
            .into_iter()
            .flatten()
            .filter_map(|blocks| blocks.design_effect.get(index).copied())
            .fold(1.0, f64::max)
    }

    /// The noise variance that carries blocks to a window.
    ///
    /// `of_blocks` is the noise variance of blocks with most values. Larger windows get no credit
    /// for averaging that these do not show. Where only shorter blocks exist, averaging has to be
    /// assumed, and the status `blocks_short` reports it.
    fn carried(
        &self,
        noise_variance: f64,
        of_blocks: impl Fn(&BlockStatistics) -> Option<f64>,
    ) -> f64 {
        let of_length = if self.is_short {
            self.few
        } else {
            Some(self.blocks)
        };
        of_length
            .and_then(of_blocks)
            .map_or(noise_variance, |of_blocks| noise_variance.max(of_blocks))
    }
}

impl NullModel {
    /// Creates the null model of the reference that `scorer` compares with.
    ///
    /// `hash` is the reference's hash, which seeds the simulation. `stored` is the calibration in
    /// its artefact; its tables are used only if they were computed with the same pseudo-count.
    #[must_use]
    pub fn new(scorer: Scorer, hash: &str, stored: Option<&FeatureCalibration>) -> Self {
        let same_scores = (scorer.pseudo_count() - STORED_PSEUDO_COUNT).abs() < f64::EPSILON;
        let bins = scorer.reference().counts.bins.len();
        let usable = stored.filter(|_| same_scores).into_iter();
        NullModel {
            scorer,
            seed: hash.to_owned(),
            nulls: NullGrid::new(bins, usable.flat_map(|stored| &stored.nulls)),
            blocks: stored.map_or_else(Vec::new, |stored| blocks_of(stored, same_scores)),
            quantiles: Arc::default(),
            effect: OnceLock::new(),
            id: OnceLock::new(),
        }
    }

    /// The scores of the default effect on the feature.
    fn effect(&self) -> FeatureEffect<'_> {
        let scores = self.effect.get_or_init(|| EffectScores::of(&self.scorer));
        FeatureEffect {
            scorer: &self.scorer,
            scores: scores.as_ref(),
        }
    }

    /// A tolerance on the scale of a statistic's threshold; at least 0 for a tolerance of at least
    /// 0.
    #[must_use]
    pub fn tolerance_on(&self, statistic: Statistic, tolerance: Tolerance) -> f64 {
        tolerance_on(statistic, tolerance, &self.effect())
    }

    /// The shift of the feature's mean whose score equals `threshold`, in standard deviations;
    /// `None` for rates.
    #[must_use]
    pub fn detectable_shift(&self, statistic: Statistic, threshold: f64) -> Option<f64> {
        detectable_shift(statistic, threshold, &self.effect())
    }

    /// The hash of the reference.
    #[must_use]
    pub fn reference_hash(&self) -> &str {
        &self.seed
    }

    /// The scorer whose scores this model describes.
    #[must_use]
    pub const fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// Computes the tables for windows of `n` values if they do not exist: about 0.1 s each.
    pub fn prepare(&self, n: u64) {
        self.nulls.prepare(n, |size| self.simulate(size));
    }

    /// Computes the tables for windows of every size from `low` to `high` values.
    pub fn prepare_range(&self, low: u64, high: u64) {
        // A step of the grid is at most an octave, and a size needs the tables on both sides.
        let mut n = low.max(1);
        while n < high {
            self.prepare(n);
            n = n.saturating_mul(2);
        }
        self.prepare(high);
    }

    /// The sizes whose tables are needed for windows of `n` values and do not exist, each once.
    pub fn missing_sizes(&self, n: u64) -> impl Iterator<Item = NullSize> {
        self.nulls.missing(n)
    }

    /// Simulates the table of one size: about 0.1 s. The model does not change.
    #[must_use]
    pub fn simulate(&self, size: NullSize) -> NullTable {
        simulate(&self.scorer, size, &self.seed)
    }

    /// Adds a table of a model with the same id; the table of a size that exists stays.
    pub fn insert(&self, table: Arc<NullTable>) {
        self.nulls.insert(table);
    }

    /// The hash of everything that the tables depend on.
    ///
    /// It covers the whole reference in its debug form, which is exact for numbers. A form that
    /// changes costs one simulation and never gives a wrong table.
    pub fn id(&self) -> NullModelId {
        *self.id.get_or_init(|| {
            let scorer = &self.scorer;
            let (seed, pseudo_count) = (&self.seed, scorer.pseudo_count());
            let reference = scorer.reference();
            let content = format!("{SIMULATION} {seed:?} {pseudo_count:?} {reference:?}");
            Sha256::digest(content.as_bytes()).into()
        })
    }

    /// The tables for windows of `n` values that exist and do not come from the artefact.
    pub fn simulated_tables(&self, n: u64) -> impl Iterator<Item = &Arc<NullTable>> {
        self.nulls.simulated(n)
    }

    /// Returns true if the tables for windows of `n` values exist.
    #[must_use]
    pub fn is_prepared(&self, n: u64) -> bool {
        self.nulls.is_prepared(n)
    }

    /// Returns true if there is a table of any size.
    #[must_use]
    pub fn has_tables(&self) -> bool {
        self.nulls.tables().next().is_some()
    }

    /// The calibration to store with the reference.
    #[must_use]
    pub fn to_stored(&self) -> FeatureCalibration {
        FeatureCalibration {
            nulls: self.nulls.tables().cloned().collect(),
            blocks: self.blocks.clone(),
            hour_of_week: Vec::new(),
        }
    }

    /// Replaces the statistics of the reference's blocks.
    pub fn set_blocks(&mut self, blocks: Vec<BlockStatistics>) {
        self.blocks = blocks;
    }

    /// The null distribution of a statistic in a window with these counts.
    ///
    /// `None` where the feature has no such score, or where the score is always 0 or infinite
    /// without drift.
    #[must_use]
    pub fn null_distribution(
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
        let n = counts.tallies.values;
        let index = simulated_index(statistic).filter(|_| n > 0)?;
        let simulated = self.simulated_distribution(index, n)?;
        let noise_variance = noise_variance(n as f64, self.reference_values(context));
        let dispersion = self.dispersion(index, &simulated, n, noise_variance, context);
        Some(NullDistribution::Score(ScoreNull {
            statistic,
            simulated,
            noise_variance,
            design_effect: dispersion.design_effect,
            blocks: dispersion.blocks,
        }))
    }

    /// The design effect of a statistic by the reference's blocks alone; 1 without blocks.
    #[must_use]
    pub fn block_design_effect(
        &self,
        statistic: Statistic,
        counts: &FeatureCounts,
        context: &WindowContext<'_>,
    ) -> f64 {
        simulated_index(statistic)
            .zip(self.blocks_for(counts.tallies.values, context))
            .map_or(1.0, |(index, blocks)| blocks.design_effect(index))
    }

    /// Reasons why the thresholds of a window of `n` values at `alpha` are less reliable.
    ///
    /// `TooFewEffective` and `LineUnreachable` are left to the caller, which has `min_samples` and
    /// the rules.
    #[must_use]
    pub fn statuses(
        &self,
        n: u64,
        alpha: f64,
        context: &WindowContext<'_>,
    ) -> Vec<CalibrationStatus> {
        const MANY_BLOCKS: f64 = 300.0;
        const RARE: f64 = 1e-3;
        let blocks = self.blocks_for(n, context);
        let is_learning = self.is_learning(context);
        let effective = blocks.map_or(0.0, |chosen| chosen.blocks.effective);
        CalibrationStatus::ALL
            .into_iter()
            .filter(|status| match status {
                CalibrationStatus::ReferenceSmall => {
                    n as f64 > self.reference_values(context) / 10.0
                }
                CalibrationStatus::BudgetExtrapolated => {
                    !is_learning && effective < MANY_BLOCKS && alpha < RARE
                }
                CalibrationStatus::PhiLearning => is_learning,
                CalibrationStatus::BlocksShort => blocks.is_some_and(|chosen| chosen.is_short),
                CalibrationStatus::BlocksFew => {
                    blocks.is_some_and(|chosen| chosen.independent() < MIN_BLOCKS_FOR_TAIL)
                }
                CalibrationStatus::TooFewEffective | CalibrationStatus::LineUnreachable => false,
            })
            .collect()
    }

    /// Returns true if the stream's history stands in for blocks: the reference has no time.
    #[must_use]
    pub fn needs_history(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns true while the design effect is not known: the reference has no blocks, and the
    /// stream's history is not long enough.
    #[must_use]
    pub fn is_learning(&self, context: &WindowContext<'_>) -> bool {
        self.needs_history() && context.history.is_none_or(|history| history.is_learning)
    }

    /// The smallest tolerance of any rule on a statistic: until the design effect is known, only
    /// gross breaks are news. 0 once it is known.
    #[must_use]
    pub fn least_tolerance(&self, statistic: Statistic, context: &WindowContext<'_>) -> f64 {
        if !self.is_learning(context) {
            return 0.0;
        }
        let blocks = context.history.and_then(|history| history.blocks.as_ref());
        learning_tolerance(statistic, &self.effect(), blocks.is_none())
    }

    /// The reference of a window.
    fn reference<'a>(&'a self, context: &WindowContext<'a>) -> &'a FeatureReference {
        context.reference.unwrap_or(self.scorer.reference())
    }

    fn reference_values(&self, context: &WindowContext<'_>) -> f64 {
        self.reference(context).counts.tallies.values as f64
    }

    /// The distribution of a simulated statistic in windows of `n` values.
    pub(super) fn simulated_distribution(
        &self,
        index: usize,
        n: u64,
    ) -> Option<EmpiricalDistribution> {
        self.nulls
            .distribution(index, n, |size| self.simulate(size))
    }

    /// The variation of a statistic between windows, from blocks; without blocks it is that of
    /// independent samples.
    fn dispersion(
        &self,
        index: usize,
        simulated: &EmpiricalDistribution,
        n: u64,
        noise_variance: f64,
        context: &WindowContext<'_>,
    ) -> Dispersion {
        let Some(chosen) = self.blocks_for(n, context) else {
            return Dispersion {
                design_effect: 1.0,
                blocks: None,
            };
        };
        let mean = |blocks: &BlockStatistics| Some(blocks.distributions.get(index)?.as_ref()?.mean);
        let distribution = chosen.blocks.distributions.get(index);
        let distribution = distribution.and_then(Option::as_ref);
        let from_history = distribution
            .filter(|_| self.needs_history())
            .map(|of_stream| (of_stream.mean / simulated.mean).max(1.0));
        Dispersion {
            design_effect: from_history.unwrap_or_else(|| chosen.design_effect(index)),
            blocks: distribution.map(|distribution| {
                let carried = chosen.carried(noise_variance, |blocks| Some(blocks.noise_variance));
                BlockThreshold::of(
                    distribution,
                    chosen.blocks.effective,
                    chosen.scale(mean) * carried,
                    simulated.mean,
                    simulated.degrees_of_freedom,
                    &self.quantiles,
                )
            }),
        }
    }

    /// The blocks for a window; `None` without usable blocks.
    ///
    /// Blocks of the window's length where there are at least 8. Else the longest shorter blocks,
    /// else those of the window's length, else the shortest, with at least 8 of another length. For
    /// a window without time, the blocks whose number of values is nearest. Without blocks, the
    /// windows of the stream's history.
    fn blocks_for<'a>(&'a self, n: u64, context: &WindowContext<'a>) -> Option<ChosenBlocks<'a>> {
        if self.needs_history() {
            return Some(ChosenBlocks {
                blocks: context.history?.blocks.as_ref()?,
                is_short: false,
                few: None,
            });
        }
        let usable = || {
            self.blocks
                .iter()
                .filter(|blocks| blocks.effective >= MIN_BLOCKS)
        };
        let chosen = |blocks, is_short, few| ChosenBlocks {
            blocks,
            is_short,
            few,
        };
        let Some(window) = context.window else {
            let gap =
                |blocks: &&BlockStatistics| (blocks.samples.max(1.0) / n.max(1) as f64).ln().abs();
            let nearest = usable().min_by(|a, b| gap(a).total_cmp(&gap(b)))?;
            return Some(chosen(nearest, nearest.samples < n as f64 / 2.0, None));
        };
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let of_length = usable().find(|blocks| blocks.window_ms == window_ms);
        if let Some(blocks) = of_length.filter(|blocks| blocks.effective >= MIN_STAND_IN_BLOCKS) {
            return Some(chosen(blocks, false, None));
        }
        let stand_ins = || usable().filter(|blocks| blocks.effective >= MIN_STAND_IN_BLOCKS);
        stand_ins()
            .filter(|blocks| blocks.window_ms < window_ms)
            .max_by_key(|blocks| blocks.window_ms)
            .map(|shorter| chosen(shorter, true, of_length))
            .or_else(|| Some(chosen(of_length?, false, None)))
            .or_else(|| {
                let shortest = stand_ins().min_by_key(|blocks| blocks.window_ms)?;
                Some(chosen(shortest, false, None))
            })
    }

    fn rate(
        &self,
        statistic: Statistic,
        counts: &FeatureCounts,
        context: &WindowContext<'_>,
    ) -> Option<RateNull> {
        let reference = self.reference(context);
        Rates::of(counts, &reference.layout).get(statistic)?;
        let n = samples_behind(statistic, &counts.tallies);
        let m = samples_behind(statistic, &reference.counts.tallies) as f64;
        let posterior = reference_rate(statistic, reference)?;
        let chosen_blocks = self.blocks_for(counts.tallies.values, context);
        // Rare events in clusters: the window holds as many independent ones as there are clusters.
        let rare_design_effect = match statistic {
            Statistic::MissingRatio => 1.0,
            _ => chosen_blocks.map_or(1.0, |chosen| chosen.blocks.rare_design_effect),
        };
        let independent = independent(n, rare_design_effect);
        let distribution = posterior.window(independent);
        let expected = Rates::of(&reference.counts, &reference.layout)
            .get(statistic)
            .unwrap_or(0.0);
        let is_two_sided = statistic == Statistic::MissingRatio;
        let blocks = chosen_blocks.and_then(|chosen| {
            let (of_blocks, _) = rate_blocks(statistic, chosen.blocks)?;
            let noise_variance = noise_variance(n as f64, m);
            let scale = chosen.scale(|blocks| Some(rate_blocks(statistic, blocks)?.0.mean));
            let carried = scale
                * chosen.carried(noise_variance, |blocks| {
                    Some(rate_blocks(statistic, blocks)?.1)
                });
            if BlockThreshold::has_tail(chosen.blocks.effective) {
                return Some(BlockThreshold::of_many(of_blocks, carried));
            }
            let (mean, variance) = distribution.moments(|rate| {
                let difference = rate - expected;
                let news = if is_two_sided {
                    difference
                } else {
                    difference.max(0.0)
                };
                news.powi(2) / noise_variance
            });
            let degrees_of_freedom = (variance > 0.0).then(|| 2.0 * mean * mean / variance);
            Some(BlockThreshold::of(
                of_blocks,
                chosen.blocks.effective,
                carried,
                mean,
                degrees_of_freedom,
                &self.quantiles,
            ))
        });
        Some(RateNull {
            distribution,
            noise_floor: posterior.mean(),
            expected,
            n: independent,
            is_two_sided,
            blocks,
        })
    }
}

/// The blocks that are stored with a reference.
///
/// Those of smoothed scores hold for one pseudo-count only. With another one their design effect is
/// that of `js`, which is not smoothed.
fn blocks_of(stored: &FeatureCalibration, same_scores: bool) -> Vec<BlockStatistics> {
    let mut blocks = stored.blocks.clone();
    if same_scores {
        return blocks;
    }
    let smoothed = [Statistic::Kl, Statistic::KlReverse, Statistic::Psi];
    for of_length in &mut blocks {
        let of_js = of_length.design_effect.first().copied().unwrap_or(1.0);
        for index in smoothed.into_iter().filter_map(simulated_index) {
            if let Some(distribution) = of_length.distributions.get_mut(index) {
                *distribution = None;
            }
            if let Some(effect) = of_length.design_effect.get_mut(index) {
                *effect = of_js;
            }
        }
    }
    blocks
}

/// The distribution of a rate over blocks, with their noise variance; `None` where the rate
/// has none.
fn rate_blocks(
    statistic: Statistic,
    blocks: &BlockStatistics,
) -> Option<(&EmpiricalDistribution, f64)> {
    match statistic {
        Statistic::MissingRatio => Some((blocks.missing.as_ref()?, blocks.missing_noise_variance)),
        Statistic::InvalidRatio => of_rate(blocks.invalid.as_ref()),
        Statistic::UnseenRatio => of_rate(blocks.unseen.as_ref()),
        Statistic::OutOfRangeRatio => of_rate(blocks.out_of_range.as_ref()),
        _ => None,
    }
}

fn of_rate(rate: Option<&RateBlocks>) -> Option<(&EmpiricalDistribution, f64)> {
    rate.map(|rate| (&rate.distribution, rate.noise_variance))
}

/// The number of independent events among `n`, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the number of events"
)]
fn independent(n: u64, design_effect: f64) -> u64 {
    ((n as f64 / design_effect) as u64).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};

    fn scorer() -> Scorer {
        let column = Column {
            numbers: (0..1000).map(f64::from).collect(),
            ..Column::default()
        };
        let options = FitOptions {
            bins: Some(crate::model::BinsSpec::Count(4)),
            ..FitOptions::default()
        };
        let reference = fit("x", Kind::Numeric, column, &options).unwrap();
        Scorer::new(Arc::new(reference), 0.5)
    }

    fn blocks(minutes: u64, effective: f64) -> BlockStatistics {
        BlockStatistics {
            window_ms: minutes * 60_000,
            effective,
            independent: None,
            samples: minutes as f64,
            noise_variance: 1.0,
            design_effect: vec![minutes as f64; 8],
            distributions: vec![None; 8],
            missing: None,
            missing_noise_variance: 1.0,
            invalid: None,
            unseen: None,
            out_of_range: None,
            rare_design_effect: 1.0,
            incidents: Vec::new(),
        }
    }

    fn window(minutes: u64) -> WindowContext<'static> {
        WindowContext {
            window: Some(Duration::from_secs(60 * minutes)),
            ..WindowContext::default()
        }
    }

    fn values(n: u64) -> FeatureCounts {
        let mut counts = FeatureCounts::default();
        counts.tallies.values = n;
        counts
    }

    #[test]
    fn stored_tables_are_used_instead_of_a_simulation() {
        let threshold = |model: &NullModel| {
            model
                .null_distribution(Statistic::Js, &values(64), &WindowContext::default())
                .unwrap()
                .threshold(1e-4, 0.0)
        };
        let model = NullModel::new(scorer(), "hash", None);
        assert!(!model.is_prepared(64), "nothing computed yet");
        let computed = threshold(&model);
        let stored = NullModel::new(scorer(), "hash", Some(&model.to_stored()));
        assert!(stored.is_prepared(64), "stored");
        assert_eq!(threshold(&stored), computed, "bit for bit");
        let smoothed = Scorer::new(Arc::clone(scorer().reference()), 1.0);
        let smoothed = NullModel::new(smoothed, "hash", Some(&model.to_stored()));
        assert!(!smoothed.is_prepared(64), "another pseudo-count");
    }

    #[test]
    fn blocks_of_the_windows_length_are_preferred_to_stand_ins() {
        let mut model = NullModel::new(scorer(), "hash", None);
        model.set_blocks(vec![
            blocks(5, 100.0),
            blocks(15, 30.0),
            blocks(60, 7.0),
            blocks(240, 1.5),
        ]);
        let chosen = |model: &NullModel, minutes| {
            let chosen = model.blocks_for(100, &window(minutes)).unwrap();
            let few = chosen.few.map(|few| few.window_ms / 60_000);
            (chosen.blocks.window_ms / 60_000, chosen.is_short, few)
        };
        assert_eq!(chosen(&model, 15), (15, false, None), "the same length");
        assert_eq!(chosen(&model, 60), (15, true, Some(60)), "fewer than 8");
        assert_eq!(chosen(&model, 240), (15, true, None), "the longest with 8");
        assert_eq!(chosen(&model, 1), (5, false, None), "none is shorter");
        let untimed = model.blocks_for(50, &WindowContext::default()).unwrap();
        assert_eq!(untimed.blocks.window_ms, 60 * 60_000, "the nearest size");
        model.set_blocks(vec![blocks(15, 7.0), blocks(60, 3.0)]);
        assert_eq!(chosen(&model, 60), (60, false, None), "no other is better");
    }

    #[test]
    fn shorter_blocks_never_claim_less_variation_than_those_of_the_windows_length() {
        let distribution = |scale: f64| {
            let mut draws: Vec<f64> = (1..=100).map(|i| f64::from(i) * scale).collect();
            EmpiricalDistribution::of(&mut draws, 0.1, |_| 10.0)
        };
        let with_scores = |minutes, effective, scale| BlockStatistics {
            distributions: vec![distribution(scale); 8],
            design_effect: vec![scale; 8],
            ..blocks(minutes, effective)
        };
        let threshold = |of_length: f64| {
            let mut model = NullModel::new(scorer(), "hash", None);
            model.set_blocks(vec![
                with_scores(15, 30.0, 1.0),
                with_scores(60, 7.0, of_length),
            ]);
            let null = model.null_distribution(Statistic::Js, &values(64), &window(60));
            let null = null.unwrap();
            (null.threshold(1e-3, 0.0).upper, null.design_effect())
        };
        let (stand_in, _) = threshold(0.5);
        let (scaled, design_effect) = threshold(3.0);
        assert!((design_effect - 3.0).abs() < 1e-12, "{design_effect}");
        assert!(
            (scaled / stand_in - 3.0).abs() < 1e-3,
            "{scaled} {stand_in}"
        );
    }

    #[test]
    fn statuses_name_the_limits_of_a_threshold() {
        let mut model = NullModel::new(scorer(), "hash", None);
        let names = |model: &NullModel, n: u64, alpha: f64, minutes: u64| -> Vec<&str> {
            model
                .statuses(n, alpha, &window(minutes))
                .into_iter()
                .map(CalibrationStatus::name)
                .collect()
        };
        assert_eq!(names(&model, 100, 0.01, 15), ["phi_learning"], "no time");
        model.set_blocks(vec![blocks(15, 30.0)]);
        assert_eq!(names(&model, 100, 0.01, 15), [""; 0], "no limit");
        assert_eq!(
            names(&model, 101, 1e-4, 60),
            ["reference_small", "budget_extrapolated", "blocks_short"]
        );
        model.set_blocks(vec![blocks(15, 12.0)]);
        assert_eq!(names(&model, 100, 0.01, 15), ["blocks_few"]);
        model.set_blocks(vec![BlockStatistics {
            independent: Some(12.0),
            ..blocks(15, 28.0)
        }]);
        assert_eq!(names(&model, 100, 0.01, 15), ["blocks_few"], "correlated");
    }

    #[test]
    fn the_design_effect_comes_from_blocks_else_from_the_history() {
        let mut model = NullModel::new(scorer(), "hash", None);
        let effect = |model: &NullModel, context: &WindowContext<'_>| {
            model
                .null_distribution(Statistic::Js, &values(64), context)
                .unwrap()
                .design_effect()
        };
        assert!((effect(&model, &window(15)) - 1.0).abs() < 1e-12, "unknown");
        let mean = model.simulated_distribution(0, 64).unwrap().mean;
        let mut of_stream = blocks(15, 30.0);
        of_stream.design_effect = Vec::new();
        let mut draws: Vec<f64> = (1..100).map(f64::from).collect();
        of_stream.distributions = vec![Some(EmpiricalDistribution {
            mean: 3.0 * mean,
            ..EmpiricalDistribution::of(&mut draws, 0.1, |_| 10.0).unwrap()
        })];
        let history = HistorySummary {
            blocks: Some(of_stream),
            is_learning: false,
        };
        let context = WindowContext {
            history: Some(&history),
            ..window(15)
        };
        assert!((effect(&model, &context) - 3.0).abs() < 1e-9, "history");
        assert!(!model.is_learning(&context), "known");
        assert!(model.is_learning(&window(15)), "unknown");
        model.set_blocks(vec![blocks(15, 30.0)]);
        assert!((effect(&model, &context) - 15.0).abs() < 1e-9, "blocks");
    }
}
