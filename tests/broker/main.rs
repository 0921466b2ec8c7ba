//! The Kafka source against brokers: the mock cluster in this process (always), and Apache Kafka (`real`, when there is one).
//!
//! Nothing sleeps for a fixed time: a test polls the source until what it expects is there, or a deadline tells what was there instead.

#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read the clock and the environment, and fail by panicking"
)]

mod cluster;
mod daemon;
mod disk;
mod mock;
mod node;
mod range;
mod real;
mod recreated;
mod reload;
mod replay;
mod retention;
mod roles;
mod vocabulary;
