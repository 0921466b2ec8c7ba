//! Ingesters and a broker that come and go. The group assigns partitions, and no partition is
//! forgotten.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::chaos::{Durations, chance, eventually, from_environment, millis};
use crate::cluster::{Kafka, kafka};
use crate::daemon::Daemon;
use crate::node::Node;
use crate::recount::{assert_same, assert_same_windows};
use crate::stage::{PANES, Stage};
use crate::watch::Watch;

const PARTITIONS: i32 = 6;
/// Number of ingesters between bursts.
const INGESTERS: usize = 3;
const MOST_INGESTERS: usize = 7;
/// Changes in a burst; then every partition must advance again before the next burst.
///
/// A burst holds at most one death or stop, and nobody leaves after it. A member that dies, or
/// leaves without waiting for the answer, while the group waits for another death gets partitions
/// once more before it is missed. That costs a second session timeout, whatever pegel does.
const BURST: u32 = 5;
/// Restarts of the broker, one after each of the first bursts.
const RESTARTS: u32 = 10;
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(60);

/// A change of an ingester.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Joins,
    Leaves,
    Dies,
    Stops,
    Wakes,
}

/// Ingesters, some of which are stopped or shutting down.
struct Members<'a> {
    stage: &'a Stage,
    running: Vec<Daemon>,
    stopped: Vec<Daemon>,
    leaving: Vec<Daemon>,
    started: u32,
}

impl Members<'_> {
    fn join(&mut self) {
        self.started += 1;
        let name = format!("ingester-{}", self.started);
        let daemon = self.stage.role("ingest", &name, &self.stage.config);
        self.running.push(daemon);
    }

    /// Applies several of the possible changes.
    fn burst(&mut self, random: &mut ChaCha8Rng) -> Vec<Change> {
        let fails = self.running.len() > 1 && random.random_bool(0.6);
        let mut happened = Vec::new();
        for number in 0..BURST {
            let possible = match (fails, number) {
                (true, 0) => vec![Change::Dies, Change::Stops],
                _ => self.possible(!fails),
            };
            if let Some(change) = possible.choose(random) {
                self.change(*change, random);
                happened.push(*change);
            }
            std::thread::sleep(millis(random, 20..200));
        }
        happened
    }

    fn change(&mut self, change: Change, random: &mut ChaCha8Rng) {
        let of =
            |daemons: &Vec<Daemon>, random: &mut ChaCha8Rng| random.random_range(0..daemons.len());
        match change {
            Change::Joins => self.join(),
            Change::Leaves => {
                let daemon = self.running.remove(of(&self.running, random));
                daemon.signal("TERM");
                self.leaving.push(daemon);
            }
            Change::Dies => self.running.remove(of(&self.running, random)).kill(),
            Change::Stops => {
                let daemon = self.running.remove(of(&self.running, random));
                daemon.signal("STOP");
                self.stopped.push(daemon);
            }
            Change::Wakes => {
                let daemon = self.stopped.remove(of(&self.stopped, random));
                daemon.signal("CONT");
                self.running.push(daemon);
            }
        }
    }

    /// The changes that are possible besides deaths and stops.
    fn possible(&self, may_leave: bool) -> Vec<Change> {
        let total = self.running.len() + self.stopped.len();
        let possible = [
            (total < MOST_INGESTERS, Change::Joins),
            (may_leave && self.running.len() > 1, Change::Leaves),
            (!self.stopped.is_empty(), Change::Wakes),
        ];
        let possible = possible.into_iter().filter(|(can, _)| *can);
        possible.map(|(_, change)| change).collect()
    }

    /// Starts ingesters up to the wanted number; stopped ones stay stopped.
    fn settle(&mut self) {
        while self.running.len() < INGESTERS {
            self.join();
        }
    }

    /// Ends ingesters down to the wanted number.
    fn thin_out(&mut self) -> Vec<Change> {
        let surplus = self.running.split_off(INGESTERS.min(self.running.len()));
        surplus.iter().for_each(|daemon| daemon.signal("TERM"));
        let left = vec![Change::Leaves; surplus.len()];
        self.leaving.extend(surplus);
        left
    }

    fn wake_all(&mut self) {
        for daemon in self.stopped.drain(..) {
            daemon.signal("CONT");
            self.running.push(daemon);
        }
    }

    /// Checks that ingesters asked to end have ended with exit code 0; one that was not up yet just
    /// ends.
    fn bury(&mut self) {
        for daemon in self.leaving.drain(..) {
            let output = daemon.log_lines();
            let is_up = output.contains("http://");
            let ended = daemon.ended();
            assert!(ended.success() || !is_up, "a clean end: {ended}: {output}");
        }
    }

    fn log_lines(&self) -> String {
        self.running.iter().map(Daemon::log_lines).collect()
    }
}

#[test]
fn no_partition_is_forgotten_while_ingesters_and_the_broker_restart() {
    if kafka().is_none() {
        return;
    }
    let mut random = chance();
    let changes = from_environment("PEGEL_TEST_CHANGES", 100_u32);
    let directory = tempfile::tempdir().unwrap();
    let node = Node(directory.path().to_owned());
    let kafka = Kafka::at(node.run("start"));
    let stage = Stage::on_topic(&kafka, &kafka.topic(PARTITIONS));
    let writing = stage.workload(PARTITIONS, random.random()).start();
    let scorer = stage.role("score", "scorer", &stage.config);
    let mut members = Members {
        stage: &stage,
        running: Vec::new(),
        stopped: Vec::new(),
        leaving: Vec::new(),
        started: 0,
    };
    members.settle();
    let made = || stage.has_panes().then_some(());
    eventually(SOON, made, || members.log_lines());
    let watch = Watch::start(&stage.bootstrap, stage.panes(), PANES);
    until_all_move(&members, &watch);
    let mut seen = Seen::default();
    let enough = usize::try_from(changes).unwrap();
    for burst in 0.. {
        if burst >= RESTARTS && seen.happened.len() >= enough {
            break;
        }
        seen.happened.extend(members.burst(&mut random));
        members.settle();
        seen.settled.note(until_all_move(&members, &watch));
        seen.stood.extend(watch.stood().into_iter().max());
        members.bury();
        seen.happened.extend(members.thin_out());
        until_calm(&members, &watch);
        if burst < RESTARTS {
            node.run("kill");
            members.wake_all();
            node.run("start");
            seen.recovered.note(until_all_move(&members, &watch));
            until_calm(&members, &watch);
        }
        watch.excuse();
    }
    seen.report(&watch);
    writing.close();
    let expected = stage.recount();
    Stage::expect(&scorer, &expected);
    drop((members, scorer));
    let actual = stage.read_log();
    assert_same(&actual, &expected);
    assert_same_windows(&actual, &expected);
}

/// Measurements of the run.
#[derive(Default)]
struct Seen {
    happened: Vec<Change>,
    /// From the last change of a burst until every partition advanced again.
    settled: Durations,
    /// The same, from the moment at which the broker was back.
    recovered: Durations,
    /// The longest time a partition did not advance in each burst, without outages of the broker.
    stood: Vec<Duration>,
}

impl Seen {
    fn report(&mut self, watch: &Watch) {
        self.happened.sort_unstable();
        let kinds = self.happened.chunk_by(|left, right| left == right);
        let kinds: Vec<String> = kinds
            .map(|kind| format!("{:?} {}", kind[0], kind.len()))
            .collect();
        let (changes, rejected) = (self.happened.len(), watch.rejected());
        println!(
            "{changes} changes: {}; {rejected} commits rejected",
            kinds.join(", ")
        );
        self.settled
            .print("from a burst of changes to all partitions moving");
        self.recovered
            .print("from the broker's start to all partitions moving");
        println!(
            "the longest a partition stood, by burst: {:.1?}",
            self.stood
        );
        let longest = self.stood.iter().max().copied().unwrap_or_default();
        assert!(
            longest <= 2 * SESSION_TIMEOUT,
            "a partition stood for {longest:?}"
        );
    }
}

/// Waits until all partitions advance without a pause for a while: the group has settled.
fn until_calm(members: &Members<'_>, watch: &Watch) {
    let mut in_a_row = 0;
    while in_a_row < 5 {
        let is_calm = until_all_move(members, watch) < Duration::from_secs(1);
        in_a_row = if is_calm { in_a_row + 1 } else { 0 };
    }
}

/// Waits until commits of every partition were accepted after now; returns how long that took.
fn until_all_move(members: &Members<'_>, watch: &Watch) -> Duration {
    let (now, total) = (Instant::now(), usize::try_from(PARTITIONS).unwrap());
    let move_on = || (watch.moved_since(now) == total).then_some(());
    eventually(SOON, move_on, || members.log_lines());
    now.elapsed()
}
