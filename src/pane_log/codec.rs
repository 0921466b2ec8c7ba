//! The encoding of a record in the pane log.
//!
//! A record is a format number, a kind, and a body in postcard (variable-length integers;
//! postcard's encoding is stable since its version 1). Most of a commit is integers of very
//! different size, so the encoding is small without compression: a numeric feature takes about 290
//! bytes after 10,000 rows. Sums of cells are written as the distance from the middle of their
//! cell, which saves about a byte for each.
//!
//! What a commit counts, its schema, is written whole or by id, see [`super::schemas`].
//!
//! The claim of a commit comes first and can be read alone, so a reader that only needs heads does
//! not decode counts. Readers accept every released format up to their own and refuse the others;
//! bytes of these formats are kept in tests/fixtures. A change to any type below, or to the order
//! of its fields, is a new format.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::schemas::SchemaTable;
use crate::model::{EventTime, SchemaId};
use crate::panes::{Claim, Commit, CommitSchema, MonitorCommit, RecordCounts};

/// The format that this program writes.
pub const FORMAT: u8 = 4;

/// The oldest format that this program reads. Formats 1 to 3 were never released.
pub const OLDEST_FORMAT: u8 = 4;

/// A record of the pane log.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// The counts of one shard.
    Commit(Commit),
    /// A piece of a snapshot.
    Snapshot(SnapshotChunk),
    /// The first record of a partition.
    Opening(Opening),
}

/// A piece of a snapshot; the pieces in order are its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotChunk {
    /// The same for all pieces of one snapshot, and different for another snapshot.
    pub id: u64,
    /// The part of the monitors that the snapshot covers, as `0/1`: a scorer restores the snapshot
    /// of its own part.
    pub scope: String,
    /// Index of this piece, from 0.
    pub part: u32,
    /// Number of pieces.
    pub parts: u32,
    /// The bytes of this piece.
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

/// The first record of each partition of a log in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Number of partitions of the log; shards are spread by it, so it never changes.
    pub partitions: u32,
}

/// The reason why bytes cannot be read as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There are fewer bytes than in the shortest record.
    #[error("shorter than the shortest record")]
    Short,
    /// The format is older than [`OLDEST_FORMAT`].
    #[error(
        "written in format {format}, which no release has used, this program reads format {FORMAT}: remove the log, windows then start again"
    )]
    Older {
        /// Format of the record.
        format: u8,
    },
    /// The format is newer than [`FORMAT`], or 0, which was never written.
    #[error(
        "written in format {format}, this program reads up to {FORMAT}: use the program that wrote it, or a newer one"
    )]
    Newer {
        /// Format of the record.
        format: u8,
    },
    /// The kind does not exist in the record's format.
    #[error("a record of the unknown kind {kind}")]
    UnknownKind {
        /// Kind of the record.
        kind: u8,
    },
    /// The body cannot be read as the record's kind.
    #[error("its body cannot be read")]
    Body,
    /// The commit refers to a schema that was not read before it.
    #[error("it refers to the schema {id:?}, which was not read before it")]
    UnknownSchema {
        /// Id of the schema.
        id: SchemaId,
    },
}

impl CodecError {
    /// Returns true if another version of the program wrote the record.
    #[must_use]
    pub const fn is_another_format(self) -> bool {
        matches!(self, CodecError::Newer { .. } | CodecError::Older { .. })
    }
}

const COMMIT: u8 = 1;
const SNAPSHOT: u8 = 2;
const OPENING: u8 = 3;

/// The part of a commit that follows its claim.
#[derive(Serialize, Deserialize)]
struct CommitRest {
    written_at: Option<EventTime>,
    read_time: Option<EventTime>,
    is_read_time_of_writer: bool,
    from_start: bool,
    source_shards: u32,
    offsets_lost: u64,
    counted: SchemaReference,
    records: RecordCounts,
    monitors: Vec<MonitorCommit>,
}

/// The schema of a commit in the log.
#[derive(Serialize, Deserialize)]
enum SchemaReference {
    /// The schema itself.
    Whole(Arc<CommitSchema>),
    /// A schema that was written before.
    Id(SchemaId),
}

/// Appends the encoding of a commit with its whole schema to `out`.
pub fn encode_commit(commit: &Commit, out: &mut Vec<u8>) {
    encode_commit_as(
        commit,
        &SchemaReference::Whole(Arc::clone(&commit.counted)),
        out,
    );
}

/// Appends the encoding of a commit to `out` that refers to its schema by id.
pub(super) fn encode_commit_by_id(commit: &Commit, schema: SchemaId, out: &mut Vec<u8>) {
    encode_commit_as(commit, &SchemaReference::Id(schema), out);
}

fn encode_commit_as(commit: &Commit, schema: &SchemaReference, out: &mut Vec<u8>) {
    begin(COMMIT, out);
    write(&commit.claim(), out);
    // The fields of `CommitRest`, by reference.
    write(
        &(
            commit.written_at,
            commit.read_time,
            commit.is_read_time_of_writer,
            commit.from_start,
            commit.source_shards,
            commit.offsets_lost,
            schema,
            &commit.records,
            &commit.monitors,
        ),
        out,
    );
}

/// Appends the encoding of a snapshot piece to `out`.
pub fn encode_chunk(chunk: &SnapshotChunk, out: &mut Vec<u8>) {
    begin(SNAPSHOT, out);
    write(chunk, out);
}

/// Appends the encoding of an opening to `out`.
pub fn encode_opening(opening: Opening, out: &mut Vec<u8>) {
    begin(OPENING, out);
    write(&opening, out);
}

fn begin(kind: u8, out: &mut Vec<u8>) {
    out.extend([FORMAT, kind]);
}

/// Appends a value in postcard to `out`.
pub fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let buffer = std::mem::take(out);
    *out = postcard::to_extend(value, buffer).expect("memory does not fail, and lengths are known");
}

/// Reads a value in postcard that takes up all of `bytes`.
///
/// # Errors
/// Returns [`CodecError::Body`] if the bytes are anything else.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(CodecError::Body),
    }
}

/// Reads a value in postcard at the beginning of `bytes`.
///
/// # Errors
/// Returns [`CodecError::Body`] if the bytes begin with anything else.
pub fn read_prefix<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, _)) => Ok(value),
        Err(_) => Err(CodecError::Body),
    }
}

/// Decodes a record that holds its whole schema, if it is a commit.
///
/// # Errors
/// As for [`decode_with`].
pub fn decode(bytes: &[u8]) -> Result<Record, CodecError> {
    decode_with(bytes, &mut SchemaTable::default())
}

/// Decodes a record; a schema that it holds is added to `schemas`, and one that it refers to is
/// taken from there.
///
/// # Errors
/// Returns the reason if the bytes are not a record, or one of a newer format, or if a commit
/// refers to an unknown schema.
pub fn decode_with(bytes: &[u8], schemas: &mut SchemaTable) -> Result<Record, CodecError> {
    let (kind, body) = split_header(bytes)?;
    match kind {
        COMMIT => decode_commit(body, schemas).map(Record::Commit),
        SNAPSHOT => read(body).map(Record::Snapshot),
        OPENING => read(body).map(Record::Opening),
        _ => Err(CodecError::UnknownKind { kind }),
    }
}

/// Decodes only the claim of a commit; returns `None` for a record of another kind.
///
/// # Errors
/// Returns the reason if the bytes are not a record, or one of a newer format.
pub fn decode_claim(bytes: &[u8]) -> Result<Option<Claim>, CodecError> {
    let (kind, body) = split_header(bytes)?;
    if kind != COMMIT {
        return Ok(None);
    }
    read_prefix(body).map(Some)
}

/// Splits a record of a known format into its kind and its body.
fn split_header(bytes: &[u8]) -> Result<(u8, &[u8]), CodecError> {
    match bytes {
        [format, ..] if *format > FORMAT || *format == 0 => {
            Err(CodecError::Newer { format: *format })
        }
        [format, ..] if *format < OLDEST_FORMAT => Err(CodecError::Older { format: *format }),
        [_, kind, body @ ..] => Ok((*kind, body)),
        _ => Err(CodecError::Short),
    }
}

fn decode_commit(body: &[u8], schemas: &mut SchemaTable) -> Result<Commit, CodecError> {
    let (claim, rest): (Claim, _) =
        postcard::take_from_bytes(body).map_err(|_| CodecError::Body)?;
    let rest: CommitRest = read(rest)?;
    let counted = match rest.counted {
        SchemaReference::Whole(schema) => schemas.add(schema),
        SchemaReference::Id(id) => schemas.get(id).ok_or(CodecError::UnknownSchema { id })?,
    };
    Ok(Commit {
        shard: claim.shard,
        topic_id: claim.topic_id,
        base: claim.base,
        upto: claim.upto,
        opens: claim.opens,
        written_at: rest.written_at,
        read_time: rest.read_time,
        is_read_time_of_writer: rest.is_read_time_of_writer,
        from_start: rest.from_start,
        source_shards: rest.source_shards,
        offsets_lost: rest.offsets_lost,
        counted,
        records: rest.records,
        monitors: rest.monitors,
    })
}

/// Bytes written as one block and not as a list of numbers.
mod bytes {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        <&[u8]>::deserialize(deserializer).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LayoutId, MonitorId, Shard};
    use crate::panes::{FeatureDelta, Frame, MonitorSchema, PaneDelta};
    use crate::stats::{Bins, CellScale, Layout, NumericLayout};
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, StandardNormal};

    fn layout() -> Layout {
        let bins = Bins::try_new((0..=20).map(|i| f64::from(i) / 5.0 - 2.0).collect()).unwrap();
        let cells = CellScale::try_new(0.0, 1.0).unwrap();
        Layout::Numeric(NumericLayout::new(bins, cells))
    }

    /// Returns a commit with the counts of `xs` for each of `features` features.
    fn commit(xs: &[f64], features: usize) -> Commit {
        let layout = layout();
        let mut frame = Frame::new((0..features).map(|_| Some(&layout)));
        frame.begin(EventTime::from_millis(1_793_491_200_000));
        for x in xs {
            frame.count_event();
            (0..features).for_each(|i| frame.record_number(i, layout.numeric().unwrap(), *x));
        }
        let pane = frame.take();
        let ids = (0..features).map(|i| LayoutId::of([&i.to_le_bytes()[..]]));
        Commit {
            shard: Arc::new(Shard {
                source: "s".to_owned(),
                cluster: "c".to_owned(),
                topic: "t".to_owned(),
                partition: 3,
                incarnation: 1,
            }),
            topic_id: Some([9; 16]),
            base: 10,
            upto: 10 + xs.len() as i64,
            opens: true,
            written_at: Some(EventTime::from_millis(5)),
            read_time: Some(EventTime::from_millis(4)),
            is_read_time_of_writer: true,
            from_start: false,
            source_shards: 4,
            offsets_lost: 2,
            counted: Arc::new(CommitSchema {
                monitors: vec![MonitorSchema {
                    id: MonitorId::of([&b"m"[..]]),
                    features: ids.collect(),
                }],
            }),
            records: RecordCounts::default(),
            monitors: vec![MonitorCommit {
                events: pane.events,
                newest_event_time: Some(EventTime::from_millis(7)),
                newest_arrived_at: Some(EventTime::from_millis(8)),
                is_arrival_of_writer: true,
                panes: vec![pane],
                ..MonitorCommit::default()
            }],
        }
    }

    fn encoded(commit: &Commit) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_commit(commit, &mut bytes);
        bytes
    }

    #[test]
    fn a_numeric_feature_takes_at_most_320_bytes_after_10_000_rows() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let xs: Vec<f64> = (0..10_000)
            .map(|_| StandardNormal.sample(&mut random))
            .collect();
        let narrow = encoded(&commit(&xs, 1));
        let wide = encoded(&commit(&xs, 11));
        let each = (wide.len() - narrow.len()) / 10;
        assert!(each <= 320, "{each} bytes");
    }

    #[test]
    fn the_claim_can_be_read_alone() {
        let commit = commit(&[1.0], 1);
        let claim = decode_claim(&encoded(&commit));
        assert_eq!(claim, Ok(Some(commit.claim())), "claim");
        let mut opening = Vec::new();
        encode_opening(Opening { partitions: 8 }, &mut opening);
        assert_eq!(decode_claim(&opening), Ok(None), "no commit");
    }

    /// The ids of all monitors and features were repeated in every commit.
    #[test]
    fn a_commit_refers_to_a_schema_that_was_read_before() {
        let (commit, mut schemas) = (commit(&[1.0], 100), SchemaTable::default());
        let mut by_id = Vec::new();
        encode_commit_by_id(&commit, commit.counted.id(), &mut by_id);
        let saved = encoded(&commit).len() - by_id.len();
        assert!(saved >= 100 * 8, "{saved} bytes");
        let unknown = decode_with(&by_id, &mut schemas).unwrap_err();
        let id = commit.counted.id();
        assert_eq!(unknown, CodecError::UnknownSchema { id }, "not read yet");
        assert_eq!(decode_claim(&by_id), Ok(Some(commit.claim())), "the claim");
        decode_with(&encoded(&commit), &mut schemas).unwrap();
        let decoded = decode_with(&by_id, &mut schemas);
        assert_eq!(decoded, Ok(Record::Commit(commit)), "read");
    }

    #[test]
    fn a_newer_format_is_an_error_that_names_it() {
        let mut bytes = encoded(&commit(&[1.0], 1));
        bytes[0] = FORMAT + 1;
        let refused = CodecError::Newer { format: FORMAT + 1 };
        assert_eq!(decode(&bytes), Err(refused), "refused");
        assert_eq!(decode_claim(&bytes), Err(refused), "by both functions");
    }

    #[test]
    fn cells_that_do_not_exist_are_an_error() {
        let mut delta = FeatureDelta::default();
        delta.cells.first = 383;
        delta.cells.counts = vec![1, 1];
        delta.cells.sums = vec![0, 0];
        let mut bytes = Vec::new();
        write(&delta, &mut bytes);
        assert_eq!(
            read::<FeatureDelta>(&bytes),
            Err(CodecError::Body),
            "refused"
        );
    }

    proptest! {
        #[test]
        fn a_decoded_record_equals_the_encoded_one(xs in proptest::collection::vec(-1e9..1e9f64, 0..40), features in 1..4usize) {
            let commit = commit(&xs, features);
            prop_assert_eq!(decode(&encoded(&commit)), Ok(Record::Commit(commit)));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), format in 0..3u8, kind in 0..5u8) {
            let bytes = [vec![format, kind], bytes].concat();
            let (whole, claim) = (decode(&bytes), decode_claim(&bytes));
            if let Ok(Record::Commit(commit)) = whole {
                prop_assert_eq!(claim, Ok(Some(commit.claim())));
            }
        }

        #[test]
        fn a_pane_delta_survives_the_encoding(start in any::<i64>(), events in any::<u64>()) {
            let pane = PaneDelta { start: EventTime::from_millis(start), events, features: Vec::new() };
            let mut bytes = Vec::new();
            write(&pane, &mut bytes);
            prop_assert_eq!(read(&bytes), Ok(pane));
        }
    }
}
