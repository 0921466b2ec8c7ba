//! The counts of a reference by hour of the week.

use std::time::Duration;

use crate::batch::dataset;
use crate::engine::MonitorPlan;
use crate::reference::{HOURS, HourOfWeek, Profiles};
use crate::source::{Rows, RowsError};
use crate::stats::FeatureCounts;

/// Every offset between clocks is a whole number of these.
const QUARTER: Duration = Duration::from_secs(900);

/// Counts rows by hour of the week, in the layouts of a plan. Rows without a time are passed over.
///
/// # Errors
/// The rows cannot be read.
pub fn count(
    rows: &dyn Rows,
    plan: &MonitorPlan,
    timezone: &str,
    clock: &HourOfWeek,
) -> Result<Profiles, RowsError> {
    let empty = |feature: &crate::engine::FeaturePlan| {
        let layout = feature.layout.as_deref();
        vec![layout.map_or_else(FeatureCounts::default, FeatureCounts::new); HOURS]
    };
    let mut features: Vec<Vec<FeatureCounts>> = plan.features.iter().map(empty).collect();
    for (start, pane) in dataset::count_panes(rows, plan, QUARTER)? {
        let hour = usize::from(clock.of(dataset::pane_start(start, QUARTER)));
        for (counts, hours) in pane.iter().zip(&mut features) {
            counts.add_to(&mut hours[hour]);
        }
    }
    Ok(Profiles {
        timezone: timezone.to_owned(),
        features,
    })
}
