//! Calibration: null distributions of scores and rates, and the thresholds that follow from them.
//!
//! Without drift a score is not zero, and its distribution depends on bins, sample sizes and the
//! reference. So thresholds are not numbers that a user guesses: they follow from the accepted rate
//! of false alarms. A null distribution comes from simulated windows, and from the reference's own
//! blocks where its rows have a time. `docs/scores.md` gives the formulas for users; the
//! measurements behind them are in `docs/adr/0005-null-by-simulation.md`.
//!
//! Which rules use a threshold, and for how long a score must exceed it, belongs to `alert` and
//! `engine`.

mod block_scores;
mod block_threshold;
mod blocks;
mod deviations;
mod effect;
mod history;
mod incidents;
mod null_distribution;
mod null_grid;
mod null_model;
mod null_table;
mod null_window;
mod polya_urn;
mod reference_rate;
mod status;
mod tolerance;

pub use block_scores::BlockSpec;
pub use blocks::{Panes, block_statistics, hour_of_week_block_statistics};
pub use history::{HistoryKey, HistorySummary, StreamHistory};
pub use null_distribution::{NullDistribution, ThresholdRange};
pub use null_model::{NullModel, NullModelId, WindowContext};
pub use null_window::{NullAtom, NullWindows, UnseenMass};
pub use status::CalibrationStatus;
