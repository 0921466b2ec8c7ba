//! Counts of one feature over a time span or a data set: values, missing and invalid events, bins
//! and cells.
//!
//! All counts are integers, so adding and subtracting are exact and their order does not matter.

use super::cells::{CellCounts, CellRun};
use super::heavy_hitters::HeavyHitters;
use super::layout::{CategoricalLayout, Layout, NumericLayout};

/// Events of a feature by their outcome; `events = values + missing + invalid` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Tallies {
    /// Values counted in a bin.
    pub values: u64,
    /// Events without a value: null, absent, not a number.
    pub missing: [u64; 3],
    /// Events with an unusable value: of the wrong kind, infinite.
    pub invalid: [u64; 2],
    /// Values beyond the last cell; a subset of `values`.
    pub saturated: u64,
}

impl Tallies {
    /// Number of all events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.values + self.missing_total() + self.invalid_total()
    }

    /// Events without a value, of every kind.
    #[must_use]
    pub fn missing_total(&self) -> u64 {
        self.missing.iter().sum()
    }

    /// Events with an unusable value, for every reason.
    #[must_use]
    pub fn invalid_total(&self) -> u64 {
        self.invalid.iter().sum()
    }

    /// Share of events without a value, 0..=1; `None` without events.
    #[must_use]
    pub fn missing_ratio(&self) -> Option<f64> {
        share(self.missing_total(), self.events())
    }

    /// Events with a value, usable or not.
    #[must_use]
    pub fn present(&self) -> u64 {
        self.values + self.invalid_total()
    }

    /// Share of the present values that are unusable, 0..=1; `None` where none is present.
    #[must_use]
    pub fn invalid_ratio(&self) -> Option<f64> {
        share(self.invalid_total(), self.present())
    }

    /// True if more than 0.1 % of the values lie beyond the last cell, so that distances are lower
    /// bounds.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        self.saturated.saturating_mul(1000) > self.values
    }

    /// Subtracts counts that were added before.
    pub fn subtract(&mut self, other: &Self) {
        self.values -= other.values;
        self.saturated -= other.saturated;
        self.missing
            .iter_mut()
            .zip(other.missing)
            .for_each(|(sum, count)| *sum -= count);
        self.invalid
            .iter_mut()
            .zip(other.invalid)
            .for_each(|(sum, count)| *sum -= count);
    }

    /// Adds the counts of other events.
    pub fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.saturated += other.saturated;
        self.missing
            .iter_mut()
            .zip(other.missing)
            .for_each(|(sum, count)| *sum += count);
        self.invalid
            .iter_mut()
            .zip(other.invalid)
            .for_each(|(sum, count)| *sum += count);
    }
}

/// The counts of one feature: its events by outcome, its values by bin and by cell.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct FeatureCounts {
    /// Events by outcome.
    pub tallies: Tallies,
    /// Values per score bin; as long as the layout, or empty before the first value.
    pub bins: Vec<u64>,
    /// Values and sums of positions per cell; numeric features only.
    pub cells: CellCounts,
    /// The most frequent values that the reference has no bin for: categories in the bin `unseen`,
    /// or what stood in place of a number or a boolean.
    pub unexpected_values: HeavyHitters,
}

impl FeatureCounts {
    /// Counts of zero, in `layout`.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        FeatureCounts {
            bins: vec![0; layout.len()],
            ..FeatureCounts::default()
        }
    }

    /// Adds counts of the same layout.
    pub fn merge(&mut self, other: &Self) {
        self.tallies.merge(&other.tallies);
        self.bins.resize(self.bins.len().max(other.bins.len()), 0);
        self.bins
            .iter_mut()
            .zip(&other.bins)
            .for_each(|(sum, count)| *sum += count);
        self.cells.merge(&other.cells);
        self.unexpected_values.merge(&other.unexpected_values);
    }

    /// Adds the counts of a pane, whose bins begin at index `first_bin`; its names are not part of
    /// them.
    pub fn add_pane(
        &mut self,
        tallies: &Tallies,
        (first_bin, bins): (u16, &[u32]),
        cells: &CellRun,
    ) {
        self.tallies.merge(tallies);
        self.bins
            .iter_mut()
            .skip(usize::from(first_bin))
            .zip(bins)
            .for_each(|(sum, count)| *sum += u64::from(*count));
        self.cells.merge_run(cells);
    }

    /// Subtracts the counts of a pane that were added before.
    pub fn subtract_pane(
        &mut self,
        tallies: &Tallies,
        (first_bin, bins): (u16, &[u32]),
        cells: &CellRun,
    ) {
        self.tallies.subtract(tallies);
        self.bins
            .iter_mut()
            .skip(usize::from(first_bin))
            .zip(bins)
            .for_each(|(sum, count)| *sum -= u64::from(*count));
        self.cells.subtract_run(cells);
    }

    /// Subtracts counts that were added before.
    ///
    /// The unexpected values stay: a summary cannot be subtracted.
    pub fn subtract(&mut self, other: &Self) {
        self.tallies.subtract(&other.tallies);
        self.bins
            .iter_mut()
            .zip(&other.bins)
            .for_each(|(sum, count)| *sum -= count);
        self.cells.subtract(&other.cells);
    }

    /// Resets all counts to zero.
    pub fn clear(&mut self) {
        self.tallies = Tallies::default();
        self.bins.fill(0);
        self.cells.clear();
    }

    /// Counts one finite number.
    pub fn record_number(&mut self, layout: &NumericLayout, x: f64) {
        let (position, bin) = layout.locate(x);
        self.tallies.values += 1;
        self.tallies.saturated += u64::from(position.saturated);
        self.bins[bin] += 1;
        self.cells.record(position);
    }

    /// Counts one category.
    pub fn record_category(&mut self, layout: &CategoricalLayout, category: &str) {
        self.tallies.values += 1;
        self.bins[layout.index(category)] += 1;
    }

    /// Number of values in a bin; 0 before the first value, when there are no bins.
    #[must_use]
    pub fn in_bin(&self, bin: usize) -> u64 {
        self.bins.get(bin).copied().unwrap_or(0)
    }

    /// Number of values below the first and above the last edge; 0 where there is no guard.
    #[must_use]
    pub fn out_of_range(&self, layout: &Layout) -> (u64, u64) {
        let Some(numeric) = layout.numeric() else {
            return (0, 0);
        };
        let first = if numeric.bins.has_lower_guard() {
            self.bins.first()
        } else {
            None
        };
        let last = if numeric.bins.has_upper_guard() {
            self.bins.last()
        } else {
            None
        };
        (first.copied().unwrap_or(0), last.copied().unwrap_or(0))
    }

    /// Number of values whose category does not occur in the reference; 0 for numbers.
    #[must_use]
    pub fn unseen(&self, layout: &Layout) -> u64 {
        match layout {
            Layout::Numeric(_) => 0,
            Layout::Categorical(categories) => self.in_bin(categories.unseen()),
        }
    }
}

/// `part / whole`; `None` where `whole` is 0.
#[must_use]
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
