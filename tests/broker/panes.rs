//! The writer of the pane log on the mock cluster, which refuses records on request.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pegel::model::{EventTime, PanesTopicSpec};
use pegel::pane_log::kafka::{KafkaLogError, RecordLimit, Writer, newest_snapshots};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

fn spec(brokers: String) -> PanesTopicSpec {
    PanesTopicSpec {
        topic: "panes".to_owned(),
        brokers: vec![brokers],
        partitions: 1,
        snapshot_interval: Duration::from_secs(300),
        properties: BTreeMap::new(),
    }
}

/// Writes a snapshot and waits for its outcome.
fn save(writer: &mut Writer, bytes: Vec<u8>) -> Result<(), KafkaLogError> {
    writer.begin_snapshot("0/1", bytes);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(outcome) = writer.poll_snapshot() {
            return outcome;
        }
        assert!(Instant::now() < deadline, "no outcome");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The scorer waited up to 30 s for acknowledgements, every 10 s, and evaluated nothing meanwhile.
#[test]
fn writing_a_snapshot_does_not_wait_for_a_broker_that_is_down() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let spec = spec(format!("127.0.0.1:{port}"));
    let mut writer = Writer::try_new(&spec, RecordLimit::default()).unwrap();
    let begin = Instant::now();
    // More than the queue of the client takes.
    writer.begin_snapshot("0/1", vec![3; 80 << 20]);
    for _ in 0..10 {
        assert!(writer.poll_snapshot().is_none(), "nothing is acknowledged");
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "it waited for {took:?}");
    assert!(writer.is_writing_snapshot(), "it goes on");
}

/// The broker refused the pieces of a snapshot, the flush of the client succeeded, and the log said
/// "snapshot written".
#[test]
fn a_snapshot_counts_as_written_only_when_every_piece_is_acknowledged() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("panes", 1, 1).unwrap();
    let spec = spec(cluster.bootstrap_servers());
    let mut writer = Writer::try_new(&spec, RecordLimit::default()).unwrap();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
    let problem = save(&mut writer, vec![1; 1000]).unwrap_err();
    assert!(
        matches!(problem, KafkaLogError::Refused { .. }),
        "{problem:?}"
    );
    save(&mut writer, vec![2; 1_000_000]).unwrap();
    let now = EventTime::from_millis(0);
    let snapshots = newest_snapshots(&spec, now, &|_| false).unwrap();
    let [snapshot] = &*snapshots else {
        panic!("{} snapshots", snapshots.len());
    };
    assert_eq!(snapshot.bytes, [2; 1_000_000], "only the second is there");
}
