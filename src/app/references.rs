//! Loads what a monitor is compared with.

use std::sync::Arc;

use crate::engine::{LoadedReference, MonitorPlan};
use crate::model::MonitorSpec;
use crate::reference::Reference;

/// A monitor joined with its references. One that cannot be loaded is a problem of this monitor, not of the process: its scores say `no_reference`.
#[must_use]
pub fn load_monitor(spec: MonitorSpec) -> MonitorPlan {
    let load = |path: &std::path::Path| -> LoadedReference {
        let loaded = Reference::load(path).map_err(anyhow::Error::new);
        loaded.map(Arc::new).map_err(|error| format!("{error:#}"))
    };
    let loaded = spec
        .references
        .iter()
        .filter_map(|reference| reference.origin.file())
        .map(|file| load(file))
        .collect();
    MonitorPlan::new(spec, loaded)
}
