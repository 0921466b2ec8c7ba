//! The parts of `pegel demo`: an embedded broker, a simulated loan service, its script and its
//! text.
//!
//! The demo runs the real client, decoder, engine and exporter. Only the broker and the service
//! that writes to it are made up, so a newcomer sees the product and not an imitation. The command
//! that connects the parts is in `cli/demo.rs`.

mod broker;
pub(crate) mod generator;
pub mod loans;
pub(crate) mod narrator;
mod producer;
pub(crate) mod scenario;

pub use broker::{BrokerError, EmbeddedBroker};
pub use producer::{ProducerError, TopicProducer};
