//! One machine, with its log in files.

use std::time::Duration;

use rand::RngExt as _;

use crate::chaos::{Durations, chance, eventually, from_environment, millis};
use crate::cluster::kafka;
use crate::recount::{assert_same, assert_same_windows};
use crate::stage::Stage;

const PARTITIONS: i32 = 4;
const FIRST_COMMIT: Duration = Duration::from_secs(30);

#[test]
fn a_process_killed_again_and_again_counts_every_record_once() {
    let Some(kafka) = kafka() else { return };
    let mut random = chance();
    let kills = from_environment("PEGEL_TEST_KILLS", 200_u32);
    let stage = Stage::new(&kafka, &kafka.topic(PARTITIONS));
    let writing = stage.workload(PARTITIONS, random.random()).start();
    let (mut firsts, mut early) = (Durations::default(), 0);
    for _ in 0..kills {
        let before = stage.log_bytes();
        let daemon = stage.daemon();
        if random.random_bool(0.3) {
            early += 1;
            std::thread::sleep(millis(&mut random, 0..400));
        } else {
            let has_committed = || (stage.log_bytes() > before).then_some(());
            eventually(FIRST_COMMIT, has_committed, || daemon.said());
            firsts.note(daemon.spawned.elapsed());
            std::thread::sleep(millis(&mut random, 50..600));
        }
        daemon.kill();
    }
    println!("{kills} kills, {early} of them during the start");
    firsts.print("from the start of a process to its first commit on the disk");
    writing.close();
    let expected = stage.recount();
    let daemon = stage.daemon();
    Stage::expect(&daemon, &expected);
    daemon.kill();
    let found = stage.read_log();
    assert_same(&found, &expected);
    assert_same_windows(&found, &expected);
    let slow = firsts.quantile(0.99);
    assert!(
        slow < Duration::from_secs(10),
        "restarts are quick: {slow:?}"
    );
}
