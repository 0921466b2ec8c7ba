//! Tolerances: the smallest effect that is worth an alarm, on the scale of each statistic.
//!
//! A threshold for noise alone would alarm on a shift of a hundredth of a standard deviation once
//! windows are large enough. By default a shift of the mean by 0.14 standard deviations is
//! tolerated, the same effect for every statistic and feature; for categories a move of 2 % of the
//! values. A tolerance in standard deviations becomes a score by the score of that effect, because
//! distances grow with the effect and divergences with its square; one in per cent of moved mass by
//! the table of a normal feature.

use super::effect::FeatureEffect;
use crate::model::{Statistic, Tolerance};

/// The default effect, [`Tolerance::DEFAULT_STD`], as a share of moved mass.
///
/// `2 Phi(DEFAULT_STD / 2) - 1`, rounded.
const MASS: f64 = 0.056;

/// The default tolerance of a statistic, on its own scale.
///
/// The score of N(d, 1) against N(0, 1) with d = [`Tolerance::DEFAULT_STD`], rounded; a share of
/// values for rates.
fn default_tolerance(statistic: Statistic) -> f64 {
    match statistic {
        Statistic::Js => 0.0036,
        Statistic::JsDistance => 0.06,
        Statistic::Kl | Statistic::KlReverse => 0.0144,
        Statistic::Psi => 0.02,
        Statistic::Hellinger => 0.05,
        Statistic::TotalVariation | Statistic::Ks => MASS,
        Statistic::Wasserstein | Statistic::WassersteinNormalized | Statistic::WassersteinBody => {
            Tolerance::DEFAULT_STD
        }
        Statistic::MissingRatio
        | Statistic::InvalidRatio
        | Statistic::UnseenRatio
        | Statistic::OutOfRangeRatio
        | Statistic::Samples => Tolerance::default_share(statistic).unwrap_or(0.0),
    }
}

/// Returns true for a divergence, which grows with the square of an effect.
const fn is_divergence(statistic: Statistic) -> bool {
    matches!(
        statistic,
        Statistic::Js | Statistic::Kl | Statistic::KlReverse | Statistic::Psi
    )
}

/// The score of a multiple of an effect whose score is `unit`.
///
/// `unit multiple^2` for divergences, `unit multiple` for all others.
fn of_multiple(statistic: Statistic, unit: f64, multiple: f64) -> f64 {
    if is_divergence(statistic) {
        unit * multiple * multiple
    } else {
        unit * multiple
    }
}

/// The score of the default effect on a feature.
///
/// For scores of bins it is computed from the reference, and for numbers not below that of a normal
/// feature: bins that are too coarse to show the effect would give none.
fn effect_of(statistic: Statistic, effect: &FeatureEffect<'_>) -> f64 {
    let of_normal = default_tolerance(statistic);
    let is_numeric = effect.scorer.body().is_some();
    let score = effect.scores.and_then(|scores| scores.get(statistic));
    match score.filter(|score| score.is_finite()) {
        Some(score) if is_numeric => score.max(of_normal),
        Some(score) => score,
        None => of_normal,
    }
}

/// A tolerance on the scale of a statistic's threshold; at least 0 for a tolerance of at least 0.
///
/// The threshold of Wasserstein is one of its body, in standard deviations of the reference's body.
/// So a tolerance for `wasserstein` (the feature's unit) or `wasserstein_normalized` (standard
/// deviations of the reference) is converted. Without a body, its standard deviation is taken as 1.
pub(super) fn tolerance_on(
    statistic: Statistic,
    tolerance: Tolerance,
    effect: &FeatureEffect<'_>,
) -> f64 {
    let scorer = effect.scorer;
    let body_std = scorer.body().map_or(1.0, |body| body.std);
    match (tolerance, statistic) {
        (Tolerance::Default, _) => effect_of(statistic, effect),
        (Tolerance::Score(score), Statistic::Wasserstein) => score / body_std,
        (Tolerance::Score(score), Statistic::WassersteinNormalized) => {
            score * scorer.reference().unit_std() / body_std
        }
        (Tolerance::Score(score), _) => score,
        (Tolerance::Mass(share), _) if statistic.is_rate() => share,
        (Tolerance::Mass(share), _) => {
            of_multiple(statistic, default_tolerance(statistic), share / MASS)
        }
        (Tolerance::Std(std), _) => {
            let multiple = std / Tolerance::DEFAULT_STD;
            of_multiple(statistic, effect_of(statistic, effect), multiple)
        }
    }
}

/// The shift that is tolerated while the stream's history is short, and before there are two
/// windows of it, in standard deviations.
const LEARNING_STD: [f64; 2] = [0.5, 1.5];
/// The mass that a shift by the first of them moves, `2 Phi(0.25) - 1`, rounded: for rates.
const LEARNING_MASS: f64 = 0.2;

/// The tolerance of a statistic while the design effect is not known well; `is_unknown` while there
/// is no estimate at all.
pub(super) fn learning_tolerance(
    statistic: Statistic,
    effect: &FeatureEffect<'_>,
    is_unknown: bool,
) -> f64 {
    if statistic.is_rate() {
        return LEARNING_MASS;
    }
    let std = LEARNING_STD[usize::from(is_unknown)];
    let tolerance = tolerance_on(statistic, Tolerance::Std(std), effect);
    // The square of an effect outgrows a score that has an upper bound.
    let part = if is_divergence(statistic) { 0.25 } else { 0.5 };
    let largest = effect.scorer.largest(statistic);
    largest.map_or(tolerance, |largest| tolerance.min(part * largest))
}

/// A threshold with tolerance, on the statistic's own scale.
///
/// `quadratic_threshold` (at least 0) is the threshold without tolerance, on the quadratic scale
/// `T`. `tolerance + sqrt T` for a distance, `(sqrt tolerance + sqrt T)^2` for a divergence: the
/// triangle inequality. It holds for any design effect, where a non-central chi-square quantile
/// raises 11 to 95 times too many alarms on correlated streams.
pub(super) fn with_tolerance(
    statistic: Statistic,
    quadratic_threshold: f64,
    tolerance: f64,
) -> f64 {
    if is_divergence(statistic) {
        (tolerance.sqrt() + quadratic_threshold.sqrt()).powi(2)
    } else {
        tolerance + quadratic_threshold.sqrt()
    }
}

/// The shift of a feature's mean whose score equals `threshold`, in standard deviations.
///
/// The inverse of the default tolerance; `None` for rates.
pub(super) fn detectable_shift(
    statistic: Statistic,
    threshold: f64,
    effect: &FeatureEffect<'_>,
) -> Option<f64> {
    if statistic.is_rate() {
        return None;
    }
    let multiple = threshold / effect_of(statistic, effect);
    Some(if is_divergence(statistic) {
        Tolerance::DEFAULT_STD * multiple.sqrt()
    } else {
        Tolerance::DEFAULT_STD * multiple
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::effect::EffectScores;
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use crate::score::Scorer;

    #[test]
    fn defaults_are_the_scores_of_a_shift_of_a_normal_feature_as_in_scipy() {
        // scipy 1.17, with p = norm.pdf(x), q = norm.pdf(x - 0.14), m = (p + q) / 2 and d = 0.14:
        // js = quad((p log2(p / m) + q log2(q / m)) / 2), kl = d^2 / 2 / ln 2, psi = d^2,
        // hellinger = sqrt(1 - exp(-d^2 / 8)), ks = total variation = 2 norm.cdf(d / 2) - 1
        for (statistic, exact) in [
            (Statistic::Js, 0.003_526),
            (Statistic::JsDistance, 0.059_380),
            (Statistic::Kl, 0.014_138),
            (Statistic::KlReverse, 0.014_138),
            (Statistic::Psi, 0.019_600),
            (Statistic::Hellinger, 0.049_467),
            (Statistic::TotalVariation, 0.055_806),
            (Statistic::Ks, 0.055_806),
            (Statistic::WassersteinNormalized, 0.14),
        ] {
            let ratio: f64 = default_tolerance(statistic) / exact;
            assert!((ratio - 1.0).abs() < 0.025, "{statistic}: {ratio}");
        }
    }

    fn scorer() -> Scorer {
        let column = Column {
            numbers: (0..1000).map(f64::from).collect(),
            ..Column::default()
        };
        let reference = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        Scorer::new(Arc::new(reference), 0.5)
    }

    #[test]
    fn a_tolerance_is_the_same_effect_for_every_statistic() {
        let scorer = scorer();
        let scores = EffectScores::of(&scorer);
        let effect = FeatureEffect {
            scorer: &scorer,
            scores: scores.as_ref(),
        };
        for statistic in Statistic::ALL
            .iter()
            .filter(|statistic| !statistic.is_rate())
        {
            let twice = Tolerance::Std(2.0 * Tolerance::DEFAULT_STD);
            let score = tolerance_on(*statistic, twice, &effect);
            let shift = detectable_shift(*statistic, score, &effect).unwrap();
            assert!(
                (shift - 2.0 * Tolerance::DEFAULT_STD).abs() < 1e-12,
                "{statistic}: {shift}"
            );
        }
    }

    #[test]
    fn a_tolerance_adds_to_distances_and_to_the_roots_of_divergences() {
        let check = |statistic: Statistic, quadratic: f64, tolerance: f64, expected: f64| {
            let threshold = with_tolerance(statistic, quadratic, tolerance);
            assert!(
                (threshold - expected).abs() < 1e-12,
                "{statistic}: {threshold}"
            );
        };
        check(Statistic::Ks, 0.04, 0.1, 0.3);
        check(Statistic::Psi, 0.04, 0.01, 0.09);
        check(Statistic::Js, 0.04, 0.0, 0.04);
    }
}
