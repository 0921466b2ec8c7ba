//! The end of a partition is confirmed by its leader and by nothing else.

use std::time::{Duration, Instant};

use pegel::model::StartAt;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::vocabulary::{Reader, produce, spec};

/// A cluster of two brokers; each leads one partition.
fn two_leaders() -> (MockCluster<'static, DefaultProducerContext>, String) {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic("predictions", 2, 1).unwrap();
    for (partition, broker) in [(0, 1), (1, 2)] {
        cluster
            .partition_leader("predictions", partition, Some(broker))
            .unwrap();
    }
    let bootstrap = cluster.bootstrap_servers();
    produce(&bootstrap, "predictions", 2, "r", 20);
    (cluster, bootstrap)
}

fn confirmations(reader: &Reader, partition: i32) -> usize {
    reader.slot_of("predictions", partition).times_caught_up
}

/// Polls until a partition is confirmed this many times more.
fn until_confirmed(reader: &mut Reader, partition: i32, times: usize) {
    let before = confirmations(reader, partition);
    reader.until("more confirmations", |reader| {
        confirmations(reader, partition) >= before + times
    });
}

/// The whole source counted as connected, so a partition of an unreachable leader was "at its end"
/// for as long as another broker answered: its windows closed, with records unread.
#[test]
fn a_leader_that_is_down_confirms_no_end_while_the_other_one_does() {
    let (cluster, bootstrap) = two_leaders();
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(2);
    until_confirmed(&mut reader, 0, 3);
    until_confirmed(&mut reader, 1, 3);
    cluster.broker_down(2).unwrap();
    let expected = "broker 2 does not answer, it leads partition 1 of topic predictions";
    reader.until("the problem", |reader| {
        reader.report().problem.as_deref() == Some(expected)
    });
    let before = confirmations(&reader, 1);
    until_confirmed(&mut reader, 0, 10);
    assert_eq!(confirmations(&reader, 1), before, "without its leader");
    cluster.broker_up(2).unwrap();
    until_confirmed(&mut reader, 1, 3);
    reader.until("no problem", |reader| reader.report().problem.is_none());
}

/// A broker that keeps its connection open and answers nothing was believed for five seconds, and
/// statistics that had waited during a pause of the process were believed at any age.
#[test]
fn what_waited_during_a_pause_confirms_no_end() {
    let (cluster, bootstrap) = two_leaders();
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(2);
    until_confirmed(&mut reader, 1, 3);
    cluster
        .broker_round_trip_time(2, Duration::from_secs(120))
        .unwrap();
    let before = confirmations(&reader, 1);
    // The pause is the subject of the test: nobody polls the source, as after SIGSTOP.
    std::thread::sleep(Duration::from_secs(3));
    until_confirmed(&mut reader, 0, 10);
    assert_eq!(confirmations(&reader, 1), before, "by its silent leader");
}

#[test]
fn an_end_after_a_pause_is_confirmed_again_once_the_leader_answers() {
    let (_cluster, bootstrap) = two_leaders();
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(2);
    std::thread::sleep(Duration::from_secs(3));
    produce(&bootstrap, "predictions", 2, "later", 20);
    reader.until_records(40);
    reader.until_caught_up(2);
    until_confirmed(&mut reader, 0, 3);
    until_confirmed(&mut reader, 1, 3);
}

/// Two requests per round, whatever the number of partitions; the thread does not wait for them.
#[test]
fn a_thousand_quiet_partitions_are_confirmed_without_blocking_the_thread() {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("wide", 1_000, 1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let mut reader = Reader::new(&spec(&bootstrap, &["wide"], StartAt::Earliest));
    reader.until_caught_up(1_000);
    let confirmed = |reader: &Reader, times: usize| {
        let slots = reader.sink.slots.iter();
        slots.filter(|slot| slot.times_caught_up >= times).count()
    };
    let begun = Instant::now();
    reader.until("ten confirmations of each", |reader| {
        confirmed(reader, 11) == 1_000
    });
    println!("ten rounds in {:?}", begun.elapsed());
}
