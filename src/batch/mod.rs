//! Work on a whole history at once: replay, fit, comparison and backtest.
//!
//! The engine and the decoder are the daemon's own, so that offline results match those of a live
//! process. This room returns data and typed errors; arguments, tables and exit codes are in `cli`.

pub mod backtest;
pub mod columns;
pub mod compare;
pub mod dataset;
pub mod evaluation;
pub mod fit;
pub mod late_rows;
mod merge;
pub mod progress;
pub mod replay;
pub mod report;
pub mod row_times;
