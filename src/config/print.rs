//! The effective configuration, written so that it can be read back.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::alert::default_tolerance;
use super::{Config, State};
use crate::model::{
    AlertSpec, BinsSpec, FeatureSpec, KafkaSpec, Literal, MonitorSpec, Origin, ReferenceSpec,
    Rolling, StartAt, Statistic, Tolerance, WindowSpec,
};

/// Every option with its value, as YAML; paths are absolute.
#[must_use]
pub fn print(config: &Config) -> String {
    let sources = config.sources.iter().map(|source| {
        (
            source.name.clone(),
            json!({"kafka": kafka(&source.kafka), "decode": {"format": "json"}}),
        )
    });
    let value = json!({
        "version": 1,
        "web": {"listen_address": config.web.listen_address, "enable_reload": config.web.enable_reload},
        "state": state(&config.state),
        "limits": {
            "max_series": config.limits.max_series,
            "max_message_bytes": format!("{}B", config.limits.max_message_bytes),
            "shutdown_grace": duration(config.limits.shutdown_grace),
        },
        "sources": sources.collect::<Map<_, _>>(),
        "monitors": config.monitors.iter().map(monitor).collect::<Vec<_>>(),
    });
    serde_saphyr::to_string(&value).expect("plain texts, numbers, lists and maps always serialise")
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Options without those that are not given.
fn given(value: Value) -> Value {
    match value {
        Value::Object(entries) => entries
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        other => other,
    }
}

fn state(state: &State) -> Value {
    let mut found = Map::new();
    found.insert(
        "path".to_owned(),
        json!(state.path.as_deref().map(absolute)),
    );
    found.insert(
        "flush_interval".to_owned(),
        json!(duration(state.flush_interval)),
    );
    if let Some(panes) = &state.panes {
        found.insert("panes_topic".to_owned(), json!(panes.topic));
        found.insert("panes_partitions".to_owned(), json!(panes.partitions));
        found.insert("brokers".to_owned(), json!(panes.brokers));
        found.insert(
            "snapshot_interval".to_owned(),
            json!(duration(panes.snapshot_interval)),
        );
        found.insert("properties".to_owned(), json!(panes.properties));
    }
    Value::Object(found)
}

fn kafka(spec: &KafkaSpec) -> Value {
    let start = match spec.start {
        StartAt::Latest => json!("latest"),
        StartAt::Earliest => json!("earliest"),
        StartAt::Timestamp(time) => json!({"timestamp": time.to_string()}),
    };
    json!({
        "brokers": spec.brokers,
        "topics": spec.topics,
        "group_id": spec.group_id,
        "start": start,
        "properties": spec.properties,
    })
}

fn monitor(spec: &MonitorSpec) -> Value {
    let select = spec.select.as_ref().map(|select| {
        let equals: Vec<Value> = select.equals.iter().map(literal).collect();
        json!({"where": {"path": select.path.to_string(), "equals": equals}})
    });
    let timestamp = json!({
        "path": spec.timestamp.path.as_ref().map(ToString::to_string),
        "fallback": if spec.timestamp.fallback_kafka { "kafka" } else { "none" },
    });
    let references: Vec<Value> = spec.references.iter().map(reference).collect();
    given(json!({
        "name": spec.name,
        "source": spec.source,
        "select": select,
        "timestamp": given(timestamp),
        "windows": spec.windows.iter().map(window).collect::<Vec<_>>(),
        "references": references,
        "root": spec.root.to_string(),
        "features": spec.features.iter().map(feature).collect::<Vec<_>>(),
        "features_from": spec.features_from_reference.then_some("reference"),
        "statistics": spec.statistics.iter().map(|statistic| statistic.name()).collect::<Vec<_>>(),
        "alerts": spec.alerts.iter().map(alert).collect::<Vec<_>>(),
        "lateness": {
            "out_of_orderness": duration(spec.lateness.out_of_orderness),
            "idle_after": duration(spec.lateness.idle_after),
            "max_future": duration(spec.lateness.max_future),
            "stall_after": duration(spec.lateness.stall_after),
        },
        "min_coverage": spec.min_coverage,
        "pseudo_count": spec.pseudo_count,
    }))
}

fn literal(literal: &Literal) -> Value {
    match literal {
        Literal::Text(text) => json!(text),
        Literal::Number(number) => json!(number),
        Literal::Bool(value) => json!(value),
    }
}

fn window(spec: &WindowSpec) -> Value {
    json!({
        "name": spec.name,
        "size": duration(spec.size),
        "slide": duration(spec.slide),
        "min_samples": spec.min_samples,
    })
}

fn feature(spec: &FeatureSpec) -> Value {
    given(json!({
        "name": spec.name,
        "path": spec.path.as_ref().map(ToString::to_string),
        "kind": spec.kind.map(|kind| kind.name()),
        "role": spec.role.name(),
        "bins": spec.bins.as_ref().map(bins),
        "top": spec.top,
    }))
}

fn bins(spec: &BinsSpec) -> Value {
    match spec {
        BinsSpec::Count(count) => json!({"count": count}),
        BinsSpec::Edges(edges) => {
            json!({"edges": edges.iter().map(|edge| number(*edge)).collect::<Vec<_>>()})
        }
        BinsSpec::Hdr(hdr) => json!({"method": "hdr", "digits": hdr.digits, "unit": hdr.unit}),
    }
}

/// JSON has no word for infinity; the loader takes these texts.
fn number(value: f64) -> Value {
    match value {
        f64::INFINITY => json!("inf"),
        f64::NEG_INFINITY => json!("-inf"),
        finite => json!(finite),
    }
}

/// Whole days as days: humantime would make a month of thirty of them.
fn days(interval: Duration) -> String {
    const DAY: u64 = 86_400;
    match interval.as_secs() {
        secs if secs.is_multiple_of(DAY) && interval.subsec_nanos() == 0 => {
            format!("{}d", secs / DAY)
        }
        _ => duration(interval),
    }
}

fn tolerance(statistic: Statistic, tolerance: Tolerance) -> Value {
    match tolerance {
        Tolerance::Default => json!(default_tolerance(statistic)),
        Tolerance::Score(number) => json!(number),
        Tolerance::Std(std) => json!(format!("{std}std")),
        Tolerance::Mass(share) => json!(format!("{}%", share * 100.0)),
    }
}

fn alert(spec: &AlertSpec) -> Value {
    given(json!({
        "statistic": spec.statistic.name(),
        "warning": spec.thresholds.warning,
        "critical": spec.thresholds.critical,
        "severity": spec.budget.map(|budget| budget.severity.name()),
        "false_alarm_interval": spec.budget.map(|budget| days(budget.false_alarm_interval)),
        "tolerance": spec.budget.map(|budget| tolerance(spec.statistic, budget.tolerance)),
        "for": spec.for_evaluations,
        "keep_firing_for": spec.keep_firing_for,
        "features": spec.features,
    }))
}

fn reference(spec: &ReferenceSpec) -> Value {
    let name = &spec.name;
    match &spec.origin {
        Origin::File(file) => json!({"name": name, "file": absolute(file)}),
        Origin::HourOfWeek(file) => {
            json!({"name": name, "file": absolute(file), "hour_of_week": true})
        }
        Origin::Rolling(Rolling { period: None, .. }) => json!({"name": name, "previous": true}),
        Origin::Rolling(Rolling {
            period: Some(period),
            delay,
        }) => {
            json!({"name": name, "trailing": {"period": duration(*period), "delay": duration(*delay)}})
        }
    }
}
