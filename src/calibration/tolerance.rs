//! Tolerances: the smallest effect that is worth an alarm, on the scale of each statistic.
//!
//! A threshold for noise alone would alarm on a shift of a hundredth of a standard deviation once
//! windows are large enough. By default a shift of the mean of a normal feature by 0.14 standard
//! deviations is tolerated: the same effect for every statistic. A tolerance in standard deviations
//! or in per cent of moved mass becomes a score by the same table, because distances grow with the
//! effect and divergences with its square.

use crate::model::{Statistic, Tolerance};
use crate::reference::FeatureReference;
use crate::stats::Body;

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

/// The score of a multiple of the default effect.
///
/// `default multiple^2` for divergences, `default multiple` for all others.
fn score_of_effect(statistic: Statistic, multiple: f64) -> f64 {
    if is_divergence(statistic) {
        default_tolerance(statistic) * multiple * multiple
    } else {
        default_tolerance(statistic) * multiple
    }
}

/// A tolerance on the scale of a statistic's threshold; at least 0 for a tolerance of at least 0.
///
/// The threshold of Wasserstein is one of its body, in standard deviations of the reference's body.
/// So a tolerance for `wasserstein` (the feature's unit) or `wasserstein_normalized` (standard
/// deviations of the reference) is converted. Without a body, its standard deviation is taken as 1.
#[must_use]
pub fn tolerance_on(
    statistic: Statistic,
    tolerance: Tolerance,
    reference: &FeatureReference,
    body: Option<&Body>,
) -> f64 {
    let body_std = body.map_or(1.0, |body| body.std);
    match (tolerance, statistic) {
        (Tolerance::Default, _) => default_tolerance(statistic),
        (Tolerance::Score(score), Statistic::Wasserstein) => score / body_std,
        (Tolerance::Score(score), Statistic::WassersteinNormalized) => {
            score * reference.unit_std() / body_std
        }
        (Tolerance::Score(score), _) => score,
        (Tolerance::Mass(share), _) if statistic.is_rate() => share,
        (Tolerance::Mass(share), _) => score_of_effect(statistic, share / MASS),
        (Tolerance::Std(std), _) => score_of_effect(statistic, std / Tolerance::DEFAULT_STD),
    }
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

/// The shift of a normal feature's mean whose score equals `threshold`, in standard deviations.
///
/// The inverse of the table of default tolerances; `None` for rates.
#[must_use]
pub fn detectable_shift(statistic: Statistic, threshold: f64) -> Option<f64> {
    if statistic.is_rate() {
        return None;
    }
    let multiple = threshold / default_tolerance(statistic);
    Some(if is_divergence(statistic) {
        Tolerance::DEFAULT_STD * multiple.sqrt()
    } else {
        Tolerance::DEFAULT_STD * multiple
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_tolerance_is_the_same_effect_for_every_statistic() {
        for statistic in Statistic::ALL
            .iter()
            .filter(|statistic| !statistic.is_rate())
        {
            let score = score_of_effect(*statistic, 2.0);
            let shift = detectable_shift(*statistic, score).unwrap();
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
