//! A monitor ready to run: the user's specification joined with the references that could be
//! loaded.
//!
//! A plan is immutable and shared. A reference that cannot be loaded is a problem of the plan and
//! not an error: the monitor counts and compares whatever else it can.

mod budget_check;
mod feature;
mod hour_of_week;
mod inputs;
mod noise_check;
mod other_check;
mod problem;
mod reference;
mod rule;

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use budget_check::budget_warnings;
pub use feature::FeaturePlan;
pub use hour_of_week::HourOfWeekReference;
use inputs::PlanInputs;
use noise_check::noise_warnings;
use other_check::other_warning;
pub use problem::{PlanProblem, PlanSubject};
pub use reference::{LoadedReference, ReferenceDynamics, ReferencePlan, ReferenceView};
pub use rule::{Rule, ThresholdSource};

use crate::model::{FalseAlarmScope, Kind, MonitorId, MonitorSpec, Statistic};
use crate::panes::identity;
use crate::stats::Layout;

/// A monitor ready to run.
#[derive(Debug, Clone)]
pub struct MonitorPlan {
    /// The key of its counts in the pane log.
    pub id: MonitorId,
    /// The user's specification.
    pub spec: Arc<MonitorSpec>,
    /// Its references, in configuration order.
    pub references: Vec<ReferenceView>,
    /// Listed features first, then those that only a reference has.
    pub features: Vec<FeaturePlan>,
    /// Faults that disable a part of the monitor and leave the rest running.
    pub problems: Vec<PlanProblem>,
    /// Fixed thresholds that noise alone crosses, and features with most values in the bin `other`.
    pub warnings: Vec<String>,
}

impl MonitorPlan {
    /// Joins a monitor with its references.
    ///
    /// `loaded` has one entry for each of `spec.references` that comes from a file, in that order.
    #[must_use]
    pub fn new(spec: MonitorSpec, loaded: Vec<LoadedReference>) -> Self {
        let mut loaded = loaded.into_iter();
        let references: Vec<ReferenceView> = spec
            .references
            .iter()
            .map(|reference| {
                let file = reference.origin.file().and_then(|_| loaded.next());
                ReferenceView::new(reference, file)
            })
            .collect();
        let mut problems = Vec::new();
        let id = identity::monitor(&spec);
        let inputs = PlanInputs::new(id, &spec, &references);
        let mut features: Vec<FeaturePlan> = inputs
            .feature_names()
            .filter_map(|name| FeaturePlan::new(name, &inputs, &mut problems))
            .collect();
        if spec.false_alarm_scope == FalseAlarmScope::Monitor {
            share_the_budget(&spec, &mut features);
        }
        problems.extend(alert_problems(&spec, &features));
        let warnings = references
            .iter()
            .enumerate()
            .filter_map(|(index, reference)| Some((index, reference.loaded.as_ref()?)))
            .flat_map(|(index, reference)| {
                features.iter().flat_map(move |feature| {
                    noise_warnings(feature, &feature.references[index], reference)
                })
            })
            .chain(features.iter().filter_map(other_warning))
            .chain(budget_warnings(&spec))
            .collect();
        MonitorPlan {
            id,
            spec: Arc::new(spec),
            references,
            features,
            problems,
            warnings,
        }
    }

    /// The thresholds that follow from budgets, and the mean time between two false alarms that
    /// they promise in all; `None` without a budget.
    #[must_use]
    pub fn promise(&self) -> Option<(u32, Duration)> {
        let thresholds = self
            .features
            .iter()
            .map(|feature| feature.budgeted_thresholds(&self.spec))
            .fold(0, u32::saturating_add);
        let slides = self.spec.windows.iter().map(|window| window.slide);
        let per_second: f64 = self
            .features
            .iter()
            .map(|feature| {
                slides
                    .clone()
                    .map(|slide| feature.exceedances(slide))
                    .sum::<f64>()
            })
            .sum();
        let interval = Duration::try_from_secs_f64((1.0 / per_second).round()).ok()?;
        (thresholds > 0).then_some((thresholds, interval))
    }

    /// Assesses every statistic of calibrated features, also those without a rule or a series: a
    /// report on a data set shows them all.
    pub fn assess_all(&mut self) {
        for feature in &mut self.features {
            feature.assessed = Statistic::ALL.to_vec();
        }
    }

    /// Name, kind and layout of each feature, for the observer.
    #[must_use]
    pub fn observed(&self) -> Vec<(String, Kind, Option<Arc<Layout>>)> {
        self.features
            .iter()
            .map(|feature| (feature.name.clone(), feature.kind, feature.layout.clone()))
            .collect()
    }
}

/// Divides each budget among all budgeted thresholds of the monitor.
fn share_the_budget(spec: &MonitorSpec, features: &mut [FeaturePlan]) {
    let thresholds = features
        .iter()
        .map(|feature| feature.budgeted_thresholds(spec))
        .fold(0, u32::saturating_add);
    for feature in features {
        feature.budget_shares = thresholds;
    }
}

/// Rules that name a feature that is not monitored, or that does not have the statistic.
fn alert_problems(spec: &MonitorSpec, features: &[FeaturePlan]) -> Vec<PlanProblem> {
    let mut problems = Vec::new();
    let known: Arc<[String]> = features
        .iter()
        .map(|feature| feature.name.clone())
        .collect();
    let by_name: FxHashMap<&str, &FeaturePlan> = features
        .iter()
        .map(|feature| (feature.name.as_str(), feature))
        .collect();
    for (alert, rule) in spec.alerts.iter().enumerate() {
        let statistic = rule.statistic;
        for name in rule.features.iter().flatten() {
            match by_name.get(name.as_str()) {
                None => problems.push(PlanProblem::AlertOnUnknownFeature {
                    alert,
                    statistic,
                    feature: name.clone(),
                    known: Arc::clone(&known),
                }),
                Some(feature) if !feature.kind.has(statistic) => {
                    problems.push(PlanProblem::AlertOnOtherKind {
                        alert,
                        statistic,
                        feature: name.clone(),
                        kind: feature.kind,
                    });
                }
                Some(_) => {}
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{
        budgeted_alert, fixed, fixed_alert, hour_of_week, plan, previous, reference, spec,
    };
    use crate::model::{BinsSpec, EventTime, FeatureSpec, HdrBins, Severity, Statistic};
    use crate::reference::{Column, FitOptions, Reference, fit};

    const DAY: Duration = Duration::from_secs(86_400);

    fn problems(spec: MonitorSpec, loaded: Vec<LoadedReference>) -> Vec<String> {
        MonitorPlan::new(spec, loaded)
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_feature_without_a_kind_is_a_problem_and_is_left_out() {
        let mut spec = spec(vec![fixed()]);
        let mut unknown = FeatureSpec::new("y", Kind::Numeric);
        unknown.kind = None;
        spec.features.push(unknown);
        let plan = plan(spec);
        assert_eq!(plan.features.len(), 1, "x stays");
        assert!(
            plan.problems[0]
                .to_string()
                .starts_with("feature y: not in reference training, did you mean")
        );
    }

    #[test]
    fn the_features_of_a_reference_are_added_only_on_request() {
        let mut spec = spec(vec![fixed()]);
        spec.features.clear();
        assert!(plan(spec.clone()).features.is_empty());
        spec.features_from_reference = true;
        assert_eq!(plan(spec).features[0].name, "x");
    }

    #[test]
    fn a_reference_fitted_for_another_kind_or_other_edges_is_a_problem() {
        let mut boolean = spec(vec![fixed()]);
        boolean.features[0].kind = Some(Kind::Boolean);
        let boolean = plan(boolean);
        assert!(
            boolean.problems[0]
                .to_string()
                .contains("configured as boolean")
        );
        assert!(boolean.features[0].layout.is_none(), "not scored");
        let mut edges = spec(vec![fixed()]);
        edges.features[0].bins = Some(BinsSpec::Edges(vec![0.0, 1.0]));
        assert!(
            plan(edges).problems[0]
                .to_string()
                .contains("other bin edges")
        );
    }

    #[test]
    fn bins_unlike_those_of_the_reference_are_a_problem() {
        // They were accepted and had no effect: the layout comes from the reference.
        let problems = |bins: BinsSpec, fitted: Option<usize>| -> Vec<String> {
            let mut spec = spec(vec![fixed()]);
            spec.features[0].bins = Some(bins);
            problems(spec, vec![Ok(reference(fitted))])
        };
        let hdr = BinsSpec::Hdr(HdrBins {
            digits: 2,
            unit: 0.5,
        });
        assert_eq!(
            problems(BinsSpec::Count(10), None),
            [
                "feature x: expected \"bins\" as in the reference, 20, found 10; or fit it again with \
                 this configuration"
            ]
        );
        assert_eq!(
            problems(hdr, Some(8)),
            [
                "feature x: expected \"bins\" as in the reference, 8, found {method: hdr, digits: 2, \
                 unit: 0.5}; or fit it again with this configuration"
            ]
        );
        assert!(
            problems(BinsSpec::Count(20), None).is_empty(),
            "the default"
        );
        assert!(
            problems(BinsSpec::Count(8), Some(8)).is_empty(),
            "as fitted"
        );
    }

    #[test]
    fn top_unlike_the_categories_of_the_reference_is_a_problem() {
        let words = Column {
            categories: [("a", 9), ("b", 7), ("c", 1)]
                .into_iter()
                .map(|(name, count)| (name.into(), count))
                .collect(),
            ..Column::default()
        };
        let word = fit("c", Kind::Categorical, words, &FitOptions::default()).unwrap();
        let file = Arc::new(Reference::new(EventTime::MIN, 17, vec![word]));
        let with = |edit: &dyn Fn(&mut FeatureSpec)| {
            let mut spec = spec(vec![fixed()]);
            spec.features = vec![FeatureSpec::new("c", Kind::Categorical)];
            edit(&mut spec.features[0]);
            problems(spec, vec![Ok(Arc::clone(&file))])
        };
        assert!(
            with(&|feature| feature.top = Some(2)).is_empty(),
            "as fitted"
        );
        assert_eq!(
            with(&|feature| feature.top = Some(1)),
            [
                "feature c: expected \"top\" as in the reference, 2, found 1; or fit it again with this \
                 configuration"
            ]
        );
        assert_eq!(with(&|feature| feature.top = Some(3)).len(), 1, "all three");
        let bins = with(&|feature| (feature.kind, feature.bins) = (None, Some(BinsSpec::Count(9))));
        assert_eq!(
            bins,
            ["feature c: \"bins\" has no effect on a categorical feature"]
        );
    }

    #[test]
    fn an_alert_on_a_feature_without_its_statistic_is_a_problem() {
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![fixed_alert(Statistic::UnseenRatio, 0.1)];
        spec.alerts[0].features = Some(vec!["x".to_owned()]);
        assert_eq!(
            problems(spec, vec![Ok(reference(None))]),
            ["alert on unseen_ratio: unseen_ratio does not exist for numeric features such as x"]
        );
    }

    #[test]
    fn a_listed_feature_that_no_loaded_reference_has_is_a_problem() {
        // It was never ready for `no_reference` although the reference was loaded.
        let mut spec = spec(vec![fixed()]);
        spec.features[0].name = "xx".to_owned();
        assert_eq!(
            problems(spec.clone(), vec![Ok(reference(None))]),
            ["feature xx: not in reference training, did you mean \"x\"?"]
        );
        let missing = vec![Err("gone.json: cannot be read".to_owned())];
        assert!(
            problems(spec, missing).is_empty(),
            "the file may come later"
        );
    }

    #[test]
    fn a_second_reference_must_share_the_layout_of_the_first() {
        let mut second = fixed();
        second.name = "second".to_owned();
        let loaded = vec![Ok(reference(None)), Ok(reference(Some(8)))];
        let plan = MonitorPlan::new(spec(vec![fixed(), second]), loaded);
        assert!(
            plan.problems[0]
                .to_string()
                .contains("reference second has another layout")
        );
        let [first, second] = &plan.features[0].references[..] else {
            panic!("two references");
        };
        assert!(first.scorer.is_some() && second.scorer.is_none());
    }

    #[test]
    fn a_budget_is_divided_among_all_thresholds_of_the_monitor() {
        let mut spec = spec(vec![fixed(), previous()]);
        spec.alerts = vec![
            budgeted_alert(Statistic::Js),
            budgeted_alert(Statistic::MissingRatio),
        ];
        let windows = u32::try_from(spec.windows.len()).unwrap();
        let whole = plan(spec.clone());
        let feature = &whole.features[0];
        assert_eq!(feature.budget_shares, 2 * 2 * windows, "two by two each");
        spec.false_alarm_scope = FalseAlarmScope::Feature;
        let apart = plan(spec);
        assert_eq!(apart.features[0].budget_shares, 2, "two statistics");
        let (month, hour) = (DAY * 30, Duration::from_secs(3600));
        let near = |alpha: f64, expected: f64| (alpha - expected).abs() < 1e-12;
        let alpha = |step| apart.features[0].alpha(month, step);
        assert!(near(alpha(Some(hour)), 1.0 / 720.0 / 2.0), "24 a day");
        assert!(near(alpha(Some(DAY)), 0.005), "1/30 is too often");
        assert!(near(alpha(None), 0.005), "a single window");
        let shared = feature.alpha(month, Some(hour));
        let expected = 1.0 / 720.0 / f64::from(4 * windows);
        assert!(near(shared, expected), "{shared}");
    }

    #[test]
    fn an_alert_on_an_unknown_feature_is_a_problem() {
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![fixed_alert(Statistic::Js, 0.1)];
        spec.alerts[0].features = Some(vec!["z".to_owned()]);
        assert_eq!(
            problems(spec, vec![Ok(reference(None))]),
            ["alert on js: feature z is not monitored, did you mean \"x\"?"]
        );
    }

    #[test]
    fn a_file_without_hours_cannot_serve_by_hour_of_the_week() {
        let mut file = Reference::clone(&reference(None));
        file.profiles = None;
        let plan = MonitorPlan::new(spec(vec![hour_of_week()]), vec![Ok(Arc::new(file))]);
        let problem = plan.references[0].problem.as_deref().unwrap();
        assert!(problem.contains("--hour-of-week"), "{problem}");
        assert!(plan.references[0].loaded.is_none());
    }

    #[test]
    fn each_reference_has_its_dynamics_and_the_file_its_null_model() {
        let mut spec = spec(vec![fixed(), previous(), hour_of_week()]);
        spec.alerts = vec![budgeted_alert(Statistic::Js)];
        let plan = plan(spec);
        let [fixed, previous, hours] = &plan.features[0].references[..] else {
            panic!("three references");
        };
        assert!(fixed.dynamics.is_none() && fixed.null_model.is_some());
        assert!(matches!(
            previous.dynamics.as_deref(),
            Some(ReferenceDynamics::Rolling { .. })
        ));
        assert!(previous.scorer.is_none(), "no file of its own");
        assert!(matches!(
            hours.dynamics.as_deref(),
            Some(ReferenceDynamics::HourOfWeek(_))
        ));
    }

    #[test]
    fn a_feature_without_a_budget_needs_no_null_model() {
        let plan = plan(spec(vec![fixed()]));
        assert!(!plan.features[0].is_calibrated());
        assert!(plan.features[0].references[0].null_model.is_none());
    }

    #[test]
    fn a_budget_on_wasserstein_in_two_units_is_one_rule() {
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![
            budgeted_alert(Statistic::Wasserstein),
            budgeted_alert(Statistic::WassersteinNormalized),
            fixed_alert(Statistic::Wasserstein, 3.0),
        ];
        spec.alerts[2].thresholds.warning = Some(1.0);
        spec.alerts[2].thresholds.critical = None;
        let plan = plan(spec);
        let feature = &plan.features[0];
        let rules: Vec<_> = feature
            .rules
            .iter()
            .map(|rule| (rule.statistic, rule.severity))
            .collect();
        assert_eq!(
            rules,
            [
                (Statistic::Wasserstein, Severity::Warning),
                (Statistic::WassersteinBody, Severity::Critical),
            ],
            "a fixed threshold keeps the raw score"
        );
        assert_eq!(feature.budgeted_statistics, 1);
        let ThresholdSource::Budget { interval, .. } = feature.rules[1].threshold_source else {
            panic!("budgeted");
        };
        assert_eq!(interval, Duration::from_secs(30 * 86_400));
    }

    #[test]
    fn a_fixed_threshold_below_the_noise_is_a_warning() {
        let mut calibrated = spec(vec![fixed()]);
        calibrated.alerts = vec![budgeted_alert(Statistic::Js)];
        let null_model = plan(calibrated).features[0].references[0]
            .null_model
            .clone();
        let null_model = null_model.unwrap();
        null_model.prepare(64);
        let mut file = Reference::clone(&reference(None));
        file.calibration = vec![null_model.to_stored()];
        let file = Arc::new(file);
        let warnings = |critical| {
            let mut spec = spec(vec![fixed()]);
            spec.alerts = vec![fixed_alert(Statistic::Js, critical)];
            MonitorPlan::new(spec, vec![Ok(Arc::clone(&file))]).warnings
        };
        assert!(warnings(0.5).is_empty(), "far above the noise");
        let [warning] = &warnings(1e-6)[..] else {
            panic!("one warning");
        };
        assert!(
            warning.contains("not below the critical threshold"),
            "{warning}"
        );
    }
}
