//! What a stretch of stream holds of one feature: how many values, how many were missing or unusable, and where the values lie.

use super::{CellCounts, Layout};

/// How the events of a feature fared; `events = values + missing + invalid`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Tallies {
    /// Values counted in a bin.
    pub values: u64,
    /// Missing values: null, absent, not a number.
    pub missing: [u64; 3],
    /// Unusable values: of the wrong kind, infinite.
    pub invalid: [u64; 2],
    /// Values beyond the last cell; a subset of `values`.
    pub saturated: u64,
}

impl Tallies {
    /// All events.
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

    /// Takes away a stretch that was added before.
    pub fn subtract(&mut self, other: &Tallies) {
        self.values -= other.values;
        self.saturated -= other.saturated;
        let missing = self.missing.iter_mut().zip(other.missing);
        missing.for_each(|(sum, count)| *sum -= count);
        let invalid = self.invalid.iter_mut().zip(other.invalid);
        invalid.for_each(|(sum, count)| *sum -= count);
    }

    /// Adds another stretch.
    pub fn merge(&mut self, other: &Tallies) {
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

/// The counts of one feature over a stretch of stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct FeatureCounts {
    /// How the events fared.
    pub tallies: Tallies,
    /// Values per score bin; as long as the layout, or empty before the first value.
    pub bins: Vec<u64>,
    /// Values and places per cell; numeric features only.
    pub cells: CellCounts,
}

impl FeatureCounts {
    /// Nothing counted yet, in `layout`.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        FeatureCounts {
            bins: vec![0; layout.len()],
            ..FeatureCounts::default()
        }
    }

    /// Adds another stretch, counted in the same layout.
    pub fn merge(&mut self, other: &FeatureCounts) {
        self.tallies.merge(&other.tallies);
        self.bins.resize(self.bins.len().max(other.bins.len()), 0);
        let pairs = self.bins.iter_mut().zip(&other.bins);
        pairs.for_each(|(sum, count)| *sum += count);
        for cell in other.cells.touched() {
            let (count, sum) = (other.cells.counts()[cell], other.cells.sums()[cell]);
            self.cells.add(cell, count, sum);
        }
    }

    /// Takes away a stretch that was added before.
    pub fn subtract(&mut self, other: &FeatureCounts) {
        self.tallies.subtract(&other.tallies);
        let pairs = self.bins.iter_mut().zip(&other.bins);
        pairs.for_each(|(sum, count)| *sum -= count);
        self.cells.subtract(&other.cells);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.tallies = Tallies::default();
        self.bins.fill(0);
        self.cells.clear();
    }

    /// Counts one finite number.
    pub fn record_number(&mut self, layout: &super::NumericLayout, x: f64) {
        let place = layout.cells.locate(x);
        self.tallies.values += 1;
        self.tallies.saturated += u64::from(place.saturated);
        self.bins[layout.bins.index(x)] += 1;
        self.cells.record(place);
    }

    /// Counts one category.
    pub fn record_category(&mut self, layout: &super::CategoricalLayout, category: &str) {
        self.tallies.values += 1;
        self.bins[layout.index(category)] += 1;
    }

    /// Values below the first and above the last edge, where there are guards.
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

    /// Values whose category the reference never saw.
    #[must_use]
    pub fn unseen(&self, layout: &Layout) -> u64 {
        match layout {
            Layout::Numeric(_) => 0,
            Layout::Categorical(categories) => {
                self.bins.get(categories.unseen()).copied().unwrap_or(0)
            }
        }
    }
}

/// `part / whole`, `None` where there is no whole.
#[must_use]
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
