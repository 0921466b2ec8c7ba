//! The series of alerts: the text of an explanation is a label, so it must not change with every
//! evaluation.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use pegel::alert::AlertState;
use pegel::engine::{AlertView, EngineView, MonitorView};
use pegel::export::{Exporter, estimate_series, serve};
use pegel::model::{AlertSpec, BinExport, EventTime, MonitorSpec, NotReady, Statistic, Thresholds};
use pegel::reference::{BlockStatistics, FeatureCalibration};
use serde_json::json;

use crate::support::{MINUTE, at, plan, record, replay, spec};

/// A monitor whose alert on `js` of `c` fires: a third of the values is a category that needs
/// escapes.
fn firing() -> MonitorView {
    let text: String = (0..600)
        .map(|i| {
            let category = if i % 3 == 0 { "\"xx\"" } else { "\"de\"" };
            record(at(12, 0, i), "1", category)
        })
        .collect();
    replay(&text, vec![plan(firing_spec())]).1.remove(0)
}

fn firing_spec() -> MonitorSpec {
    let mut spec = spec();
    spec.alerts = vec![AlertSpec {
        statistic: Statistic::Js,
        thresholds: Thresholds {
            critical: Some(0.05),
            warning: None,
        },
        budget: None,
        for_evaluations: 1,
        keep_firing_for: 0,
        features: Some(vec!["c".to_owned()]),
    }];
    spec
}

fn alert(monitor: &mut MonitorView) -> &mut AlertView {
    let feature = &mut monitor.windows[0].features[1];
    &mut feature.comparisons[0].alerts[0]
}

/// Publishes evaluations of one monitor one after the other.
struct Scrapes {
    exporter: Arc<Exporter>,
    generation: u64,
}

impl Scrapes {
    fn new() -> Self {
        Scrapes {
            exporter: Arc::new(Exporter::new(["data"].into_iter(), 1000)),
            generation: 0,
        }
    }

    /// The lines of `metric` after an evaluation of a window that ends at `end`.
    fn lines(&mut self, metric: &str, monitor: &MonitorView, end: EventTime) -> Vec<String> {
        let mut monitor = monitor.clone();
        monitor.windows[0].end = Some(end);
        self.generation += 1;
        self.exporter.publish(EngineView {
            generation: self.generation,
            monitors: vec![monitor],
            sources: Vec::new(),
        });
        let text = String::from_utf8(self.exporter.scrape(false)).unwrap();
        text.lines()
            .filter(|line| line.starts_with(&format!("{metric}{{")))
            .map(str::to_owned)
            .collect()
    }

    /// The answer of HTTP for a path, with its head.
    fn answer(&self, path: &str) -> String {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(
            listener,
            Arc::clone(&self.exporter),
            None,
            std::future::pending(),
        ));
        let mut connection = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: pegel\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    fn explanation(&mut self, monitor: &MonitorView, end: EventTime) -> String {
        let lines = self.lines("pegel_alert_explanation", monitor, end);
        assert!(lines.len() <= 1, "one firing alert: {lines:?}");
        lines.into_iter().next().unwrap_or_default()
    }
}

#[test]
fn a_firing_alert_is_explained_by_one_series_that_does_not_change_with_every_evaluation() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    let first = scrapes.explanation(&monitor, at(12, 10, 0));
    assert!(
        first.contains(r#"severity="critical",text="fr: 40.0 % -> 0.0 %; js 0."#),
        "{first}"
    );
    assert!(first.ends_with("300 samples\"} 1"), "{first}");

    alert(&mut monitor).value = Some(0.75);
    let after = |minutes: u32| at(12, 10, 0).plus(MINUTE * minutes);
    assert_eq!(scrapes.explanation(&monitor, after(4)), first, "kept");
    let renewed = scrapes.explanation(&monitor, after(5));
    assert!(renewed.contains("js 0.750 bit"), "other events: {renewed}");

    alert(&mut monitor).state = AlertState::Inactive;
    assert_eq!(scrapes.explanation(&monitor, after(6)), "", "resolved");
    alert(&mut monitor).state = AlertState::Firing;
    alert(&mut monitor).value = Some(0.5);
    let again = scrapes.explanation(&monitor, after(7));
    assert!(again.contains("js 0.500 bit"), "a new alert: {again}");
}

/// The numbers of the bins of a metric, in the order of the scrape.
fn bins(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line.split("bin=\"").nth(1).unwrap())
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

/// The values of all samples.
fn values(lines: &[String]) -> Vec<f64> {
    lines
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn bins_are_series_while_an_alert_of_their_feature_fires() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    let end = at(12, 10, 0);
    let mut lines = |metric: &str, monitor: &MonitorView| scrapes.lines(metric, monitor, end);
    let window = lines("pegel_window_bin_ratio", &monitor);
    assert!(
        window
            .iter()
            .all(|line| line.contains("monitor=\"data\",feature=\"c\",segment=\"\",window=\"5m\"")),
        "only the feature that fires: {window:?}"
    );
    assert!(window[2].contains(r#",bin="03",bound="unseen"}"#));
    assert_eq!(bins(&window), ["00", "01", "03"], "`other` is empty");
    assert_eq!(values(&window), [2.0 / 3.0, 0.0, 1.0 / 3.0]);
    let reference = lines("pegel_reference_bin_ratio", &monitor);
    assert_eq!(bins(&reference), bins(&window), "pairs of bars");
    assert_eq!(values(&reference), [0.6, 0.4, 0.0]);

    alert(&mut monitor).state = AlertState::Inactive;
    assert!(lines("pegel_window_bin_ratio", &monitor).is_empty());
    export_bins(&mut monitor, BinExport::All);
    let every = lines("pegel_window_bin_ratio", &monitor);
    assert!(every.iter().any(|line| line.contains("feature=\"x\"")));
    alert(&mut monitor).state = AlertState::Firing;
    export_bins(&mut monitor, BinExport::None);
    assert!(lines("pegel_window_bin_ratio", &monitor).is_empty());
}

fn export_bins(monitor: &mut MonitorView, export: BinExport) {
    let mut spec = (*monitor.spec).clone();
    spec.export_bins = export;
    monitor.spec = Arc::new(spec);
}

/// A source that breaks as a whole would add thousands of series in the middle of an incident.
#[test]
fn bins_of_many_features_that_fire_together_are_limited() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    let (feature, window) = (
        monitor.features[1].clone(),
        monitor.windows[0].features[1].clone(),
    );
    monitor.features = vec![feature; 30];
    for (index, feature) in monitor.features.iter_mut().enumerate() {
        feature.name = format!("c{index:02}");
    }
    monitor.windows[0].features = vec![window; 30];
    let lines = scrapes.lines("pegel_window_bin_ratio", &monitor, at(12, 10, 0));
    let bins_per_feature = 3;
    assert_eq!(lines.len(), 20 * bins_per_feature);
    assert!(lines.iter().all(|line| !line.contains("feature=\"c20\"")));
}

#[test]
fn the_estimate_covers_the_bins_that_can_be_exported() {
    let series_with = |export: BinExport| {
        let mut spec = firing_spec();
        spec.export_bins = export;
        estimate_series(&plan(spec))
    };
    let none = series_with(BinExport::None);
    // A bar for window and reference: 2 categories, `other` and `unseen`; 20 bins and two guards.
    assert_eq!(series_with(BinExport::Firing) - none, 2 * 4, "one rule");
    assert_eq!(series_with(BinExport::All) - none, 2 * (4 + 22));
}

/// A restart shows an alert that is held before it has a score again.
#[test]
fn a_text_without_a_value_never_replaces_one_with_a_value() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    let score = alert(&mut monitor).value.take();
    monitor.windows[0].features[1].comparisons[0].scores = Err(NotReady::Partial);
    let held = scrapes.explanation(&monitor, at(12, 10, 0));
    assert!(
        held.contains("js not ready: part of the window was not counted, the alert is held"),
        "{held}"
    );
    alert(&mut monitor).value = score;
    let explained = scrapes.explanation(&monitor, at(12, 11, 0));
    assert!(explained.contains("fr: 40.0 %"), "{explained}");
    alert(&mut monitor).value = None;
    assert_eq!(scrapes.explanation(&monitor, at(12, 20, 0)), explained);
}

/// The page and the API forgot why an alert fired as soon as its stream was silent.
#[test]
fn a_held_alert_keeps_its_last_explanation_and_says_since_when_it_fires_and_why_it_is_held() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    alert(&mut monitor).since = Some(at(12, 5, 0));
    scrapes.explanation(&monitor, at(12, 10, 0));
    let judged = scrapes.answer("/api/v1/alerts");
    assert!(judged.contains(r#""held":false"#), "{judged}");
    assert!(!judged.contains("last score"), "{judged}");

    alert(&mut monitor).value = None;
    monitor.windows[0].features[1].comparisons[0].scores = Err(NotReady::Silent);
    scrapes.explanation(&monitor, at(12, 20, 0));
    let api = scrapes.answer("/api/v1/alerts");
    let held = "js not ready: the stream is silent, the alert is held; firing since \
                2026-11-01T12:05:00Z; last score: fr: 40.0 % -> 0.0 %; js 0.";
    assert!(
        api.contains(&format!("\"explanation\":\"c: {held}")),
        "{api}"
    );
    assert!(api.contains(r#""held":true"#), "{api}");
    assert!(api.contains(r#""since":"2026-11-01T12:05:00Z""#), "{api}");
    let page = scrapes.answer("/");
    let shown = page.replace("&#62;", ">");
    assert!(shown.contains(&format!("critical: {held}")), "{page}");
}

/// The page did not name them, so a threshold of a reference with an incident had no explanation.
#[test]
fn the_page_names_the_incidents_that_are_left_out_of_a_reference() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    let mut loaded = monitor.references[0].loaded.as_deref().unwrap().clone();
    let blocks: BlockStatistics = serde_json::from_value(json!({
        "window_ms": 300_000, "effective": 30.0, "samples": 500.0, "v": 0.01,
        "design_effect": [], "laws": [], "missing": null, "missing_v": 0.01,
        "incidents": [{"from_ms": 1_793_671_200_000_i64, "until_ms": 1_793_673_000_000_i64}],
    }))
    .unwrap();
    loaded.calibration = vec![FeatureCalibration {
        blocks: vec![blocks],
        ..FeatureCalibration::default()
    }];
    monitor.references[0].loaded = Some(Arc::new(loaded));
    scrapes.explanation(&monitor, at(12, 10, 0));
    let page = scrapes.answer("/");
    let named = "reference training: 2026-11-03 02:00-02:30 differs from the rest of the \
                 reference: left out of the thresholds (1 of 2 features)";
    assert!(page.contains(named), "{page}");
}

/// Rules that waited for their null tables had no series at all.
#[test]
fn a_budgeted_alert_without_a_threshold_has_a_reason_beside_its_score() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    let mut reasons = |monitor: &MonitorView| -> Vec<String> {
        scrapes
            .lines("pegel_score_not_ready", monitor, at(12, 10, 0))
            .into_iter()
            .filter(|line| line.contains("feature=\"c\""))
            .collect()
    };
    assert_eq!(reasons(&monitor), [""; 0], "judged");
    monitor.windows[0].features[1].comparisons[0].awaits_thresholds = true;
    let [waiting] = &reasons(&monitor)[..] else {
        panic!("one series");
    };
    assert!(waiting.ends_with("reason=\"warming\"} 1"), "{waiting}");
    monitor.windows[0].features[1].comparisons[0].scores = Err(NotReady::Partial);
    let [partial] = &reasons(&monitor)[..] else {
        panic!("one series");
    };
    assert!(partial.ends_with("reason=\"partial\"} 1"), "{partial}");
}

#[test]
fn a_text_from_records_is_escaped_and_cut() {
    let mut monitor = firing();
    monitor.features[1].layout = Some(std::sync::Arc::new(pegel::stats::Layout::Categorical(
        pegel::stats::CategoricalLayout::new(
            vec!["\"}\n\\evil{".repeat(100), "fr".to_owned()],
            Vec::new(),
        ),
    )));
    // The first category is the one that changed most.
    let counts = monitor.windows[0].features[1].counts.as_mut().unwrap();
    std::sync::Arc::make_mut(counts).bins = vec![30, 135, 0, 135];
    let line = Scrapes::new().explanation(&monitor, at(12, 10, 0));
    assert!(line.contains(r#"text="\"} \\evil{\"} \\evil{"#), "{line}");
    let text = line.split("text=\"").nth(1).unwrap();
    assert!(text.chars().count() < 320, "{line}");
}

#[test]
fn a_lower_threshold_is_a_metric_of_its_own() {
    let (mut monitor, mut scrapes) = (firing(), Scrapes::new());
    alert(&mut monitor).lower = Some(0.01);
    let end = at(12, 10, 0);
    let lower = scrapes.lines("pegel_drift_threshold_lower", &monitor, end);
    assert!(lower[0].ends_with("} 0.01"), "{lower:?}");
    alert(&mut monitor).value = Some(0.1);
    let ratio = scrapes.lines("pegel_drift_threshold_ratio", &monitor, end);
    assert!(ratio[0].ends_with("} 2"), "{ratio:?}");
}
