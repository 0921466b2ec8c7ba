//! The check that librdkafka accepts the configured properties, before a broker is contacted.

use super::client::RecordLimit;
use super::reader::Reader;
use super::topic::admin_client;
use super::writer::Writer;
use crate::model::PanesTopicSpec;

/// Returns the problem librdkafka has with the properties of the clients of this log, if any.
///
/// The clients are created without brokers, so no connection is made.
#[must_use]
pub fn client_problem(spec: &PanesTopicSpec) -> Option<String> {
    let offline = PanesTopicSpec {
        brokers: Vec::new(),
        ..spec.clone()
    };
    admin_client(&offline)
        .map(drop)
        .and_then(|()| Reader::try_new(&offline).map(drop))
        .and_then(|()| Writer::try_new(&offline, RecordLimit::default()).map(drop))
        .err()
        .map(|error| error.to_string())
}
