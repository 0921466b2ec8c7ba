//! The simulated log, in bytes, and its readers.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use pegel::model::PanesTopicSpec;
use pegel::pane_log::kafka::{Admission, Entry, RecordKey, admit};
use pegel::pane_log::{Record, SnapshotChunk, decode, encode_chunk, read, write};
use pegel::panes::LogState;
use pegel::panes::{Claim, Rejected};
use serde::{Deserialize, Serialize};

use super::stream::{Sums, add};

/// Distance of two records in the log: offsets have gaps, and the marks of the state hash are far
/// apart.
const STRIDE: i64 = 7;

/// A log of one partition, which holds commits and snapshots.
static SPEC: LazyLock<PanesTopicSpec> = LazyLock::new(|| PanesTopicSpec {
    topic: "panes".to_owned(),
    brokers: Vec::new(),
    partitions: 1,
    snapshot_interval: Duration::from_secs(300),
    properties: BTreeMap::new(),
});

fn entry(offset: i64, bytes: &[u8]) -> Entry<'_> {
    Entry {
        partition: 0,
        offset,
        appended_at: None,
        key: Some(RecordKey {
            writer: 1,
            number: 0,
            partitions: SPEC.partitions,
        }),
        bytes,
    }
}

/// Decides on a claim, as [`LogState::fold`] does.
pub(super) type Fold = fn(&mut LogState, i64, &Claim) -> Result<(), Rejected>;

/// A totally ordered log.
#[derive(Debug, Default)]
pub(super) struct Log {
    records: Vec<Vec<u8>>,
    /// The newest snapshot that landed: its index, and the index from which its reader continues.
    snapshot: Option<(usize, usize)>,
}

/// A reader's state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Reader {
    pub(super) state: LogState,
    pub(super) sums: Sums,
}

impl Log {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn append(&mut self, bytes: Vec<u8>) {
        self.records.push(bytes);
    }

    /// Writes a snapshot that was taken when the log had `as_of` records.
    pub(super) fn append_snapshot(&mut self, reader: &Reader, as_of: usize) {
        let (mut bytes, mut record) = (Vec::new(), Vec::new());
        write(reader, &mut bytes);
        encode_chunk(
            &SnapshotChunk {
                id: 1,
                scope: String::new(),
                part: 0,
                parts: 1,
                bytes,
            },
            &mut record,
        );
        self.snapshot = Some((self.len(), as_of));
        self.append(record);
    }

    /// A reader that starts now, from the newest snapshot if there is one; `from_as_of` is the
    /// rule.
    pub(super) fn read(&self, fold: Fold, from_as_of: bool) -> Reader {
        let (mut reader, mut next) = (Reader::default(), 0);
        if let Some((index, as_of)) = self.snapshot {
            let Ok(Record::Snapshot(chunk)) = decode(&self.records[index]) else {
                panic!("a snapshot lies at {index}");
            };
            reader = read(&chunk.bytes).unwrap();
            next = if from_as_of { as_of } else { index + 1 };
        }
        reader.read_on(self, next, fold);
        reader
    }
}

impl Reader {
    /// Reads all records from `next`; returns whether the last one was an accepted commit.
    pub(super) fn read_on(&mut self, log: &Log, next: usize, fold: Fold) -> bool {
        let mut is_accepted = false;
        for (index, bytes) in log.records.iter().enumerate().skip(next) {
            is_accepted = self.take(i64::try_from(index).unwrap() * STRIDE, bytes, fold);
        }
        is_accepted
    }

    /// Takes a record as a scorer does: the claim decides, and then the counts are decoded. An
    /// ingester stops after the claim, so both decide alike.
    fn take(&mut self, position: i64, bytes: &[u8], fold: Fold) -> bool {
        let Admission::Claim(claim) = admit(&entry(position, bytes), &SPEC).unwrap() else {
            self.state.pass(0, position);
            return false;
        };
        let is_accepted = fold(&mut self.state, position, &claim).is_ok();
        if is_accepted {
            let Record::Commit(commit) = decode(bytes).unwrap() else {
                panic!("only commits have claims");
            };
            assert_eq!(commit.claim(), claim, "the claim of a commit");
            self.state.hash(0, &commit);
            add(&mut self.sums, &commit);
        }
        is_accepted
    }

    /// The hash of all accepted counts.
    pub(super) fn hash(&self) -> u64 {
        self.state
            .partitions
            .get(&0)
            .map_or(0, |position| position.hash)
    }
}
