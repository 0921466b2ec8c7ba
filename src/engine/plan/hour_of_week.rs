//! A feature's reference by hour of the week, with one null model for each hour.
//!
//! A window is compared with a mixture of hours, but its null model is that of one hour: the
//! mixture of each window would need a simulation of each window.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::calibration::NullModel;
use crate::model::EventTime;
use crate::reference::{
    FeatureCalibration, FeatureReference, HOURS, HourMixture, HourOfWeek, dominant,
};
use crate::score::Scorer;

/// Counts of a feature by hour of the week, their clock, and a null model for each hour.
#[derive(Debug)]
pub struct HourOfWeekReference {
    mixture: HourMixture,
    clock: HourOfWeek,
    pseudo_count: f64,
    hash: String,
    stored: FeatureCalibration,
    /// One for each hour, then one for the whole week; each is built on first need.
    null_models: Vec<OnceLock<Arc<NullModel>>>,
}

impl HourOfWeekReference {
    /// A reference by the hours of `clock`.
    ///
    /// `hash` is that of the reference file and seeds the simulation; `stored` is the feature's
    /// calibration in that file.
    #[must_use]
    pub fn new(
        mixture: HourMixture,
        clock: HourOfWeek,
        pseudo_count: f64,
        hash: &str,
        stored: Option<&FeatureCalibration>,
    ) -> Self {
        let stored = stored.cloned().unwrap_or_default();
        HourOfWeekReference {
            mixture,
            clock,
            pseudo_count,
            hash: hash.to_owned(),
            stored: FeatureCalibration {
                blocks: stored.hour_of_week,
                nulls: stored.nulls,
                ..FeatureCalibration::default()
            },
            null_models: (0..=HOURS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Adds the events of a pane, by its start and width, to its hours of the week, 0..168.
    pub(in crate::engine) fn add_events(
        &self,
        pane: (EventTime, Duration),
        events: u64,
        hours: &mut Vec<(u16, u64)>,
    ) {
        self.clock.add_events(pane, events, hours);
    }

    /// The reference for a window whose events lie in these hours; `None` where the hours hold
    /// nothing.
    pub(in crate::engine) fn reference_for(
        &self,
        events: &[(u16, u64)],
    ) -> Option<FeatureReference> {
        self.mixture.mixed(events, &[])
    }

    /// The null model of the hour that holds at least half of a window's events, else that of the
    /// whole week.
    pub(in crate::engine) fn null_model(&self, events: &[(u16, u64)]) -> Arc<NullModel> {
        let hour = dominant(events).map_or(HOURS, usize::from);
        let null_model = self
            .null_models
            .get(hour)
            .unwrap_or(&self.null_models[HOURS]);
        Arc::clone(null_model.get_or_init(|| Arc::new(self.build_null_model(hour))))
    }

    /// The null model of the window that ends `ahead` later, and its expected number of values; `n`
    /// is that of this window, which ends at `end`.
    ///
    /// The volume of an hour is expected in proportion to its counts in the reference.
    pub(in crate::engine) fn expected(
        &self,
        n: u64,
        end: EventTime,
        size: Duration,
        ahead: Duration,
    ) -> (Arc<NullModel>, u64) {
        let sum = |hours: &[(u16, u64)]| hours.iter().map(|(_, values)| values).sum::<u64>();
        let now = sum(&self.values_by_hour(end, size));
        let later = self.values_by_hour(end.plus(ahead), size);
        let n_later = match (now, sum(&later)) {
            (0, _) | (_, 0) => n,
            (now, later) => {
                let n_later = u128::from(n) * u128::from(later) / u128::from(now);
                u64::try_from(n_later).unwrap_or(u64::MAX)
            }
        };
        (self.null_model(&later), n_later)
    }

    /// The reference's values in the hours of a window that ends at `end`, at a few times inside.
    fn values_by_hour(&self, end: EventTime, size: Duration) -> Vec<(u16, u64)> {
        const TIMES: u32 = 8;
        let mut values: Vec<(u16, u64)> = Vec::new();
        for time in 0..TIMES {
            let hour = self
                .clock
                .of(end.minus(size / (2 * TIMES) * (2 * time + 1)));
            let in_hour = self.mixture.values_in(hour);
            match values.iter_mut().find(|(known, _)| *known == hour) {
                Some((_, sum)) => *sum += in_hour,
                None => values.push((hour, in_hour)),
            }
        }
        values
    }

    fn build_null_model(&self, hour: usize) -> NullModel {
        let reference = u16::try_from(hour)
            .ok()
            .filter(|hour| usize::from(*hour) < HOURS)
            .and_then(|hour| self.mixture.mixed(&[(hour, 1)], &[]));
        match reference {
            Some(reference) => {
                let scorer = Scorer::new(Arc::new(reference), self.pseudo_count);
                let stored = FeatureCalibration {
                    nulls: Vec::new(),
                    ..self.stored.clone()
                };
                NullModel::new(scorer, &format!("{} {hour}", self.hash), Some(&stored))
            }
            None => {
                let scorer = Scorer::new(Arc::clone(self.mixture.week()), self.pseudo_count);
                NullModel::new(scorer, &self.hash, Some(&self.stored))
            }
        }
    }
}
