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
use crate::model::{DropReason, Kind, MissingKind, Pointer, nearest};
use crate::observe::{
    ObservedFeature, ObservedMonitor, ObserverPlan, is_in_wrong_unit, is_selected,
};

/// The most paths that are listed.
const MAX_LISTED: usize = 20;

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
    let paths = value_paths(&payload);
    for plan in plans {
        let outcome = read(plan, &payload, max_bytes, &paths);
        print_line(outcome.text)?;
        if !outcome.is_usable {
            exit = Exit::Failure;
        }
    }
    let unread = unread_fields(&payload, plans);
    if !unread.is_empty() {
        print_line(format_args!(
            "fields that no monitor reads: {}",
            listed(&unread)
        ))?;
    }
    Ok(exit)
}

fn read(plan: &MonitorPlan, payload: &[u8], max_bytes: usize, paths: &[Pointer]) -> Outcome {
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
        Ok(fields) => describe(plan, &observer.monitors[0], fields, paths),
    }
}

/// The event time and the value of every feature, one line each. `paths` are those of the message.
///
/// A message without any of the features is not one of the monitor's: its paths are wrong.
fn describe(
    plan: &MonitorPlan,
    monitor: &ObservedMonitor,
    fields: Fields<'_>,
    paths: &[Pointer],
) -> Outcome {
    let (time, mut is_usable) = match event_time(monitor, fields) {
        Ok(time) => (time, true),
        Err(reason) => (
            format!("none, the record would be dropped ({})", reason.name()),
            false,
        ),
    };
    let mut text = format!("monitor {}: event time {time}", plan.spec.name);
    let timestamp = monitor.timestamp.as_ref().map(|field| field.read(fields));
    if let (Some(path), Some(Reading::Missing(MissingKind::Absent))) =
        (&plan.spec.timestamp.path, timestamp)
    {
        text += &suggestion(path, paths);
    }
    let specs = plan.spec.listed();
    let mut absent = Vec::new();
    for (feature, observed) in plan.features.iter().zip(&monitor.features) {
        let value = match value(observed, fields) {
            Reading::Value(value) => value,
            Reading::Missing(MissingKind::Absent) => {
                let path = plan
                    .spec
                    .path_of(&feature.name, specs.get(&*feature.name).copied());
                let suggestion = suggestion(&path, paths);
                absent.push(path);
                format!("missing ({}){suggestion}", MissingKind::Absent.name())
            }
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
    if !absent.is_empty() && absent.len() == plan.features.len() {
        is_usable = false;
        text += &format!(
            "\n  none of the features is in the record\n  paths tried: {}\n  paths in the record: {}",
            listed(&absent),
            listed(paths)
        );
    }
    Outcome { text, is_usable }
}

/// Paths separated by commas; a long list is cut.
fn listed(paths: &[Pointer]) -> String {
    if paths.is_empty() {
        return "none".to_owned();
    }
    let shown = paths.iter().take(MAX_LISTED).map(Pointer::to_string);
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if paths.len() > MAX_LISTED {
        text += &format!(" and {} more", paths.len() - MAX_LISTED);
    }
    text
}

/// A path of the message that may be meant by one that is absent: the same name elsewhere, else a
/// similar path; empty if there is none.
fn suggestion(absent: &Pointer, paths: &[Pointer]) -> String {
    let name = absent.tokens().last().map(|name| name.to_lowercase());
    let same_name = paths.iter().find(|path| {
        let last = path.tokens().last().map(|name| name.to_lowercase());
        last.is_some() && last == name
    });
    if let Some(path) = same_name {
        return format!(", did you mean {path}?");
    }
    let texts: Vec<String> = paths.iter().map(Pointer::to_string).collect();
    let known: Vec<&str> = texts.iter().map(String::as_str).collect();
    nearest(&absent.to_string(), &known)
        .map_or_else(String::new, |path| format!(", did you mean {path}?"))
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

/// The paths of all values of the message, in its order; none where it is not JSON.
fn value_paths(payload: &[u8]) -> Vec<Pointer> {
    let mut paths = Vec::new();
    if let Ok(message) = serde_json::from_slice(payload) {
        collect_paths(&message, &Pointer::default(), &mut paths);
    }
    paths
}

fn collect_paths(value: &Value, path: &Pointer, paths: &mut Vec<Pointer>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                collect_paths(member, &path.child(key), paths);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                collect_paths(item, &path.child(&index.to_string()), paths);
            }
        }
        _ => paths.push(path.clone()),
    }
}

/// The paths of the message's values that no monitor reads, in the order of the message.
fn unread_fields(payload: &[u8], plans: &[MonitorPlan]) -> Vec<Pointer> {
    let read: Vec<Pointer> = plans
        .iter()
        .flat_map(|plan| {
            let spec = &plan.spec;
            let listed = spec.listed();
            let features = plan.features.iter().map(move |feature| {
                spec.path_of(&feature.name, listed.get(feature.name.as_str()).copied())
            });
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
fn collect_unread(value: &Value, path: &Pointer, read: &[Pointer], unread: &mut Vec<Pointer>) {
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
        _ => unread.push(path.clone()),
    }
}
