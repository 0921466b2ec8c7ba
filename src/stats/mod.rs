//! Bins, cells and the distances between two sets of counts.
//!
//! Everything here is a pure function of integers and fixed edges: no clock, no configuration, no knowledge of windows or Kafka. Counts are
//! integers until the moment a score is computed, so merging and subtracting are exact and a score does not depend on the order in which partitions
//! were added.

mod bins;
mod blocks;
mod body;
mod cells;
mod counts;
mod discovery;
mod divergence;
mod law;
mod layout;
mod null;
mod quantile;
mod rate;
mod transport;
mod urn;

pub use bins::{Bins, BinsError, Interval, histogram_edges};
pub use blocks::{LEAST, TAIL_FROM, block_law};
pub use body::Body;
pub use cells::{CELLS, CellCounts, CellRun, CellScale, FULL_WIDTH, Place, ScaleBasis};
pub use counts::{FeatureCounts, Tallies, share};
pub use discovery::discoveries;
pub use divergence::{Divergences, Open, divergences};
pub use law::{Law, Tail, moments};
pub use layout::{BinName, CategoricalLayout, Layout, NumericLayout};
pub use null::{CleanAtom, CleanWindows};
pub use quantile::{quantile_sorted, spread};
pub use rate::{RateLaw, WindowRate};
pub use transport::{Transport, transport};
