//! A panes topic that cannot be opened at the start, or refuses records: the process continues.

use pegel::demo::{EmbeddedBroker, TopicProducer};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::daemon::{Daemon, fit_reference, produce};

fn start(brokers: &str) -> (Daemon, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let state = "panes_topic: panes, panes_partitions: 1";
    let daemon = Daemon::start_as(brokers, "predictions", directory.path(), state, &[]);
    (daemon, directory)
}

/// A topic that may not be described was reported as missing, and the process exited.
#[test]
fn a_panes_topic_without_an_acl_is_named_and_waited_for() {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["predictions", "panes"] {
        cluster.create_topic(topic, 1, 1).unwrap();
    }
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.topic_error("panes", refusal).unwrap();
    let (daemon, _directory) = start(&cluster.bootstrap_servers());
    daemon.expect_unready("not authorized to describe the pane log topic panes");
    let granted = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    cluster.topic_error("panes", granted).unwrap();
    daemon.expect_unready_over("the pane log topic panes");
}

/// `/-/ready` only said that the log was not read yet, without the topic and the brokers.
#[test]
fn a_panes_topic_whose_brokers_are_down_is_named() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let brokers = format!("127.0.0.1:{port}");
    let (daemon, _directory) = start(&brokers);
    daemon.expect_unready("pane log topic panes: cannot fetch its metadata");
    daemon.expect_unready(&format!("(brokers {brokers})"));
}

/// A commit of one record that shared a batch with one that was too large ended the process: it
/// could not be cut smaller.
#[test]
fn a_batch_that_is_too_large_is_sent_again_record_by_record() {
    let source = EmbeddedBroker::start("predictions", 1).unwrap();
    let source = source.bootstrap_servers();
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("panes", 1, 1).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let state = format!(
        "flush_interval: 200ms, panes_topic: panes, panes_partitions: 1, brokers: [{:?}]",
        cluster.bootstrap_servers()
    );
    let producer = TopicProducer::try_new(&source, "predictions").unwrap();
    produce(&producer, 0, 1);
    let daemon = Daemon::start_as(&source, "predictions", directory.path(), &state, &[]);
    daemon.expect("pegel_events_total{monitor=\"m\"}", "1");
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
    produce(&producer, 1, 2);
    daemon.expect("pegel_events_total{monitor=\"m\"}", "2");
    let log = std::fs::read_to_string(daemon.config.with_extension("log")).unwrap();
    assert!(log.contains("sending each record by itself"), "{log}");
    daemon.stop();
}
