//! Nothing is lost and nothing is counted twice: real `pegel run` processes on a real Apache Kafka,
//! killed, stopped and restarted while records arrive.
//!
//! At the end of each test the library reads the topic again in one go, without a process, a log or
//! a restart, and every count must be the same. `PEGEL_TEST_KAFKA=host:port` names a broker
//! (`tests/broker/kafka.sh start DIR` runs one). Without it the tests print that they are skipped,
//! or fail when `PEGEL_TEST_REQUIRE=1`. `PEGEL_TEST_KILLS` is the number of kills (200),
//! `PEGEL_TEST_SEED` repeats the choices of a run.

#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read the clock and the environment, and fail by panicking"
)]

mod chaos;
#[path = "../broker/cluster.rs"]
mod cluster;
mod daemon;
mod file;
mod fleet;
mod membership;
#[path = "../broker/node.rs"]
mod node;
mod recount;
mod rolling;
mod scorer_start;
mod stage;
mod topics;
mod watch;
mod workload;
