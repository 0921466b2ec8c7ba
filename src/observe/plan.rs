//! What an observer looks for in the records of its source.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::Paths;
use crate::model::{Kind, LayoutId, Literal, MonitorId, MonitorSpec};
use crate::panes::identity;
use crate::stats::Layout;

/// Everything the monitors of one source want from a record.
#[derive(Debug, Clone, Default)]
pub struct ObserverPlan {
    /// The paths, for the decoder.
    pub paths: Paths,
    /// The monitors of the source.
    pub monitors: Vec<ObservedMonitor>,
}

/// What one monitor wants from a record.
#[derive(Debug, Clone)]
pub struct ObservedMonitor {
    /// What its events are filed under.
    pub id: MonitorId,
    /// A slot and the literals of which one must stand there.
    pub select: Option<(usize, Vec<Literal>)>,
    /// The slot of the event time.
    pub timestamp: Option<usize>,
    /// Whether the source's own time stands in.
    pub fallback: bool,
    /// In the monitor's order.
    pub features: Vec<ObservedFeature>,
    /// Width of its panes.
    pub pane_width: Duration,
    /// A record further behind its shard's watermark than this is late.
    pub longest_window: Duration,
    /// The watermark trails the newest event by this much.
    pub out_of_orderness: Duration,
    /// A shard that was silent for this long is idle.
    pub idle_after: Duration,
    /// A record further ahead of the clock than this is future.
    pub max_future: Duration,
}

/// Where a feature's value is and how it is counted.
#[derive(Debug, Clone)]
pub struct ObservedFeature {
    /// Its slot.
    pub slot: usize,
    /// What its counts are filed under.
    pub id: LayoutId,
    /// Its kind.
    pub kind: Kind,
    /// `None` = tallies only, as long as no reference says how to count.
    pub layout: Option<Arc<Layout>>,
}

impl ObserverPlan {
    /// Adds a monitor whose features, in order, are `features`: name, kind, layout; returns its number.
    pub fn add(
        &mut self,
        spec: &MonitorSpec,
        features: &[(String, Kind, Option<Arc<Layout>>)],
    ) -> usize {
        let monitor = identity::monitor(spec);
        let paths = &mut self.paths;
        let select = spec
            .select
            .as_ref()
            .map(|select| (paths.add(&select.path, None), select.equals.clone()));
        let timestamp = spec
            .timestamp
            .path
            .as_ref()
            .map(|path| paths.add(path, None));
        let features = features.iter().map(|(name, kind, layout)| ObservedFeature {
            slot: paths.add(&spec.path_of(name), Some(name)),
            id: identity::layout(monitor, spec, name, *kind, layout.as_deref()),
            kind: *kind,
            layout: layout.clone(),
        });
        self.monitors.push(ObservedMonitor {
            id: monitor,
            select,
            timestamp,
            fallback: spec.timestamp.path.is_none() || spec.timestamp.fallback_kafka,
            features: features.collect(),
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
