//! Options of monitors: windows, bins, references, alerts.

use super::*;

#[test]
fn errors_in_alerts_name_what_would_be_accepted() {
    check(
        "    alerts: [{statistic: js, critical: 1.8}]\n",
        &[
            "monitors[0].alerts[0].critical: js cannot exceed 1 bit, found 1.8: no window would ever be above it",
        ],
    );
    check(
        "    alerts: [{statistic: missing_ratio, critical: 1}]\n",
        &[
            "monitors[0].alerts[0].critical: missing_ratio cannot exceed 1, found 1: no window would ever be above it",
        ],
    );
    check(
        "    alerts: [{statistic: js, critical: 0.1, for: 3m}]\n",
        &[
            "monitors[0].alerts[0].for: expected a number of evaluations, found \"3m\": that is 3 with a slide of 1m",
        ],
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
        &["monitors[0].alerts[0].features[0]: unknown feature \"y\", did you mean \"x\"?"],
    );
    check(
        "    alerts: [{statistic: js, critical: 0.1}, {statistic: js, critical: 0.2}]\n",
        &[
            "monitors[0].alerts[1]: duplicate rule for js: an earlier one has the same severity and features",
        ],
    );
    check(
        "  - {name: m, source: q, windows: [{size: 1m}], features: [{name: x, kind: numeric}]}\n",
        &[
            "monitors[1]: duplicate monitor name \"m\"",
            "monitors[1].source: unknown source \"q\", did you mean \"s\"?",
        ],
    );
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
        "monitors[0].windows[0].size: expected a whole number of slides of 1m, found \"90s\"",
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
        "sources.s.kafka.properties.group.id: cannot be set here: use kafka.group_id",
    );
    swap(
        "topics: [t]",
        "topics: [t, u, t]",
        "sources.s.kafka.topics[2]: topic \"t\" is listed twice, accepted: each topic once",
    );
    swap(
        "topics: [t]",
        "topics: [t], security: {protocol: ssl}",
        "sources.s.kafka.security: not supported yet",
    );
    swap(
        "version: 1",
        "version: 2",
        "version: expected version 1, found 2",
    );
    swap(
        "name: x",
        "name: \"<x>\"",
        "expected a name of 1 to 200 characters",
    );
}

#[test]
fn errors_in_budgets_name_what_would_be_accepted() {
    check(
        "    alerts: [{statistic: js, critical: 0.1, tolerance: 2%}]\n",
        &[
            "monitors[0].alerts[0].tolerance: belongs to a calibrated threshold, remove it or \"warning\" and \"critical\"",
        ],
    );
    check(
        "    alerts: [{statistic: js, false_alarm_interval: 0s}]\n",
        &[
            "monitors[0].alerts[0].false_alarm_interval: expected a duration above 0 such as \"30d\", found \"0s\"",
        ],
    );
    check(
        "    alerts: [{statistic: psi}, {statistic: js}]\n    pseudo_count: 0\n",
        &[
            "monitors[0].pseudo_count: without a pseudo-count psi can be infinite and has no calibrated threshold, expected a number above 0, or \"warning\" or \"critical\" for its alerts",
        ],
    );
    check(
        "    alerts: [{statistic: js, tolerance: 2 apples}]\n",
        &[
            "monitors[0].alerts[0].tolerance: expected a number such as 0.01, standard deviations such as \"0.2std\", or a share such as \"2%\", found \"2 apples\"",
        ],
    );
    check(
        "    alerts: [{statistic: missing_ratio, tolerance: 0.2std}]\n",
        &[
            "monitors[0].alerts[0].tolerance: expected a share such as \"0.5%\", found \"0.2std\": a rate has no standard deviations",
        ],
    );
    check(
        "    alerts: [{statistic: js}, {statistic: js, critical: 0.2}]\n",
        &[
            "monitors[0].alerts[1]: duplicate rule for js: an earlier one has the same severity and features",
        ],
    );
    check(
        "    alerts: [{statistic: wasserstein}, {statistic: wasserstein_normalized, tolerance: 0.1}]\n",
        &[
            "monitors[0].alerts[1]: duplicate rule for wasserstein_normalized: an earlier one has the same severity and features",
        ],
    );
}

#[test]
fn a_rule_without_thresholds_has_the_default_budget() {
    use crate::model::{AlertIndex, Budget, Severity, Statistic, Tolerance};
    let config = load_with(
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
    let rule = AlertIndex::new(alerts).alert_for("x", Statistic::Js, Severity::Warning);
    assert_eq!(rule, Some(&alerts[1]), "by severity");
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
fn references_come_from_files_and_from_the_stream() {
    let config = load_with(
        "    references:
      - {file: a.json}
      - {file: a.json, hour_of_week: true}
      - {previous: true}
      - {name: last_week, trailing: {period: 7d, delay: 1h}}
",
    );
    let references = &config.monitors[0].references;
    let names: Vec<&str> = references
        .iter()
        .map(|reference| reference.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["training", "hour_of_week", "previous", "last_week"],
        "names"
    );
    let rolling = |period, delay| Origin::Rolling(Rolling { period, delay });
    assert_eq!(
        references[2].origin,
        rolling(None, Duration::ZERO),
        "previous"
    );
    let (week, hour) = (Duration::from_secs(604_800), Duration::from_secs(3600));
    assert_eq!(references[3].origin, rolling(Some(week), hour), "trailing");
    let again = load_text(&print(&config)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(again.monitors, config.monitors, "printed and read again");
}

#[test]
fn errors_in_references_name_what_would_be_accepted() {
    let one_of = "expected exactly one of \"file\" (made by `pegel fit`), \"previous: true\" and \"trailing: {period: 7d, delay: 1d}\"";
    let first = |message: &str| format!("monitors[0].references[0]: {message}");
    let check = |references: &str, expected: &str| {
        check(&format!("    references: [{references}]\n"), &[expected]);
    };
    check("{name: a}", &first(one_of));
    check("{file: a.json, previous: true}", &first(one_of));
    check(
        "{previous: true}",
        &first(
            "a rolling reference needs the bins of a fitted one: add a reference with a \"file\"",
        ),
    );
    check(
        "{file: a.json}, {previous: true, hour_of_week: true}",
        "monitors[0].references[1].hour_of_week: \"hour_of_week\" needs a \"file\" made by `pegel fit --hour-of-week`",
    );
    check(
        "{file: a.json}, {trailing: {delay: 1h}}",
        "monitors[0].references[1].trailing: \"period\" is missing, expected a duration such as \"7d\"",
    );
}

#[test]
fn volume_has_fixed_lower_thresholds() {
    let config = load_with("    alerts: [{statistic: samples, warning: 400, critical: 100}]\n");
    let thresholds = config.monitors[0].alerts[0].thresholds;
    assert_eq!(
        thresholds.critical,
        Some(100.0),
        "the lower one is more urgent"
    );
    check(
        "    alerts: [{statistic: samples, warning: 100, critical: 400}]\n",
        &["monitors[0].alerts[0]: \"warning\" (100) must be above \"critical\" (400)"],
    );
    check(
        "    alerts: [{statistic: samples}]\n",
        &[
            "monitors[0].alerts[0]: samples needs a fixed threshold: set \"warning\" or \"critical\" to the smallest number of values that is enough",
        ],
    );
}

#[test]
fn a_list_of_no_features_is_rejected() {
    // It was accepted: a monitor without features, and a rule that applies to nothing.
    let text = format!("{HEAD}{MONITOR}").replace(
        "features: [{name: x, kind: numeric}, {name: c, kind: categorical}]",
        "features: []",
    );
    let problems = load_text(&text).expect_err("no features").to_string();
    assert!(
        problems.contains("monitors[0].features: expected at least one feature, found an empty list: remove it to monitor the features of the references"),
        "{problems}"
    );
    check(
        "    alerts: [{statistic: js, critical: 0.1, features: []}]\n",
        &["monitors[0].alerts[0].features: expected at least one feature, found an empty list"],
    );
}

#[test]
fn a_fixed_and_a_budgeted_rule_of_one_statistic_are_duplicates() {
    // Both were accepted for Wasserstein, whose budget is evaluated on its body; only the first was
    // in force.
    check(
        "    alerts: [{statistic: wasserstein, critical: 3}, {statistic: wasserstein}]\n",
        &[
            "monitors[0].alerts[1]: duplicate rule for wasserstein: an earlier one has the same severity and features",
        ],
    );
}

#[test]
fn the_form_of_the_event_time_is_configured_by_name() {
    use crate::model::TimestampFormat;
    let timestamp = |options: &str| {
        let config = load_with(&format!("    timestamp: {{path: /ts{options}}}\n"));
        let again = load_text(&print(&config)).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(again.monitors, config.monitors, "printed and read again");
        config.monitors[0].timestamp.clone()
    };
    assert_eq!(timestamp("").format, TimestampFormat::Auto, "default");
    for format in TimestampFormat::ALL {
        let spec = timestamp(&format!(", format: {format}"));
        assert_eq!(spec.format, *format, "by name");
    }
    let berlin = timestamp(", format: datetime, zone: Europe/Berlin");
    assert_eq!(berlin.zone.name(), "Europe/Berlin", "zone");
    check(
        "    timestamp: {path: /ts, format: epoch_s, zone: Mars/Phobos}\n",
        &[
            "monitors[0].timestamp.zone: has no effect with format epoch_s, expected auto or datetime",
            "monitors[0].timestamp.zone: unknown time zone \"Mars/Phobos\", expected an IANA name such as Europe/Berlin",
        ],
    );
}

#[test]
fn a_form_without_a_path_is_rejected_unless_it_is_a_default() {
    check(
        "    timestamp: {format: epoch_s, fallback: none}\n",
        &[
            "monitors[0].timestamp.format: has no effect without timestamp.path",
            "monitors[0].timestamp.fallback: has no effect without timestamp.path",
        ],
    );
    load_with("    timestamp: {fallback: kafka}\n");
    let text = format!("{HEAD}defaults: {{timestamp: {{format: epoch_s}}}}\n{MONITOR}");
    load_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
}
