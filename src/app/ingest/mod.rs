//! The ingest half of a process: threads that count records, and the publisher of their commits.

pub(super) mod commit_budget;
mod in_flight;
pub(super) mod publisher;
pub(super) mod worker;
