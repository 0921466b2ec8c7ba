//! A panes topic that cannot be opened at the start: the process waits, and says for what.

use rdkafka::mocking::MockCluster;
use rdkafka::types::RDKafkaRespErr;

use crate::daemon::{Daemon, fit_reference};

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
