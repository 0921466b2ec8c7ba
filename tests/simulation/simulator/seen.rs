//! How much of what could happen did: a harness in which nothing happens proves nothing.

/// How much of what could happen did.
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
}

impl Seen {
    pub(super) fn plus(self, other: Seen) -> Seen {
        Seen {
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            unnoticed: self.unnoticed + other.unnoticed,
            lost: self.lost + other.lost,
            repeated: self.repeated + other.repeated,
            crashes: self.crashes + other.crashes,
            snapshots: self.snapshots + other.snapshots,
            snapshot_reads: self.snapshot_reads + other.snapshot_reads,
        }
    }

    /// Whether every kind of thing happened in a good part of the schedules.
    pub(super) fn is_rich(&self, schedules: u64) -> bool {
        let all = [
            self.accepted,
            self.rejected,
            self.unnoticed,
            self.lost,
            self.repeated,
            self.crashes,
            self.snapshots,
            self.snapshot_reads,
        ];
        all.iter().all(|times| *times > schedules / 4)
    }
}
