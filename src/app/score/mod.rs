//! The scoring half of a process: the worker that owns the engine, and the logs it reads.

pub(in crate::app) mod file_log;
pub(in crate::app) mod topic_log;
pub(in crate::app) mod worker;
