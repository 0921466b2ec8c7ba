//! The operating curve as tables a tired person can read, and the block to paste.

use std::time::Duration;

use comfy_table::{Attribute, Cell};

use super::table::{Look, align_right, table as empty};
use crate::batch::backtest::Report;
use crate::batch::backtest::alarm_trace::Cost;
use crate::batch::backtest::caveats::{caveats, took};
use crate::batch::backtest::faults::Damage;
use crate::batch::backtest::operating_curve::{Detection, nearest_rank};
use crate::batch::backtest::policy::span;
use crate::export::grouped;

const LEGEND: &str = "alarms/above: alarms, and evaluations of a feature above a line; budget: kept, over, or open (kept on this history, but nothing \
vouches for the time to come; an alarm that lasts counts once per length of its window); unit: x10, x1000 and /1000; time: median from the beginning of the damage to the alarm";

/// More features than this are not named.
const NAMED: usize = 3;
/// Features with the most alarms that are listed.
const WORST: usize = 5;

/// Damage of one kind, in one column.
struct Family {
    title: &'static str,
    holds: fn(Damage) -> bool,
    /// Whether all of it makes one number.
    is_one: bool,
}

const FAMILIES: [Family; 4] = [
    Family {
        title: "shift std",
        holds: |damage| matches!(damage, Damage::Shift(_)),
        is_one: false,
    },
    Family {
        title: "unit",
        holds: |damage| matches!(damage, Damage::Factor(_)),
        is_one: true,
    },
    Family {
        title: "nulls %",
        holds: |damage| matches!(damage, Damage::Nulls(_)),
        is_one: false,
    },
    Family {
        title: "unseen %",
        holds: |damage| matches!(damage, Damage::Unseen(_)),
        is_one: false,
    },
];

/// Everything for people, without a newline at the end.
#[must_use]
pub(crate) fn table(report: &Report) -> String {
    let mut said = vec![
        head(report),
        String::new(),
        "Alarms on the history, and the share (%) of features in which damage is found:".to_owned(),
        curve(report),
        wrapped(LEGEND),
    ];
    if let Some(worst) = worst(report) {
        said.push(
            "\nFeatures that went above a line on the history, as alarms/evaluations above it:"
                .to_owned(),
        );
        said.push(worst);
    }
    said.extend(proposal(report));
    let limits = caveats(report);
    if !limits.is_empty() {
        said.push("\nBefore you believe it:".to_owned());
        said.extend(limits.iter().map(|limit| wrapped(&format!("- {limit}"))));
    }
    said.join("\n")
}

fn head(report: &Report) -> String {
    let (first, last) = report.judged;
    let features = report.trials.clean.features().len();
    let could = report.judged_features().len();
    let noisy = match report.noisy.len() {
        0 => String::new(),
        count => format!(", {count} of them never quiet"),
    };
    let history = format!(
        "monitor {}: {} events, {could} of {features} features judged{noisy}, from {first} to {last} ({})",
        report.monitor(),
        grouped(report.events),
        took(report.evidence.span)
    );
    let damage = format!(
        "damage from {} on, looked for during {}; budget: one false alarm of the whole monitor in {}",
        report.trials.stage.onset,
        took(report.trials.stage.length()),
        span(report.evidence.budget)
    );
    format!("{}\n{}", wrapped(&history), wrapped(&damage))
}

/// What happened to a family of damage under a candidate, in groups that make one number each.
fn groups(report: &Report, family: &Family, candidate: usize) -> Vec<Vec<Detection>> {
    let damaged = report.trials.damaged.iter();
    let own = damaged.filter(|(damage, _)| (family.holds)(*damage));
    let found = own.map(|(_, ledger)| report.trials.detection(candidate, ledger));
    let found: Vec<Detection> = found.collect();
    match family.is_one {
        true => vec![found],
        false => found.into_iter().map(|own| vec![own]).collect(),
    }
}

/// What sets the damage of a family apart, as wide as a share.
fn sizes(report: &Report, family: &Family) -> String {
    let damaged = report.trials.damaged.iter().map(|(damage, _)| *damage);
    let own = damaged.filter(|damage| (family.holds)(*damage));
    let sizes = own.filter(|_| !family.is_one).map(|damage| match damage {
        Damage::Shift(size) | Damage::Factor(size) => format!("{size:>3}"),
        Damage::Nulls(share) | Damage::Unseen(share) => format!("{:>3}", share * 100.0),
    });
    sizes.collect::<Vec<_>>().join(" ")
}

fn curve(report: &Report) -> String {
    let was_tried = |family: &&Family| {
        let mut damaged = report.trials.damaged.iter();
        damaged.any(|(damage, _)| (family.holds)(*damage))
    };
    let families: Vec<&Family> = FAMILIES.iter().filter(was_tried).collect();
    let title = |family: &&Family| format!("{}\n{}", family.title, sizes(report, family));
    let titles: Vec<String> = families.iter().map(title).collect();
    let titles = titles.iter().map(String::as_str);
    let header = ["candidate", "alarms/\nabove", "budget"].into_iter();
    let header: Vec<&str> = header.chain(titles).chain(["time"]).collect();
    let mut table = empty(Look::Terminal, &header);
    for index in 0..report.candidates.list.len() {
        let mut row = vec![
            name(report, index),
            Cell::new(cost(&report.standings[index].cost)),
            Cell::new(budget(report, index)),
        ];
        let shares = families.iter().map(|family| shares(report, index, family));
        row.extend(shares.map(Cell::new));
        row.push(Cell::new(median_time(report, index)));
        table.add_row(row);
    }
    align_right(&mut table, 1..=1);
    align_right(&mut table, header.len() - 1..=header.len() - 1);
    table.to_string()
}

/// Over everything a candidate found.
fn median_time(report: &Report, candidate: usize) -> String {
    let damaged = report.trials.damaged.iter();
    let found = damaged.map(|(_, ledger)| report.trials.detection(candidate, ledger).delays);
    let mut delays: Vec<Duration> = found.flatten().collect();
    delays.sort_unstable();
    nearest_rank(&delays, 0.5).map_or_else(|| "-".to_owned(), took)
}

fn name(report: &Report, candidate: usize) -> Cell {
    let name = &report.candidates.list[candidate].name;
    let proposed = report.proposal.as_ref().map(|proposal| proposal.candidate);
    if proposed == Some(candidate) {
        Cell::new(format!("{name} *")).add_attribute(Attribute::Bold)
    } else {
        Cell::new(name)
    }
}

fn cost(cost: &Cost) -> String {
    format!("{}/{}", cost.alarms, cost.above)
}

fn budget(report: &Report, candidate: usize) -> &'static str {
    let standing = &report.standings[candidate];
    match (standing.is_kept, standing.is_vouched_for) {
        (true, true) => "kept",
        (true, false) => "open",
        (false, _) => "over",
    }
}

/// The shares of features in which damage of a family is found.
fn shares(report: &Report, candidate: usize, family: &Family) -> String {
    let share = |group: &Vec<Detection>| {
        let found: usize = group.iter().map(|own| own.delays.len()).sum();
        let features: usize = group.iter().map(|own| own.features).sum();
        match features {
            0 => "  -".to_owned(),
            _ => format!("{:>3.0}", 100.0 * found as f64 / features as f64),
        }
    };
    let groups = groups(report, family, candidate);
    groups.iter().map(share).collect::<Vec<_>>().join(" ")
}

/// The features that cost most, under the configured alerts, the most sensitive policy and the proposed one.
fn worst(report: &Report) -> Option<String> {
    let list = &report.candidates.list;
    let configured = list.iter().position(|own| own.policy.is_none());
    let sensitive = list.iter().position(|own| own.policy.is_some());
    let proposed = report.proposal.as_ref().map(|proposal| proposal.candidate);
    let mut shown: Vec<usize> = [configured, sensitive, proposed]
        .into_iter()
        .flatten()
        .collect();
    shown.dedup();
    let clean = &report.trials.clean;
    let of = |feature: &usize, candidate: &usize| {
        let trail = clean.total(*candidate, *feature);
        (trail.cost.alarms, trail.cost.above)
    };
    let most = |feature: &usize| shown.iter().map(|own| of(feature, own)).max();
    let mut features: Vec<usize> = clean.features().to_vec();
    features.retain(|feature| most(feature).is_some_and(|(_, above)| above > 0));
    features.sort_by_key(|feature| std::cmp::Reverse(most(feature)));
    let names = shown.iter().map(|own| list[*own].name.as_str());
    let header: Vec<&str> = std::iter::once("feature").chain(names).collect();
    let mut table = empty(Look::Terminal, &header);
    for feature in features.iter().take(WORST) {
        let counts = shown.iter().map(|candidate| {
            let (alarms, above) = of(feature, candidate);
            format!("{alarms}/{above}")
        });
        let name = report.name_of(*feature).to_owned();
        table.add_row(std::iter::once(name).chain(counts));
    }
    align_right(&mut table, 1..=shown.len());
    (!features.is_empty()).then(|| table.to_string())
}

fn proposal(report: &Report) -> Vec<String> {
    let Some(proposal) = &report.proposal else {
        return vec![
            "\nNothing is proposed: no feature that could be judged was quiet.".to_owned(),
        ];
    };
    let (name, because) = (proposal.policy.name(), &proposal.because);
    let why = format!("Proposed (*): {name}. {because}.");
    let yaml = proposal.policy.yaml(&report.candidates.statistics);
    let mut said = vec![String::new(), wrapped(&why), String::new()];
    said.extend(yaml.iter().map(|line| format!("    {line}")));
    said.push("\nWhat it finds, and how long after the damage began (median .. 90 %):".to_owned());
    said.push(details(report, proposal.candidate));
    said
}

fn details(report: &Report, candidate: usize) -> String {
    let header = ["damage", "found", "evaluations", "time", "not found in"];
    let mut table = empty(Look::Terminal, &header);
    for (damage, ledger) in &report.trials.damaged {
        let found = report.trials.detection(candidate, ledger);
        table.add_row([
            damage.name(),
            format!("{}/{}", found.delays.len(), found.features),
            range(&found.evaluations, ToString::to_string),
            range(&found.delays, |delay| took(*delay)),
            named(report, &found.missed),
        ]);
    }
    align_right(&mut table, 1..=3);
    table.to_string()
}

/// Median and 90 % of ascending values.
fn range<T: Copy>(ascending: &[T], text: impl Fn(&T) -> String) -> String {
    let at = |share| nearest_rank(ascending, share);
    match (at(0.5), at(0.9)) {
        (Some(median), Some(high)) => format!("{} .. {}", text(&median), text(&high)),
        _ => "-".to_owned(),
    }
}

fn named(report: &Report, features: &[usize]) -> String {
    let names = features.iter().take(NAMED).map(|own| report.name_of(*own));
    let names = names.collect::<Vec<_>>().join(", ");
    match features.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{names} and {more} more"),
        _ => names,
    }
}

/// A paragraph in lines of at most 100 characters, those after the first indented.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.len());
        if last > 2 && last + 1 + word.len() > WIDTH {
            lines.push(format!("  {word}"));
        } else if let Some(line) = lines.last_mut() {
            let gap = if line.is_empty() { "" } else { " " };
            *line += &format!("{gap}{word}");
        }
    }
    lines.join("\n")
}
