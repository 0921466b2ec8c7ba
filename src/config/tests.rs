//! The loader from outside: what is accepted, and one case per class of mistake.

use super::*;
use std::time::Duration;

use crate::model::{BinsSpec, Kind, Origin, Rolling, StartAt};

const HEAD: &str = "version: 1\nsources: {s: {kafka: {brokers: [b:9092], topics: [t]}}}\n";
const MONITOR: &str = "monitors:\n  - name: m\n    source: s\n    windows: [{size: 15m, slide: 1m}]\n    features: [{name: x, kind: numeric}, {name: c, kind: categorical}]\n";

fn load_text(text: &str) -> Result<Config, Problems> {
    parse(
        Path::new("/etc/pegel/test.yaml"),
        text,
        &Overrides::default(),
    )
}

fn good(extra: &str) -> Config {
    load_text(&format!("{HEAD}{MONITOR}{extra}"))
        .unwrap_or_else(|problems| panic!("{extra}: {problems}"))
}

/// Adds lines to a good configuration and expects exactly these problems, without their places.
fn check(extra: &str, expected: &[&str]) {
    let problems = load_text(&format!("{HEAD}{MONITOR}{extra}"))
        .expect_err(extra)
        .problems;
    let found: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.path, problem.message))
        .collect();
    assert_eq!(found, expected, "{extra}");
}

#[test]
fn defaults_fill_what_is_not_said() {
    let config = good("");
    let monitor = &config.monitors[0];
    assert_eq!(config.web.listen_address, "127.0.0.1:10987", "address");
    assert_eq!(
        monitor.windows[0].name, "15m",
        "a window is called by its size"
    );
    assert_eq!(
        (monitor.windows[0].min_samples, monitor.min_coverage),
        (500, 0.9),
        "numbers"
    );
    assert_eq!(monitor.features[0].kind, Some(Kind::Numeric), "kind");
    assert!(
        monitor.timestamp.fallback_kafka && monitor.timestamp.path.is_none(),
        "Kafka's time"
    );
    assert_eq!(config.sources[0].kafka.start, StartAt::Latest, "start");
}

#[test]
fn mistakes_in_options_say_what_would_be_accepted() {
    check(
        "    slides: 3\n",
        &[
            "monitors[0].slides: unknown option, accepted: name, source, select, timestamp, windows, reference, references, root, features, features_from, statistics, alerts, lateness, min_coverage, pseudo_count, rows, segment_by, weight, transform, match, missing",
        ],
    );
    check(
        "    rout: /x\n",
        &["monitors[0].rout: unknown option, did you mean \"root\"?"],
    );
    check(
        "    min_coverage: 1.5\n",
        &["monitors[0].min_coverage: expected a share between 0 and 1, found 1.5"],
    );
    check(
        "    root: features\n",
        &[
            "monitors[0].root: expected a JSON pointer that begins with a slash, as \"/features/amount\", found \"features\"",
        ],
    );
    check(
        "    statistics: [js, wassertein]\n",
        &["monitors[0].statistics[1]: unknown value \"wassertein\", did you mean \"wasserstein\"?"],
    );
    check(
        "    lateness: {idle_after: 60}\n",
        &[
            "monitors[0].lateness.idle_after: expected a duration with its unit, as \"30s\" or \"15m\", found 60",
        ],
    );
    check(
        "    segment_by: country\n",
        &["monitors[0].segment_by: not supported yet"],
    );
}

#[test]
fn mistakes_in_alerts_say_what_would_be_accepted() {
    check(
        "    alerts: [{statistic: js, critical: 1.8}]\n",
        &["monitors[0].alerts[0].critical: js cannot exceed 1 bit, found 1.8"],
    );
    check(
        "    alerts: [{statistic: js, critical: 0.1, for: 3m}]\n",
        &["monitors[0].alerts[0].for: counts evaluations: 3m is 3 at a slide of 1m"],
    );
    check(
        "    alerts: [{statistic: js, critical: 0.1, for: 0}]\n",
        &["monitors[0].alerts[0].for: expected a whole number of at least 1, found 0"],
    );
    check(
        "    alerts: [{statistic: js, warning: 0.2, critical: 0.1}]\n",
        &["monitors[0].alerts[0]: \"warning\" (0.2) must be below \"critical\" (0.1)"],
    );
    check(
        "    alerts: [{statistic: ks, critical: 0.1, features: [c]}]\n",
        &["monitors[0].alerts[0].features[0]: ks does not exist for categorical features"],
    );
    check(
        "    alerts: [{statistic: ks, critical: 0.1, features: [y]}]\n",
        &["monitors[0].alerts[0].features[0]: no feature \"y\", did you mean \"x\"?"],
    );
    check(
        "    alerts: [{statistic: js, critical: 0.1}, {statistic: js, critical: 0.2}]\n",
        &["monitors[0].alerts[1]: a second rule for js on the same features"],
    );
    check(
        "  - {name: m, source: q, windows: [{size: 1m}], features: [{name: x, kind: numeric}]}\n",
        &[
            "monitors[1]: a second monitor named \"m\"",
            "monitors[1].source: no source \"q\", did you mean \"s\"?",
        ],
    );
}

#[test]
fn nothing_is_coerced() {
    check(
        "    features_from: 1\n",
        &["monitors[0].features_from: expected a text, found 1"],
    );
    for value in ["60.7", "true", "\"60\"", "-1", "1e2"] {
        let text = format!("{HEAD}{MONITOR}")
            .replace("slide: 1m", &format!("slide: 1m, min_samples: {value}"));
        let problems = load_text(&text).expect_err(value).to_string();
        assert!(
            problems.contains("min_samples: expected a whole number of at least 1"),
            "{value}: {problems}"
        );
    }
}

#[test]
fn windows_and_bins_are_checked_as_a_whole() {
    let swap = |from: &str, to: &str, expected: &str| {
        let text = format!("{HEAD}{MONITOR}").replace(from, to);
        let problems = load_text(&text).expect_err(to).to_string();
        assert!(problems.contains(expected), "{to}: {problems}");
    };
    swap(
        "size: 15m",
        "size: 90s",
        "monitors[0].windows[0].size: \"90s\" is not a whole number of 1m slides",
    );
    swap(
        "kind: numeric",
        "kind: numeric, bins: {edges: [0, 0.7, 0.5]}",
        "monitors[0].features[0].bins.edges: not increasing at index 2 (0.5 after 0.7)",
    );
    swap(
        "kind: numeric",
        "kind: numeric, top: 3",
        "monitors[0].features[0].top: only categorical features have \"top\"",
    );
    swap(
        "kind: numeric",
        "kind: numbric",
        "monitors[0].features[0].kind: unknown value \"numbric\", did you mean \"numeric\"?",
    );
    swap(
        "topics: [t]",
        "topics: [t], properties: {group.id: x}",
        "sources.s.kafka.properties.group.id: belongs to the daemon: use kafka.group_id",
    );
    swap(
        "topics: [t]",
        "topics: [t], security: {protocol: ssl}",
        "sources.s.kafka.security: not supported yet",
    );
    swap(
        "version: 1",
        "version: 2",
        "version: this program reads version 1",
    );
    swap(
        "name: x",
        "name: \"<x>\"",
        "expected a name of 1 to 200 characters",
    );
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let text = "version: 1\nweb: {listen: here}\nsources: {s: {kafka: {brokers: [b:1], topics: []}}}\nmonitors:\n  - name: m\n    source: s\n    windows: [{size: 90s, slide: 60s}]\n    features:\n      - {name: x, kind: numeric, bins: {edges: [0, 1, 1]}}\n";
    let problems = load_text(text).expect_err("four mistakes").to_string();
    let expected = "/etc/pegel/test.yaml: 4 problems
  2:15 web.listen: unknown option, did you mean \"listen_address\"?
  3:47 sources.s.kafka.topics: at least one is needed
  7:22 monitors[0].windows[0].size: \"90s\" is not a whole number of 1m slides
  9:48 monitors[0].features[0].bins.edges: not increasing at index 2 (1 after 1)";
    assert_eq!(problems, expected, "rendered");
}

#[test]
fn broken_syntax_says_where() {
    let problems = load_text("version: 1\nweb: {listen_address: [\n").expect_err("cut off");
    assert!(
        problems
            .to_string()
            .starts_with("/etc/pegel/test.yaml: 1 problem\n  "),
        "{problems}"
    );
    let toml = parse(
        Path::new("x.toml"),
        "version = 1\nweb = {\n",
        &Overrides::default(),
    )
    .expect_err("cut off");
    assert!(
        matches!(toml.problems[0].place, Place::File(2.., _)),
        "{toml}"
    );
}

#[test]
fn later_layers_win_and_keep_the_case_of_names() {
    let text = format!("{HEAD}{MONITOR}").replace("name: x", "name: UserAge");
    let environment = [
        ("PEGEL__WEB__LISTEN_ADDRESS", "0.0.0.0:1"),
        ("PEGEL__MONITORS__0__MIN_COVERAGE", "0.5"),
        ("PEGELX", "ignored"),
    ];
    let environment = environment
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let set = vec![
        "web.listen_address=0.0.0.0:2".to_owned(),
        "monitors[0].windows[0].min_samples=7".to_owned(),
    ];
    let config = parse(Path::new("x.yaml"), &text, &Overrides { environment, set }).unwrap();
    assert_eq!(
        config.web.listen_address, "0.0.0.0:2",
        "--set wins over the environment"
    );
    assert_eq!(
        (
            config.monitors[0].min_coverage,
            config.monitors[0].windows[0].min_samples
        ),
        (0.5, 7),
        "into lists"
    );
    assert_eq!(config.monitors[0].features[0].name, "UserAge", "case");
    let wrong = Overrides {
        set: vec!["limits.max_series=many".to_owned()],
        ..Overrides::default()
    };
    let problems = parse(Path::new("x.yaml"), &text, &wrong)
        .expect_err("not a number")
        .to_string();
    assert!(
        problems.contains("--set limits.max_series: limits.max_series: expected a whole number"),
        "{problems}"
    );
}

#[test]
fn defaults_reach_every_monitor_key_by_key() {
    let text = format!(
        "{HEAD}defaults: {{lateness: {{idle_after: 2m, max_future: 1h}}, statistics: [psi]}}\n{MONITOR}    lateness: {{idle_after: 3m}}\n"
    );
    let lateness = load_text(&text).unwrap().monitors[0].lateness;
    assert_eq!(
        (lateness.idle_after.as_secs(), lateness.max_future.as_secs()),
        (180, 3600),
        "merged"
    );
}

#[test]
fn the_formats_say_the_same() {
    let json = r#"{"version":1,"sources":{"s":{"kafka":{"brokers":["b:9092"],"topics":["t"]}}},"monitors":[{"name":"m","source":"s","windows":[{"size":"15m","slide":"1m"}],"features":[{"name":"x","kind":"numeric"},{"name":"c","kind":"categorical"}]}]}"#;
    let toml = "version = 1\n[sources.s.kafka]\nbrokers = ['b:9092']\ntopics = ['t']\n[[monitors]]\nname = 'm'\nsource = 's'\nwindows = [{size = '15m', slide = '1m'}]\nfeatures = [{name = 'x', kind = 'numeric'}, {name = 'c', kind = 'categorical'}]\n";
    let read = |name: &str, text: &str| {
        parse(
            &Path::new("/etc/pegel").join(name),
            text,
            &Overrides::default(),
        )
        .unwrap()
    };
    assert_eq!(read("a.json", json), good(""), "json");
    assert_eq!(read("a.toml", toml), good(""), "toml");
}

#[test]
fn mistakes_in_budgets_say_what_would_be_accepted() {
    check(
        "    alerts: [{statistic: js, critical: 0.1, tolerance: 2%}]\n",
        &[
            "monitors[0].alerts[0].tolerance: goes with a budget, not with a fixed \"warning\" or \"critical\"",
        ],
    );
    check(
        "    alerts: [{statistic: js, false_alarm_interval: 0s}]\n",
        &["monitors[0].alerts[0].false_alarm_interval: expected a duration above 0, as \"30d\""],
    );
    check(
        "    alerts: [{statistic: js, tolerance: 2 apples}]\n",
        &[
            "monitors[0].alerts[0].tolerance: expected a number, as 0.01, standard deviations, as \"0.2std\", or a share, as \"2%\", found \"2 apples\"",
        ],
    );
    check(
        "    alerts: [{statistic: missing_ratio, tolerance: 0.2std}]\n",
        &[
            "monitors[0].alerts[0].tolerance: a rate has no standard deviations: give a share, as \"0.5%\"",
        ],
    );
    check(
        "    alerts: [{statistic: js}, {statistic: js, critical: 0.2}]\n",
        &["monitors[0].alerts[1]: a second rule for js on the same features"],
    );
    check(
        "    alerts: [{statistic: wasserstein}, {statistic: wasserstein_normalized, tolerance: 0.1}]\n",
        &["monitors[0].alerts[1]: a second rule for wasserstein_normalized on the same features"],
    );
}

#[test]
fn a_rule_without_a_line_has_the_default_budget() {
    use crate::model::{Budget, Severity, Statistic, Tolerance};
    let config = good(
        "    alerts: [{statistic: js}, {statistic: js, severity: warning, false_alarm_interval: 1d, tolerance: 0.2std}, {statistic: wasserstein, tolerance: 3}, {statistic: unseen_ratio, tolerance: 0.1%}]\n",
    );
    let alerts = &config.monitors[0].alerts;
    let budgets: Vec<Budget> = alerts.iter().filter_map(|alert| alert.budget).collect();
    assert_eq!(
        budgets[0],
        Budget::default(),
        "one false alarm in 30 days, critical"
    );
    assert_eq!(budgets[1].severity, Severity::Warning, "severity");
    assert_eq!(
        budgets[1].false_alarm_interval.as_secs(),
        86_400,
        "interval"
    );
    let tolerances: Vec<Tolerance> = budgets.iter().map(|budget| budget.tolerance).collect();
    let expected = [
        Tolerance::Default,
        Tolerance::Std(0.2),
        Tolerance::Score(3.0),
        Tolerance::Default,
    ];
    assert_eq!(tolerances, expected, "units");
    let found = config.monitors[0].alert_for("x", Statistic::Js, Severity::Warning);
    assert_eq!(found, Some(&alerts[1]), "by severity");
    let back = load_text(&print(&config)).unwrap();
    assert_eq!(back.monitors[0].alerts, *alerts, "printed and read again");
}

#[test]
fn edges_may_be_infinite() {
    for edges in ["[-.inf, 0, .inf]", "[\"-inf\", 0, \"inf\"]"] {
        let text = format!("{HEAD}{MONITOR}").replace(
            "kind: numeric",
            &format!("kind: numeric, bins: {{edges: {edges}}}"),
        );
        let expected = BinsSpec::Edges(vec![f64::NEG_INFINITY, 0.0, f64::INFINITY]);
        assert_eq!(
            load_text(&text).unwrap().monitors[0].features[0].bins,
            Some(expected),
            "{edges}"
        );
    }
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["pegel.yaml", "minimal.yaml"] {
        let config =
            load(&root.join(name), &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        let again = parse(&root.join(name), &print(&config), &Overrides::default());
        assert_eq!(
            again.unwrap_or_else(|problems| panic!("{problems}\n{}", print(&config))),
            config,
            "{name}"
        );
    }
}

#[test]
fn the_pane_log_is_in_files_or_on_a_topic() {
    let files = good("state: {path: log}\n").state;
    let path = Path::new("/etc/pegel/log");
    assert_eq!(
        files.path.as_deref(),
        Some(path),
        "beside the configuration"
    );
    assert_eq!(files.flush_interval, Duration::from_secs(1), "in files");
    let state = good("state: {panes_topic: pegel.panes, path: log}\n").state;
    assert_eq!(state.flush_interval, Duration::from_secs(10), "on a topic");
    let panes = state.panes.expect("a topic");
    assert_eq!(panes.brokers, ["b:9092"], "those of the sources");
    assert_eq!(
        (panes.partitions, panes.commits(), panes.snapshots()),
        (9, 8, 8),
        "partitions"
    );
    let own = good(
        "state: {panes_topic: p, brokers: [c:9092], panes_partitions: 1, flush_interval: 30s}\n",
    )
    .state;
    let panes = own.panes.expect("a topic");
    assert_eq!(panes.brokers, ["c:9092"], "its own");
    assert_eq!((panes.commits(), panes.snapshots()), (1, 0), "one for both");
    assert_eq!(own.flush_interval, Duration::from_secs(30), "as said");
}

#[test]
fn a_pane_log_that_cannot_work_is_refused() {
    check(
        "state: {panes_topic: p, panes_partitions: 0, snapshot_interval: 2h, brokers: [], flush_interval: 5m}\n",
        &[
            "state.panes_partitions: expected a whole number of at least 1, found 0",
            "state.snapshot_interval: expected between 1s and 1h",
            "state.brokers: at least one is needed",
            "state.flush_interval: expected between 100ms and 60s",
        ],
    );
    check(
        "state: {panes_partitions: 3}\n",
        &["state.panes_partitions: belongs to a pane log on Kafka: it needs state.panes_topic"],
    );
    check(
        "    lateness: {stall_after: 20s}\n",
        &[
            ": lateness.stall_after of monitor m is shorter than three signs of life of a silent partition (one per flush_interval, or half of idle_after up to 30s)",
        ],
    );
    check(
        "state: {panes_topic: t}\n",
        &["state.panes_topic: t is a topic of source s: the pane log needs one of its own"],
    );
    let shared = load_text(&format!(
        "version: 1\nsources: {{s: {{kafka: {{brokers: [b:9092], topics: [t]}}}}, r: {{kafka: {{brokers: [b:9092], topics: [t, u]}}}}}}\n{MONITOR}state: {{panes_topic: p}}\n"
    ));
    let text = shared.expect_err("one group").to_string();
    assert!(text.contains("would share the group \"pegel\""), "{text}");
    let problems = load_text(&format!(
        "version: 1\nsources: {{s: {{kafka: {{brokers: [b:9092], topics: [t]}}}}, r: {{kafka: {{brokers: [c:9092], topics: [t]}}}}}}\n{MONITOR}state: {{panes_topic: p}}\n"
    ));
    let text = problems.expect_err("two clusters").to_string();
    let expected = "state.panes_topic: the sources name different brokers: say in state.brokers where this topic is";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn references_come_from_files_and_from_the_stream() {
    let config = good(
        "    references:
      - {file: a.json}
      - {file: a.json, hour_of_week: true}
      - {previous: true}
      - {name: last_week, trailing: {period: 7d, delay: 1h}}
",
    );
    let found = &config.monitors[0].references;
    let names: Vec<&str> = found.iter().map(|own| own.name.as_str()).collect();
    assert_eq!(
        names,
        ["training", "hour_of_week", "previous", "last_week"],
        "names"
    );
    let rolling = |period, delay| Origin::Rolling(Rolling { period, delay });
    assert_eq!(found[2].origin, rolling(None, Duration::ZERO), "previous");
    let (week, hour) = (Duration::from_secs(604_800), Duration::from_secs(3600));
    assert_eq!(found[3].origin, rolling(Some(week), hour), "trailing");
    let again = load_text(&print(&config)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(again.monitors, config.monitors, "printed and read again");
}

#[test]
fn mistakes_in_references_say_what_would_be_accepted() {
    let one_of = "expected one of \"file\" (made by `pegel fit`), \"previous: true\" and \"trailing: {period: 7d, delay: 1d}\"";
    let first = |message: &str| format!("monitors[0].references[0]: {message}");
    let check = |references: &str, expected: &str| {
        check(&format!("    references: [{references}]\n"), &[expected]);
    };
    check("{name: a}", &first(one_of));
    check("{file: a.json, previous: true}", &first(one_of));
    check(
        "{previous: true}",
        &first(
            "what moves with the stream is counted in the bins of a fitted reference: add one with a \"file\" beside it",
        ),
    );
    check(
        "{file: a.json}, {previous: true, hour_of_week: true}",
        "monitors[0].references[1].hour_of_week: \"hour_of_week\" needs a \"file\" made by `pegel fit --hour-of-week`",
    );
    check(
        "{file: a.json}, {trailing: {delay: 1h}}",
        "monitors[0].references[1].trailing: \"period\" is missing: a duration, as \"7d\"",
    );
}

#[test]
fn volume_has_fixed_lower_lines() {
    let config = good("    alerts: [{statistic: samples, warning: 400, critical: 100}]\n");
    let lines = config.monitors[0].alerts[0].thresholds;
    assert_eq!(lines.critical, Some(100.0), "the lower one is more urgent");
    check(
        "    alerts: [{statistic: samples, warning: 100, critical: 400}]\n",
        &["monitors[0].alerts[0]: \"warning\" (100) must be above \"critical\" (400)"],
    );
    check(
        "    alerts: [{statistic: samples}]\n",
        &[
            "monitors[0].alerts[0]: samples has fixed lower lines and no budget: give \"warning\" or \"critical\", the least that is enough in a window",
        ],
    );
}
