//! The Kafka source against brokers: the mock cluster in this process (always), and Apache Kafka
//! (`real`, when there is one).
//!
//! No test sleeps for a fixed time. It polls the source until the expected state is reached, or a
//! deadline fails with the actual state.

#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read the clock and the environment, and fail by panicking"
)]

mod acls;
mod busy;
mod cluster;
mod daemon;
mod disk;
mod ends;
mod mock;
mod node;
mod panes;
mod panes_start;
mod paused;
mod pipeline;
mod quiet;
mod range;
mod real;
mod recreated;
mod reload;
mod replay;
mod retention;
mod roles;
mod starts;
mod vocabulary;
