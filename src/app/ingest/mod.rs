//! The ingest half of a process: threads that count records, and the publisher of their commits.

pub(in crate::app) mod publisher;
pub(in crate::app) mod worker;
