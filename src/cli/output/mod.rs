//! Tables, summaries and files that the commands write.

pub(super) mod alarms;
pub(super) mod backtest_json;
pub(super) mod backtest_table;
pub(super) mod comparison_table;
pub(super) mod lost_rows;
pub(super) mod reference_table;
pub(super) mod rules;
pub(super) mod scores;
pub(super) mod stdout;
pub(super) mod table;
