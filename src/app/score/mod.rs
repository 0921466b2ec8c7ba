//! The scoring half of a process: the worker that owns the engine, and the two logs it can read.

mod alert_log;
pub(super) mod file_log;
pub(super) mod table_simulator;
pub(super) mod topic_log;
pub(super) mod worker;
