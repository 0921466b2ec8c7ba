//! Dashboards and rules against the catalogue, and dashboards against themselves.
//!
//! A panel whose query has a misspelt label shows "No data", which looks like good news. So every
//! metric and label of every query is looked up in the catalogue, and every variable, link and
//! column must lead somewhere. The suite `e2e` runs the same queries on real data, and
//! `just dashboards` compares the JSON with the types of Grafana's schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pegel::export::{CATALOG, MetricType};
use serde_json::Value;

const DASHBOARDS: &str = "deploy/grafana/dashboards";
const RULES: &[&str] = &[
    "deploy/prometheus/pegel.rules.yml",
    "deploy/prometheus/pegel.promql.rules.yml",
    "deploy/prometheus/pegel.recording.rules.yml",
];
/// Series of Prometheus itself, and those that its client library adds.
const FOREIGN_METRICS: &[&str] = &[
    "up",
    "ALERTS",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];
/// Labels that Prometheus adds to every series of a target.
const TARGET_LABELS: &[&str] = &["job", "instance", "pod"];
/// Variables that Grafana defines.
const BUILT_IN_VARIABLES: &[&str] = &["__rate_interval", "__url_time_range", "__data", "__all"];
/// Words before a list of labels.
const CLAUSES: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// Columns of Grafana's grid.
const GRID_COLUMNS: u64 = 24;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap()
}

/// The dashboards by file name.
fn dashboards() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(root(DASHBOARDS)).unwrap();
    let dashboards: BTreeMap<String, Value> = files
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    assert_eq!(dashboards.len(), 3, "overview, monitor, operations");
    dashboards
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn uid(dashboard: &Value) -> &str {
    text(dashboard, "/uid")
}

/// All texts inside a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The names of the variables that a dashboard defines.
fn variables(dashboard: &Value) -> BTreeSet<&str> {
    list(dashboard, "/templating/list")
        .iter()
        .map(|variable| text(variable, "/name"))
        .collect()
}

/// A query with its location, and the texts that name its labels.
struct Query {
    location: String,
    expr: String,
    legends: Vec<String>,
}

/// The queries of panels, variables and annotations.
fn queries_of_dashboards() -> Vec<Query> {
    let mut queries = Vec::new();
    for (file, dashboard) in &dashboards() {
        for panel in list(dashboard, "/panels") {
            for target in list(panel, "/targets") {
                queries.push(Query {
                    location: format!("{file}: {}", text(panel, "/title")),
                    expr: text(target, "/expr").to_owned(),
                    legends: vec![text(target, "/legendFormat").to_owned()],
                });
            }
        }
        for annotation in list(dashboard, "/annotations/list") {
            queries.push(Query {
                location: format!("{file}: {}", text(annotation, "/name")),
                expr: text(annotation, "/target/expr").to_owned(),
                legends: vec![text(annotation, "/titleFormat").to_owned()],
            });
        }
        for variable in list(dashboard, "/templating/list") {
            let query = text(variable, "/query/query");
            let Some(inner) = query.strip_prefix("label_values(") else {
                assert_eq!(text(variable, "/type"), "datasource", "{query}");
                continue;
            };
            let (expr, label) = inner.trim_end_matches(')').rsplit_once(", ").unwrap();
            queries.push(Query {
                location: format!("{file}: ${}", text(variable, "/name")),
                expr: expr.to_owned(),
                legends: vec![format!("{{{{{label}}}}}")],
            });
        }
    }
    queries
}

/// The rules of all files with their groups' places.
fn rules() -> Vec<(&'static str, Value)> {
    RULES
        .iter()
        .flat_map(|file| {
            let content: Value = serde_saphyr::from_str(&read(file)).unwrap();
            list(&content, "/groups")
                .iter()
                .flat_map(|group| list(group, "/rules").to_vec())
                .map(|rule| (*file, rule))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn queries_of_rules() -> Vec<Query> {
    rules()
        .into_iter()
        .map(|(file, rule)| Query {
            location: format!(
                "{file}: {}{}",
                text(&rule, "/alert"),
                text(&rule, "/record")
            ),
            expr: text(&rule, "/expr").to_owned(),
            legends: Vec::new(),
        })
        .collect()
}

/// A part of a PromQL expression, as far as these tests tell parts apart.
#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(char),
}

/// The words and signs of an expression, without the contents of strings and without durations.
fn tokens(expr: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expr.chars().peekable();
    while let Some(first) = rest.next() {
        let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$' | '.');
        if first == '"' {
            let mut previous = first;
            while let Some(next) = rest.next_if(|next| *next != '"' || previous == '\\') {
                previous = next;
            }
            assert_eq!(rest.next(), Some('"'), "{expr}: a string ends");
        } else if is_part(&first) {
            let mut word = first.to_string();
            while let Some(next) = rest.next_if(is_part) {
                word.push(next);
            }
            let is_name = first.is_ascii_alphabetic() || first == '_';
            if is_name {
                tokens.push(Token::Word(word));
            }
        } else if !first.is_whitespace() {
            tokens.push(Token::Sign(first));
        }
    }
    tokens
}

/// The labels of a series of the catalogue: `None` where it is not exported.
fn labels_of(name: &str) -> Option<BTreeSet<&'static str>> {
    let metric = CATALOG.iter().find(|metric| match metric.kind {
        MetricType::Histogram => name
            .strip_prefix(metric.name)
            .is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix)),
        MetricType::Gauge | MetricType::Counter => name == metric.name,
    })?;
    let mut labels: BTreeSet<&str> = metric.labels.iter().copied().collect();
    labels.extend(TARGET_LABELS);
    if name.ends_with("_bucket") {
        labels.insert("le");
    }
    Some(labels)
}

/// Series that rules record, with the labels that their names list.
fn recorded_series() -> BTreeMap<String, BTreeSet<String>> {
    rules()
        .iter()
        .map(|(_, rule)| text(rule, "/record").to_owned())
        .filter(|name| !name.is_empty())
        .map(|name| {
            let level = name.split(':').next().unwrap();
            let labels = level.split('_').map(str::to_owned).collect();
            (name, labels)
        })
        .collect()
}

/// The words between brackets that open at `start`, and the index behind them.
fn bracketed(tokens: &[Token], start: usize, close: char) -> (Vec<&str>, usize) {
    let length = tokens[start..]
        .iter()
        .position(|token| *token == Token::Sign(close))
        .unwrap();
    let words = tokens[start..start + length]
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            Token::Sign(_) => None,
        })
        .collect();
    (words, start + length + 1)
}

/// The labels that texts name between double braces.
fn labels_in(legends: &[String]) -> Vec<String> {
    legends
        .iter()
        .flat_map(|legend| legend.split("{{").skip(1))
        .filter_map(|rest| rest.split("}}").next())
        .map(str::to_owned)
        .collect()
}

/// The mistakes of a query: metrics that are not exported, and labels that they do not have.
fn mistakes(query: &Query, recorded: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let tokens = tokens(&query.expr);
    let mut known: BTreeSet<String> = TARGET_LABELS.iter().map(|&label| label.into()).collect();
    let mut matched: Vec<(String, String)> = Vec::new();
    let mut grouped: Vec<String> = Vec::new();
    let mut mistakes = Vec::new();
    let mut series = 0;
    let mut index = 0;
    while index < tokens.len() {
        let Token::Word(word) = &tokens[index] else {
            index += 1;
            continue;
        };
        let next = tokens.get(index + 1);
        index += 1;
        if CLAUSES.contains(&word.as_str()) && next == Some(&Token::Sign('(')) {
            let (labels, end) = bracketed(&tokens, index, ')');
            grouped.extend(labels.into_iter().map(str::to_owned));
            index = end;
            continue;
        }
        let is_selector = next == Some(&Token::Sign('{'));
        if !is_selector && !word.contains("pegel_") && !FOREIGN_METRICS.contains(&word.as_str()) {
            continue;
        }
        series += 1;
        let labels: Option<BTreeSet<String>> = labels_of(word)
            .map(|labels| labels.into_iter().map(str::to_owned).collect())
            .or_else(|| recorded.get(word).cloned());
        let is_foreign = FOREIGN_METRICS.contains(&word.as_str());
        if labels.is_none() && !is_foreign {
            mistakes.push(format!("{}: {word} is not exported", query.location));
        }
        known.extend(labels.iter().flatten().cloned());
        if is_selector {
            let (names, end) = bracketed(&tokens, index, '}');
            matched.extend(
                names
                    .into_iter()
                    .filter(|name| labels.as_ref().is_some_and(|has| !has.contains(*name)))
                    .map(|name| (word.clone(), name.to_owned())),
            );
            index = end;
        }
    }
    if series == 0 {
        mistakes.push(format!("{}: no series in {}", query.location, query.expr));
    }
    for (metric, label) in matched {
        mistakes.push(format!("{}: {metric} has no label {label}", query.location));
    }
    for label in grouped.into_iter().chain(labels_in(&query.legends)) {
        if !known.contains(&label) {
            mistakes.push(format!("{}: no metric has {label}", query.location));
        }
    }
    mistakes
}

#[test]
fn queries_use_metrics_and_labels_of_the_catalogue() {
    let recorded = recorded_series();
    let queries: Vec<Query> = queries_of_dashboards()
        .into_iter()
        .filter(|query| !query.expr.is_empty())
        .chain(queries_of_rules())
        .collect();
    assert!(queries.len() > 100, "{} queries", queries.len());
    let mistakes: Vec<String> = queries
        .iter()
        .flat_map(|query| mistakes(query, &recorded))
        .collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn a_misspelt_metric_and_a_misspelt_label_are_found() {
    let mistakes_of = |expr: &str, legend: &str| {
        let query = Query {
            location: "test".to_owned(),
            expr: expr.to_owned(),
            legends: vec![legend.to_owned()],
        };
        mistakes(&query, &BTreeMap::new())
    };
    let good = r#"max by (monitor) (pegel_drift_score{job=~"$job",statistic="js"} > 0.1)"#;
    assert!(mistakes_of(good, "{{monitor}}").is_empty());
    for (expr, legend) in [
        ("pegel_drift_scores", ""),
        (r#"pegel_drift_score{stat="js"}"#, ""),
        ("max by (topic) (pegel_drift_score)", ""),
        ("pegel_drift_score", "{{severity}}"),
        ("pegel_event_delay_seconds", ""),
        ("vector(1)", ""),
    ] {
        assert_eq!(mistakes_of(expr, legend).len(), 1, "{expr} {legend}");
    }
}

#[test]
fn every_panel_has_a_description_a_number_and_a_place_of_its_own() {
    for (file, dashboard) in &dashboards() {
        let mut numbers = BTreeSet::new();
        let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        for panel in list(dashboard, "/panels") {
            let title = text(panel, "/title");
            let location = format!("{file}: {title}");
            assert!(!title.is_empty(), "{location}: no title");
            assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{location}");
            let is_row = panel["type"] == "row";
            let description = text(panel, "/description");
            assert!(
                is_row || description.ends_with('.'),
                "{location}: description"
            );
            let has_unit = panel.pointer("/fieldConfig/defaults/unit").is_some();
            let needs_unit = !["row", "table", "state-timeline"].contains(&text(panel, "/type"));
            assert!(has_unit || !needs_unit, "{location}: unit");
            let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(
                side("x") + side("w") <= GRID_COLUMNS,
                "{location}: too wide"
            );
            for x in side("x")..side("x") + side("w") {
                for y in side("y")..side("y") + side("h") {
                    let below = taken.insert((x, y), title);
                    assert_eq!(below, None, "{location} overlaps");
                }
            }
        }
    }
}

/// The names after a `$` or `${` in a text.
fn variables_in(text: &str) -> Vec<&str> {
    text.split('$')
        .skip(1)
        .filter_map(|rest| {
            let name = rest.trim_start_matches('{');
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &name[..end.unwrap_or(name.len())];
            (!name.is_empty()).then_some(name)
        })
        .collect()
}

#[test]
fn every_variable_that_is_used_is_defined_and_every_defined_one_is_used() {
    for (file, dashboard) in &dashboards() {
        let defined = variables(dashboard);
        let used: BTreeSet<&str> = texts(dashboard)
            .into_iter()
            .flat_map(variables_in)
            .filter(|name| !BUILT_IN_VARIABLES.contains(name))
            .collect();
        assert_eq!(used, defined, "{file}");
        for panel in list(dashboard, "/panels") {
            let repeat = text(panel, "/repeat");
            assert!(repeat.is_empty() || defined.contains(repeat), "{file}");
        }
    }
}

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let dashboards = dashboards();
    let by_uid: BTreeMap<&str, &Value> = dashboards
        .values()
        .map(|dashboard| (uid(dashboard), dashboard))
        .collect();
    assert_eq!(by_uid.len(), dashboards.len(), "each uid once");
    let mut links = 0;
    for (file, dashboard) in &dashboards {
        assert!(uid(dashboard).len() <= 40, "{file}: Grafana's limit");
        assert_eq!(list(dashboard, "/tags"), ["pegel"], "{file}");
        let link = &dashboard["links"][0];
        assert_eq!(list(link, "/tags"), ["pegel"], "{file}: the others");
        assert_eq!(
            (&link["keepTime"], &link["includeVars"]),
            (&true.into(), &true.into())
        );
        for url in texts(dashboard)
            .into_iter()
            .filter(|url| url.starts_with("/d/"))
        {
            let (path, query) = url.split_once('?').unwrap();
            let target = by_uid[path.trim_start_matches("/d/")];
            for name in query
                .split('&')
                .filter_map(|part| part.strip_prefix("var-"))
            {
                let name = name.split('=').next().unwrap();
                assert!(variables(target).contains(name), "{file}: {url}");
            }
            assert!(query.ends_with("${__url_time_range}"), "{file}: {url}");
            links += 1;
        }
    }
    assert!(links > 3, "{links} links of tables");
}

#[test]
fn tables_show_fields_of_their_queries() {
    let labels: BTreeSet<&str> = CATALOG
        .iter()
        .flat_map(|metric| metric.labels)
        .chain(TARGET_LABELS)
        .copied()
        .collect();
    for (file, dashboard) in &dashboards() {
        for panel in list(dashboard, "/panels") {
            let location = format!("{file}: {}", text(panel, "/title"));
            let queries = list(panel, "/targets");
            let values: Vec<String> = match queries {
                [_] => vec!["Value".to_owned()],
                _ => queries
                    .iter()
                    .map(|query| format!("Value #{}", text(query, "/refId")))
                    .collect(),
            };
            let mut headings: BTreeSet<&str> = BTreeSet::new();
            for transformation in list(panel, "/transformations") {
                let options = &transformation["options"];
                for name in ["renameByName", "indexByName"] {
                    for field in options[name]
                        .as_object()
                        .into_iter()
                        .flat_map(|map| map.keys())
                    {
                        let is_field = labels.contains(field.as_str()) || values.contains(field);
                        assert!(is_field, "{location}: {field}");
                    }
                }
                headings.extend(texts(&options["renameByName"]));
            }
            for rule in list(panel, "/fieldConfig/overrides") {
                if rule["matcher"]["id"] == "byName" {
                    let name = text(rule, "/matcher/options");
                    assert!(headings.contains(name), "{location}: {name}");
                }
            }
            for sorted in list(panel, "/options/sortBy") {
                assert!(
                    headings.contains(text(sorted, "/displayName")),
                    "{location}"
                );
            }
        }
    }
}

#[test]
fn provisioning_files_are_those_that_grafana_reads() {
    let parse = |file: &str| -> Value {
        serde_saphyr::from_str(&read(&format!("deploy/grafana/provisioning/{file}"))).unwrap()
    };
    let sources = parse("datasources/prometheus.yaml");
    let providers = parse("dashboards/pegel.yaml");
    assert_eq!(
        (&sources["apiVersion"], &providers["apiVersion"]),
        (&1.into(), &1.into())
    );
    assert_eq!(text(&sources, "/datasources/0/type"), "prometheus");
    assert_eq!(text(&providers, "/providers/0/type"), "file");
    let folder = text(&providers, "/providers/0/options/path");
    let manual = read("deploy/grafana/README.md");
    assert!(manual.contains(folder), "the manual copies into {folder}");
}

/// A rule with another name would have no runbook, and Alertmanager would not hold it back.
#[test]
fn alerts_that_prometheus_decides_have_the_names_of_those_that_pegel_decides() {
    let names = |wanted: &str| -> BTreeSet<String> {
        rules()
            .iter()
            .filter(|(file, _)| *file == wanted)
            .map(|(_, rule)| text(rule, "/alert").to_owned())
            .collect()
    };
    let (decided, forwarded) = (names(RULES[1]), names(RULES[0]));
    assert!(
        decided.len() >= 5 && decided.is_subset(&forwarded),
        "{decided:?}"
    );
    let tests = read("deploy/prometheus/promql_rules_test.yml");
    for name in decided {
        assert!(
            tests.contains(&format!("alertname: {name}\n")),
            "{name}: no test"
        );
    }
}

#[test]
fn recorded_series_are_named_after_their_labels() {
    for (name, labels) in recorded_series() {
        let rule = rules()
            .into_iter()
            .find(|(_, rule)| text(rule, "/record") == name);
        let (_, rule) = rule.unwrap();
        let clause = text(&rule, "/expr")
            .split(['(', ')'])
            .nth(1)
            .unwrap()
            .to_owned();
        let grouped: BTreeSet<String> =
            clause.split(',').map(|label| label.trim().into()).collect();
        assert_eq!(grouped, labels, "{name}");
        assert_eq!(name.split(':').count(), 3, "level:metric:operation, {name}");
    }
}
