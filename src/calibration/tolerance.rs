//! A shift too small to be news, in a statistic's own number or in words people use.
//!
//! A statistical line alone would alarm on a shift of a hundredth of a deviation once windows are large enough. The tolerance is what nobody wants to be woken for:
//! by default a shift of the mean by 0.14 standard deviations of a normal feature, one and the same effect for every statistic. A tolerance in deviations or in
//! per cent of moved mass is turned into each statistic's number by the same table: distances grow with the effect, divergences with its square.

use crate::model::{Statistic, Tolerance};
use crate::reference::FeatureReference;
use crate::stats::Body;

/// The effect of the default, in standard deviations of a normal feature.
const SHIFT: f64 = 0.14;
/// The same effect as a share of mass that lies elsewhere.
const MASS: f64 = 0.056;

/// The default tolerance of a statistic, on its own scale.
const fn default(statistic: Statistic) -> f64 {
    match statistic {
        Statistic::Js => 0.0036,
        Statistic::JsDistance => 0.06,
        Statistic::Kl | Statistic::KlReverse => 0.0144,
        Statistic::Psi => 0.02,
        Statistic::Hellinger => 0.05,
        Statistic::TotalVariation | Statistic::Ks => MASS,
        Statistic::Wasserstein | Statistic::WassersteinNormalized | Statistic::WassersteinBody => {
            SHIFT
        }
        Statistic::MissingRatio | Statistic::Samples => 0.0,
        Statistic::UnseenRatio | Statistic::OutOfRangeRatio => 0.001,
    }
}

/// Whether a statistic grows with the square of an effect.
const fn is_divergence(statistic: Statistic) -> bool {
    matches!(
        statistic,
        Statistic::Js | Statistic::Kl | Statistic::KlReverse | Statistic::Psi
    )
}

/// The number of a statistic that a multiple of the default effect makes.
fn effect(statistic: Statistic, multiple: f64) -> f64 {
    if is_divergence(statistic) {
        default(statistic) * multiple * multiple
    } else {
        default(statistic) * multiple
    }
}

/// A tolerance on the scale a statistic is judged on; Wasserstein is judged on the reference's `body`.
#[must_use]
pub fn tolerance_on(
    statistic: Statistic,
    tolerance: Tolerance,
    reference: &FeatureReference,
    body: Option<&Body>,
) -> f64 {
    let body_std = body.map_or(1.0, |body| body.std);
    match (tolerance, statistic) {
        (Tolerance::Default, _) => default(statistic),
        (Tolerance::Score(number), Statistic::Wasserstein) => number / body_std,
        (Tolerance::Score(number), Statistic::WassersteinNormalized) => {
            number * reference.unit_std() / body_std
        }
        (Tolerance::Score(number), _) => number,
        (Tolerance::Mass(share), _) if statistic.is_rate() => share,
        (Tolerance::Mass(share), _) => effect(statistic, share / MASS),
        (Tolerance::Std(std), _) => effect(statistic, std / SHIFT),
    }
}

/// A null line on the quadratic scale, moved out by a tolerance, on the statistic's own scale.
pub(super) fn tolerant(statistic: Statistic, null_line: f64, tolerance: f64) -> f64 {
    if is_divergence(statistic) {
        (tolerance.sqrt() + null_line.sqrt()).powi(2)
    } else {
        tolerance + null_line.sqrt()
    }
}

/// The shift of a normal feature's mean, in standard deviations, that a score at `line` amounts to; `None` for rates.
#[must_use]
pub fn detectable_shift(statistic: Statistic, line: f64) -> Option<f64> {
    if statistic.is_rate() {
        return None;
    }
    let multiple = line / default(statistic);
    Some(if is_divergence(statistic) {
        SHIFT * multiple.sqrt()
    } else {
        SHIFT * multiple
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_effect_in_every_scale() {
        for statistic in Statistic::ALL
            .iter()
            .filter(|statistic| !statistic.is_rate())
        {
            let line = effect(*statistic, 2.0);
            let shift = detectable_shift(*statistic, line).unwrap();
            assert!((shift - 2.0 * SHIFT).abs() < 1e-12, "{statistic}: {shift}");
        }
    }

    #[test]
    fn a_tolerance_adds_to_distances_and_to_the_roots_of_divergences() {
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        close(tolerant(Statistic::Ks, 0.04, 0.1), 0.3);
        close(tolerant(Statistic::Psi, 0.04, 0.01), 0.09);
        close(tolerant(Statistic::Js, 0.04, 0.0), 0.04);
    }
}
