//! Counters of what happened in the schedules. A simulator in which nothing happens proves nothing.

/// Number of events of each kind over all schedules.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) unnoticed: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) crashes: u64,
    pub(super) snapshots: u64,
    pub(super) snapshot_reads: u64,
    /// Claims by an owner that looked the head up before there was one.
    pub(super) outdated: u64,
}

impl Seen {
    pub(super) fn plus(self, other: Self) -> Self {
        Seen {
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            unnoticed: self.unnoticed + other.unnoticed,
            lost: self.lost + other.lost,
            repeated: self.repeated + other.repeated,
            crashes: self.crashes + other.crashes,
            snapshots: self.snapshots + other.snapshots,
            snapshot_reads: self.snapshot_reads + other.snapshot_reads,
            outdated: self.outdated + other.outdated,
        }
    }

    /// True when every kind of event happened in a good part of the schedules.
    pub(super) fn is_rich(&self, schedules: u64) -> bool {
        let total = [
            self.accepted,
            self.rejected,
            self.unnoticed,
            self.lost,
            self.repeated,
            self.crashes,
            self.snapshots,
            self.snapshot_reads,
            self.outdated,
        ];
        total.iter().all(|times| *times > schedules / 4)
    }
}
