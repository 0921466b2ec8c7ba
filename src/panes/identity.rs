//! Ids of monitors and layouts: two counts with the same id mean the same thing.
//!
//! The hash takes in everything that decides which value is counted where, and nothing else. A
//! threshold, a window size or a reference with different counts on the same edges changes no id,
//! so the panes stay usable. Another edge or path gives another layout, which warms up beside the
//! old one.

use crate::model::{
    FeatureSpec, Kind, LayoutId, Literal, MonitorId, MonitorSpec, TimestampFormat, TimestampSpec,
    Zone,
};
use crate::stats::Layout;

/// Hashes everything that decides which records are events of a monitor.
#[must_use]
pub fn monitor(spec: &MonitorSpec) -> MonitorId {
    let select: Vec<String> = spec
        .select
        .iter()
        .flat_map(|select| {
            std::iter::once(select.path.to_string()).chain(select.equals.iter().map(literal_key))
        })
        .collect();
    let timestamp = spec.timestamp.path.as_ref().map(ToString::to_string);
    let format = timestamp_key(&spec.timestamp);
    MonitorId::of(
        [
            spec.name.as_bytes(),
            spec.source.as_bytes(),
            &(select.len() as u64).to_le_bytes(),
            timestamp.unwrap_or_default().as_bytes(),
            &[u8::from(spec.timestamp.fallback_kafka)],
            &spec.pane_width().as_millis().to_le_bytes(),
        ]
        .into_iter()
        .chain(select.iter().map(String::as_bytes))
        .chain(format.iter().map(String::as_bytes)),
    )
}

/// Returns a text that is equal only for equal formats and zones; `None` for the defaults.
fn timestamp_key(timestamp: &TimestampSpec) -> Option<String> {
    let (format, zone) = (timestamp.format, timestamp.zone.name());
    (format != TimestampFormat::DEFAULT || zone != Zone::DEFAULT_NAME)
        .then(|| format!("timestamp {format} {zone}"))
}

/// Returns a text that is equal only for equal literals; numbers are compared bit by bit.
fn literal_key(literal: &Literal) -> String {
    match literal {
        Literal::Text(value) => format!("text {value}"),
        Literal::Number(value) => format!("number {:016x}", value.to_bits()),
        Literal::Bool(value) => format!("bool {value}"),
    }
}

/// Hashes everything that decides how the values of a feature are counted.
///
/// `listed` is the feature where the monitor lists it. `layout` is `None` where no reference
/// defines one yet and only tallies are counted.
#[must_use]
pub fn layout(
    monitor: MonitorId,
    spec: &MonitorSpec,
    name: &str,
    listed: Option<&FeatureSpec>,
    kind: Kind,
    layout: Option<&Layout>,
) -> LayoutId {
    let path = spec.path_of(name, listed).to_string();
    let feature: [&[u8]; 4] = [
        monitor.as_bytes(),
        name.as_bytes(),
        path.as_bytes(),
        kind.name().as_bytes(),
    ];
    let is_coerced = listed.is_some_and(|feature| feature.coerce);
    let coerced: &[&[u8]] = if is_coerced { &[b"coerce"] } else { &[] };
    let layout = layout.map(layout_bytes).unwrap_or_default();
    LayoutId::of(
        feature
            .into_iter()
            .chain(coerced.iter().copied())
            .chain(layout.iter().map(Vec::as_slice)),
    )
}

/// Returns bytes that are equal only for layouts that are equal bit by bit.
fn layout_bytes(layout: &Layout) -> Vec<Vec<u8>> {
    match layout {
        Layout::Numeric(numeric) => vec![
            numeric
                .bins
                .edges()
                .iter()
                .flat_map(|edge| edge.to_bits().to_le_bytes())
                .collect(),
            numeric.cells.median().to_bits().to_le_bytes().to_vec(),
            numeric.cells.scale().to_bits().to_le_bytes().to_vec(),
        ],
        Layout::Categorical(categories) => categories
            .names()
            .iter()
            .map(|name| name.clone().into_bytes())
            // No UTF-8 text contains this byte, so it separates the two lists.
            .chain([vec![0xff]])
            .chain(
                categories
                    .others()
                    .iter()
                    .map(|name| name.clone().into_bytes()),
            )
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Pointer, Severity, WindowSpec};
    use crate::stats::{Bins, CellScale, NumericLayout};

    fn spec() -> MonitorSpec {
        MonitorSpec {
            windows: vec![WindowSpec {
                name: "15m".to_owned(),
                size: Duration::from_secs(900),
                slide: Duration::from_secs(60),
                min_samples: 500,
            }],
            ..MonitorSpec::bare()
        }
    }

    fn numeric(edges: &[f64], median: f64) -> Layout {
        Layout::Numeric(NumericLayout::new(
            Bins::try_new(edges.to_vec()).unwrap(),
            CellScale::try_new(median, 1.0).unwrap(),
        ))
    }

    fn id(spec: &MonitorSpec, layout_of: &Layout) -> LayoutId {
        let listed = spec.listed().get("x").copied();
        layout(
            monitor(spec),
            spec,
            "x",
            listed,
            Kind::Numeric,
            Some(layout_of),
        )
    }

    #[test]
    fn settings_that_do_not_affect_counting_keep_the_id() {
        let (spec, edges) = (spec(), numeric(&[0.0, 1.0], 0.0));
        let mut edited = spec.clone();
        edited.windows[0].size = Duration::from_secs(3600);
        edited.windows[0].min_samples = 1;
        edited.min_coverage = 0.1;
        edited.alerts.clear();
        assert_eq!(
            id(&spec, &edges),
            id(&edited, &edges),
            "of {:?}",
            Severity::ALL
        );
    }

    #[test]
    fn settings_that_affect_counting_change_the_id() {
        let (before, edges) = (spec(), numeric(&[0.0, 1.0], 0.0));
        let check = |label: &str, change: &dyn Fn(&mut MonitorSpec), layout: &Layout| {
            let mut edited = before.clone();
            change(&mut edited);
            assert_ne!(id(&before, &edges), id(&edited, layout), "{label}");
        };
        let slide = |spec: &mut MonitorSpec| spec.windows[0].slide = Duration::from_secs(30);
        check("pane width", &slide, &edges);
        check(
            "root",
            &|spec| spec.root = Pointer::default().child("a"),
            &edges,
        );
        check(
            "fallback",
            &|spec| spec.timestamp.fallback_kafka = true,
            &edges,
        );
        check(
            "time format",
            &|spec| spec.timestamp.format = TimestampFormat::EpochS,
            &edges,
        );
        check(
            "time zone",
            &|spec| spec.timestamp.zone = Zone::named("Europe/Berlin").unwrap(),
            &edges,
        );
        let coerce = |spec: &mut MonitorSpec| {
            let mut feature = FeatureSpec::new("x", Kind::Numeric);
            feature.coerce = true;
            spec.features.push(feature);
        };
        check("coerce", &coerce, &edges);
        check("edges", &|_| (), &numeric(&[0.0, 1.0_f64.next_up()], 0.0));
        check("anchor", &|_| (), &numeric(&[0.0, 1.0], 5e-324));
    }
}
