//! A frame: the counts of all features of a monitor in one pane, while they are being counted.
//!
//! Flat arrays with one offset per feature, so that counting a value is an index computation and two additions into memory that stays in cache. A frame lives
//! in one ingest thread and is emptied into a sparse delta at every flush, so its 32-bit counters cannot overflow.

use super::{FeatureDelta, PaneDelta};
use crate::model::{EventTime, InvalidReason, MissingKind};
use crate::stats::{CELLS, CellRun, Layout, NumericLayout, Tallies};

/// What the log's encoding costs, about: id and tallies of a feature, a bin, a cell with its sum.
const BYTES_PER_FEATURE: usize = 24;
const BYTES_PER_BIN: usize = 2;
const BYTES_PER_CELL: usize = 6;

/// Counts of one pane.
#[derive(Debug, Clone)]
pub struct Frame {
    start: EventTime,
    events: u64,
    features: Vec<FeatureFrame>,
    bins: Vec<u32>,
    cell_counts: Vec<u32>,
    cell_sums: Vec<i64>,
}

#[derive(Debug, Clone)]
struct FeatureFrame {
    tallies: Tallies,
    /// Where its bins begin, and how many there are.
    bins: (usize, usize),
    /// Where its cells begin; numeric features only.
    cells: Option<usize>,
    /// The touched cells, `from..to`.
    touched: (usize, usize),
}

impl Frame {
    /// An empty frame for features counted in `layouts`; a feature without a layout has tallies only.
    pub fn new<'a>(layouts: impl Iterator<Item = Option<&'a Layout>>) -> Self {
        let (mut bins, mut cells) = (0, 0);
        let features = layouts
            .map(|layout| {
                let own_bins = (bins, layout.map_or(0, Layout::len));
                let own_cells = layout.and_then(Layout::numeric).map(|_| cells);
                bins += own_bins.1;
                cells += if own_cells.is_some() { CELLS } else { 0 };
                FeatureFrame {
                    tallies: Tallies::default(),
                    bins: own_bins,
                    cells: own_cells,
                    touched: (CELLS, 0),
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

    /// Takes an empty frame into use for the pane beginning at `start`.
    pub fn begin(&mut self, start: EventTime) {
        self.start = start;
    }

    /// First instant of the pane.
    #[must_use]
    pub fn start(&self) -> EventTime {
        self.start
    }

    /// Counts one event of the monitor; each feature then counts what it holds.
    pub fn count_event(&mut self) {
        self.events += 1;
    }

    /// Counts one finite number.
    #[inline]
    pub fn record_number(&mut self, feature: usize, layout: &NumericLayout, x: f64) {
        let place = layout.cells.locate(x);
        let own = &mut self.features[feature];
        own.tallies.values += 1;
        own.tallies.saturated += u64::from(place.saturated);
        self.bins[own.bins.0 + layout.bins.index(x)] += 1;
        if let Some(cells) = own.cells {
            own.touched = (
                own.touched.0.min(place.cell),
                own.touched.1.max(place.cell + 1),
            );
            self.cell_counts[cells + place.cell] += 1;
            self.cell_sums[cells + place.cell] += place.outward;
        }
    }

    /// Counts one value in a bin, for features without cells.
    #[inline]
    pub fn record_bin(&mut self, feature: usize, bin: usize) {
        let own = &mut self.features[feature];
        own.tallies.values += 1;
        self.bins[own.bins.0 + bin] += 1;
    }

    /// Counts one value of a feature without a layout.
    #[inline]
    pub fn record_value(&mut self, feature: usize) {
        self.features[feature].tallies.values += 1;
    }

    /// Counts one missing value.
    #[inline]
    pub fn miss(&mut self, feature: usize, kind: MissingKind) {
        self.features[feature].tallies.missing[kind as usize] += 1;
    }

    /// Counts one unusable value.
    #[inline]
    pub fn reject(&mut self, feature: usize, reason: InvalidReason) {
        self.features[feature].tallies.invalid[reason as usize] += 1;
    }

    /// About how many bytes its delta takes in the log; never too few by much.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let of = |own: &FeatureFrame| {
            let cells = own.touched.1.saturating_sub(own.touched.0);
            BYTES_PER_FEATURE + own.bins.1 * BYTES_PER_BIN + cells * BYTES_PER_CELL
        };
        self.features.iter().map(of).sum()
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

    fn take_feature(&mut self, feature: usize) -> FeatureDelta {
        let own = &mut self.features[feature];
        let tallies = std::mem::take(&mut own.tallies);
        let (from, len) = own.bins;
        let bins = take_run(&mut self.bins[from..from + len]);
        let (first, last) = std::mem::replace(&mut own.touched, (CELLS, 0));
        let cells = match own.cells {
            Some(cells) if first < last => CellRun {
                first: u16::try_from(first).unwrap_or_default(),
                counts: take_all(&mut self.cell_counts[cells + first..cells + last]),
                sums: take_all(&mut self.cell_sums[cells + first..cells + last]),
            },
            _ => CellRun::default(),
        };
        FeatureDelta {
            feature,
            tallies,
            bins,
            cells,
        }
    }
}

/// The touched bins, from the first to the last.
fn take_run(bins: &mut [u32]) -> (u16, Vec<u32>) {
    let Some(first) = bins.iter().position(|count| *count > 0) else {
        return (0, Vec::new());
    };
    let last = bins.iter().rposition(|count| *count > 0).unwrap_or(first);
    (
        u16::try_from(first).unwrap_or_default(),
        take_all(&mut bins[first..=last]),
    )
}

fn take_all<T: Copy + Default>(values: &mut [T]) -> Vec<T> {
    let taken = values.to_vec();
    values.fill(T::default());
    taken
}
