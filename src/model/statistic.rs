//! The statistics: everything that can be exported as a score or used in an alert.
//!
//! Names are those of configuration, JSON, metrics and the web page. Formulas are in `stats` and
//! `score`.

use super::named_enum::named_enum;

named_enum! {
    /// A score, a rate of the window, or its volume: divergences and distances come first, then the
    /// rates, then volume.
    Statistic {
        /// Jensen-Shannon divergence, bits, 0..=1.
        Js = "js",
        /// Square root of `Js`, 0..=1.
        JsDistance = "js_distance",
        /// KL(current || reference), bits, >= 0.
        Kl = "kl",
        /// KL(reference || current), bits, >= 0.
        KlReverse = "kl_reverse",
        /// Wasserstein-1 in the feature's own unit.
        Wasserstein = "wasserstein",
        /// Wasserstein-1 in standard deviations of the reference.
        WassersteinNormalized = "wasserstein_normalized",
        /// Wasserstein-1 between the bodies, in standard deviations of the clipped reference. A
        /// body has its values clipped at the reference's 0.1 % and 99.9 % quantiles.
        WassersteinBody = "wasserstein_body",
        /// Population stability index, natural logarithm.
        Psi = "psi",
        /// Hellinger distance, 0..=1.
        Hellinger = "hellinger",
        /// Total variation distance, 0..=1.
        TotalVariation = "total_variation",
        /// Kolmogorov-Smirnov distance, 0..=1.
        Ks = "ks",
        /// Share of events without a value.
        MissingRatio = "missing_ratio",
        /// Share of the present values that are of a wrong kind or infinite.
        InvalidRatio = "invalid_ratio",
        /// Share of values whose category is not in the reference.
        UnseenRatio = "unseen_ratio",
        /// Share of values in the two guard bins.
        OutOfRangeRatio = "out_of_range_ratio",
        /// Number of values in the window; the only statistic that alarms below its threshold.
        Samples = "samples",
    }
}

impl Statistic {
    /// True for rates and counts of the window; false for comparisons of two distributions.
    #[must_use]
    pub const fn is_rate(self) -> bool {
        matches!(
            self,
            Statistic::MissingRatio
                | Statistic::InvalidRatio
                | Statistic::UnseenRatio
                | Statistic::OutOfRangeRatio
                | Statistic::Samples
        )
    }

    /// True if rules compare it with the monitor's `reference`-th reference. Volume does not depend
    /// on a reference, so only the first one evaluates it.
    #[must_use]
    pub const fn applies_to_reference(self, reference: usize) -> bool {
        reference == 0 || !self.alarms_below()
    }

    /// True if an alert fires below its threshold. Such a threshold is always a fixed number.
    #[must_use]
    pub const fn alarms_below(self) -> bool {
        matches!(self, Statistic::Samples)
    }

    /// The statistic that an alert with a budget evaluates in place of this one. Raw Wasserstein
    /// has no usable null distribution, because single outliers dominate it; its body has one.
    #[must_use]
    pub const fn budgeted(self) -> Self {
        match self {
            Statistic::Wasserstein | Statistic::WassersteinNormalized => Statistic::WassersteinBody,
            other => other,
        }
    }

    /// True if the statistic exists for numeric features only.
    #[must_use]
    pub const fn needs_numbers(self) -> bool {
        matches!(
            self,
            Statistic::Wasserstein
                | Statistic::WassersteinNormalized
                | Statistic::WassersteinBody
                | Statistic::Ks
                | Statistic::OutOfRangeRatio
        )
    }

    /// The largest value the statistic can take; `None` if it is unbounded.
    #[must_use]
    pub const fn upper_bound(self) -> Option<f64> {
        match self {
            Statistic::Kl
            | Statistic::KlReverse
            | Statistic::Wasserstein
            | Statistic::WassersteinNormalized
            | Statistic::WassersteinBody
            | Statistic::Psi
            | Statistic::Samples => None,
            _ => Some(1.0),
        }
    }

    /// The unit of a value, for people; empty for ratios, counts and the feature's own unit.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Statistic::Js | Statistic::Kl | Statistic::KlReverse => "bit",
            Statistic::WassersteinNormalized | Statistic::WassersteinBody => "std",
            _ => "",
        }
    }
}
