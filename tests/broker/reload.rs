//! Reload of a running daemon: what it keeps, what starts to warm, and that a wrong configuration
//! changes nothing.

use std::path::Path;

use pegel::demo::{EmbeddedBroker, TopicProducer};

use crate::daemon::{Daemon, fit_reference, produce, window_of};
use crate::roles::{Deployment, assert_twins};

const EVENTS: &str = "pegel_events_total{monitor=\"m\"}";
const RELOADED: &str = "pegel_config_last_reload_successful";
const THRESHOLD: &str = "pegel_drift_threshold{monitor=\"m\",feature=\"x\"";

/// The configuration with additions.
fn rewrite(config: &Path, before: &str, more: &str) {
    let before = match more.trim_start().starts_with("alerts:") {
        true => before.replace("    alerts: []\n", ""),
        false => before.to_owned(),
    };
    std::fs::write(config, format!("{before}{more}")).unwrap();
}

#[test]
fn a_running_daemon_applies_a_new_configuration_or_keeps_the_current_one() {
    let broker = EmbeddedBroker::start("reload", 3).unwrap();
    let brokers = broker.bootstrap_servers();
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let producer = TopicProducer::try_new(&brokers, "reload").unwrap();
    produce(&producer, 0, 2000);
    let arguments = ["--set", "web.enable_reload=true"];
    let state = "flush_interval: 100ms";
    let daemon = Daemon::start_as(&brokers, "reload", directory.path(), state, &arguments);
    daemon.expect(EVENTS, "2000");
    let scrape = daemon.expect("pegel_score_ready{monitor=\"m\",feature=\"x\"", "1");
    let before = window_of(&scrape);
    let config = &daemon.config;
    let text = std::fs::read_to_string(config).unwrap();

    let rule = "    alerts: [{statistic: js, critical: 0.9}]\n";
    rewrite(config, &text, rule);
    assert_eq!(
        daemon.reload(),
        (200, "reloaded\n".to_owned()),
        "a good one"
    );
    let scrape = daemon.expect(THRESHOLD, "0.9");
    assert_eq!(window_of(&scrape), before, "the windows are kept");

    refuse_mistakes(&daemon, config, &text, rule);
    let scrape = daemon.expect(THRESHOLD, "0.9");
    assert_eq!(window_of(&scrape), before, "nothing changed");

    let second = text[text.find("  - name: m\n").unwrap()..].replace("name: m", "name: other");
    rewrite(config, &text, &format!("{rule}{second}"));
    daemon.signal("HUP");
    daemon.expect(RELOADED, "1");
    daemon.expect("pegel_events_total{monitor=\"other\"}", "0");
    let total = until_counted(&daemon, &producer, 2000);
    daemon.expect(EVENTS, &total.to_string());
    daemon.stop();
}

/// Three mistakes, each of which changes nothing: a wrong line, a missing reference, another
/// source.
fn refuse_mistakes(daemon: &Daemon, config: &Path, text: &str, rule: &str) {
    let directory = config.parent().unwrap();
    rewrite(
        config,
        text,
        "    alerts: [{statistic: js, critical: 1.9}]\n",
    );
    daemon.signal("HUP");
    daemon.expect(RELOADED, "0");
    let (status, answer) = daemon.reload();
    assert!(
        status == 500 && answer.contains("js cannot exceed 1 bit"),
        "{answer}"
    );
    std::fs::rename(
        directory.join("reference.json"),
        directory.join("gone.json"),
    )
    .unwrap();
    rewrite(config, text, rule);
    let (status, answer) = daemon.reload();
    assert!(
        status == 500
            && answer.contains("monitors[0].reference: ")
            && answer.contains("cannot be read"),
        "{answer}"
    );
    std::fs::rename(
        directory.join("gone.json"),
        directory.join("reference.json"),
    )
    .unwrap();
    std::fs::write(config, text.replace("start: earliest", "start: latest")).unwrap();
    let (status, answer) = daemon.reload();
    assert!(
        status == 500 && answer.contains("sources changed: that needs a restart"),
        "{answer}"
    );
}

#[test]
fn processes_of_one_deployment_can_be_reloaded_one_by_one() {
    let Some(kafka) = crate::cluster::kafka() else {
        return;
    };
    let deployment = Deployment::new(&kafka, 3);
    let producer = TopicProducer::try_new(&deployment.brokers, &deployment.topic).unwrap();
    produce(&producer, 0, 2000);
    let ingester = deployment.start("ingest");
    let (scorer, twin) = (deployment.start("score"), deployment.start("score"));
    scorer.expect(EVENTS, "2000");
    twin.expect(EVENTS, "2000");
    let scrape = scorer.expect("pegel_score_ready{monitor=\"m\",feature=\"x\"", "1");
    let before = window_of(&scrape);

    let text = |daemon: &Daemon| std::fs::read_to_string(&daemon.config).unwrap();
    let rule = "    alerts: [{statistic: js, critical: 0.9}]\n";
    rewrite(&scorer.config, &text(&scorer), rule);
    assert_eq!(scorer.reload().0, 200, "a line more");
    let scrape = scorer.expect(THRESHOLD, "0.9");
    assert_eq!(window_of(&scrape), before, "the windows are kept");

    // The ingester receives the monitor before any scorer knows it.
    let ingester_text = text(&ingester);
    let second = ingester_text[ingester_text.find("  - name: m\n").unwrap()..]
        .replace("name: m", "name: other");
    rewrite(&ingester.config, &ingester_text, &second);
    assert_eq!(ingester.reload().0, 200, "the ingester");
    produce(&producer, 2000, 2500);
    twin.expect(EVENTS, "2500");
    rewrite(&scorer.config, &text(&scorer), &second);
    assert_eq!(scorer.reload().0, 200, "the scorer");
    let total = until_counted(&scorer, &producer, 2500);

    let longer = text(&twin).replace("size: 1m,", "size: 2h,");
    rewrite(&twin.config, &longer, "");
    let (status, answer) = twin.reload();
    assert!(
        status == 500 && answer.contains("needs a restart"),
        "{answer}"
    );
    assert_twins(&scorer, &twin, &producer, total);
    [ingester, scorer, twin].into_iter().for_each(Daemon::stop);
}

/// Produces a hundred records at a time until the added monitor counts some; returns the number of
/// records.
fn until_counted(daemon: &Daemon, producer: &TopicProducer, from: u64) -> u64 {
    let mut total = from;
    while total < from + 10_000 {
        produce(producer, total, total + 100);
        total += 100;
        let scrape = daemon.expect(EVENTS, &total.to_string());
        let other_text = scrape
            .lines()
            .find(|line| line.starts_with("pegel_events_total{monitor=\"other\"}"));
        if other_text.is_some_and(|line| !line.ends_with(" 0")) {
            return total;
        }
    }
    panic!("the added monitor never counted anything");
}

#[test]
fn reload_by_http_is_off_by_default() {
    let broker = EmbeddedBroker::start("off", 1).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let daemon = Daemon::start(&broker.bootstrap_servers(), "off", directory.path());
    daemon.expect("pegel_series_limit", "20000");
    let (status, answer) = daemon.reload();
    assert!(
        status == 403 && answer.contains("web.enable_reload"),
        "{answer}"
    );
    daemon.stop();
}
