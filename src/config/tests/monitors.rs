//! What a monitor may say: windows, bins, references, alerts.

use super::*;

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
