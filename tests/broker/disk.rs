//! A disk without space: the daemon exits at once and says why, and the next process has every
//! accepted commit.

use std::path::Path;
use std::process::{Command, Output};

use pegel::demo::{EmbeddedBroker, TopicProducer};

use crate::daemon::{Daemon, fit_reference, produce};

const STATE: &str = "path: state, flush_interval: 100ms";

/// Runs a daemon that may write files of this many kibibytes, until it exits by itself.
///
/// The limit makes a write fail half way, as a full disk does. Its signal is ignored, so that the
/// error reaches the program.
fn limited(config: &Path, kibibytes: u64) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$@\"");
    let program = env!("CARGO_BIN_EXE_pegel");
    let limit = ["60", "bash", "-c", &script, "limited", program, "run", "-c"];
    let mut command = Command::new("timeout");
    command.args(limit).arg(config).env("NO_COLOR", "1");
    command
        .current_dir(config.parent().unwrap())
        .output()
        .unwrap()
}

/// The configuration with which an earlier daemon was started.
fn config_in(directory: &Path) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(directory).unwrap().flatten();
    let is_yaml = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    };
    let actual = entries.find(|entry| is_yaml(&entry.path()));
    actual.unwrap().path()
}

fn largest_segment(state: &Path) -> u64 {
    let entries = std::fs::read_dir(state).unwrap().flatten();
    let sizes = entries.map(|entry| entry.metadata().unwrap().len());
    sizes.max().unwrap()
}

#[test]
fn a_full_disk_ends_the_daemon_and_loses_no_accepted_commit() {
    let broker = EmbeddedBroker::start("disk", 1).unwrap();
    let brokers = broker.bootstrap_servers();
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let state = directory.path().join("state");
    let overrides = STATE.replace("path: state", &format!("path: {state:?}"));
    let producer = TopicProducer::try_new(&brokers, "disk").unwrap();
    produce(&producer, 0, 2000);
    let daemon = Daemon::start_as(&brokers, "disk", directory.path(), &overrides, &[]);
    daemon.expect("pegel_events_total{monitor=\"m\"}", "2000");
    daemon.stop();
    produce(&producer, 2000, 4000);
    let config = config_in(directory.path());
    let ended = limited(&config, largest_segment(&state) / 1024 + 1);
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{errors}");
    let text = "the pane log cannot be written: nothing more is counted, what was accepted is safe";
    assert!(errors.contains(text), "it says what this means: {errors}");
    assert!(errors.contains("File too large"), "and why: {errors}");
    let daemon = Daemon::start_as(&brokers, "disk", directory.path(), &overrides, &[]);
    daemon.expect("pegel_events_total{monitor=\"m\"}", "4000");
    daemon.stop();
}
