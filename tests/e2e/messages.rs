//! The message that a person gets for each kind of break: pegel, Prometheus with the shipped rules,
//! Alertmanager with the shipped configuration, and a webhook.
//!
//! Events carry times of the last hour and are read as fast as they come, so nobody waits for a
//! window. Every step waits for a state that the next one needs.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pegel::demo::{EmbeddedBroker, TopicProducer};

use crate::alertmanager::{Alertmanager, Message, PROGRAM, Webhook};
use crate::deploy;
use crate::processes::{Daemon, Prometheus, eventually, free_address, have, now_ms};
use crate::stage::{
    DEADLINE, count_active, fit, new_messages, wait_for_evaluations, wait_for_rules,
};

const EVENTS_PER_MINUTE: i64 = 60;
const HEALTHY_MINUTES: i64 = 20;
const BROKEN_MINUTES: i64 = 10;

/// One kind of break, in a monitor of its own.
struct Break {
    monitor: &'static str,
    /// Its feature and its alert, as options of the monitor.
    options: &'static str,
    /// The beginning of the summary, and words of the description.
    summary: &'static str,
    description: &'static [&'static str],
}

const BREAKS: &[Break] = &[
    Break {
        monitor: "cents",
        options: "features: [{name: amount, kind: numeric}], alerts: [{statistic: js, critical: 0.1}]",
        summary: "cents/amount: the distribution has changed (js is ",
        description: &[
            "median ",
            "looks like x100;",
            "js ",
            "Critical since 20",
            " UTC, window 5m",
        ],
    },
    Break {
        monitor: "countries",
        options: "features: [{name: country, kind: categorical}], alerts: [{statistic: unseen_ratio, critical: 0.05}]",
        summary: "countries/country: categories that the reference does not have (now ",
        description: &["unseen 0.0 % -> ", ": XK ("],
    },
    Break {
        monitor: "nulls",
        options: "features: [{name: coupon, kind: numeric}], alerts: [{statistic: missing_ratio, critical: 0.3}]",
        summary: "nulls/coupon: more values are missing than in the reference (now ",
        description: &["missing 10.0 % -> ", "threshold 30.0 %"],
    },
    Break {
        monitor: "volume",
        options: "features: [{name: amount, kind: numeric}], alerts: [], volume: {min_events: 200}",
        summary: "volume: too few events, now ",
        description: &[
            "Critical since 20",
            ", window 5m. Look at the producer, the topic and `select`",
        ],
    },
    Break {
        monitor: "texts",
        options: "features: [{name: amount, kind: numeric}], alerts: [{statistic: invalid_ratio, critical: 0.1}]",
        summary: "texts/amount: invalid values (now ",
        description: &["invalid values 0.0 % -> ", "threshold 10.0 %"],
    },
    Break {
        monitor: SILENT,
        options: "features: [{name: amount, kind: numeric}], alerts: [], silence: 1m",
        summary: "checkout: no events since 20",
        description: &["Drift stays unseen meanwhile, and alerts that fire are held."],
    },
];

/// The monitor whose stream stops. It has no alert of its own in pegel.
const SILENT: &str = "checkout";
/// The alerts that pegel decides itself.
const ALERTS: usize = BREAKS.len() - 1;

/// A record of a monitor: the `i`-th one of its stream.
fn record(monitor: &str, at_ms: i64, i: i64, is_broken: bool) -> String {
    let breaks = |name: &str| is_broken && monitor == name;
    let amount = 10.0 + ((i * 37) % 1000) as f64 / 10.0;
    let amount = if breaks("cents") {
        amount * 100.0
    } else {
        amount
    };
    let amount = if breaks("texts") {
        format!("\"EUR {amount}\"")
    } else {
        amount.to_string()
    };
    let country = if breaks("countries") && i % 8 == 0 {
        "XK"
    } else {
        ["DE", "FR", "IT"][usize::try_from(i % 3).unwrap()]
    };
    let is_null = i % 10 == 0 || (breaks("nulls") && i % 2 == 0);
    let coupon = if is_null {
        "null".to_owned()
    } else {
        (i % 50).to_string()
    };
    format!(
        r#"{{"model":"{monitor}","ts":{at_ms},"amount":{amount},"country":"{country}","coupon":{coupon}}}"#
    )
}

/// Sends the minutes `from..to` of every monitor; `start_ms` is the time of minute 0.
fn send(producer: &TopicProducer, start_ms: i64, minutes: std::ops::Range<i64>, is_broken: bool) {
    let step_ms = 60_000 / EVENTS_PER_MINUTE;
    for i in minutes.start * EVENTS_PER_MINUTE..minutes.end * EVENTS_PER_MINUTE {
        let at_ms = start_ms + i * step_ms;
        for kind in BREAKS {
            let is_lost = is_broken
                && match kind.monitor {
                    "volume" => i % 4 != 0,
                    monitor => monitor == SILENT,
                };
            if !is_lost {
                let text = record(kind.monitor, at_ms, i, is_broken);
                producer.send("key", &text, now_ms()).unwrap();
            }
        }
    }
    producer.flush(DEADLINE).unwrap();
}

const STATE: &str = "state: {flush_interval: 100ms}";

/// Writes the configuration and fits the reference of all monitors.
fn prepare(directory: &Path, brokers: &str) -> PathBuf {
    let mut config = format!(
        "version: 1
{STATE}
sources: {{s: {{kafka: {{brokers: [{brokers:?}], topics: [orders], group_id: e2e, start: earliest}}}}}}
monitors:
"
    );
    for kind in BREAKS {
        writeln!(
            config,
            "  - {{name: {}, source: s, select: {{where: {{path: /model, equals: {}}}}}, \
             timestamp: {{path: /ts}}, lateness: {{out_of_orderness: 0s, idle_after: 1h}}, \
             windows: [{{name: 5m, size: 5m, slide: 1m, min_samples: 50}}], \
             reference: {{file: reference.json}}, {}}}",
            kind.monitor, kind.monitor, kind.options
        )
        .unwrap();
    }
    let path = directory.join("pegel.yaml");
    std::fs::write(&path, config).unwrap();
    let rows: String = (0..2000)
        .map(|i| record("any", 0, i, false) + "\n")
        .collect();
    fit(directory, &rows);
    path
}

/// Waits for the messages of all breaks and returns one for each.
fn wait_for_messages(webhook: &Webhook) -> Vec<Message> {
    BREAKS
        .iter()
        .map(|kind| {
            eventually(kind.monitor, DEADLINE, || {
                webhook.messages().into_iter().find(|message| {
                    message.status == "firing"
                        && message.monitor == kind.monitor
                        && message.summary.starts_with(kind.summary)
                })
            })
        })
        .collect()
}

/// Checks and prints the message of each break.
fn check_messages(messages: &[Message], address: SocketAddr) {
    for (kind, message) in BREAKS.iter().zip(messages) {
        println!(
            "{}: {}\n{}\n",
            message.alert, message.summary, message.description
        );
        for words in kind.description {
            assert!(message.description.contains(words), "{words}: {message:?}");
        }
        let length = message.summary.len() + message.description.len();
        assert!(
            length <= LONGEST_MESSAGE,
            "{length} characters: {message:?}"
        );
        let page = format!(" http://{address}/");
        assert!(message.description.ends_with(&page), "{message:?}");
    }
}

/// The most characters of a message that a person reads on a phone.
const LONGEST_MESSAGE: usize = 300;
/// The evaluations that a test waits for in an outage: three minutes at the shipped interval.
const OUTAGE_EVALUATIONS: usize = 12;
/// Fires because the test starts its daemon so often; it is no news of a monitor.
const RESTARTS: &str = "PegelRestarts";

/// A daemon whose alerts fire, and everything that tells people so.
struct AlertPath {
    config: PathBuf,
    address: SocketAddr,
    daemon: Daemon,
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    webhook: Webhook,
}

impl AlertPath {
    /// Checks that an interruption resolves nothing, and sends nothing.
    fn expect_no_news(&mut self, what: &str, interrupt: impl FnOnce(&mut Self)) {
        wait_for_rules(&self.prometheus);
        let (before, sent) = (self.alerts(), self.webhook.messages().len());
        interrupt(self);
        eventually(what, DEADLINE, || {
            (count_active(&self.daemon, " 1") == ALERTS).then_some(())
        });
        wait_for_rules(&self.prometheus);
        assert_eq!(self.alerts(), before, "{what}: the same alerts, as old");
        let mut news = new_messages(&self.webhook, &self.alertmanager, sent);
        news.retain(|message| message.alert != RESTARTS);
        assert_eq!(news, [], "{what}: no message");
    }

    /// The alerts of Alertmanager that are about monitors.
    fn alerts(&self) -> Vec<(String, String)> {
        let mut alerts = self.alertmanager.alerts();
        alerts.retain(|(labels, _)| !labels.contains(RESTARTS));
        alerts
    }

    /// Ends the daemon, lets the rules be evaluated without it, and starts it again.
    fn restart(&mut self, end: impl FnOnce(&mut Daemon), evaluations: usize) {
        end(&mut self.daemon);
        eventually("a failed scrape", DEADLINE, || {
            self.prometheus.value("up").filter(|up| *up < 0.5)
        });
        wait_for_evaluations(&self.prometheus, evaluations);
        self.daemon = Daemon::start(&self.config, self.address);
    }

    /// Replaces the daemon by one that does not come beyond the start, because its pane log does
    /// not answer, and then by the right one again.
    fn recover_for_long(&mut self) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        let state = "state: {flush_interval: 100ms, panes_topic: panes, brokers: ['127.0.0.1:1']}";
        let text = text.replace(STATE, state);
        assert!(text.contains(state), "{text}");
        let config = self.config.with_file_name("recovering.yaml");
        std::fs::write(&config, text).unwrap();
        self.daemon.terminate();
        self.daemon = Daemon::start(&config, self.address);
        eventually("a scrape during the recovery", DEADLINE, || {
            self.prometheus
                .value("pegel_recovering == 1 and up == 1 unless pegel_alert_active")
        });
        wait_for_evaluations(&self.prometheus, OUTAGE_EVALUATIONS);
        self.daemon.terminate();
        self.daemon = Daemon::start(&self.config, self.address);
    }

    /// Sends SIGHUP and waits for this line of the log.
    fn reload(&self, outcome: &str) {
        let lines = || self.log_lines(outcome).len();
        let before = lines();
        self.daemon.hang_up();
        eventually(outcome, DEADLINE, || (lines() == before + 1).then_some(()));
    }

    fn log_lines(&self, words: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.config.with_extension("log")).unwrap();
        let lines = log.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect()
    }

    /// Changes the configuration that the next reload reads.
    fn edit_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(&self.config, text.replacen(from, to, 1)).unwrap();
    }

    fn reload_what_is_refused(&mut self) {
        self.edit_config("slide: 1m", "slide: 7m");
        self.reload("reload failed, keeping the current configuration: ");
        self.edit_config("slide: 7m", "slide: 1m");
    }

    fn reload_with_another_feature(&mut self) {
        let features = "features: [{name: amount, kind: numeric}";
        self.edit_config(
            features,
            &format!("{features}, {{name: coupon, kind: numeric}}"),
        );
        self.reload("configuration reloaded");
        eventually("the other feature", DEADLINE, || {
            let is_new = |line: &String| line.contains(r#"monitor="cents",feature="coupon""#);
            self.daemon.scrape().iter().any(is_new).then_some(())
        });
    }
}

#[test]
fn each_kind_of_break_is_told_in_words_and_an_interruption_sends_nothing() {
    if !have(&["prometheus", "promtool", PROGRAM]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start("orders", 1).unwrap();
    let config = prepare(directory.path(), &broker.bootstrap_servers());
    let producer = TopicProducer::try_new(&broker.bootstrap_servers(), "orders").unwrap();
    let address: SocketAddr = free_address();
    let daemon = Daemon::start(&config, address);
    let webhook = Webhook::start();
    let alertmanager = Alertmanager::start(&deploy("alertmanager.yml"), &webhook);
    let prometheus = Prometheus::start_with(
        &address.to_string(),
        &deploy("pegel.rules.yml"),
        &format!("[{:?}]", alertmanager.address().to_string()),
    );

    let minutes = HEALTHY_MINUTES + BROKEN_MINUTES;
    let start_ms = now_ms() / 60_000 * 60_000 - minutes * 60_000;
    send(&producer, start_ms, 0..HEALTHY_MINUTES, false);
    eventually("healthy windows", DEADLINE, || {
        (count_active(&daemon, " 0") == ALERTS).then_some(())
    });
    send(&producer, start_ms, HEALTHY_MINUTES..minutes, true);
    check_messages(&wait_for_messages(&webhook), address);

    let mut path = AlertPath {
        config,
        address,
        daemon,
        prometheus,
        alertmanager,
        webhook,
    };
    let fired = path.log_lines("alert firing: ");
    let resolved = path.log_lines("alert resolved: ");
    println!("{}", fired.join("\n"));
    path.expect_no_news("SIGTERM and a start", |path| {
        path.restart(Daemon::terminate, 1);
    });
    path.expect_no_news("SIGKILL and a start", |path| path.restart(Daemon::kill, 1));
    path.expect_no_news("three minutes without pegel", |path| {
        path.restart(Daemon::kill, OUTAGE_EVALUATIONS);
    });
    path.expect_no_news("a long recovery", AlertPath::recover_for_long);
    path.expect_no_news("a restart of Prometheus", |path| path.prometheus.restart());
    path.expect_no_news("a reload", |path| path.reload("configuration reloaded"));
    path.expect_no_news("a refused reload", AlertPath::reload_what_is_refused);
    path.expect_no_news("another feature", AlertPath::reload_with_another_feature);
    // What a restart reads again is not logged again.
    assert_eq!(path.log_lines("alert firing: "), fired);
    assert_eq!(path.log_lines("alert resolved: "), resolved);
}
