//! Checks that the documents agree with the code: tables, quoted files, links, options, paths, and
//! the golden scrape.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::CommandFactory as _;
use pegel::engine::EngineView;
use pegel::export::{CATALOG, Exporter, MetricType, markdown};
use pegel::model::{AlertSpec, LogReport, Statistic, Thresholds};

use crate::support::{at, plan, record, replay, spec};

/// The document whose table of metrics is generated from the catalogue.
const METRICS: &str = "docs/metrics.md";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap()
}

/// All Markdown documents a user reads, as paths below the repository.
fn documents() -> Vec<String> {
    let mut documents: Vec<String> = ["docs", "docs/adr", "docs/runbooks"]
        .iter()
        .flat_map(|directory| {
            std::fs::read_dir(root(directory))
                .unwrap()
                .map(move |entry| format!("{directory}/{}", entry.unwrap().file_name().display()))
        })
        .filter(|path| path.ends_with(".md"))
        .chain(["README.md".to_owned(), "CHANGELOG.md".to_owned()])
        .collect();
    documents.sort();
    documents
}

/// The part of a document between two comments.
fn section(document: &str, name: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    document
        .split_once(&open)
        .unwrap()
        .1
        .split_once(&close)
        .unwrap()
        .0
        .to_owned()
}

#[test]
fn the_table_of_metrics_is_the_catalogue() {
    assert_eq!(
        section(&read(METRICS), "metrics"),
        markdown(),
        "`cargo test -- --ignored write` renews it"
    );
}

#[test]
#[ignore = "renews the table of metrics and the golden scrape; look at the difference"]
fn write_the_documents() {
    let document = read(METRICS);
    let old = section(&document, "metrics");
    std::fs::write(root(METRICS), document.replace(&old, &markdown())).unwrap();
    std::fs::write(root("tests/fixtures/scrape.txt"), golden()).unwrap();
}

#[test]
fn the_short_configuration_in_the_documents_is_the_one_shipped() {
    let shipped = read("config/minimal.yaml");
    for document in ["README.md", "docs/quickstart.md"] {
        assert!(read(document).contains(&shipped), "{document}");
    }
}

#[test]
fn links_of_the_documents_lead_to_files() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        let directory = root(&document).parent().unwrap().to_owned();
        for target in text.split("](").skip(1) {
            let target = target.split([')', '#', ' ']).next().unwrap();
            let is_elsewhere = target.is_empty() || target.contains("://");
            if !is_elsewhere && !directory.join(target).exists() {
                broken.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn source_paths_named_in_the_documents_exist() {
    let mut missing = Vec::new();
    for document in documents() {
        let text = read(&document);
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = quoted.starts_with("src/") || quoted.starts_with("tests/");
            let is_plain = quoted
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
            if is_path && is_plain && !root(quoted).exists() {
                missing.push(format!("{document}: {quoted}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_option_of_every_command_stands_in_the_manual() {
    let manual = read("docs/commands.md");
    let program = pegel::cli::Cli::command();
    let mut missing = Vec::new();
    for command in program.get_subcommands() {
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            if !manual.contains(&format!("--{option}")) {
                missing.push(format!("pegel {} --{option}", command.get_name()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn rules_use_names_of_the_catalogue_only() {
    for file in [
        "deploy/prometheus/pegel.rules.yml",
        "deploy/prometheus/rules_test.yml",
    ] {
        for word in read(file)
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("pegel_"))
        {
            assert!(
                CATALOG.iter().any(|metric| metric.name == word),
                "{file}: {word} is not exported"
            );
        }
    }
}

/// `query` returns series in no order, so a message named the page of either twin.
#[test]
fn messages_take_the_first_series_of_sorted_ones() {
    let rules: String = read("deploy/prometheus/pegel.rules.yml")
        .lines()
        .filter(|line| !line.trim().starts_with('#'))
        .collect();
    for (end, _) in rules.match_indices("| first") {
        let before = rules[..end].trim_end();
        let query = before.rsplit("printf \"").next().unwrap_or_default();
        let is_single = ["max(", "min(", "count("]
            .iter()
            .any(|aggregate| query.starts_with(aggregate));
        let last = before.rsplit("| ").next().unwrap_or_default();
        assert!(
            is_single || last.starts_with("sortByLabel "),
            "several series have no first one: {query}"
        );
    }
}

/// The image listened on loopback, where nothing outside of the container reached it, and systemd
/// started a daemon with a wrong configuration again every five seconds.
#[test]
fn deployment_files_fit_the_program() {
    let dockerfile = read("deploy/docker/Dockerfile");
    assert!(dockerfile.contains("\nENV PEGEL__WEB__LISTEN_ADDRESS=0.0.0.0:10987\n"));
    let check = dockerfile.split("\nHEALTHCHECK ").nth(1).unwrap();
    let command = check.lines().next().unwrap().split("CMD ").nth(1).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    assert!(
        pegel::cli::Cli::command()
            .try_get_matches_from(&command)
            .is_ok(),
        "{command:?}"
    );
    let unit = read("deploy/systemd/pegel.service");
    let usage = pegel::cli::Exit::Usage as u8;
    assert!(unit.contains(&format!("\nRestartPreventExitStatus={usage}\n")));
}

/// The names of the shipped alert rules.
fn alert_rules() -> Vec<String> {
    read("deploy/prometheus/pegel.rules.yml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_alert_rule_has_a_test_a_row_in_the_manual_and_a_runbook() {
    let (tests, manual) = (
        read("deploy/prometheus/rules_test.yml"),
        read("docs/alerts.md"),
    );
    let runbooks = read("docs/runbooks/README.md");
    let sections = runbooks.lines().filter_map(|line| line.strip_prefix("## "));
    let sections: BTreeSet<&str> = sections.collect();
    let rules = alert_rules();
    let rules: BTreeSet<&str> = rules.iter().map(String::as_str).collect();
    assert_eq!(sections, rules, "a section for each rule");
    for rule in rules {
        let fires = tests
            .split(&format!("alertname: {rule}\n"))
            .skip(1)
            .any(|test| test.trim_start().starts_with("exp_alerts:\n"));
        assert!(fires, "{rule}: no promtool test expects it");
        assert!(
            manual.contains(&format!("`{rule}`")),
            "{rule}: docs/alerts.md"
        );
    }
}

#[test]
fn the_manual_names_only_rules_that_are_shipped() {
    let rules = alert_rules();
    for document in documents().iter().filter(|path| *path != "CHANGELOG.md") {
        for quoted in read(document).split('`').skip(1).step_by(2) {
            let is_rule = quoted.strip_prefix("Pegel").is_some_and(|rest| {
                rest.chars().all(|c| c.is_ascii_alphanumeric()) && !rest.is_empty()
            });
            assert!(
                !is_rule || rules.iter().any(|rule| rule == quoted),
                "{document}: {quoted} is not shipped"
            );
        }
    }
}

/// An exporter that has published how a small, odd stream stands at its end.
fn exporter() -> Exporter {
    let mut spec = spec();
    spec.name = "a \"quoted\\name\"".to_owned();
    spec.alerts = vec![AlertSpec {
        statistic: Statistic::Js,
        thresholds: Thresholds {
            warning: Some(0.01),
            critical: Some(0.9),
        },
        budget: None,
        for_evaluations: 1,
        keep_firing_for: 0,
        features: None,
    }];
    let mut text = String::new();
    for i in 0..600 {
        let x = if i % 50 == 0 {
            "null".to_owned()
        } else {
            (i * 2).to_string()
        };
        text += &record(
            at(12, 0, i),
            &x,
            if i % 3 == 0 { "\"xx\"" } else { "\"de\"" },
        );
    }
    let (_, monitors) = replay(&text, vec![plan(spec)]);
    let exporter = Exporter::new(["data"].into_iter(), 20_000);
    exporter.publish(EngineView {
        generation: 1,
        monitors,
        sources: Vec::new(),
    });
    exporter
}

fn golden() -> String {
    let text = String::from_utf8(exporter().scrape(false)).unwrap();
    let is_own = |line: &&str| !line.contains("process_") && !line.starts_with("pegel_build_info");
    text.lines()
        .filter(is_own)
        .map(|line| line.to_owned() + "\n")
        .collect()
}

#[test]
fn the_golden_scrape_pins_names_help_and_values() {
    assert_eq!(
        golden(),
        read("tests/fixtures/scrape.txt"),
        "`cargo test -- --ignored write` renews it"
    );
}

/// A scrape in the middle of a start resolved alerts and showed counters that had gone back.
#[test]
fn a_scrape_while_the_log_is_read_says_so_and_has_no_series_of_monitors() {
    let exporter = exporter();
    let recovering = LogReport {
        is_recovering: true,
        ..LogReport::default()
    };
    let during = scrape_with(&exporter, recovering);
    assert!(during.contains("\npegel_recovering 1\n"), "{during}");
    assert!(!during.contains("monitor=\""), "{during}");
    let after = scrape_with(&exporter, LogReport::default());
    assert!(after.contains("\npegel_recovering 0\n"), "{after}");
    for series in ["pegel_alert_active{", "pegel_events_total{"] {
        assert!(after.contains(series), "{after}");
    }
}

/// A scrape with this report of the log.
fn scrape_with(exporter: &Exporter, report: LogReport) -> String {
    exporter.log().store(Arc::new(report));
    String::from_utf8(exporter.scrape(false)).unwrap()
}

#[test]
fn every_series_is_in_the_catalogue_with_its_labels() {
    let text = golden();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let is_own = |metric: &&pegel::export::Metric| match metric.kind {
            MetricType::Histogram => name
                .strip_prefix(metric.name)
                .is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest)),
            _ => metric.name == name,
        };
        assert!(CATALOG.iter().any(|metric| is_own(&metric)), "{name}");
        assert!(!line.contains("NaN"), "{line}");
    }
    assert!(
        text.contains(r#"monitor="a \"quoted\\name\"""#),
        "labels are escaped"
    );
}

#[test]
fn a_compressed_scrape_has_the_same_lines() {
    use std::io::Read as _;
    let exporter = exporter();
    let mut unpacked = String::new();
    let packed = exporter.scrape(true);
    // One member, because curl, wget and browsers drop everything behind the first one: with a
    // member per block they showed a scrape without counters and without `process_*`.
    let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
    decoder.read_to_string(&mut unpacked).unwrap();
    assert!(decoder.into_inner().is_empty(), "nothing behind the member");
    let names = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("process_"))
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        names(&unpacked),
        names(&String::from_utf8(exporter.scrape(false)).unwrap()),
        "same lines"
    );
}

#[test]
fn removed_monitors_are_gone_from_the_next_scrape() {
    let exporter = exporter();
    exporter.publish(EngineView {
        generation: 2,
        monitors: Vec::new(),
        sources: Vec::new(),
    });
    let text = String::from_utf8(exporter.scrape(false)).unwrap();
    assert!(
        !text.contains("pegel_drift_score") && !text.contains("pegel_feature_values_total"),
        "no stale series"
    );
}

#[test]
fn a_score_that_is_not_ready_has_no_series() {
    let mut spec = spec();
    spec.windows[0].min_samples = 10_000;
    let (_, monitors) = replay(
        &(0..600)
            .map(|i| record(at(12, 0, i), "1", "\"de\""))
            .collect::<String>(),
        vec![plan(spec)],
    );
    let exporter = Exporter::new(["data"].into_iter(), 1);
    exporter.publish(EngineView {
        generation: 1,
        monitors,
        sources: Vec::new(),
    });
    let text = String::from_utf8(exporter.scrape(false)).unwrap();
    assert!(!text.contains("pegel_drift_score{"), "no score");
    assert!(
        text.contains("reason=\"too_few_samples\"} 1"),
        "but a reason"
    );
    assert!(
        text.contains("reference=\"training\"} 0"),
        "and score_ready 0"
    );
}
