//! The steps that all tests of the alert path share: wait for alerts, for rules, and for messages.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::alertmanager::{Alertmanager, MARKER, Message, Webhook};
use crate::processes::{Daemon, Prometheus, eventually, now_ms};

/// The longest wait for one step.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Fits `reference.json` in a directory on these rows.
pub(crate) fn fit(directory: &Path, rows: &str) {
    std::fs::write(directory.join("rows.ndjson"), rows).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["fit", "rows.ndjson", "-o", "reference.json"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "fit: {output:?}");
}

/// The number of alerts that a daemon shows with this state.
pub(crate) fn count_active(daemon: &Daemon, value: &str) -> usize {
    daemon
        .scrape()
        .iter()
        .filter(|line| line.starts_with("pegel_alert_active{") && line.ends_with(value))
        .count()
}

/// Waits until Prometheus has evaluated its rules on a scrape that is younger than this call.
pub(crate) fn wait_for_rules(prometheus: &Prometheus) {
    let scraped_after = now_ms() as f64 / 1000.0;
    eventually("a scrape with alerts", DEADLINE, || {
        prometheus
            .value("min(timestamp(pegel_alert_active == 1))")
            .filter(|scraped| *scraped > scraped_after)
    });
    wait_for_evaluations(prometheus, 1);
}

/// Waits until Prometheus has evaluated all of its rules as often as this.
pub(crate) fn wait_for_evaluations(prometheus: &Prometheus, evaluations: usize) {
    for _ in 0..evaluations {
        let evaluated_after = now_ms();
        eventually("an evaluation of the rules", DEADLINE, || {
            let rules = prometheus.get("/api/v1/rules");
            let groups = rules["data"]["groups"].as_array()?.clone();
            let is_done = groups.iter().all(|group| {
                let evaluated = group["lastEvaluation"].as_str().unwrap_or_default();
                evaluated
                    .parse::<jiff::Timestamp>()
                    .is_ok_and(|at| at.as_millisecond() > evaluated_after)
            });
            is_done.then_some(())
        });
    }
}

/// The messages beyond the first `sent` ones, once everything is sent that Alertmanager knows now.
///
/// A group is flushed every second, and a new one after two: what a restart changed is sent before
/// the marker.
pub(crate) fn new_messages(
    webhook: &Webhook,
    alertmanager: &Alertmanager,
    sent: usize,
) -> Vec<Message> {
    let marker = format!("marker-{sent}-{}", now_ms());
    alertmanager.send(&marker);
    eventually("the marker", DEADLINE, || {
        let messages = webhook.messages();
        messages
            .iter()
            .any(|message| message.monitor == marker)
            .then_some(())
    });
    let mut messages = webhook.messages().split_off(sent);
    messages.retain(|message| message.alert != MARKER);
    messages
}
