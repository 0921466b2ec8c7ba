//! Rates of a window: shares of missing, invalid, out-of-range and unseen values.
//!
//! A rate needs no reference distribution, only the reference's layout. It shows breaks that
//! divergences do not: neither a missing value nor an invalid one has a bin, so a column that lost
//! all of its values has no scores, and its rates still say what happened.

use crate::model::Statistic;
use crate::stats::{FeatureCounts, Layout, share};

/// The rates of a feature in one window, each in 0..=1; `None` where a rate does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Missing values per event; `None` without events.
    pub missing: Option<f64>,
    /// Values of a wrong kind or infinite, per present value; `None` where none is present.
    pub invalid: Option<f64>,
    /// Values below the first or above the last edge, per value.
    ///
    /// `None` without values, without guards, and for categories.
    pub out_of_range: Option<f64>,
    /// Values of unseen categories, per value; `None` without values and for numbers.
    pub unseen: Option<f64>,
}

impl Rates {
    /// The rates of a window that is counted in `layout`.
    #[must_use]
    pub fn of(window: &FeatureCounts, layout: &Layout) -> Self {
        let values = window.tallies.values;
        let without_layout = Self::without_layout(window);
        match layout {
            Layout::Numeric(numeric) => {
                let has_guard = numeric.bins.has_lower_guard() || numeric.bins.has_upper_guard();
                let (below, above) = window.out_of_range(layout);
                Rates {
                    out_of_range: share(below + above, values).filter(|_| has_guard),
                    ..without_layout
                }
            }
            Layout::Categorical(_) => Rates {
                unseen: share(window.unseen(layout), values),
                ..without_layout
            },
        }
    }

    /// The rates that need no layout: of missing and of invalid values.
    #[must_use]
    pub fn without_layout(window: &FeatureCounts) -> Self {
        Rates {
            missing: window.tallies.missing_ratio(),
            invalid: window.tallies.invalid_ratio(),
            ..Rates::default()
        }
    }

    /// The rate with this name; `None` for other statistics and where it does not exist.
    #[must_use]
    pub const fn get(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::MissingRatio => self.missing,
            Statistic::InvalidRatio => self.invalid,
            Statistic::UnseenRatio => self.unseen,
            Statistic::OutOfRangeRatio => self.out_of_range,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Bins, CategoricalLayout, CellScale, NumericLayout, Tallies};

    fn numeric(edges: &[f64]) -> Layout {
        Layout::Numeric(NumericLayout::new(
            Bins::try_new(edges.to_vec()).unwrap(),
            CellScale::try_new(0.0, 1.0).unwrap(),
        ))
    }

    fn counted(layout: &Layout, bins: &[u64], nulls: u64) -> FeatureCounts {
        FeatureCounts {
            bins: bins.to_vec(),
            tallies: Tallies {
                values: bins.iter().sum(),
                missing: [nulls, 0, 0],
                ..Tallies::default()
            },
            ..FeatureCounts::new(layout)
        }
    }

    #[test]
    fn missing_is_per_event_and_the_other_rates_are_per_value() {
        let layout = numeric(&[0.0, 1.0]);
        let rates = Rates::of(&counted(&layout, &[1, 6, 1], 2), &layout);
        assert_eq!(rates.missing, Some(0.2), "2 of 10 events");
        assert_eq!(rates.out_of_range, Some(0.25), "2 of 8 values");
        assert_eq!(rates.unseen, None, "no categories");

        let layout = Layout::Categorical(CategoricalLayout::new(vec!["a".into()], Vec::new()));
        let rates = Rates::of(&counted(&layout, &[3, 0, 1], 0), &layout);
        assert_eq!(rates.unseen, Some(0.25), "1 of 4 values");
        assert_eq!(rates.out_of_range, None, "no guards");
    }

    #[test]
    fn invalid_is_per_present_value_and_exists_without_any_valid_one() {
        let layout = numeric(&[0.0, 1.0]);
        let mut counts = counted(&layout, &[0, 6, 0], 2);
        counts.tallies.invalid = [1, 1];
        let rates = Rates::of(&counts, &layout);
        assert_eq!(rates.invalid, Some(0.25), "2 of 8 present values");
        assert_eq!(rates.missing, Some(0.2), "2 of 10 events");
        counts.tallies.values = 0;
        assert_eq!(Rates::of(&counts, &layout).invalid, Some(1.0), "no value");
    }

    #[test]
    fn a_rate_of_nothing_does_not_exist() {
        let layout = numeric(&[0.0, 1.0]);
        let rates = Rates::of(&FeatureCounts::new(&layout), &layout);
        assert_eq!(rates, Rates::default(), "no events");
        let layout = numeric(&[f64::NEG_INFINITY, 0.0, f64::INFINITY]);
        let rates = Rates::of(&counted(&layout, &[4, 4], 0), &layout);
        assert_eq!(rates.out_of_range, None, "no guards");
    }
}
