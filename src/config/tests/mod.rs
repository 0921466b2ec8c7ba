//! The loader from outside: accepted configurations, and one case per kind of problem.

mod monitors;
mod options;

use std::path::Path;
use std::time::Duration;

use super::*;
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

fn load_with(extra: &str) -> Config {
    load_text(&format!("{HEAD}{MONITOR}{extra}"))
        .unwrap_or_else(|problems| panic!("{extra}: {problems}"))
}

/// A configuration without its locations.
fn without_locations(config: Config) -> Config {
    Config {
        source_map: SourceMap::default(),
        ..config
    }
}

/// Adds lines to a valid configuration and expects exactly these problems, without their locations.
fn check(extra: &str, expected: &[&str]) {
    let problems = load_text(&format!("{HEAD}{MONITOR}{extra}"))
        .expect_err(extra)
        .problems;
    let messages: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.path, problem.message))
        .collect();
    assert_eq!(messages, expected, "{extra}");
}

#[test]
fn defaults_replace_missing_options() {
    let config = load_with("");
    let monitor = &config.monitors[0];
    assert_eq!(config.web.listen_address, "127.0.0.1:10987", "address");
    assert_eq!(
        monitor.windows[0].name, "15m",
        "a window is named after its size"
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
fn errors_name_what_would_be_accepted() {
    check(
        "    slides: 3\n",
        &[
            "monitors[0].slides: unknown option, accepted: name, source, select, timestamp, windows, reference, references, root, features, features_from, statistics, alerts, false_alarm_scope, volume, export_bins, silence, lateness, min_coverage, pseudo_count, rows, segment_by, weight, transform, match, missing",
        ],
    );
    check(
        "    rout: /x\n",
        &["monitors[0].rout: unknown option, did you mean \"root\"?"],
    );
    check(
        "    min_coverage: 1.5\n",
        &["monitors[0].min_coverage: expected a number between 0 and 1, found 1.5"],
    );
    check(
        "    root: features\n",
        &[
            "monitors[0].root: expected a JSON pointer such as \"/features/amount\", found \"features\"",
        ],
    );
    check(
        "    statistics: [js, wassertein]\n",
        &["monitors[0].statistics[1]: unknown value \"wassertein\", did you mean \"wasserstein\"?"],
    );
    check(
        "    lateness: {idle_after: 60}\n",
        &[
            "monitors[0].lateness.idle_after: expected a duration with a unit such as \"30s\" or \"15m\", found 60",
        ],
    );
    check(
        "    segment_by: country\n",
        &["monitors[0].segment_by: not supported yet"],
    );
}

#[test]
fn nothing_is_coerced() {
    check(
        "    features_from: 1\n",
        &["monitors[0].features_from: expected a string, found 1"],
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
fn all_problems_are_reported_at_once_with_their_locations() {
    let text = "version: 1\nweb: {listen: here}\nsources: {s: {kafka: {brokers: [b:1], topics: []}}}\nmonitors:\n  - name: m\n    source: s\n    windows: [{size: 90s, slide: 60s}]\n    features:\n      - {name: x, kind: numeric, bins: {edges: [0, 1, 1]}}\n";
    let problems = load_text(text).expect_err("four problems").to_string();
    let expected = "/etc/pegel/test.yaml: 4 problems
  2:15 web.listen: unknown option, did you mean \"listen_address\"?
  3:47 sources.s.kafka.topics: expected at least one topic, found an empty list
  7:22 monitors[0].windows[0].size: expected a whole number of slides of 1m, found \"90s\"
  9:48 monitors[0].features[0].bins.edges: not increasing at index 2 (1 after 1)";
    assert_eq!(problems, expected, "rendered");
}

#[test]
fn broken_syntax_is_reported_with_its_line() {
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
        matches!(toml.problems[0].location, Location::File(2.., _)),
        "{toml}"
    );
}

#[test]
fn a_key_that_occurs_twice_is_named() {
    // The text of the library stood there: "set DuplicateKeyPolicy in Options if acceptable".
    let check = |path: &str, text: &str, expected: &str| {
        let problems = parse(Path::new(path), text, &Overrides::default()).expect_err(text);
        assert_eq!(problems.to_string(), expected);
    };
    let at = |start: &str, key: &str| {
        format!("{start} duplicate key {key:?}, expected each key of a mapping once")
    };
    let yaml = "version: 1\nweb:\n  listen_address: a:1\n  listen_address: b:1\n";
    let expected = at("x.yaml: 1 problem\n  4:3", "listen_address");
    check("x.yaml", yaml, &expected);
    let expected = at("x.toml: 1 problem\n  2:1", "version");
    check("x.toml", "version = 1\nversion = 2\n", &expected);
    // The place stood at the end once more.
    let expected = "x.yaml: 1 problem\n  2:7 mapping values are not allowed in this context";
    check("x.yaml", "version: 1\nweb: b: c\n", expected);
}

#[test]
fn brokers_and_topics_that_kafka_cannot_have_are_rejected() {
    // `localhost` was asked at no port, and a topic with a blank was waited for forever.
    let source = |brokers: &str, topics: &str| {
        format!(
            "version: 1\nsources: {{s: {{kafka: {{brokers: [{brokers}], topics: [{topics}]}}}}}}\n{MONITOR}"
        )
    };
    for brokers in [
        "localhost:9092",
        "\"[::1]:9092\"",
        "\"a:1,b:2\"",
        "\"PLAINTEXT://kafka-0.kafka_b:9092\"",
    ] {
        assert!(load_text(&source(brokers, "a.b-c_1")).is_ok(), "{brokers}");
    }
    for broker in [
        "localhost",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:+1",
        ":9092",
        "::1:9092",
        "a b:9092",
        "http://a:9092",
        "a:1,b",
        "",
    ] {
        // The monitor's source was unknown, too.
        assert_eq!(
            load_text(&source(&format!("{broker:?}"), "t"))
                .expect_err(broker)
                .to_string(),
            format!(
                "/etc/pegel/test.yaml: 1 problem\n  2:33 sources.s.kafka.brokers[0]: expected host:port \
                 such as \"localhost:9092\", found {broker:?}"
            )
        );
    }
    let long = "t".repeat(250);
    for topic in ["e 1", "e/1", "\u{e4}", ".", "..", "", &long] {
        let problems = load_text(&source("b:1", &format!("{topic:?}"))).expect_err(topic);
        assert_eq!(
            problems.problems[0].message,
            format!(
                "expected a topic name of 1 to 249 letters, digits, \".\", \"_\" and \"-\", found \
                 {topic:?}"
            )
        );
        let panes = format!("state: {{panes_topic: {topic:?}}}\n");
        let problems = load_text(&format!("{HEAD}{MONITOR}{panes}")).expect_err(topic);
        assert_eq!(problems.problems[0].path, "state.panes_topic", "{problems}");
    }
    assert!(load_text(&source("b:1", &long[1..])).is_ok(), "249");
}

#[test]
fn a_window_of_too_many_panes_is_rejected() {
    // Millions of panes were accepted. The slide of another window divides the panes, too.
    let window = |windows: &str| {
        format!("{HEAD}{MONITOR}").replace("[{size: 15m, slide: 1m}]", &format!("[{windows}]"))
    };
    let problem = "monitors[0].windows[0].size: expected at most 100000 panes in a window, found \
                   31536000 of 1s: use a longer slide";
    for windows in [
        "{size: 365d, slide: 1s}",
        "{size: 365d, slide: 1h}, {size: 5m, slide: 1s}",
    ] {
        let problems = load_text(&window(windows)).expect_err(windows).to_string();
        assert!(problems.contains(problem), "{problems}");
        assert!(problems.contains(": 1 problem\n"), "{problems}");
    }
    for windows in ["{size: 24h, slide: 1s}", "{size: 60d, slide: 1m}"] {
        assert!(load_text(&window(windows)).is_ok(), "{windows}");
    }
}

#[test]
fn an_infinite_threshold_is_not_a_finite_number() {
    for statistic in ["wasserstein", "js"] {
        check(
            &format!("    alerts: [{{statistic: {statistic}, critical: .inf}}]\n"),
            &["monitors[0].alerts[0].critical: expected a finite number of at least 0, found inf"],
        );
    }
}

#[test]
fn later_layers_win_and_keep_the_case_of_names() {
    let text = format!("{HEAD}{MONITOR}").replace("name: x", "name: UserAge");
    let environment = [
        ("PEGEL__WEB__LISTEN_ADDRESS", "0.0.0.0:1"),
        ("PEGEL__MONITORS__0__MIN_COVERAGE", "0.5"),
        ("PEGELX", "ignored"),
    ]
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
fn a_variable_with_one_underscore_is_reported() {
    // It was ignored without a word.
    let ignored =
        |name: &str, value: &str| ignored_variables(&[(name.to_owned(), value.to_owned())]).pop();
    assert_eq!(
        ignored("PEGEL_WEB_LISTEN_ADDRESS", "0.0.0.0:1").as_deref(),
        Some(
            "environment variable PEGEL_WEB_LISTEN_ADDRESS is ignored, did you mean PEGEL__WEB__LISTEN_ADDRESS?"
        )
    );
    assert_eq!(
        ignored("PEGEL_X", "1").as_deref(),
        Some(
            "environment variable PEGEL_X is ignored: options begin with PEGEL__, as PEGEL__WEB__LISTEN_ADDRESS"
        )
    );
    for name in [
        "PEGEL__WEB__LISTEN_ADDRESS",
        "PEGELX",
        "PEGEL_SERVICE_HOST",
        "PEGEL_TEST_KAFKA",
    ] {
        assert_eq!(ignored(name, "x"), None, "{name}");
    }
    assert_eq!(
        ignored("PEGEL_WEB", "tcp://10.0.0.1:80"),
        None,
        "Kubernetes"
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
fn defaults_are_checked_like_a_monitor() {
    // Nothing below `defaults` was checked unless a monitor took it from there, and a list was
    // ignored.
    let check = |defaults: &str, expected: &[&str]| {
        let problems = load_text(&format!("{HEAD}defaults: {defaults}\n{MONITOR}"))
            .expect_err(defaults)
            .problems;
        let messages: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path, problem.message))
            .collect();
        assert_eq!(messages, expected, "{defaults}");
    };
    check(
        "{windwos: [{size: 1h}]}",
        &["defaults.windwos: unknown option, did you mean \"windows\"?"],
    );
    check(
        "{windows: [{size: 1h, silde: 5m}], lateness: {idle_afer: 1m}}",
        &[
            "defaults.windows[0].silde: unknown option, did you mean \"slide\"?",
            "defaults.lateness.idle_afer: unknown option, did you mean \"idle_after\"?",
        ],
    );
    check(
        "[{windows: [{size: 1h}]}]",
        &["defaults: expected a mapping (key: value), found a list"],
    );
    // What only a monitor as a whole needs may be missing, and it may be elsewhere.
    let text = format!(
        "{HEAD}defaults: {{features: [{{name: y}}], alerts: [{{statistic: js, features: [x]}}]}}\n{MONITOR}"
    );
    load_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn yaml_json_and_toml_give_the_same_configuration() {
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
    let yaml = without_locations(load_with(""));
    assert_eq!(without_locations(read("a.json", json)), yaml, "json");
    assert_eq!(without_locations(read("a.toml", toml)), yaml, "toml");
}

#[test]
fn a_printed_configuration_reads_back_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["pegel.yaml", "minimal.yaml"] {
        let config =
            load(&root.join(name), &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        let again = parse(&root.join(name), &print(&config), &Overrides::default())
            .unwrap_or_else(|problems| panic!("{problems}\n{}", print(&config)));
        assert_eq!(
            without_locations(again),
            without_locations(config),
            "{name}"
        );
    }
}

#[test]
fn the_pane_log_is_in_files_or_on_a_topic() {
    let files = load_with("state: {path: log}\n").state;
    let path = Path::new("/etc/pegel/log");
    assert_eq!(
        files.path.as_deref(),
        Some(path),
        "beside the configuration"
    );
    assert_eq!(files.flush_interval, Duration::from_secs(1), "in files");
    let state = load_with("state: {panes_topic: pegel.panes, path: log}\n").state;
    assert_eq!(state.flush_interval, Duration::from_secs(10), "on a topic");
    let panes = state.panes.expect("a topic");
    assert_eq!(panes.brokers, ["b:9092"], "brokers of the sources");
    assert_eq!(
        (panes.partitions, panes.commits(), panes.snapshots()),
        (9, 8, 8),
        "partitions"
    );
    let state = load_with(
        "state: {panes_topic: p, brokers: [c:9092], panes_partitions: 1, flush_interval: 30s}\n",
    )
    .state;
    let panes = state.panes.expect("a topic");
    assert_eq!(panes.brokers, ["c:9092"], "configured brokers");
    assert_eq!(
        (panes.commits(), panes.snapshots()),
        (1, 0),
        "one partition for both"
    );
    assert_eq!(
        state.flush_interval,
        Duration::from_secs(30),
        "configured interval"
    );
}

#[test]
fn a_pane_log_that_cannot_work_is_rejected() {
    check(
        "state: {panes_topic: p, panes_partitions: 0, snapshot_interval: 2h, brokers: [], flush_interval: 5m}\n",
        &[
            "state.panes_partitions: expected a whole number of at least 1, found 0",
            "state.snapshot_interval: expected a duration between 1s and 1h, found \"2h\"",
            "state.brokers: expected at least one broker, found an empty list",
            "state.flush_interval: expected a duration between 100ms and 1m, found \"5m\"",
        ],
    );
    check(
        "state: {panes_partitions: 3}\n",
        &["state.panes_partitions: has no effect without state.panes_topic"],
    );
    check(
        "    lateness: {stall_after: 20s}\n",
        &[
            ": lateness.stall_after of monitor m is 20s, expected at least 1m 30s: three heartbeats of a partition without records (state.flush_interval, or half of idle_after up to 30s if that is longer)",
        ],
    );
    check(
        "state: {panes_topic: t}\n",
        &[
            "state.panes_topic: \"t\" is a topic of source s, expected a topic that only the pane log uses",
        ],
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
    let expected =
        "state.panes_topic: the sources have different brokers, set state.brokers for this topic";
    assert!(text.contains(expected), "{text}");
}
