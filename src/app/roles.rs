//! The part of the work that one process does: a role, and a share of the monitors.
//!
//! On one machine a process does everything. With the pane log in a Kafka topic, ingesters and
//! scorers are separate processes. Several scorers split the monitors by a hash of their names, so
//! they agree on who scores a monitor without talking to each other.

use crate::model::bucket_of;

/// The halves of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Ingests and scores.
    #[default]
    All,
    /// Counts records into the pane log.
    Ingest,
    /// Reads the pane log and scores.
    Score,
}

impl Role {
    /// True for a role that reads sources.
    #[must_use]
    pub const fn ingests(self) -> bool {
        !matches!(self, Role::Score)
    }

    /// True for a role that evaluates windows.
    #[must_use]
    pub const fn scores(self) -> bool {
        !matches!(self, Role::Ingest)
    }
}

/// One of several scorers that split the monitors among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorSplit {
    /// The number of this scorer, from 0.
    pub index: u32,
    /// The number of scorers; at least 1, above `index`.
    pub count: u32,
}

impl Default for MonitorSplit {
    fn default() -> Self {
        MonitorSplit { index: 0, count: 1 }
    }
}

impl MonitorSplit {
    /// True when this scorer is responsible for the monitor or source of this name.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        bucket_of([name.as_bytes()], self.count) == self.index
    }

    /// The label of this scorer's snapshots, such as `0/2`.
    pub(super) fn scope(self) -> String {
        format!("{}/{}", self.index, self.count)
    }
}

/// The part of the work that this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessRole {
    /// Ingesting, scoring, or both.
    pub role: Role,
    /// The share of the monitors that it scores.
    pub split: MonitorSplit,
    /// Creates the topic of the pane log when it does not exist.
    pub create_topics: bool,
}

impl ProcessRole {
    /// True when this process evaluates the windows of a monitor.
    pub(super) fn scores(self, monitor: &str) -> bool {
        self.role.scores() && self.split.has(monitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_belongs_to_exactly_one_scorer() {
        for count in 1..5 {
            let splits: Vec<MonitorSplit> = (0..count)
                .map(|index| MonitorSplit { index, count })
                .collect();
            for name in ["fraud", "churn", "a", "inference_log"] {
                let owners = splits.iter().filter(|split| split.has(name)).count();
                assert_eq!(owners, 1, "{name} among {count}");
            }
        }
    }
}
