//! Numbers and shifts in words: what a person who was just woken up reads first.

use std::time::Duration;

use crate::engine::{AlertView, Assessment, FeatureView, WindowFeatureView, effective};
use crate::reference::FeatureReference;
use crate::stats::{BinName, CellScale, FeatureCounts, Interval, Layout};

/// Factors that mistaken units make, and what they are.
const FACTORS: [f64; 9] = [
    1e6, 3600.0, 1000.0, 100.0, 60.0, 10.0, 2.54, 2.204_62, 1.609_34,
];
/// How well the median and the spread must agree with a factor.
const AGREEMENT: f64 = 0.2;

/// A value: three significant digits.
#[must_use]
pub fn short_number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 || (size > 0.0 && size < 1e-4) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        size if size > 0.0 => format!("{value:.5}"),
        _ => "0".to_owned(),
    }
}

/// A share in per cent.
#[must_use]
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0005 {
        "<0.1 %".to_owned()
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

/// A count with its thousands set apart.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// What a bin holds.
#[must_use]
pub fn bin(name: BinName<'_>) -> String {
    match name {
        BinName::Label(label) => label
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(30)
            .collect(),
        BinName::Interval(Interval {
            lower: Some(low),
            upper: Some(high),
        }) if low >= high => format!("= {}", short_number(low)),
        BinName::Interval(Interval {
            lower: Some(low),
            upper: Some(high),
        }) => format!("[{}, {})", short_number(low), short_number(high)),
        BinName::Interval(Interval {
            lower: None,
            upper: Some(high),
        }) => format!("below {}", short_number(high)),
        BinName::Interval(Interval {
            lower: Some(low),
            upper: None,
        }) => format!("above {}", short_number(low)),
        BinName::Interval(Interval {
            lower: None,
            upper: None,
        }) => "all".to_owned(),
    }
}

/// What moved between a reference and a window of its layout: the bin whose share changed most, the medians, and the factor it looks like.
#[must_use]
pub fn describe_shift(
    layout: &Layout,
    window: &FeatureCounts,
    reference: &FeatureReference,
) -> Vec<String> {
    let (n, m) = (
        window.tallies.values as f64,
        reference.counts.tallies.values as f64,
    );
    let shares = window.bins.iter().zip(&reference.counts.bins);
    let shares = shares.map(|(now, then)| (*then as f64 / m, *now as f64 / n));
    let largest = shares
        .enumerate()
        .max_by(|(_, a), (_, b)| (a.1 - a.0).abs().total_cmp(&(b.1 - b.0).abs()));
    let mut said = Vec::new();
    if let Some((index, (then, now))) = largest {
        let name = bin(layout.name(index));
        said.push(format!("{name} {} -> {}", percent(then), percent(now)));
    }
    let Some(scale) = layout.numeric().map(|numeric| &numeric.cells) else {
        return said;
    };
    let of = |counts: &FeatureCounts| counts.cells.quantile(scale, 0.5);
    if let (Some(before), Some(after)) = (of(&reference.counts), of(window)) {
        said.push(format!(
            "median {} -> {}",
            short_number(before),
            short_number(after)
        ));
    }
    said.extend(factor(scale, window, reference));
    said
}

/// The unit error a shift looks like: both the median and the spread changed by one well-known factor.
fn factor(
    scale: &CellScale,
    window: &FeatureCounts,
    reference: &FeatureReference,
) -> Option<String> {
    let quartiles = |counts: &FeatureCounts| {
        let [low, middle, high] =
            [0.25, 0.5, 0.75].map(|share| counts.cells.quantile(scale, share));
        Some((middle?, high? - low?))
    };
    let (before, after) = (quartiles(&reference.counts)?, quartiles(window)?);
    let (median, spread) = (after.0 / before.0, after.1 / before.1);
    let agrees = |factor: &f64| {
        let is_near = |ratio: f64| (ratio / factor - 1.0).abs() < AGREEMENT;
        is_near(median) && is_near(spread)
    };
    let up = FACTORS.iter().find(|factor| agrees(factor));
    let down = FACTORS.iter().find(|factor| agrees(&factor.recip()));
    up.map(|factor| format!("looks like x{factor}"))
        .or_else(|| down.map(|factor| format!("looks like /{factor}")))
}

/// What an alert is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The feature's name.
    pub feature: &'a str,
    /// Where its values are counted.
    pub layout: Option<&'a Layout>,
    /// The window.
    pub counts: Option<&'a FeatureCounts>,
    /// What it was compared with.
    pub reference: Option<&'a FeatureReference>,
    /// What calibration says.
    pub assessment: Option<&'a Assessment>,
}

impl<'a> Subject<'a> {
    /// What an alert of a feature against the monitor's `reference`-th reference is about.
    pub(super) fn of(
        feature: &'a FeatureView,
        state: &'a WindowFeatureView,
        reference: usize,
    ) -> Self {
        Subject {
            feature: &feature.name,
            layout: feature.layout.as_deref(),
            counts: state.counts.as_deref(),
            reference: state.comparisons[reference].reference.as_deref(),
            assessment: state.comparisons[reference].assessment.as_deref(),
        }
    }
}

/// One line that says why an alert is where it is.
#[must_use]
pub fn explain(line: &AlertView, subject: &Subject<'_>) -> String {
    let unit = line.statistic.unit();
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    let value = line.value.map_or_else(|| "held".to_owned(), short_number);
    let mut said = format!("{}: {} {value}{unit}", subject.feature, line.statistic);
    let level = subject
        .assessment
        .and_then(|assessment| assessment.level(line.statistic));
    if let Some(level) = level {
        said += &format!(", no-drift level {}", short_number(level.noise_floor));
    }
    if let Some(threshold) = line.threshold {
        let side = if line.statistic.alarms_below() {
            "below "
        } else {
            ""
        };
        said += &format!(", alarm line {side}{}", short_number(threshold));
    }
    if let Some(lower) = line.lower {
        said += &format!(" (and {} below)", short_number(lower));
    }
    if let Some(interval) = line.interval {
        said += &format!(" (1 per {})", span(interval));
    }
    let Some(counts) = subject.counts else {
        return said;
    };
    said += &format!(", {} samples", grouped(counts.tallies.values));
    let clustered = subject.assessment.filter(|own| own.design_effect > 1.0);
    if let Some(assessment) = clustered {
        let left = effective(counts.tallies.values, assessment.design_effect);
        said += &format!(" ({} effective)", grouped(left));
    }
    if let (Some(layout), Some(reference)) = (subject.layout, subject.reference) {
        for moved in describe_shift(layout, counts, reference) {
            said += &format!("; {moved}");
        }
    }
    said
}

/// A span in its largest whole unit.
fn span(interval: Duration) -> String {
    let secs = interval.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let found = units
        .iter()
        .find(|(unit, _)| secs >= *unit && secs.is_multiple_of(*unit));
    found.map_or_else(
        || format!("{secs} s"),
        |(unit, name)| format!("{} {name}", secs / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertState;
    use crate::engine::StatisticAssessment;
    use crate::model::{Kind, Severity, Statistic};
    use crate::reference::{Column, FitOptions, fit};

    fn feature(values: impl Iterator<Item = f64>) -> FeatureReference {
        let column = Column {
            numbers: values.collect(),
            ..Column::default()
        };
        fit("amount", Kind::Numeric, column, &FitOptions::default()).unwrap()
    }

    #[test]
    fn an_alert_explains_itself_in_one_line() {
        let reference = feature((0..10_000).map(|i| 10.0 + f64::from(i % 100)));
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..6210).for_each(|i| window.record_number(layout, 100.0 * (10.0 + f64::from(i % 100))));
        let assessment = Assessment {
            levels: vec![StatisticAssessment {
                statistic: Statistic::Js,
                noise_floor: 0.004,
                p_value: 1e-9,
                threshold: 0.019,
                design_effect: 1.5,
                detectable_shift: None,
            }],
            design_effect: 1.5,
            ..Assessment::default()
        };
        let line = AlertView {
            statistic: Statistic::Js,
            severity: Severity::Critical,
            threshold: Some(0.019),
            lower: None,
            interval: Some(Duration::from_secs(30 * 86_400)),
            value: Some(0.9),
            state: AlertState::Firing,
        };
        let subject = Subject {
            feature: "amount",
            layout: Some(&reference.layout),
            counts: Some(&window),
            reference: Some(&reference),
            assessment: Some(&assessment),
        };
        let said = explain(&line, &subject);
        let expected = "amount: js 0.900 bit, no-drift level 0.00400, alarm line 0.01900 (1 per 30 d), 6,210 samples (4,140 effective); above 109 0.0 % -> ";
        assert!(said.starts_with(expected), "{said}");
        assert!(said.ends_with("looks like x100"), "{said}");
    }

    #[test]
    fn a_shift_of_the_mean_is_no_unit_error() {
        let reference = feature((0..1000).map(f64::from));
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..1000).for_each(|i| window.record_number(layout, f64::from(i) + 4500.0));
        let said = describe_shift(&reference.layout, &window, &reference).join("; ");
        assert!(
            !said.contains("looks like"),
            "ten times the median only: {said}"
        );
    }

    #[test]
    fn counts_are_read_in_thousands() {
        let all = [7, 1000, 1_234_567].map(grouped);
        assert_eq!(all, ["7", "1,000", "1,234,567"]);
    }
}
