//! What makes two counts the same count: ids of monitors and layouts.
//!
//! Everything that decides which value is counted where goes into the hash, and nothing else: a threshold, a window size or a reference with other counts on
//! the same edges changes no id and keeps its panes, another edge or path is another layout that warms up beside the old one.

use crate::model::{Kind, LayoutId, Literal, MonitorId, MonitorSpec};
use crate::stats::Layout;

/// The id of a monitor's events.
#[must_use]
pub fn monitor(spec: &MonitorSpec) -> MonitorId {
    let select = spec.select.iter().flat_map(|select| {
        let path = [select.path.to_string()];
        path.into_iter()
            .chain(select.equals.iter().map(|literal| match literal {
                Literal::Text(value) => format!("text {value}"),
                Literal::Number(value) => format!("number {:016x}", value.to_bits()),
                Literal::Bool(value) => format!("bool {value}"),
            }))
    });
    let select: Vec<String> = select.collect();
    let timestamp = spec.timestamp.path.as_ref().map(ToString::to_string);
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
        .chain(select.iter().map(String::as_bytes)),
    )
}

/// The id of a feature's counts; `layout` is `None` where only values are counted, because no reference says how.
#[must_use]
pub fn layout(
    monitor: MonitorId,
    spec: &MonitorSpec,
    name: &str,
    kind: Kind,
    layout: Option<&Layout>,
) -> LayoutId {
    let path = spec.path_of(name).to_string();
    let heads: [&[u8]; 4] = [
        monitor.as_bytes(),
        name.as_bytes(),
        path.as_bytes(),
        kind.name().as_bytes(),
    ];
    let own = layout.map(bytes_of).unwrap_or_default();
    LayoutId::of(heads.into_iter().chain(own.iter().map(Vec::as_slice)))
}

/// A layout to the bit.
fn bytes_of(layout: &Layout) -> Vec<Vec<u8>> {
    match layout {
        Layout::Numeric(numeric) => {
            let edges = numeric.bins.edges().iter();
            vec![
                edges
                    .flat_map(|edge| edge.to_bits().to_le_bytes())
                    .collect(),
                numeric.cells.median().to_bits().to_le_bytes().to_vec(),
                numeric.cells.scale().to_bits().to_le_bytes().to_vec(),
            ]
        }
        Layout::Categorical(categories) => {
            let own = categories.names().iter();
            let shared = categories.others().iter();
            own.map(|name| name.clone().into_bytes())
                .chain([vec![0xff]])
                .chain(shared.map(|name| name.clone().into_bytes()))
                .collect()
        }
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
        Layout::Numeric(NumericLayout {
            bins: Bins::try_new(edges.to_vec()).unwrap(),
            cells: CellScale::try_new(median, 1.0).unwrap(),
        })
    }

    fn id(spec: &MonitorSpec, layout_of: &Layout) -> LayoutId {
        layout(monitor(spec), spec, "x", Kind::Numeric, Some(layout_of))
    }

    #[test]
    fn what_decides_nothing_about_counting_changes_no_id() {
        let (spec, edges) = (spec(), numeric(&[0.0, 1.0], 0.0));
        let mut other = spec.clone();
        other.windows[0].size = Duration::from_secs(3600);
        other.windows[0].min_samples = 1;
        other.min_coverage = 0.1;
        other.alerts.clear();
        assert_eq!(
            id(&spec, &edges),
            id(&other, &edges),
            "of {:?}",
            Severity::ALL
        );
    }

    #[test]
    fn what_decides_about_counting_changes_the_id() {
        let (before, edges) = (spec(), numeric(&[0.0, 1.0], 0.0));
        let check = |what: &str, change: &dyn Fn(&mut MonitorSpec), layout: &Layout| {
            let mut other = before.clone();
            change(&mut other);
            assert_ne!(id(&before, &edges), id(&other, layout), "{what}");
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
        check("edges", &|_| (), &numeric(&[0.0, 1.0_f64.next_up()], 0.0));
        check("anchor", &|_| (), &numeric(&[0.0, 1.0], 5e-324));
    }
}
