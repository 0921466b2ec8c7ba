//! The writer of the pane log on the mock cluster, which refuses records on request.

use std::collections::BTreeMap;
use std::time::Duration;

use pegel::model::{EventTime, PanesTopicSpec};
use pegel::pane_log::kafka::{KafkaLogError, RecordLimit, Writer, newest_snapshots};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// The broker refused the pieces of a snapshot, the flush of the client succeeded, and the log said
/// "snapshot written".
#[test]
fn a_snapshot_counts_as_written_only_when_every_piece_is_acknowledged() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("panes", 1, 1).unwrap();
    let spec = PanesTopicSpec {
        topic: "panes".to_owned(),
        brokers: vec![cluster.bootstrap_servers()],
        partitions: 1,
        snapshot_interval: Duration::from_secs(300),
        properties: BTreeMap::new(),
    };
    let mut writer = Writer::try_new(&spec, RecordLimit::default()).unwrap();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
    let problem = writer.snapshot("0/1", &[1; 1000]).unwrap_err();
    assert!(
        matches!(problem, KafkaLogError::Refused { .. }),
        "{problem:?}"
    );
    writer.snapshot("0/1", &[2; 1_000_000]).unwrap();
    let now = EventTime::from_millis(0);
    let snapshots = newest_snapshots(&spec, now, &|_| false).unwrap();
    let [snapshot] = &*snapshots else {
        panic!("{} snapshots", snapshots.len());
    };
    assert_eq!(snapshot.bytes, [2; 1_000_000], "only the second is there");
}
