//! What a window is compared with: fitted references, moving ones, and what a window does to those that come after it.

use super::moving::{History, Memory, Mover, Moving, Place};
use super::windows::WindowEngine;
use super::{AlertView, FeaturePlan, MonitorPlan};
use crate::alert::AlertState;
use crate::calibration::NullModel;
use crate::model::NotReady;
use crate::score::Scorer;
use crate::stats::FeatureCounts;
use crate::window::Due;

impl WindowEngine {
    /// Moves references on to the window that is due.
    pub(super) fn move_on(&mut self, due: Due, history: &History<'_>, plan: &MonitorPlan) {
        let Some(window) = plan.spec.windows.get(self.state.index) else {
            return;
        };
        for (feature, (own, moving)) in plan.features.iter().zip(&mut self.moving).enumerate() {
            let place = Place {
                feature,
                window,
                due,
            };
            for (mover, moving) in own.movers.iter().zip(moving) {
                if let (Some(mover), Some(moving)) = (mover, moving) {
                    let is_calibrated = own.budgeted_statistics > 0;
                    moving.advance(mover, &place, history, is_calibrated);
                    moving.settle(mover, plan.spec.pseudo_count, is_calibrated);
                }
            }
        }
    }

    /// Takes over what an earlier process knew of a moving reference.
    pub(super) fn restore_moving(
        &mut self,
        (feature, reference): (usize, usize),
        memory: Memory,
        plan: &MonitorPlan,
    ) {
        let own = &plan.features[feature];
        let pair = (&own.movers[reference], &mut self.moving[feature][reference]);
        if let (Some(mover), Some(moving)) = pair {
            moving.restore(memory);
            moving.settle(mover, plan.spec.pseudo_count, own.budgeted_statistics > 0);
        }
    }

    /// What a feature is compared with now, and the laws it is judged by.
    ///
    /// # Errors
    /// There is nothing to compare with.
    pub(super) fn standard<'a>(
        &'a self,
        index: usize,
        feature: &'a FeaturePlan,
        reference: usize,
    ) -> Result<(&'a Scorer, Option<&'a NullModel>), NotReady> {
        match &self.moving[index][reference] {
            Some(moving) => moving.standard(),
            None => {
                let scorer = feature.scorers[reference].as_ref();
                let calibration = feature.calibrations[reference].as_deref();
                scorer
                    .map(|scorer| (scorer, calibration))
                    .ok_or(NotReady::NoReference)
            }
        }
    }

    /// The calibrations that lack null tables for windows of these counts, by feature: what is worth making on all cores.
    pub(super) fn unprepared<'a>(
        &'a self,
        counts: &[FeatureCounts],
        plan: &'a MonitorPlan,
    ) -> Vec<(&'a NullModel, u64)> {
        let mut found: Vec<(&NullModel, u64)> = Vec::new();
        for (index, (feature, counts)) in plan.features.iter().zip(counts).enumerate() {
            let n = counts.tallies.values;
            let own = (0..plan.references.len()).filter_map(|reference| {
                let (_, calibration) = self.standard(index, feature, reference).ok()?;
                calibration.filter(|own| n > 0 && !own.is_prepared(n))
            });
            for calibration in own {
                if !found
                    .iter()
                    .any(|(known, _)| std::ptr::eq(*known, calibration))
                {
                    found.push((calibration, n));
                }
            }
        }
        found
    }

    /// Leaves the window out of its own rolling references, where it stood above a line of theirs.
    pub(super) fn leave_out_alarms(&mut self, index: usize, plan: &MonitorPlan) {
        let window = plan.spec.windows.get(self.state.index);
        let (Some(window), Some(end)) = (window, self.state.end) else {
            return;
        };
        let state = &self.state.features[index];
        let movers = &plan.features[index].movers;
        let pairs = self.moving[index].iter_mut().zip(movers).enumerate();
        let rolling = pairs.filter(|(_, (_, mover))| matches!(mover, Some(Mover::Rolling { .. })));
        for (reference, (moving, _)) in rolling {
            let is_alarm =
                |line: &AlertView| matches!(line.state, AlertState::Pending | AlertState::Firing);
            let is_alarmed = state.comparisons[reference].alerts.iter().any(is_alarm);
            if let (Some(moving), true, Ok(_)) =
                (moving, is_alarmed, state.comparisons[reference].scores)
            {
                moving.leave_out(end.minus(window.size), end);
            }
        }
    }

    /// The latest window, if it was quiet, teaches the next one. Not sooner: what is shown, and restored, is what was judged.
    pub(super) fn learn_from_last(&mut self, plan: &MonitorPlan) {
        for (index, feature) in plan.features.iter().enumerate() {
            self.learn(index, feature, plan);
        }
    }

    /// A quiet window teaches a reference without time how much windows differ.
    fn learn(&mut self, index: usize, feature: &FeaturePlan, plan: &MonitorPlan) {
        let state = &self.state.features[index];
        let window = plan.spec.windows.get(self.state.index);
        let (Some(window), Some(counts), Some(end)) =
            (window, state.counts.as_deref(), self.state.end)
        else {
            return;
        };
        let samples = counts.tallies.values as f64;
        for reference in 0..plan.references.len() {
            let standard = self.standard(index, feature, reference);
            let calibration = standard.ok().and_then(|(_, calibration)| calibration);
            let is_quiet = state.comparisons[reference]
                .alerts
                .iter()
                .all(|line| line.state == AlertState::Inactive);
            let is_lesson = is_quiet && calibration.is_some_and(NullModel::estimates_online);
            let against = state.comparisons[reference].reference.as_ref();
            if let (Ok(scores), Some(against), true) =
                (&state.comparisons[reference].scores, against, is_lesson)
            {
                let m = against.counts.tallies.values as f64;
                self.learned[index][reference].take(end, window.size, scores, samples, m);
            }
        }
    }
}

/// The moving references of a feature.
pub(super) fn moving(feature: &FeaturePlan) -> Vec<Option<Moving>> {
    let own = |mover: &Option<Mover>| mover.as_ref().map(|_| Moving::new());
    feature.movers.iter().map(own).collect()
}
