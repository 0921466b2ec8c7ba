//! Bins, cells, and the divergences and distances between two sets of counts.
//!
//! Everything here is a pure function of integers and frozen edges: no clock, no configuration, no
//! knowledge of windows or Kafka. Counts stay integers until a score is computed. So merging and
//! subtracting are exact, and a score does not depend on the order in which partitions are added.
//!
//! Each file gives the formula, unit, range and edge cases of what it computes; `docs/scores.md`
//! has the definitions for users.

mod autocorrelation;
mod bin_table;
mod bins;
mod body;
mod cells;
mod counts;
mod divergence;
mod durations;
mod empirical;
mod false_discovery;
mod heavy_hitters;
mod layout;
mod quantile;
mod rate;
mod readable;
mod wasserstein;

pub use autocorrelation::{
    BlockDistribution, MIN_BLOCKS, MIN_BLOCKS_FOR_TAIL, block_distribution, unbiased_blocks,
};
pub use bins::{Bins, BinsError, Interval, histogram_edges};
pub use body::Body;
pub use cells::{CELLS, CellCounts, CellPosition, CellRun, CellScale, FULL_WIDTH};
pub use counts::{FeatureCounts, Tallies, share};
pub use divergence::{Divergences, Open, divergences};
pub use durations::{DELAY_BOUNDS, DurationHistogram, EVALUATION_BOUNDS};
pub use empirical::{EmpiricalDistribution, ExponentialTail, moments};
pub use false_discovery::discoveries;
pub use heavy_hitters::HeavyHitters;
pub use layout::{BinName, CategoricalLayout, Layout, NumericLayout};
pub use quantile::{quantile_sorted, spread};
pub use rate::{RateDistribution, WindowRateDistribution};
pub use readable::ReadableQuantiles;
pub use wasserstein::{Transport, transport};
