//! Forms of counts in the pane log's encoding that differ from their fields.

/// Counts by reason. Reasons are only ever added at the end, so a list of an older program is shorter.
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
        let found = Vec::<u64>::deserialize(deserializer)?;
        let mut counts = [0; N];
        match counts.get_mut(..found.len()) {
            Some(known) => known.copy_from_slice(&found),
            None => return Err(D::Error::custom("more reasons than are known")),
        }
        Ok(counts)
    }
}

/// A run of cells, its sums as distances from the middle of the cell.
pub(super) mod cell_run {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::stats::{CELLS, CellRun, FULL_WIDTH};

    fn middle(count: u32) -> i64 {
        i64::from(count) * (FULL_WIDTH / 2)
    }

    pub(in crate::panes) fn serialize<S: Serializer>(
        run: &CellRun,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let parts = run.counts.iter().zip(&run.sums);
        let distances: Vec<i64> = parts
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
        let parts = counts.iter().zip(distances);
        let sums = parts
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
