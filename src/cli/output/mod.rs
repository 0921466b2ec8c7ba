//! Tables, summaries and files that commands write.

pub mod alarms;
pub mod backtest_json;
pub mod backtest_table;
pub mod scores;
pub mod table;
