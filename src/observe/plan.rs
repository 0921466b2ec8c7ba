//! The plan of an observer: the fields it reads from a record of its source, and how it counts
//! them.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Fields, Paths, TimeField, coerced};
use crate::model::{Kind, LayoutId, Literal, MonitorId, MonitorSpec, Slot};
use crate::panes::{CommitSchema, MonitorSchema, identity};
use crate::stats::Layout;

/// The fields that all monitors of one source read from a record.
#[derive(Debug, Clone, Default)]
pub struct ObserverPlan {
    /// The paths, for the decoder; each has a slot.
    pub paths: Paths,
    /// The monitors of the source.
    pub monitors: Vec<ObservedMonitor>,
}

/// The fields that one monitor reads from a record, and its rules on time.
#[derive(Debug, Clone)]
pub struct ObservedMonitor {
    /// Its name, for messages.
    pub name: String,
    /// Id under which its events are counted.
    pub id: MonitorId,
    /// A slot, and the literals of which one must be its value; `None` selects every record.
    pub select: Option<(usize, Vec<Literal>)>,
    /// The field of the event time; `None` uses the source's time.
    pub timestamp: Option<TimeField>,
    /// True if the source's time is used where the field is missing.
    pub fallback: bool,
    /// Its features, in the monitor's order.
    pub features: Vec<ObservedFeature>,
    /// Width of its panes.
    pub pane_width: Duration,
    /// Size of its longest window: an event further behind its shard's watermark is dropped.
    pub longest_window: Duration,
    /// Distance from the newest event to the watermark.
    pub out_of_orderness: Duration,
    /// Time without an event after which a shard is idle.
    pub idle_after: Duration,
    /// Largest distance of an event ahead of its arrival: one further ahead is dropped.
    pub max_future: Duration,
}

/// The slot of a feature's value, and how the value is counted.
#[derive(Debug, Clone)]
pub struct ObservedFeature {
    /// Its name, for messages.
    pub name: String,
    /// Slot of its value.
    pub slot: usize,
    /// Id under which its values are counted.
    pub id: LayoutId,
    /// Kind of its value.
    pub kind: Kind,
    /// True if a JSON text is read as the number or boolean that it holds.
    pub is_coerced: bool,
    /// Its bins and cells; `None` counts tallies only, as long as there is no reference.
    pub layout: Option<Arc<Layout>>,
}

impl ObservedFeature {
    /// The slot of the feature's value, as it is to be read.
    #[must_use]
    #[inline]
    pub fn read(&self, fields: Fields<'_>) -> Slot {
        let slot = fields.slots[self.slot];
        if self.is_coerced {
            coerced(slot, fields.scratch)
        } else {
            slot
        }
    }
}

/// Returns the ids under which these monitors are counted.
pub(super) fn schema_of(monitors: &[ObservedMonitor]) -> CommitSchema {
    CommitSchema {
        monitors: monitors
            .iter()
            .map(|monitor| MonitorSchema {
                id: monitor.id,
                features: monitor.features.iter().map(|feature| feature.id).collect(),
            })
            .collect(),
    }
}

impl ObserverPlan {
    /// Returns the ids under which an observer with this plan counts.
    #[must_use]
    pub fn schema(&self) -> CommitSchema {
        schema_of(&self.monitors)
    }

    /// Adds a monitor with these features (name, kind, layout), and returns its index.
    pub fn add(
        &mut self,
        spec: &MonitorSpec,
        features: &[(String, Kind, Option<Arc<Layout>>)],
    ) -> usize {
        let monitor = identity::monitor(spec);
        let listed = spec.listed();
        let paths = &mut self.paths;
        let select = spec
            .select
            .as_ref()
            .map(|select| (paths.add(&select.path, None), select.equals.clone()));
        let timestamp = spec
            .timestamp
            .path
            .as_ref()
            .map(|path| TimeField::new(paths.add(path, None), &spec.timestamp));
        let features = features
            .iter()
            .map(|(name, kind, layout)| {
                let listed = listed.get(name.as_str()).copied();
                ObservedFeature {
                    name: name.clone(),
                    slot: paths.add(&spec.path_of(name, listed), Some(name)),
                    id: identity::layout(monitor, spec, name, listed, *kind, layout.as_deref()),
                    kind: *kind,
                    is_coerced: listed.is_some_and(|feature| feature.coerce),
                    layout: layout.clone(),
                }
            })
            .collect();
        self.monitors.push(ObservedMonitor {
            name: spec.name.clone(),
            id: monitor,
            select,
            timestamp,
            fallback: spec.timestamp.path.is_none() || spec.timestamp.fallback_kafka,
            features,
            pane_width: spec.pane_width(),
            longest_window: spec
                .windows
                .iter()
                .map(|window| window.size)
                .max()
                .unwrap_or_default(),
            out_of_orderness: spec.lateness.out_of_orderness,
            idle_after: spec.lateness.idle_after,
            max_future: spec.lateness.max_future,
        });
        self.monitors.len() - 1
    }
}
