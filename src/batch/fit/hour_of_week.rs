//! Counts the rows of a reference by hour of the week, for references with `hour_of_week: true`.
//!
//! The rows are counted in panes of a quarter of an hour first, which never span two local hours.

use std::sync::Arc;

use crate::batch::dataset;
use crate::engine::MonitorPlan;
use crate::reference::{HOURS, HourOfWeek, Profiles, QUARTER};
use crate::source::{Rows, RowsError};
use crate::stats::FeatureCounts;

/// Counts rows by hour of the week in the layouts of a plan; rows without a time are passed over.
///
/// # Errors
/// The rows cannot be read.
pub fn count(
    rows: &dyn Rows,
    plan: &MonitorPlan,
    timezone: &str,
    clock: &HourOfWeek,
) -> Result<Profiles, RowsError> {
    let mut features: Vec<Vec<FeatureCounts>> = plan
        .features
        .iter()
        .map(|feature| {
            let layout = feature.layout.as_deref();
            vec![layout.map_or_else(FeatureCounts::default, FeatureCounts::new); HOURS]
        })
        .collect();
    for (number, pane) in dataset::count_panes(rows, plan, QUARTER)? {
        let hour = usize::from(clock.of(dataset::pane_start(number, QUARTER)));
        for (counts, hours) in pane.iter().zip(&mut features) {
            counts.add_to(&mut hours[hour]);
        }
    }
    Ok(Profiles {
        timezone: timezone.to_owned(),
        features: features.into_iter().map(Arc::from).collect(),
    })
}
