//! Prints the effective configuration as YAML that can be read back.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::defaults;
use super::effective::{Config, State};
use crate::model::{
    AlertSpec, BinsSpec, FeatureSpec, KafkaSpec, Literal, MonitorSpec, Origin, ReferenceSpec,
    Rolling, StartAt, Statistic, TimestampSpec, Tolerance, WindowSpec, duration,
};

/// Prints every option with its value as YAML. Paths are absolute.
#[must_use]
pub fn print(config: &Config) -> String {
    let sources: Map<String, Value> = config
        .sources
        .iter()
        .map(|source| {
            let decode = json!({"format": defaults::DECODE_FORMAT});
            let options = json!({"kafka": kafka(&source.kafka), "decode": decode});
            (source.name.clone(), options)
        })
        .collect();
    let options = json!({
        "version": defaults::VERSION,
        "web": {"listen_address": config.web.listen_address, "enable_reload": config.web.enable_reload},
        "state": state(&config.state),
        "limits": {
            "max_series": config.limits.max_series,
            "max_message_bytes": defaults::size(config.limits.max_message_bytes),
            "shutdown_grace": duration::format(config.limits.shutdown_grace),
        },
        "sources": sources,
        "monitors": config.monitors.iter().map(monitor).collect::<Vec<_>>(),
    });
    serde_saphyr::to_string(&options)
        .expect("plain strings, numbers, lists and maps always serialise")
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

/// Removes the options that are null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(entries) => entries
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        other => other,
    }
}

fn state(state: &State) -> Value {
    let mut options = json!({
        "path": state.path.as_deref().map(absolute),
        "flush_interval": duration::format(state.flush_interval),
    });
    if let Some(panes) = &state.panes {
        options["panes_topic"] = json!(panes.topic);
        options["panes_partitions"] = json!(panes.partitions);
        options["brokers"] = json!(panes.brokers);
        options["snapshot_interval"] = json!(duration::format(panes.snapshot_interval));
        options["properties"] = json!(panes.properties);
    }
    options
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
    let timestamp = spec.timestamp.path.as_ref().map(|path| {
        let TimestampSpec { format, zone, .. } = &spec.timestamp;
        without_nulls(json!({
            "path": path.to_string(),
            "format": format.name(),
            "zone": format.reads_local_times().then(|| zone.name()),
            "fallback": if spec.timestamp.fallback_kafka { "kafka" } else { "none" },
        }))
    });
    let references: Vec<Value> = spec.references.iter().map(reference).collect();
    let features =
        (!spec.features.is_empty()).then(|| spec.features.iter().map(feature).collect::<Vec<_>>());
    without_nulls(json!({
        "name": spec.name,
        "source": spec.source,
        "select": select,
        "timestamp": timestamp,
        "windows": spec.windows.iter().map(window).collect::<Vec<_>>(),
        "references": references,
        "root": spec.root.to_string(),
        "features": features,
        "features_from": spec.features_from_reference.then_some("reference"),
        "statistics": spec.statistics.iter().map(|statistic| statistic.name()).collect::<Vec<_>>(),
        "alerts": spec.alerts.iter().map(alert).collect::<Vec<_>>(),
        "false_alarm_scope": spec.false_alarm_scope.name(),
        "volume": spec.volume.map(|volume| json!({"min_events": volume.min_events})),
        "export_bins": spec.export_bins.name(),
        "silence": duration::format(spec.silence),
        "lateness": {
            "out_of_orderness": duration::format(spec.lateness.out_of_orderness),
            "idle_after": duration::format(spec.lateness.idle_after),
            "max_future": duration::format(spec.lateness.max_future),
            "stall_after": duration::format(spec.lateness.stall_after),
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
        "size": duration::format(spec.size),
        "slide": duration::format(spec.slide),
        "min_samples": spec.min_samples,
    })
}

fn feature(spec: &FeatureSpec) -> Value {
    without_nulls(json!({
        "name": spec.name,
        "path": spec.path.as_ref().map(ToString::to_string),
        "kind": spec.kind.map(|kind| kind.name()),
        "coerce": spec.coerce.then_some(true),
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

/// A number, or the string that stands for infinity, which JSON cannot write.
fn number(value: f64) -> Value {
    match value {
        f64::INFINITY => json!("inf"),
        f64::NEG_INFINITY => json!("-inf"),
        finite => json!(finite),
    }
}

fn tolerance(statistic: Statistic, tolerance: Tolerance) -> Value {
    match tolerance {
        Tolerance::Default => json!(defaults::tolerance(statistic)),
        Tolerance::Score(number) => json!(number),
        Tolerance::Std(std) => json!(format!("{std}std")),
        Tolerance::Mass(share) => json!(format!("{}%", share * 100.0)),
    }
}

fn alert(spec: &AlertSpec) -> Value {
    without_nulls(json!({
        "statistic": spec.statistic.name(),
        "warning": spec.thresholds.warning,
        "critical": spec.thresholds.critical,
        "severity": spec.budget.map(|budget| budget.severity.name()),
        "false_alarm_interval": spec.budget.map(|budget| duration::format(budget.false_alarm_interval)),
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
            json!({"name": name, "trailing": {"period": duration::format(*period), "delay": duration::format(*delay)}})
        }
    }
}
