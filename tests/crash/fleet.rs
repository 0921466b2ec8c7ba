//! Several machines with the log in a topic: ingesters are killed, stopped, continued and
//! restarted, and a scorer is killed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::chaos::{chance, eventually, from_environment, millis};
use crate::cluster::kafka;
use crate::daemon::{Daemon, sum};
use crate::recount::{assert_same, assert_same_windows};
use crate::stage::{PANES, Stage};
use crate::watch::Watch;

const PARTITIONS: i32 = 6;
const INGESTERS: usize = 3;
/// Minimum number of rejected commits; a run with fewer shows nothing.
const ENOUGH: u64 = 20;
/// The number that two zombies write when each has two partitions.
const OF_A_ROUND: u64 = 4;
const SOON: Duration = Duration::from_secs(60);

/// Three ingesters and a scorer. Ingesters are static members of their group: a restarted one gets
/// its partitions back at once.
struct Fleet<'a> {
    stage: &'a Stage,
    configs: Vec<PathBuf>,
    ingesters: Vec<Daemon>,
    scorer: Daemon,
    kills: u32,
}

impl<'a> Fleet<'a> {
    fn start(stage: &'a Stage) -> Self {
        let name = |index| format!("ingester-{index}");
        let configs: Vec<PathBuf> = (0..INGESTERS)
            .map(|index| {
                stage.configure(
                    &name(index),
                    &format!(", group.instance.id: {}", name(index)),
                )
            })
            .collect();
        let ingesters = configs.iter().enumerate();
        Fleet {
            ingesters: ingesters
                .map(|(index, config)| stage.role("ingest", &name(index), config))
                .collect(),
            scorer: stage.role("score", "scorer", &stage.config),
            configs,
            stage,
            kills: 0,
        }
    }

    fn kill_ingester(&mut self, index: usize) {
        let (name, config) = (format!("ingester-{index}"), &self.configs[index]);
        self.ingesters[index].kill_now();
        self.ingesters[index] = self.stage.role("ingest", &name, config);
        self.kills += 1;
    }

    fn kill_scorer(&mut self) {
        self.scorer.kill_now();
        self.scorer = self.stage.role("score", "scorer", &self.stage.config);
        self.kills += 1;
    }

    /// Kills the scorer or one of these ingesters this many times, at random moments.
    fn kill(&mut self, times: u32, among: &[usize], random: &mut ChaCha8Rng) {
        for _ in 0..times {
            match among.get(random.random_range(0..=among.len())) {
                Some(index) => self.kill_ingester(*index),
                None => self.kill_scorer(),
            }
            std::thread::sleep(millis(random, 50..600));
        }
    }
}

#[test]
fn ingesters_killed_and_stopped_and_a_scorer_killed_count_every_record_once() {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let kills = from_environment("PEGEL_TEST_KILLS", 200_u32);
    let zombies = from_environment("PEGEL_TEST_ZOMBIES", 20_u32);
    let stage = Stage::on_topic(&kafka, &kafka.topic(PARTITIONS));
    let writing = stage.workload(PARTITIONS, random.random()).start();
    let mut fleet = Fleet::start(&stage);
    wait_for_events(&fleet.scorer);
    let watch = Watch::start(&stage.bootstrap, stage.panes(), PANES);
    let rounds = zombies.div_ceil(2);
    for round in 0..rounds {
        let left = kills.saturating_sub(fleet.kills) / (rounds - round);
        one_stays(
            &mut fleet,
            &watch,
            usize::try_from(round).unwrap() % INGESTERS,
            left / 2,
            &mut random,
        );
        fleet.kill(left - left / 2, &[0, 1, 2], &mut random);
    }
    let rejected = watch.rejected();
    println!(
        "{} kills, {} zombies, {rejected} commits rejected",
        fleet.kills,
        2 * rounds
    );
    assert!(
        rejected >= ENOUGH.min(zombies.into()),
        "{rejected} rejected commits show nothing: the run is void"
    );
    writing.close();
    let expected = stage.recount();
    Stage::expect(&fleet.scorer, &expected);
    let exported = sum(&fleet.scorer.scrape(), "pegel_pane_log_rejected_total{");
    drop(fleet);
    let actual = stage.read_log();
    assert_same(&actual, &expected);
    assert_same_windows(&actual, &expected);
    let rejected: u64 = actual.view().sources[0]
        .rejected
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert!(
        (exported - rejected as f64).abs() < 0.5,
        "the scorer exports {exported} of {rejected} rejected commits"
    );
}

/// Stops all ingesters but one until that one has taken over everything, then continues the others,
/// which know nothing of it.
fn one_stays(
    fleet: &mut Fleet<'_>,
    watch: &Watch,
    stays: usize,
    kills: u32,
    random: &mut ChaCha8Rng,
) {
    let others = || (0..INGESTERS).filter(move |index| *index != stays);
    until_all_move(fleet, watch);
    others().for_each(|index| fleet.ingesters[index].signal("STOP"));
    fleet.kill(kills, &[stays], random);
    let assigned = "pegel_kafka_partitions_assigned{";
    let has_all = |daemon: &Daemon| sum(&daemon.scrape(), assigned) > f64::from(PARTITIONS) - 0.5;
    let stayed = &fleet.ingesters[stays];
    eventually(
        SOON,
        || has_all(stayed).then_some(()),
        || stayed.log_lines(),
    );
    until_all_move(fleet, watch);
    let wanted = watch.rejected() + OF_A_ROUND;
    others().for_each(|index| fleet.ingesters[index].signal("CONT"));
    // A zombie may or may not write a commit that is rejected; it gets the time to do so.
    let deadline = Instant::now() + Duration::from_secs(3);
    while watch.rejected() < wanted && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until commits of every partition were accepted after now.
fn until_all_move(fleet: &Fleet<'_>, watch: &Watch) {
    let (now, total) = (Instant::now(), usize::try_from(PARTITIONS).unwrap());
    let move_on = || (watch.moved_since(now) == total).then_some(());
    let output = || fleet.ingesters.iter().map(Daemon::log_lines).collect();
    eventually(SOON, move_on, output);
}

fn wait_for_events(scorer: &Daemon) {
    let counts = || (sum(&scorer.scrape(), "pegel_events_total{") > 0.5).then_some(());
    eventually(SOON, counts, || scorer.log_lines());
}
