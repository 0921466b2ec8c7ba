//! Lines about the rows of a history that are in no window, and about rules that never judged one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::alert::AlertState;
use crate::batch::replay::UnreadRows;
use crate::engine::{MonitorView, WindowFeatureView, WindowView};
use crate::model::NotReady;

/// Returns a line about the rows of a source that could not be read.
pub(crate) fn unread_text(unread: &UnreadRows) -> String {
    let total: u64 = unread.reasons.iter().map(|(_, count)| count).sum();
    let rows = if total == 1 { "row" } else { "rows" };
    format!(
        "source {}: {total} {rows} could not be read ({})",
        unread.source,
        counts_text(&unread.reasons)
    )
}

/// Returns the number of a monitor's events, with those that were late or dropped.
pub(crate) fn events_text(view: &MonitorView) -> String {
    let mut dropped = view.dropped.clone();
    dropped.retain(|(_, count)| *count > 0);
    let dropped = if dropped.is_empty() {
        "none".to_owned()
    } else {
        counts_text(&dropped)
    };
    format!(
        "{} events ({} late, dropped: {dropped})",
        view.events, view.events_late
    )
}

fn counts_text(counts: &[(&'static str, u64)]) -> String {
    let texts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    texts.join(", ")
}

/// Collects what was ready in the evaluations of a replay, and the reasons for the rest.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    scores: Tally,
    rules: Tally,
}

/// Numbers of judgements by outcome.
#[derive(Debug, Default)]
struct Tally {
    ready: u64,
    not_ready: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, reason: Option<NotReady>) {
        match reason {
            None => self.ready += 1,
            Some(reason) => *self.not_ready.entry(reason.reason()).or_default() += 1,
        }
    }

    /// Returns the reasons, most frequent first; `None` if something was ready or nothing is there.
    fn never_ready(&self) -> Option<Vec<(&'static str, u64)>> {
        if self.ready > 0 || self.not_ready.is_empty() {
            return None;
        }
        let mut reasons: Vec<_> = self
            .not_ready
            .iter()
            .map(|(r, count)| (*r, *count))
            .collect();
        reasons.sort_by_key(|(_, count)| Reverse(*count));
        Some(reasons)
    }
}

impl Readiness {
    /// Adds an evaluation.
    pub(crate) fn record(&mut self, window: &WindowView) {
        for comparison in window
            .features
            .iter()
            .flat_map(|feature| &feature.comparisons)
        {
            self.scores.add(comparison.scores.as_ref().err().copied());
        }
        let rules = window.features.iter().flat_map(WindowFeatureView::alerts);
        for alert in rules.chain(&window.volume) {
            self.rules.add(match alert.state {
                AlertState::NotReady(reason) => Some(reason),
                AlertState::Inactive | AlertState::Pending | AlertState::Firing => None,
            });
        }
    }

    /// Returns a line with the reasons if no score was ever ready.
    pub(crate) fn scores_text(&self) -> Option<String> {
        let reasons = self.scores.never_ready()?;
        Some(format!("never ready: {}", counts_text(&reasons)))
    }

    /// Returns the reasons if there are rules and none was ever ready.
    pub(crate) fn idle_rules(&self) -> Option<Vec<&'static str>> {
        let reasons = self.rules.never_ready()?;
        Some(reasons.into_iter().map(|(reason, _)| reason).collect())
    }
}
