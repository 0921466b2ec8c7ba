//! Encodings of counts in the pane log that differ from their fields in memory.
//!
//! They are written out because the derived form would either be larger (sums of cells) or tie the
//! number of reasons to the format (counts by reason).

/// Returns the number of bytes of an integer in postcard: 7 bits in each.
pub(super) fn varint_bytes(value: u64) -> usize {
    let bits = (64 - value.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

/// Returns the number of bytes of a cell: its count, and its sum as a distance.
pub(super) fn cell_bytes(count: u32, sum: i64) -> usize {
    let distance = sum.wrapping_sub(cell_run::middle(count));
    // Signed integers are written as 2n, or -2n - 1 if they are negative.
    let folded = (distance.wrapping_shl(1) ^ (distance >> 63)).cast_unsigned();
    varint_bytes(u64::from(count)) + varint_bytes(folded)
}

/// Counts by reason, written as a list with its length.
///
/// New reasons are only appended, so the list of an older program is shorter and is filled up with
/// zeros. A longer list is an error.
pub(super) mod reasons {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in crate::panes) fn serialize<S: Serializer, const N: usize>(
        counts: &[u64; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        counts.as_slice().serialize(serializer)
    }

    pub(in crate::panes) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u64; N], D::Error> {
        let encoded = Vec::<u64>::deserialize(deserializer)?;
        let mut counts = [0; N];
        match counts.get_mut(..encoded.len()) {
            Some(known) => known.copy_from_slice(&encoded),
            None => return Err(D::Error::custom("more reasons than are known")),
        }
        Ok(counts)
    }
}

/// A run of cells whose sums are written as distances from the middle of their cell.
///
/// Values spread over a cell, so the distance is small and takes about a byte less than the sum.
pub(super) mod cell_run {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::stats::{CELLS, CellRun, FULL_WIDTH};

    /// Returns the sum of `count` values in the middle of their cell.
    pub(super) fn middle(count: u32) -> i64 {
        i64::from(count) * (FULL_WIDTH / 2)
    }

    pub(in crate::panes) fn serialize<S: Serializer>(
        run: &CellRun,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let distances: Vec<i64> = run
            .counts
            .iter()
            .zip(&run.sums)
            .map(|(count, sum)| sum.wrapping_sub(middle(*count)))
            .collect();
        (run.first, &run.counts, distances).serialize(serializer)
    }

    pub(in crate::panes) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<CellRun, D::Error> {
        let (first, counts, distances) = <(u16, Vec<u32>, Vec<i64>)>::deserialize(deserializer)?;
        if counts.len() != distances.len() || usize::from(first) + counts.len() > CELLS {
            return Err(D::Error::custom("cells that do not exist"));
        }
        let sums = counts
            .iter()
            .zip(distances)
            .map(|(count, distance)| distance.wrapping_add(middle(*count)))
            .collect();
        Ok(CellRun {
            first,
            counts,
            sums,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Counts<const N: usize>(#[serde(with = "super::reasons")] [u64; N]);

    #[test]
    fn reasons_of_an_older_program_are_filled_up_with_zeros() {
        let bytes = postcard::to_stdvec(&Counts([1, 2])).unwrap();
        assert_eq!(
            postcard::from_bytes(&bytes),
            Ok(Counts([1, 2, 0])),
            "filled up"
        );
        let too_many = postcard::from_bytes::<Counts<1>>(&bytes);
        assert!(too_many.is_err(), "more reasons than this program knows");
    }
}
