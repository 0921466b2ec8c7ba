//! Many machines on Apache Kafka: ingesters that share the partitions, scorers that are twins, and what each crash costs.

use std::time::{Duration, Instant};

use pegel::demo::TopicProducer;

use rdkafka::topic_partition_list::Offset;

use crate::daemon::{Daemon, fit_reference, produce, window_of};

const EVENTS: &str = "pegel_events_total{monitor=\"m\"}";
const READY: &str = "pegel_score_ready{monitor=\"m\",feature=\"x\"";
const HASHED_AT: &str = "pegel_pane_log_state_hash_position";

/// Processes of one deployment.
pub(crate) struct Deployment {
    pub(crate) brokers: String,
    pub(crate) topic: String,
    state: String,
    directory: tempfile::TempDir,
}

impl Deployment {
    pub(crate) fn new(kafka: &crate::cluster::Kafka, partitions: i32) -> Self {
        let topic = kafka.topic(partitions);
        let directory = tempfile::tempdir().unwrap();
        fit_reference(directory.path());
        let state = format!(
            "flush_interval: 200ms, panes_topic: {topic}-panes, panes_partitions: 3, snapshot_interval: 2s"
        );
        Deployment {
            brokers: kafka.bootstrap.clone(),
            topic,
            state,
            directory,
        }
    }

    pub(crate) fn start(&self, role: &str) -> Daemon {
        let reload = ["--set", "web.enable_reload=true"];
        let arguments = [&["--role", role, "--create-topics"], &reload[..]].concat();
        let path = self.directory.path();
        Daemon::start_as(&self.brokers, &self.topic, path, &self.state, &arguments)
    }
}

type Values = Vec<(String, String)>;

/// The values of a metric by its labels.
fn values(scrape: &str, metric: &str) -> Values {
    let of = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let labels = series.strip_prefix(metric)?.strip_prefix('{')?;
        Some((labels.to_owned(), value.to_owned()))
    };
    scrape.lines().filter_map(of).collect()
}

/// Writes until both have a hash, which takes 64 records of the log; at the first position they have in common they must be the same.
pub(crate) fn assert_twins(one: &Daemon, other: &Daemon, producer: &TopicProducer, from: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut written = from;
    loop {
        let (one, other) = (one.scrape(), other.scrape());
        let positions = [&one, &other].map(|scrape| values(scrape, HASHED_AT));
        if positions.iter().any(Vec::is_empty) {
            produce(producer, written, written + 40);
            written += 40;
        } else if positions[0] == positions[1] {
            let hash = |scrape: &str| values(scrape, "pegel_pane_log_state_hash");
            assert_eq!(hash(&one), hash(&other), "twins at {positions:?}");
            return;
        }
        assert!(
            Instant::now() < deadline,
            "no common position: {positions:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn ingesters_share_the_partitions_and_twins_show_the_same() {
    let Some(kafka) = crate::cluster::kafka() else {
        return;
    };
    let deployment = Deployment::new(&kafka, 4);
    let producer = TopicProducer::try_new(&deployment.brokers, &deployment.topic).unwrap();
    produce(&producer, 0, 2000);
    let (one, two) = (deployment.start("ingest"), deployment.start("ingest"));
    let (scorer, twin) = (deployment.start("score"), deployment.start("score"));
    scorer.expect(EVENTS, "2000");
    twin.expect(EVENTS, "2000");
    one.kill();
    produce(&producer, 2000, 3000);
    scorer.expect(EVENTS, "3000");
    twin.expect(EVENTS, "3000");
    let scrape = twin.expect(READY, "1");
    let before = window_of(&scrape);
    scorer.kill();
    let scorer = deployment.start("score");
    scorer.expect(EVENTS, "3000");
    let scrape = scorer.expect(READY, "1");
    assert_eq!(window_of(&scrape), before, "the same windows after a crash");
    two.stop();
    produce(&producer, 3000, 3500);
    let whole = deployment.start("all");
    whole.expect(EVENTS, "3500");
    scorer.expect(EVENTS, "3500");
    assert_twins(&scorer, &twin, &producer, 3500);
    [whole, scorer, twin].into_iter().for_each(Daemon::stop);
}

#[test]
fn a_scorer_without_any_snapshot_goes_on_at_the_oldest_commits() {
    let Some(kafka) = crate::cluster::kafka() else {
        return;
    };
    let deployment = Deployment::new(&kafka, 1);
    let producer = TopicProducer::try_new(&deployment.brokers, &deployment.topic).unwrap();
    produce(&producer, 0, 1000);
    let (ingester, scorer) = (deployment.start("ingest"), deployment.start("score"));
    scorer.expect(EVENTS, "1000");
    scorer.kill();
    let panes = format!("{}-panes", deployment.topic);
    for partition in 0..3 {
        kafka.delete_before(&panes, partition, Offset::End);
    }
    produce(&producer, 1000, 1500);
    // Nobody knows the shard's head any more but the ingester, which goes on.
    let scorer = deployment.start("score");
    scorer.expect(EVENTS, "500");
    produce(&producer, 1500, 1700);
    scorer.expect(EVENTS, "700");
    [ingester, scorer].into_iter().for_each(Daemon::stop);
}
