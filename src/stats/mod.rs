//! Bins, cells and the distances between two sets of counts.
//!
//! Everything here is a pure function of integers and fixed edges: no clock, no configuration, no knowledge of windows or Kafka. Counts are
//! integers until the moment a score is computed, so merging and subtracting are exact and a score does not depend on the order in which partitions
//! were added.

mod autocorrelation;
mod bins;
mod body;
mod cells;
mod counts;
mod divergence;
mod empirical;
mod false_discovery;
mod layout;
mod quantile;
mod rate;
mod wasserstein;

pub use autocorrelation::{LEAST, TAIL_FROM, block_law};
pub use bins::{Bins, BinsError, Interval, histogram_edges};
pub use body::Body;
pub use cells::{CELLS, CellCounts, CellPosition, CellRun, CellScale, FULL_WIDTH, ScaleBasis};
pub use counts::{FeatureCounts, Tallies, share};
pub use divergence::{Divergences, Open, divergences};
pub use empirical::{EmpiricalDistribution, ExponentialTail, moments};
pub use false_discovery::discoveries;
pub use layout::{BinName, CategoricalLayout, Layout, NumericLayout};
pub use quantile::{quantile_sorted, spread};
pub use rate::{RateDistribution, WindowRateDistribution};
pub use wasserstein::{Transport, transport};
