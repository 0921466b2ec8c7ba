//! The unit error that a shift looks like: every value multiplied or divided by one known factor.
//!
//! Median and spread must both have changed by the factor. The median alone would take a shift of
//! the mean for a unit error, the spread alone a change of the noise. No factor is told where none
//! is near: a doubling is not a conversion from kilograms to pounds.

/// A factor of a common unit error.
struct UnitFactor {
    factor: f64,
    /// The units from and to which a multiplication leads; empty for a power of ten.
    units: [&'static str; 2],
}

/// Powers of ten, time, length, weight and distance.
const UNIT_FACTORS: [UnitFactor; 10] = [
    unit(1e6, ["", ""]),
    unit(3600.0, ["hours", "seconds"]),
    unit(1e3, ["", ""]),
    unit(100.0, ["", ""]),
    unit(60.0, ["hours", "minutes"]),
    unit(10.0, ["", ""]),
    unit(3.280_84, ["metres", "feet"]),
    unit(2.54, ["inches", "centimetres"]),
    unit(2.204_62, ["kilograms", "pounds"]),
    unit(1.609_34, ["miles", "kilometres"]),
];

/// The largest relative difference of a ratio from a factor, beside its own noise.
const TOLERANCE: f64 = 0.03;
/// The most that the noise of a small window adds to the tolerance of each ratio. The medians of a
/// doubling (2) and of pounds (2.20462) stay apart: they differ by 9 %.
const MAX_NOISE: f64 = 0.03;

const fn unit(factor: f64, units: [&'static str; 2]) -> UnitFactor {
    UnitFactor { factor, units }
}

/// Quartiles of a sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quartiles {
    pub(super) lower: f64,
    pub(super) median: f64,
    pub(super) upper: f64,
    /// Number of values.
    pub(super) samples: u64,
}

impl Quartiles {
    fn range(&self) -> f64 {
        self.upper - self.lower
    }

    /// Two standard errors of median and quartile range, relative to themselves, for a normal
    /// feature: `0.93 range / sqrt(n)` and `1.17 range / sqrt(n)`.
    fn noise(&self) -> [f64; 2] {
        let relative = 2.0 / (self.samples as f64).sqrt();
        [
            0.93 * relative * self.range() / self.median.abs(),
            1.17 * relative,
        ]
    }
}

/// The unit error that a change of quartiles looks like.
pub(super) fn unit_error(before: &Quartiles, after: &Quartiles) -> Option<String> {
    let ratios = [after.median / before.median, after.range() / before.range()];
    let tolerances: Vec<f64> = before
        .noise()
        .iter()
        .zip(after.noise())
        .map(|(before, after)| TOLERANCE + before.hypot(after).min(MAX_NOISE))
        .collect();
    let distance = |factor: f64| (ratios[0] / factor - 1.0).abs();
    let (nearest, is_multiplied) = UNIT_FACTORS
        .iter()
        .flat_map(|unit| [(unit, true), (unit, false)])
        .min_by(|a, b| distance(applied(a)).total_cmp(&distance(applied(b))))?;
    let factor = applied(&(nearest, is_multiplied));
    let agrees = ratios
        .iter()
        .zip(tolerances)
        .all(|(ratio, tolerance)| (ratio / factor - 1.0).abs() <= tolerance);
    if !agrees {
        return None;
    }
    let sign = if is_multiplied { 'x' } else { '/' };
    let text = format!("looks like {sign}{}", nearest.factor);
    Some(match (nearest.units, is_multiplied) {
        (["", _], _) => text,
        ([from, to], true) | ([to, from], false) => format!("{text} ({from} to {to})"),
    })
}

fn applied((unit, is_multiplied): &(&UnitFactor, bool)) -> f64 {
    if *is_multiplied {
        unit.factor
    } else {
        unit.factor.recip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Quartiles = Quartiles {
        lower: 61.0,
        median: 70.0,
        upper: 79.0,
        samples: 20_000,
    };

    fn scaled(factor: f64) -> Quartiles {
        Quartiles {
            lower: BEFORE.lower * factor,
            median: BEFORE.median * factor,
            upper: BEFORE.upper * factor,
            samples: 5000,
        }
    }

    fn guess(after: &Quartiles) -> String {
        unit_error(&BEFORE, after).unwrap_or_default()
    }

    /// Kilograms to pounds was told as x2.54, a doubling as x2.20462, +30 % as x1.60934: the first
    /// factor within 20 %.
    #[test]
    fn the_nearest_factor_is_told_and_only_if_it_is_near() {
        for (factor, expected) in [
            (2.204_62, "looks like x2.20462 (kilograms to pounds)"),
            (1.0 / 2.204_62, "looks like /2.20462 (pounds to kilograms)"),
            (2.54, "looks like x2.54 (inches to centimetres)"),
            (1.609_34, "looks like x1.60934 (miles to kilometres)"),
            (3600.0, "looks like x3600 (hours to seconds)"),
            (0.01, "looks like /100"),
            (1000.0, "looks like x1000"),
            (2.0, ""),
            (1.3, ""),
            (0.5, ""),
            (9.0, ""),
            (1.0, ""),
        ] {
            assert_eq!(guess(&scaled(factor)), expected, "x{factor}");
        }
    }

    #[test]
    fn the_spread_must_agree_with_the_median() {
        let shift = |by: f64| Quartiles {
            lower: BEFORE.lower + by,
            median: BEFORE.median + by,
            upper: BEFORE.upper + by,
            samples: 5000,
        };
        assert_eq!(guess(&shift(9.0 * 70.0)), "", "ten times the median only");
        let spread = Quartiles {
            lower: -20.0,
            median: 70.0,
            upper: 160.0,
            samples: 5000,
        };
        assert_eq!(guess(&spread), "", "ten times the spread only");
    }

    /// Quartiles of 1,000 values have errors of 2 % and more, so 3 % alone would miss half of the
    /// conversions.
    #[test]
    fn a_small_window_may_differ_by_its_noise() {
        let noisy = Quartiles {
            upper: BEFORE.upper * 2.204_62 * 1.01,
            samples: 1000,
            ..scaled(2.204_62)
        };
        assert!(guess(&noisy).contains("x2.20462"), "spread 4.5 % wider");
        let doubled = Quartiles {
            samples: 10,
            ..scaled(2.0)
        };
        assert_eq!(guess(&doubled), "", "noise does not make it pounds");
    }

    #[test]
    fn a_constant_or_a_median_of_zero_has_no_factor() {
        let constant = Quartiles {
            lower: 5.0,
            median: 5.0,
            upper: 5.0,
            samples: 1000,
        };
        assert_eq!(unit_error(&constant, &scaled(1.0)), None);
        assert_eq!(unit_error(&constant, &constant), None);
        let centred = Quartiles {
            lower: -1.0,
            median: 0.0,
            upper: 1.0,
            samples: 1000,
        };
        assert_eq!(unit_error(&centred, &scaled(1.0)), None);
    }
}
