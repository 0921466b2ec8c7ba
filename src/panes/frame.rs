//! A frame: the counts of all features of a monitor in one pane, while they are being counted.
//!
//! Counts lie in flat arrays with one offset per feature, so counting a value is an index
//! computation and two additions into memory that stays in cache. A frame belongs to one ingest
//! thread and is emptied into a sparse delta at every commit. Its counters have 32 bits: they would
//! overflow only if more than 4 billion values fell into one bin between two commits.

use super::commit::{FeatureDelta, PaneDelta};
use crate::model::{EventTime, InvalidReason, MissingKind};
use crate::stats::{
    CELLS, CategoricalLayout, CellRun, HeavyHitters, Layout, NumericLayout, Tallies,
};

/// Estimated bytes of a feature in the log: its index, its tallies and the lengths of its lists.
const BYTES_PER_FEATURE: usize = 24;
/// Estimated bytes of a bin in the log: a count up to 16,383.
const BYTES_PER_BIN: usize = 2;
/// Estimated bytes of a cell in the log: a count up to 127 and a sum.
const BYTES_PER_CELL: usize = 6;

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
    unseen_names: HeavyHitters,
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
                    unseen_names: HeavyHitters::default(),
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
        let position = layout.cells.locate(x);
        let feature = &mut self.features[feature];
        feature.tallies.values += 1;
        feature.tallies.saturated += u64::from(position.saturated);
        self.bins[feature.bins.0 + layout.bins.index(x)] += 1;
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
            self.features[feature].unseen_names.record(name);
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

    /// Estimates the size of the delta in the log, in bytes.
    ///
    /// `24` per feature, `2` per bin of the layout and `6` per cell from the first to the last
    /// touched one. Integers in the log have a variable length, so this is a rough figure and not a
    /// bound. Bins outside the touched range are charged although they are not written. Large
    /// counts take more than their share: a 32-bit count up to 5 bytes, and the sum of a cell up to
    /// 8, so bins and cells can take about 2.5 times the estimate. Pane and monitor headers, delays
    /// and the commit schema are not included.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.features
            .iter()
            .map(|feature| {
                let cells = feature.touched.1.saturating_sub(feature.touched.0);
                BYTES_PER_FEATURE + feature.bins.1 * BYTES_PER_BIN + cells * BYTES_PER_CELL
            })
            .sum()
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
            unseen_names: std::mem::take(&mut self.features[index].unseen_names),
        }
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
