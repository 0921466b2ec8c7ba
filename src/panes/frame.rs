//! A frame: the counts of all features of a monitor in one pane, while they are being counted.
//!
//! Counts lie in flat arrays with one offset per feature, so counting a value is an index
//! computation and two additions into memory that stays in cache. A frame belongs to one ingest
//! thread and is emptied into a sparse delta at every commit. Its counters have 32 bits: they would
//! overflow only if more than 4 billion values fell into one bin between two commits.

use super::commit::{FeatureDelta, PaneDelta};
use super::encoding;
use crate::model::{EventTime, InvalidReason, MissingKind};
use crate::stats::{
    CELLS, CategoricalLayout, CellRun, HeavyHitters, Layout, NumericLayout, Tallies,
};

/// Bytes of a feature in the log besides its counts: the index of its first bin, two lengths of
/// lists of bins and names, the index of its first cell, and two lengths of lists of cells.
const BYTES_PER_FEATURE: usize = 9;

/// The counts of one pane, not yet committed.
#[derive(Debug, Clone)]
pub struct Frame {
    start: EventTime,
    events: u64,
    features: Vec<FeatureFrame>,
    bins: Vec<u32>,
    cell_counts: Vec<u32>,
    cell_sums: Vec<i64>,
}

/// The tallies of one feature, and where its bins and cells lie in the frame's arrays.
#[derive(Debug, Clone)]
struct FeatureFrame {
    tallies: Tallies,
    /// Index of its first bin, and the number of its bins.
    bins: (usize, usize),
    /// Index of its first cell; numeric features only.
    cells: Option<usize>,
    /// The touched cells, `from..to`, counted from its first cell.
    touched: (usize, usize),
    unexpected_values: HeavyHitters,
}

impl Frame {
    /// Creates an empty frame for features counted in `layouts`.
    ///
    /// A feature without a layout has tallies only.
    pub fn new<'a>(layouts: impl Iterator<Item = Option<&'a Layout>>) -> Self {
        let (mut bins, mut cells) = (0, 0);
        let features = layouts
            .map(|layout| {
                let feature_bins = (bins, layout.map_or(0, Layout::len));
                let feature_cells = layout.and_then(Layout::numeric).map(|_| cells);
                bins += feature_bins.1;
                cells += if feature_cells.is_some() { CELLS } else { 0 };
                FeatureFrame {
                    tallies: Tallies::default(),
                    bins: feature_bins,
                    cells: feature_cells,
                    touched: (CELLS, 0),
                    unexpected_values: HeavyHitters::default(),
                }
            })
            .collect();
        Frame {
            start: EventTime::MIN,
            events: 0,
            features,
            bins: vec![0; bins],
            cell_counts: vec![0; cells],
            cell_sums: vec![0; cells],
        }
    }

    /// Assigns an empty frame to the pane that begins at `start`.
    pub fn begin(&mut self, start: EventTime) {
        self.start = start;
    }

    /// Returns the first instant of the pane.
    #[must_use]
    pub fn start(&self) -> EventTime {
        self.start
    }

    /// Counts one event of the monitor; the caller then counts each feature.
    pub fn count_event(&mut self) {
        self.events += 1;
    }

    /// Counts one finite number.
    #[inline]
    pub fn record_number(&mut self, feature: usize, layout: &NumericLayout, x: f64) {
        let (position, bin) = layout.locate(x);
        let feature = &mut self.features[feature];
        feature.tallies.values += 1;
        feature.tallies.saturated += u64::from(position.saturated);
        self.bins[feature.bins.0 + bin] += 1;
        if let Some(cells) = feature.cells {
            feature.touched = (
                feature.touched.0.min(position.cell),
                feature.touched.1.max(position.cell + 1),
            );
            self.cell_counts[cells + position.cell] += 1;
            self.cell_sums[cells + position.cell] += position.outward;
        }
    }

    #[inline]
    fn record_bin(&mut self, feature: usize, bin: usize) {
        let feature = &mut self.features[feature];
        feature.tallies.values += 1;
        self.bins[feature.bins.0 + bin] += 1;
    }

    /// Counts one category.
    #[inline]
    pub fn record_category(&mut self, feature: usize, layout: &CategoricalLayout, name: &str) {
        let bin = layout.index(name);
        self.record_bin(feature, bin);
        if bin == layout.unseen() {
            self.features[feature].unexpected_values.record(name);
        }
    }

    /// Counts one value of a feature without a layout.
    #[inline]
    pub fn record_value(&mut self, feature: usize) {
        self.features[feature].tallies.values += 1;
    }

    /// Counts one missing value.
    #[inline]
    pub fn record_missing(&mut self, feature: usize, kind: MissingKind) {
        self.features[feature].tallies.missing[kind as usize] += 1;
    }

    /// Counts one unusable value.
    #[inline]
    pub fn record_invalid(&mut self, feature: usize, reason: InvalidReason) {
        self.features[feature].tallies.invalid[reason as usize] += 1;
    }

    /// Notes what an unusable value was, for explanations. Categorical features note only their
    /// unseen categories.
    pub fn note_invalid(&mut self, feature: usize, value: &str) {
        self.features[feature].unexpected_values.record(value);
    }

    /// Returns the number of features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features.len()
    }

    /// Returns the size of the delta in the log, in bytes, within a few bytes per feature.
    ///
    /// It is computed from what was counted, and not from the layouts: most bins and cells of a
    /// layout are empty in a pane, and only those from the first to the last touched one are
    /// written. Pane and monitor headers, delays and the commit schema are not included.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        (0..self.features.len())
            .map(|index| self.feature_bytes(index))
            .sum()
    }

    fn feature_bytes(&self, index: usize) -> usize {
        let feature = &self.features[index];
        let tallies = &feature.tallies;
        let tally_bytes: usize = [tallies.values, tallies.saturated]
            .iter()
            .chain(&tallies.missing)
            .chain(&tallies.invalid)
            .map(|count| encoding::varint_bytes(*count))
            .sum();
        let bins = &self.bins[feature.bins.0..feature.bins.0 + feature.bins.1];
        let bin_bytes: usize = touched(bins)
            .iter()
            .map(|count| encoding::varint_bytes(u64::from(*count)))
            .sum();
        let cells = feature.cells.unwrap_or(0);
        let cell_bytes: usize = (feature.touched.0..feature.touched.1)
            .map(|cell| {
                let (count, sum) = (self.cell_counts[cells + cell], self.cell_sums[cells + cell]);
                encoding::cell_bytes(count, sum)
            })
            .sum();
        encoding::varint_bytes(index as u64)
            + BYTES_PER_FEATURE
            + tally_bytes
            + bin_bytes
            + cell_bytes
            + feature.unexpected_values.size_bytes()
    }

    /// Empties the frame into a delta.
    pub fn take(&mut self) -> PaneDelta {
        let features = (0..self.features.len())
            .map(|feature| self.take_feature(feature))
            .collect();
        PaneDelta {
            start: self.start,
            events: std::mem::take(&mut self.events),
            features,
        }
    }

    fn take_feature(&mut self, index: usize) -> FeatureDelta {
        let feature = &mut self.features[index];
        let tallies = std::mem::take(&mut feature.tallies);
        let (from, len) = feature.bins;
        let bins = take_touched(&mut self.bins[from..from + len]);
        let (first, end) = std::mem::replace(&mut feature.touched, (CELLS, 0));
        let cells = match feature.cells {
            Some(cells) if first < end => CellRun {
                first: u16::try_from(first).unwrap_or_default(),
                counts: take_values(&mut self.cell_counts[cells + first..cells + end]),
                sums: take_values(&mut self.cell_sums[cells + first..cells + end]),
            },
            _ => CellRun::default(),
        };
        FeatureDelta {
            feature: index,
            tallies,
            bins,
            cells,
            unexpected_values: std::mem::take(&mut self.features[index].unexpected_values),
        }
    }
}

/// Returns the bins from the first to the last that is not 0.
fn touched(bins: &[u32]) -> &[u32] {
    let first = bins.iter().position(|count| *count > 0);
    let last = bins.iter().rposition(|count| *count > 0);
    match (first, last) {
        (Some(first), Some(last)) => &bins[first..=last],
        _ => &[],
    }
}

/// Takes the bins from the first to the last that is not 0, with the index of the first.
fn take_touched(bins: &mut [u32]) -> (u16, Vec<u32>) {
    let Some(first) = bins.iter().position(|count| *count > 0) else {
        return (0, Vec::new());
    };
    let last = bins.iter().rposition(|count| *count > 0).unwrap_or(first);
    (
        u16::try_from(first).unwrap_or_default(),
        take_values(&mut bins[first..=last]),
    )
}

/// Copies the values out and sets them to 0.
fn take_values<T: Copy + Default>(values: &mut [T]) -> Vec<T> {
    let taken = values.to_vec();
    values.fill(T::default());
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Bins, CellScale};

    /// The size was computed from the width of the layouts, so that a commit of one record of
    /// 7,000 features passed for one of half a megabyte.
    #[test]
    fn the_size_is_that_of_what_was_counted() {
        let edges = (0..=50).map(|edge| f64::from(edge) / 10.0 - 2.5).collect();
        let layout = Layout::Numeric(NumericLayout::new(
            Bins::try_new(edges).unwrap(),
            CellScale::try_new(0.0, 1.0).unwrap(),
        ));
        let mut frame = Frame::new((0..300).map(|_| Some(&layout)));
        for records in 1..=200_u32 {
            let x = f64::from(records * 7919 % 1000) / 250.0 - 2.0;
            for feature in 0..300 {
                frame.record_number(feature, layout.numeric().unwrap(), x);
            }
            if [1, 2, 10, 200].contains(&records) {
                let (estimate, mut copy) = (frame.encoded_bytes(), frame.clone());
                let actual = postcard::to_stdvec(&copy.take().features).unwrap().len();
                let difference = estimate.abs_diff(actual);
                assert!(
                    difference <= 3 * 300,
                    "{records} records: {estimate} estimated, {actual} actual"
                );
            }
        }
    }
}
