//! Monitors of a configuration: the one that a command is about, and its reference.

use std::path::Path;

use super::usage::UsageError;
use crate::app;
use crate::config::{self, Config, Overrides};
use crate::engine::MonitorPlan;
use crate::model::{MonitorSpec, ReferenceSpec};
use crate::reference::Reference;

/// Returns the named monitor, or the only one.
///
/// # Errors
/// No monitor has the name, or several are configured and none is named.
pub(super) fn pick_monitor(config: &Config, name: Option<&str>) -> Result<MonitorSpec, UsageError> {
    match (name, config.monitors.as_slice()) {
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(UsageError::MonitorNotNamed {
            configured: names(config),
        }),
        (Some(name), monitors) => monitors
            .iter()
            .find(|monitor| monitor.name == name)
            .cloned()
            .ok_or_else(|| UsageError::UnknownMonitor {
                name: name.to_owned(),
                configured: names(config),
            }),
    }
}

/// Returns the named monitor of a configuration file, or the only one.
///
/// # Errors
/// The configuration is wrong or has no such monitor.
pub(super) fn load_monitor_spec(path: &Path, name: Option<&str>) -> anyhow::Result<MonitorSpec> {
    Ok(pick_monitor(&config::load_file(path)?, name)?)
}

/// Names of the configured monitors.
pub(super) fn names(config: &Config) -> Vec<String> {
    config
        .monitors
        .iter()
        .map(|monitor| monitor.name.clone())
        .collect()
}

/// Replaces all references of a monitor with a fitted one, which keeps the name of the first.
pub(super) fn set_reference(monitor: &mut MonitorSpec, path: &Path) {
    let name = monitor
        .references
        .first()
        .map_or_else(|| "training".to_owned(), |first| first.name.clone());
    monitor.references = vec![ReferenceSpec::fitted(&name, path)];
}

/// Loads a configuration whose monitors are replayed. `reference` takes the place of its reference
/// files, which need not exist then.
///
/// # Errors
/// The configuration is wrong, or `reference` cannot be loaded.
pub(super) fn load_config(path: &Path, reference: Option<&Path>) -> anyhow::Result<Config> {
    if let Some(reference) = reference {
        Reference::load(reference)?;
        return Ok(config::load_file(path)?);
    }
    let overrides = Overrides::from_process(&[]);
    Ok(config::load_with_references(
        path,
        &overrides,
        &app::reference_problem,
    )?)
}

/// Prints the warnings of a monitor that is replayed.
pub(super) fn print_warnings(plan: &MonitorPlan) {
    for warning in &plan.warnings {
        anstream::eprintln!("monitor {}: {warning}", plan.spec.name);
    }
}
