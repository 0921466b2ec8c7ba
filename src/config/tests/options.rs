//! The table of options against the readers, the manual and the example.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::config::diagnostics::Diagnostics;
use crate::config::reader::Item;
use crate::config::{layers, top_level};

/// Configurations that reach every branch of the readers.
const COMPLETE: [&str; 2] = [
    "version: 1
web: {listen_address: localhost:1}
state: {path: state}
limits: {max_series: 5}
sources:
  events: {kafka: {brokers: [b:9092], topics: [inference], start: latest, properties: {fetch.min.bytes: 1}}, decode: {format: json}}
  times: {kafka: {brokers: [b:9092], topics: [inference], start: {timestamp: 2026-11-01T00:00:00Z}}}
monitors:
  - name: m
    source: events
    select: {where: {path: /model, equals: v3}}
    timestamp: {path: /ts}
    windows: [{name: 1h, size: 1h, slide: 1m}, {size: 15m, slide: 1m}]
    references: [{file: a.json}, {previous: true}, {trailing: {period: 7d}}]
    root: /features
    features:
      - {name: amount, kind: numeric, bins: {edges: [0, 1]}}
      - {name: country, kind: categorical, top: 10}
      - {name: score, kind: numeric, bins: {count: 10}}
      - {name: latency, kind: numeric, bins: {method: hdr, digits: 2, unit: 0.1}}
    statistics: [js]
    alerts:
      - {statistic: js, warning: 0.1, critical: 0.3}
      - {statistic: missing_ratio, features: [amount]}
      - {statistic: ks, features: [amount]}
    volume: {min_events: 200}
    export_bins: all
    silence: 20m
    lateness: {idle_after: 1m}
",
    "version: 1
state: {panes_topic: p}
sources:
  events: {kafka: {brokers: [b:9092], topics: [inference]}}
defaults: {timestamp: {path: /ts}, lateness: {idle_after: 2m}}
monitors:
  - {name: m, source: events, windows: [{size: 15m}], reference: {file: a.json}, alerts: [{statistic: js}]}
",
];

/// Reads a configuration with settings and returns its diagnostics.
fn read(text: &str, settings: &[String]) -> Diagnostics {
    let path = Path::new("/etc/pegel/test.yaml");
    let merged = layers::merge(path, text, &[], settings).unwrap();
    let diagnostics = Diagnostics::default();
    top_level::read(&Item::root(&merged, &diagnostics), Path::new("/etc/pegel"));
    diagnostics
}

/// Every path that the readers of a configuration ask for.
fn asked(text: &str) -> BTreeSet<String> {
    read(text, &[]).asked.take()
}

/// Turns the path of one option into that of the table: indices become `[]`, names of sources `*`.
fn pattern(path: &str) -> String {
    let mut pattern = String::new();
    for key in path.split('.') {
        let name = key.split('[').next().unwrap();
        let key = match pattern.as_str() {
            "" if name == "defaults" && path != "defaults" => "monitors[]".to_owned(),
            "sources" => "*".to_owned(),
            "monitors[]" if name == "reference" && !path.ends_with("reference") => {
                "references[]".to_owned()
            }
            _ if key.contains('[') => format!("{name}[]"),
            _ => key.to_owned(),
        };
        if !pattern.is_empty() {
            pattern.push('.');
        }
        pattern.push_str(&key);
    }
    pattern
}

#[test]
fn the_table_lists_exactly_the_options_that_the_readers_ask_for() {
    let read: BTreeSet<String> = COMPLETE
        .iter()
        .flat_map(|text| asked(text))
        .map(|path| pattern(&path))
        .collect();
    let listed: BTreeSet<String> = OPTIONS
        .iter()
        .map(|option| option.path)
        .chain(RESERVED.iter().map(|option| option.path))
        .map(str::to_owned)
        .collect();
    let unlisted: Vec<&String> = read.difference(&listed).collect();
    let unread: Vec<&String> = listed.difference(&read).collect();
    assert!(unlisted.is_empty(), "read but not listed: {unlisted:?}");
    assert!(unread.is_empty(), "listed but not read: {unread:?}");
}

#[test]
fn each_wrong_value_of_the_table_gives_its_error() {
    let mut paths: BTreeMap<String, Vec<(&str, String)>> = BTreeMap::new();
    for text in COMPLETE {
        for path in asked(text) {
            paths.entry(pattern(&path)).or_default().push((text, path));
        }
    }
    let mut failures = Vec::new();
    for option in OPTIONS {
        for (value, error) in option.errors {
            let messages: BTreeSet<String> = paths[option.path]
                .iter()
                .flat_map(|(text, path)| read(text, &[format!("{path}={value}")]).into_result().0)
                .map(|problem| problem.message)
                .collect();
            if !messages.contains(*error) {
                failures.push(format!("{}: {value}: {messages:#?}", option.path));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_planned_option_is_rejected() {
    let text = format!("{HEAD}{MONITOR}    select: {{}}\n    timestamp: {{}}\n");
    for option in RESERVED {
        let path = option.path.replace("[]", "[0]").replace('*', "s");
        let problems = read(&text, &[format!("{path}=x")]).into_result().0;
        let is_rejected = problems.iter().any(|problem| {
            problem.message == "not supported yet" && pattern(&problem.path) == option.path
        });
        assert!(is_rejected, "{path}: {problems:#?}");
    }
}

/// All values of a parsed configuration at the pattern of an option.
fn values_at<'a>(value: &'a Value, pattern: &str) -> Vec<&'a Value> {
    pattern.split('.').fold(vec![value], |values, key| {
        let name = key.trim_end_matches("[]");
        values
            .into_iter()
            .flat_map(|value| match name {
                "*" => value
                    .as_object()
                    .into_iter()
                    .flat_map(|map| map.values())
                    .collect(),
                _ => value.get(name).into_iter().collect::<Vec<_>>(),
            })
            .flat_map(|value| match key.ends_with("[]") {
                true => value.as_array().into_iter().flatten().collect(),
                false => vec![value],
            })
            .collect()
    })
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn the_defaults_of_the_table_are_those_of_a_minimal_configuration() {
    // Not printed, because a fitted reference or the reader itself takes the default.
    let unprinted = [
        "monitors[].references[].hour_of_week",
        "monitors[].references[].trailing.delay",
        "monitors[].features[].coerce",
        "monitors[].features[].bins",
        "monitors[].features[].top",
    ];
    let minimal = format!(
        "{HEAD}{MONITOR}    timestamp: {{path: /ts}}\n    references: [{{file: a.json}}]\n    alerts: [{{statistic: js}}]\n"
    );
    let in_files = yaml(&print(&load_text(&minimal).unwrap()));
    let on_kafka = format!("{minimal}state: {{panes_topic: p}}\n");
    let on_kafka = yaml(&print(&load_text(&on_kafka).unwrap()));
    for option in OPTIONS {
        let Some(literal) = option.default.literal() else {
            continue;
        };
        let path = option.path;
        let mut values = values_at(&in_files, path);
        if values.is_empty() {
            values = values_at(&on_kafka, path);
        }
        assert_eq!(values.is_empty(), unprinted.contains(&path), "{path}");
        let default = match path {
            "state.path" => yaml("/etc/pegel/state"),
            _ => yaml(&literal),
        };
        assert!(
            values.iter().all(|value| **value == default),
            "{path}: {values:?} instead of {default}"
        );
    }
    assert_eq!(on_kafka["state"]["flush_interval"], "10s", "with a topic");
}

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_manual_is_the_one_rendered_from_the_table() {
    let manual = std::fs::read_to_string(root("docs/configuration.md")).unwrap();
    assert_eq!(
        manual,
        configuration_markdown(),
        "renew it with `cargo test --lib write_the_manual -- --ignored`"
    );
}

#[test]
#[ignore = "writes docs/configuration.md"]
fn write_the_manual() {
    std::fs::write(root("docs/configuration.md"), configuration_markdown()).unwrap();
}

#[test]
fn every_option_of_the_table_has_a_place_in_the_manual() {
    let manual = configuration_markdown();
    for option in OPTIONS {
        let row = format!(
            "| {} | {} | {} |\n",
            option.accepts, option.default, option.meaning
        );
        assert!(manual.contains(&row), "{}", option.path);
    }
}

/// Removes the comment sign of lines such as `# key: value`.
fn uncommented(text: &str) -> String {
    text.lines()
        .map(|line| {
            let indent = &line[..line.len() - line.trim_start().len()];
            let option = line.trim_start().strip_prefix("# ").filter(|option| {
                option.split_once(':').is_some_and(|(key, _)| {
                    key.bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                })
            });
            option.map_or_else(|| line.to_owned(), |option| format!("{indent}{option}")) + "\n"
        })
        .collect()
}

#[test]
fn every_default_is_in_the_example() {
    let path = root("config/pegel.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    parse(&path, &text, &Overrides::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let complete = uncommented(&text);
    parse(&path, &complete, &Overrides::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let (in_force, complete) = (yaml(&text), yaml(&complete));
    for option in OPTIONS {
        let path = option.path;
        let mut values = values_at(&in_force, path);
        // `defaults` is another way to write options of monitors.
        if let Some(path) = path.strip_prefix("monitors[].") {
            values.extend(values_at(&in_force, &format!("defaults.{path}")));
        }
        if !values.is_empty() || option.default == DefaultValue::None {
            continue;
        }
        values = values_at(&complete, path);
        if let Some(path) = path.strip_prefix("monitors[].") {
            values.extend(values_at(&complete, &format!("defaults.{path}")));
        }
        assert!(!values.is_empty(), "{path} is not in config/pegel.yaml");
        if let Some(literal) = option.default.literal() {
            let default = yaml(&literal);
            assert!(
                values.contains(&&default),
                "{path}: commented with {values:?} instead of {default}"
            );
        }
    }
}
