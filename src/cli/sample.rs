//! The dry run of `pegel check --sample`: what each monitor reads from one message.
//!
//! It uses the decoder and the readers of the daemon, so that a value is shown as it would be
//! counted.

use std::fmt::Write as _;

use serde_json::Value;

use super::exit::Exit;
use super::output::stdout::print_line;
use super::usage::UsageError;
use crate::clock;
use crate::decode::{Decoder, Fields, Reading, boolean, category, expected_instead, number};
use crate::engine::MonitorPlan;
use crate::model::{DropReason, Kind, Pointer};
use crate::observe::{
    ObservedFeature, ObservedMonitor, ObserverPlan, is_in_wrong_unit, is_selected,
};

/// The reading of a message by a monitor.
struct Outcome {
    text: String,
    /// True if the record is counted, with valid values only.
    is_usable: bool,
}

/// Prints what each monitor reads from a message, and the fields that none reads.
///
/// Returns [`Exit::Failure`] if a monitor rejects the record or a value of it.
///
/// # Errors
/// The file of `@FILE` cannot be read, or standard output cannot be written.
pub(super) fn print_sample(
    sample: &str,
    plans: &[MonitorPlan],
    max_bytes: usize,
) -> anyhow::Result<Exit> {
    let payload = match sample.strip_prefix('@') {
        Some(path) => std::fs::read(path).map_err(|source| UsageError::Sample {
            path: path.to_owned(),
            source,
        })?,
        None => sample.as_bytes().to_vec(),
    };
    let mut exit = Exit::Ok;
    for plan in plans {
        let outcome = read(plan, &payload, max_bytes);
        print_line(outcome.text)?;
        if !outcome.is_usable {
            exit = Exit::Failure;
        }
    }
    let unread = unread_fields(&payload, plans);
    if !unread.is_empty() {
        print_line(format_args!(
            "fields that no monitor reads: {}",
            unread.join(", ")
        ))?;
    }
    Ok(exit)
}

fn read(plan: &MonitorPlan, payload: &[u8], max_bytes: usize) -> Outcome {
    let name = &plan.spec.name;
    let mut observer = ObserverPlan::default();
    observer.add(&plan.spec, &plan.observed());
    let mut decoder = Decoder::new(&observer.paths).with_max_bytes(max_bytes);
    match decoder.json(payload) {
        Err(error) => Outcome {
            text: format!(
                "monitor {name}: record rejected, {}: {error}",
                error.reason()
            ),
            is_usable: false,
        },
        Ok(fields) if !is_selected(&observer.monitors[0], fields) => Outcome {
            text: format!("monitor {name}: record excluded by select.where"),
            is_usable: true,
        },
        Ok(fields) => describe(plan, &observer.monitors[0], fields),
    }
}

/// The event time and the value of every feature, one line each.
fn describe(plan: &MonitorPlan, monitor: &ObservedMonitor, fields: Fields<'_>) -> Outcome {
    let (time, mut is_usable) = match event_time(monitor, fields) {
        Ok(time) => (time, true),
        Err(reason) => (
            format!("none, the record would be dropped ({})", reason.name()),
            false,
        ),
    };
    let mut text = format!("monitor {}: event time {time}", plan.spec.name);
    for (feature, observed) in plan.features.iter().zip(&monitor.features) {
        let value = match value(observed, fields) {
            Reading::Value(value) => value,
            Reading::Missing(kind) => format!("missing ({})", kind.name()),
            Reading::Invalid(reason) => {
                is_usable = false;
                let advice = expected_instead(observed.kind, observed.read(fields), fields.scratch)
                    .map(|advice| format!(", {advice}"));
                format!("invalid ({}){}", reason.name(), advice.unwrap_or_default())
            }
        };
        let written = write!(
            text,
            "\n  {} ({}): {value}",
            feature.name,
            feature.kind.name()
        );
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    Outcome { text, is_usable }
}

/// The event time as text with the format it was read in, or the reason why the record has none.
fn event_time(monitor: &ObservedMonitor, fields: Fields<'_>) -> Result<String, DropReason> {
    let field = monitor.timestamp.as_ref();
    match field.map(|field| (field.read(fields), field.format_of(fields))) {
        Some((Reading::Value(time), _)) if is_in_wrong_unit(time, Some(clock::now())) => {
            Err(DropReason::BadTimestamp)
        }
        Some((Reading::Value(time), Some(format))) => Ok(format!("{time} ({format})")),
        Some((Reading::Invalid(_), _)) => Err(DropReason::BadTimestamp),
        _ if monitor.fallback => Ok("the Kafka time of the record".to_owned()),
        _ => Err(DropReason::NoTimestamp),
    }
}

fn value(feature: &ObservedFeature, fields: Fields<'_>) -> Reading<String> {
    let slot = feature.read(fields);
    let mut buffer = String::new();
    match feature.kind {
        Kind::Numeric => number(slot, fields.scratch).map(|x| x.to_string()),
        Kind::Categorical => {
            category(slot, fields.scratch, &mut buffer).map(|name| format!("{name:?}"))
        }
        Kind::Boolean => boolean(slot, fields.scratch).map(|value| value.to_string()),
    }
}

/// The paths of the message's values that no monitor reads, in the order of the message.
fn unread_fields(payload: &[u8], plans: &[MonitorPlan]) -> Vec<String> {
    let read: Vec<Pointer> = plans
        .iter()
        .flat_map(|plan| {
            let spec = &plan.spec;
            let features = plan
                .features
                .iter()
                .map(|feature| spec.path_of(&feature.name));
            features
                .chain(spec.timestamp.path.clone())
                .chain(spec.select.as_ref().map(|select| select.path.clone()))
        })
        .collect();
    let mut unread = Vec::new();
    if let Ok(message) = serde_json::from_slice(payload) {
        collect_unread(&message, &Pointer::default(), &read, &mut unread);
    }
    unread
}

/// Adds the path of each value that is not read. An object or an array is listed as a whole if
/// nothing in it is read and it has no members with names.
fn collect_unread(value: &Value, path: &Pointer, read: &[Pointer], unread: &mut Vec<String>) {
    if read.contains(path) {
        return;
    }
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                collect_unread(member, &path.child(key), read, unread);
            }
        }
        Value::Array(items) if read.iter().any(|read| read.is_below(path)) => {
            for (index, item) in items.iter().enumerate() {
                collect_unread(item, &path.child(&index.to_string()), read, unread);
            }
        }
        _ => unread.push(path.to_string()),
    }
}
