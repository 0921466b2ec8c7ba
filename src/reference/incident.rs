//! An incident: a time range of the reference's rows that differs from all the rest of them.
//!
//! Thresholds follow from how much the reference's own blocks vary. One incident among them would
//! set the thresholds so high that no later one is found, so its blocks are left out, and the range
//! is kept to be reported. It stays in the counts, of which it is a small part.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::EventTime;

/// A time range `[from, until)` of the reference that is left out of the thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incident {
    /// Start in milliseconds since the epoch.
    from_ms: i64,
    /// End in milliseconds since the epoch.
    until_ms: i64,
}

impl Incident {
    /// The range `[from, until)`.
    #[must_use]
    pub const fn new(from: EventTime, until: EventTime) -> Self {
        Incident {
            from_ms: from.as_millis(),
            until_ms: until.as_millis(),
        }
    }

    /// Start of the range.
    #[must_use]
    pub const fn from(&self) -> EventTime {
        EventTime::from_millis(self.from_ms)
    }

    /// End of the range; the range does not contain it.
    #[must_use]
    pub const fn until(&self) -> EventTime {
        EventTime::from_millis(self.until_ms)
    }

    /// True if the ranges overlap or touch.
    fn meets(&self, incident: &Incident) -> bool {
        self.from_ms <= incident.until_ms && incident.from_ms <= self.until_ms
    }

    const fn length_ms(&self) -> i64 {
        self.until_ms.saturating_sub(self.from_ms)
    }

    /// The incidents of one feature, each once and in order of time.
    ///
    /// Blocks of several lengths and several statistics see the same incident; the shortest of the
    /// ranges that meet is the most exact.
    #[must_use]
    pub fn distinct(mut incidents: Vec<Incident>) -> Vec<Incident> {
        incidents.sort_by_key(|incident| (incident.length_ms(), *incident));
        let mut distinct: Vec<Incident> = Vec::new();
        for incident in incidents {
            if !distinct.iter().any(|known| known.meets(&incident)) {
                distinct.push(incident);
            }
        }
        distinct.sort_unstable();
        distinct
    }

    /// The incidents of all features with the number of features that each concerns, in order of
    /// time. Ranges of different features that meet are one.
    #[must_use]
    pub fn over_features(features: impl IntoIterator<Item = Vec<Incident>>) -> Vec<(Self, usize)> {
        let mut incidents: Vec<(usize, Incident)> = features
            .into_iter()
            .enumerate()
            .flat_map(|(feature, incidents)| {
                incidents
                    .into_iter()
                    .map(move |incident| (feature, incident))
            })
            .collect();
        incidents.sort_unstable_by_key(|(_, incident)| *incident);
        let mut merged: Vec<(Incident, Vec<usize>)> = Vec::new();
        for (feature, incident) in incidents {
            match merged.last_mut() {
                Some((range, features)) if range.meets(&incident) => {
                    range.until_ms = range.until_ms.max(incident.until_ms);
                    if !features.contains(&feature) {
                        features.push(feature);
                    }
                }
                _ => merged.push((incident, vec![feature])),
            }
        }
        merged
            .into_iter()
            .map(|(range, features)| (range, features.len()))
            .collect()
    }
}

/// In UTC to the minute: `2026-11-03 02:00-02:30`, with a date on both sides of midnight.
impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, until] = [self.from(), self.until()].map(|time| {
            let text = time.to_string();
            text.split_once('T')
                .map_or((text.clone(), String::new()), |(date, time)| {
                    (date.to_owned(), time.get(..5).unwrap_or(time).to_owned())
                })
        });
        if from.0 == until.0 {
            write!(f, "{} {}-{}", from.0, from.1, until.1)
        } else {
            write!(f, "{} {} to {} {}", from.0, from.1, until.0, until.1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-03T00:00:00Z.
    const DAY_MS: i64 = 1_793_664_000_000;

    fn minutes(from: i64, until: i64) -> Incident {
        let time = |minute| EventTime::from_millis(DAY_MS + minute * 60_000);
        Incident::new(time(from), time(until))
    }

    #[test]
    fn a_range_is_shown_with_its_date() {
        assert_eq!(minutes(120, 150).to_string(), "2026-11-03 02:00-02:30");
        assert_eq!(
            minutes(1430, 1450).to_string(),
            "2026-11-03 23:50 to 2026-11-04 00:10"
        );
    }

    #[test]
    fn the_shortest_of_the_ranges_of_a_feature_is_kept() {
        let ranges = vec![minutes(90, 180), minutes(120, 150), minutes(600, 605)];
        let expected = [minutes(120, 150), minutes(600, 605)];
        assert_eq!(Incident::distinct(ranges), expected);
    }

    #[test]
    fn ranges_of_features_that_meet_are_one() {
        let features = [
            vec![minutes(120, 150), minutes(600, 605)],
            vec![],
            vec![minutes(125, 155)],
        ];
        let expected = [(minutes(120, 155), 2), (minutes(600, 605), 1)];
        assert_eq!(Incident::over_features(features), expected);
    }
}
