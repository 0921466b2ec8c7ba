//! The decision which records of the topic the fold sees.
//!
//! Ingesters and scorers must decide alike on every commit, or one of them counts what the other
//! reads again. Both ask here first, and then the fold of their
//! [`LogState`](crate::panes::LogState).

use super::error::KafkaLogError;
use super::reader::Entry;
use super::routing::partition_of;
use crate::model::PanesTopicSpec;
use crate::pane_log::codec::{CodecError, decode_claim};
use crate::panes::Claim;

/// A record as the fold sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// A commit on the partition of its shard: the fold decides on it.
    Claim(Claim),
    /// A commit on another partition, or of a writer with another number of partitions.
    WrongPartition(Claim),
    /// A record of another kind.
    NoCommit,
    /// A record that is not pegel's, or is damaged.
    Unreadable(CodecError),
}

/// Decides whether the fold sees a record; a record that it does not see is passed.
///
/// # Errors
/// Returns an error if another version of the program wrote the record: what it counts is not
/// known, so no reader may pass it.
pub fn admit(entry: &Entry<'_>, spec: &PanesTopicSpec) -> Result<Admission, KafkaLogError> {
    match decode_claim(entry.bytes) {
        // A record without our key is foreign, whatever its first byte is.
        Err(source) if source.is_another_format() && entry.key.is_some() => {
            Err(KafkaLogError::AnotherFormat {
                topic: spec.topic.clone(),
                partition: entry.partition,
                offset: entry.offset,
                source,
            })
        }
        Err(error) => Ok(Admission::Unreadable(error)),
        Ok(None) => Ok(Admission::NoCommit),
        Ok(Some(claim)) => {
            let has_our_partition_count = entry
                .key
                .is_some_and(|key| key.partitions == spec.partitions);
            let is_routed = partition_of(&claim.shard, spec) == entry.partition;
            Ok(if has_our_partition_count && is_routed {
                Admission::Claim(claim)
            } else {
                Admission::WrongPartition(claim)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{opening, spec};
    use super::*;
    use crate::pane_log::codec::{FORMAT, Opening, encode_commit, encode_opening};
    use crate::pane_log::kafka::RecordKey;
    use crate::panes::Commit;

    fn entry(bytes: &[u8], partitions: Option<u32>) -> Entry<'_> {
        Entry {
            partition: 0,
            offset: 7,
            appended_at: None,
            key: partitions.map(|partitions| RecordKey {
                writer: 1,
                number: 2,
                partitions,
            }),
            bytes,
        }
    }

    /// A scorer ended at a record of a newer program, and an ingester passed it: their heads
    /// differed from there on.
    #[test]
    fn a_record_of_a_newer_program_is_an_error_and_a_foreign_one_is_passed() {
        let newer = [FORMAT + 1, 1, 0];
        let problem = admit(&entry(&newer, Some(1)), &spec(1)).unwrap_err();
        assert!(
            matches!(problem, KafkaLogError::AnotherFormat { offset: 7, .. }),
            "{problem:?}"
        );
        assert!(!problem.is_transient(), "no retry helps");
        let foreign = admit(&entry(&newer, None), &spec(1)).unwrap();
        assert!(
            matches!(foreign, Admission::Unreadable(_)),
            "without our key: {foreign:?}"
        );
    }

    #[test]
    fn only_commits_on_the_partition_of_their_shard_are_folded() {
        let mut bytes = Vec::new();
        encode_commit(&Commit::unreadable(opening(0, 0)), &mut bytes);
        let admitted = |partitions| admit(&entry(&bytes, partitions), &spec(1)).unwrap();
        assert_eq!(admitted(Some(1)), Admission::Claim(opening(0, 0)));
        let elsewhere = Admission::WrongPartition(opening(0, 0));
        assert_eq!(admitted(Some(2)), elsewhere, "another number");
        assert_eq!(admitted(None), elsewhere, "without a key");
        let mut record = Vec::new();
        encode_opening(Opening { partitions: 1 }, &mut record);
        let admitted = admit(&entry(&record, Some(1)), &spec(1)).unwrap();
        assert_eq!(admitted, Admission::NoCommit, "another kind");
    }
}
