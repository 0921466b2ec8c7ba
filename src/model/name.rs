//! The names of statistics and severities, as configuration, JSON, metrics and the web page spell them.

use std::fmt;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$vdoc])* $variant,)+ }

        impl $type {
            /// Every value, in the order in which tables and series list them.
            pub const ALL: &'static [$type] = &[$($type::$variant,)+];

            /// The name used in configuration, JSON and labels.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)+ }
            }

            /// The value with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some($type::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

names! {
    /// What may be scored and alerted on: the divergences and distances, then the three rates, then volume.
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
        /// Wasserstein-1 between the bodies, values clipped at the reference's 0.1 % and 99.9 % quantiles, in standard deviations of the clipped reference.
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
        /// Share of values whose category the reference never saw.
        UnseenRatio = "unseen_ratio",
        /// Share of values in the two guard bins.
        OutOfRangeRatio = "out_of_range_ratio",
        /// Values in the window; the only one that alarms below its line.
        Samples = "samples",
    }
}

names! {
    /// How urgent an alert is.
    Severity {
        /// Worth a look in the morning.
        Warning = "warning",
        /// Worth being woken for.
        Critical = "critical",
    }
}

impl Statistic {
    /// Whether the statistic is a rate or a count of the window alone, not a comparison of distributions.
    #[must_use]
    pub const fn is_rate(self) -> bool {
        matches!(
            self,
            Statistic::MissingRatio
                | Statistic::UnseenRatio
                | Statistic::OutOfRangeRatio
                | Statistic::Samples
        )
    }

    /// Whether it is judged against the monitor's `reference`-th reference; volume is the same against all of them and judged against the first.
    #[must_use]
    pub const fn is_judged_against(self, reference: usize) -> bool {
        reference == 0 || !self.alarms_below()
    }

    /// Whether too little is the alarm: such a line is a fixed number.
    #[must_use]
    pub const fn alarms_below(self) -> bool {
        matches!(self, Statistic::Samples)
    }

    /// The statistic a budgeted alert on this one judges: raw Wasserstein has no line over clean windows, its body has.
    #[must_use]
    pub const fn budgeted(self) -> Self {
        match self {
            Statistic::Wasserstein | Statistic::WassersteinNormalized => Statistic::WassersteinBody,
            other => other,
        }
    }

    /// Whether the statistic exists only for numbers (`true`), whatever the kind otherwise.
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

    /// The largest value the statistic can take, where there is one.
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

    /// What a number of this statistic is measured in, for people.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Statistic::Js | Statistic::Kl | Statistic::KlReverse => "bit",
            Statistic::WassersteinNormalized | Statistic::WassersteinBody => "std",
            _ => "",
        }
    }
}
