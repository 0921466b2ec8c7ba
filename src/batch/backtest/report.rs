//! The report of a backtest: everything that tables and JSON show.

use std::collections::BTreeSet;
use std::time::Duration;

use super::candidates::Candidates;
use super::operating_curve::Backtest;
use super::recommend::{
    CandidateResult, HistoryBudget, Recommendation, candidate_results, recommend,
};
use crate::model::EventTime;

/// The result of `pegel calibrate`.
#[derive(Debug)]
pub(crate) struct BacktestReport {
    pub(crate) candidates: Candidates,
    pub(crate) backtest: Backtest,
    /// First and last end of an evaluated window in which at least one rule was ready.
    pub(crate) ready_span: (EventTime, EventTime),
    /// Number of events in the history.
    pub(crate) events: u64,
    pub(crate) history: HistoryBudget,
    /// Features that alarm under every policy on the unchanged history.
    pub(crate) noisy: BTreeSet<usize>,
    /// Results in the order of the candidates.
    pub(crate) results: Vec<CandidateResult>,
    /// The recommended policy; `None` if no ready feature is quiet.
    pub(crate) recommendation: Option<Recommendation>,
}

impl BacktestReport {
    /// Computes the results of all candidates and the recommendation.
    pub(crate) fn new(
        candidates: Candidates,
        backtest: Backtest,
        ready_span: (EventTime, EventTime),
        events: u64,
        budget: Duration,
    ) -> Self {
        let history = HistoryBudget {
            budget,
            length: ready_span.1.since(ready_span.0),
        };
        let policies: Vec<usize> = candidates
            .list
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.policy.is_some())
            .map(|(index, _)| index)
            .collect();
        let noisy = backtest.never_quiet(&policies);
        let results = candidate_results(&candidates, &backtest, &history, &noisy);
        let has_quiet_feature = policies
            .last()
            .is_some_and(|last| !backtest.ready_features(*last).is_subset(&noisy));
        let recommendation =
            recommend(&candidates, &results, &history).filter(|_| has_quiet_feature);
        BacktestReport {
            candidates,
            backtest,
            ready_span,
            events,
            history,
            noisy,
            results,
            recommendation,
        }
    }

    /// Name of the monitor.
    pub(crate) fn monitor(&self) -> &str {
        self.candidates.spec().map_or("", |spec| &spec.name)
    }

    /// Features for which a policy was ready at least once.
    pub(crate) fn ready_features(&self) -> BTreeSet<usize> {
        self.backtest.ready_features(self.candidates.list.len() - 1)
    }

    /// Name of a feature.
    pub(crate) fn feature_name(&self, feature: usize) -> &str {
        self.candidates
            .features()
            .get(feature)
            .map_or("", |feature| &feature.name)
    }
}
