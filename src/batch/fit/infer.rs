//! Infers the features and kinds of a data set that no configuration describes.
//!
//! `true` and `false` make a boolean, numbers a numeric feature, text a categorical one. Text whose
//! values are all different is an identifier and text that reads as times is a clock: neither can
//! drift in a useful way, so both are left out. Every decision carries its reason, so the commands
//! can print it.

use rustc_hash::FxHashSet;

use crate::batch::dataset;
use crate::decode::{Decoder, Fields, Paths, Reading, TimeReader, boolean, category, number};
use crate::model::{FeatureSpec, Kind, Pointer, Role, Slot, TimestampSpec};
use crate::source::files::Row;
use crate::source::{Rows, RowsError};

/// Number of NDJSON rows in which columns are discovered.
const DISCOVERY_ROWS: usize = 1000;
/// Number of distinct values of a column beyond which they are no longer collected.
const MAX_DISTINCT: usize = 100_000;
/// Largest number of distinct numbers for which the fit gives each number a bin of its own.
const MAX_DISCRETE: usize = 20;

/// A column and the kind inferred for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// Name of the column, or member names of a JSON value joined with dots.
    pub name: String,
    /// Path of the column in a record.
    pub path: Pointer,
    /// Inferred kind; `None` if the column is left out.
    pub kind: Option<Kind>,
    /// Reason of the decision in a few words.
    pub reason: String,
}

impl Inferred {
    /// Leaves the column out because it holds the time of the rows.
    pub fn mark_as_time(&mut self) {
        self.kind = None;
        "the rows' time".clone_into(&mut self.reason);
    }

    /// Returns the feature for this column, or `None` if it is left out.
    #[must_use]
    pub fn feature(&self) -> Option<FeatureSpec> {
        Some(FeatureSpec {
            name: self.name.clone(),
            path: Some(self.path.clone()),
            kind: Some(self.kind?),
            coerce: FeatureSpec::DEFAULT_COERCE,
            role: Role::Feature,
            bins: None,
            top: None,
        })
    }
}

/// Counts of the values of one column by type.
#[derive(Debug, Default)]
struct ColumnProfile {
    values: u64,
    numbers: u64,
    booleans: u64,
    times: u64,
    /// At most [`MAX_DISTINCT`] + 1 different values.
    distinct: FxHashSet<String>,
}

/// Infers the kind of every column from all rows.
///
/// # Errors
/// The rows cannot be read.
pub fn infer(rows: &dyn Rows) -> Result<Vec<Inferred>, RowsError> {
    let columns = discover(rows)?;
    let mut paths = Paths::new();
    let slots: Vec<usize> = columns
        .iter()
        .map(|(name, path)| paths.add(path, Some(name)))
        .collect();
    let mut profiles: Vec<ColumnProfile> =
        columns.iter().map(|_| ColumnProfile::default()).collect();
    let mut decoder = Decoder::new(&paths);
    let mut buffer = String::new();
    let times = TimeReader::new(&TimestampSpec::default());
    dataset::read(rows, &mut decoder, &mut |fields| {
        for (slot, profile) in slots.iter().zip(&mut profiles) {
            profile.record(fields, *slot, &times, &mut buffer);
        }
        true
    })?;
    Ok(columns
        .into_iter()
        .zip(profiles)
        .map(|((name, path), profile)| {
            let (kind, reason) = profile.kind();
            Inferred {
                name,
                path,
                kind,
                reason,
            }
        })
        .collect())
}

/// Returns the columns of a table, or the paths of the scalars in the first rows of NDJSON.
fn discover(rows: &dyn Rows) -> Result<Vec<(String, Pointer)>, RowsError> {
    let root = Pointer::default();
    if let Some(header) = rows.header()? {
        return Ok(header
            .into_iter()
            .map(|name| (name.clone(), root.child(&name)))
            .collect());
    }
    let mut columns = Vec::new();
    let mut read = 0;
    rows.rows(&mut |_| (), &mut |row, _| {
        if let Row::Json(line) = row
            && let Ok(value) = serde_json::from_slice(line)
        {
            collect_scalars(&value, "", &root, &mut columns);
        }
        read += 1;
        read < DISCOVERY_ROWS
    })?;
    Ok(columns)
}

/// Adds name and path of every scalar in `value` that `columns` lacks; arrays are passed over.
fn collect_scalars(
    value: &serde_json::Value,
    name: &str,
    path: &Pointer,
    columns: &mut Vec<(String, Pointer)>,
) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                let member_name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                collect_scalars(member, &member_name, &path.child(key), columns);
            }
        }
        serde_json::Value::Array(_) => {}
        _ if columns.iter().any(|(_, known)| known == path) => {}
        _ => columns.push((name.to_owned(), path.clone())),
    }
}

impl ColumnProfile {
    /// Counts the value of one row; absent and null values are not counted.
    fn record(&mut self, fields: Fields<'_>, slot: usize, times: &TimeReader, buffer: &mut String) {
        let (slot, scratch) = (fields.slots[slot], fields.scratch);
        if matches!(slot, Slot::Absent | Slot::Null) {
            return;
        }
        let is_number = !matches!(number(slot, scratch), Reading::Invalid(_));
        self.values += 1;
        self.numbers += u64::from(is_number);
        self.booleans += u64::from(matches!(boolean(slot, scratch), Reading::Value(_)));
        self.times +=
            u64::from(!is_number && matches!(times.read(slot, scratch), Reading::Value(_)));
        if self.distinct.len() <= MAX_DISTINCT
            && let Reading::Value(name) = category(slot, scratch, buffer)
            && !self.distinct.contains(name)
        {
            self.distinct.insert(name.to_owned());
        }
    }

    /// Returns the kind, or `None` if the column is left out, and the reason.
    fn kind(&self) -> (Option<Kind>, String) {
        let distinct = self.distinct.len();
        if self.values == 0 {
            (None, "no values".to_owned())
        } else if self.booleans == self.values {
            (Some(Kind::Boolean), "true or false".to_owned())
        } else if self.numbers == self.values && distinct <= MAX_DISCRETE {
            (Some(Kind::Numeric), format!("{distinct} distinct numbers"))
        } else if self.numbers == self.values {
            (Some(Kind::Numeric), "numbers".to_owned())
        } else if self.times == self.values {
            (None, "times".to_owned())
        } else if self.values > 1 && (distinct > MAX_DISTINCT || distinct as u64 == self.values) {
            (None, "an identifier: every text is different".to_owned())
        } else if self.numbers > 0 {
            let reason = format!("text and {} numbers", self.numbers);
            (Some(Kind::Categorical), reason)
        } else {
            let reason = format!("{distinct} different texts");
            (Some(Kind::Categorical), reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::source::files::DataFile;

    fn infer_text(name: &str, text: &str) -> Vec<Inferred> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        infer(&DataFile::open(path.to_str().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn kinds_follow_the_values_of_a_column() {
        let mut table = "flag,few,many,word,mixed,id,at,empty\n".to_owned();
        for i in 0..40 {
            let (flag, few, word) = (i % 2 == 0, i % 3, ["red", "green"][i % 2]);
            let mixed = if i % 4 == 0 { "7" } else { "x" };
            let at = format!("2026-11-01T00:00:{i:02}Z");
            writeln!(table, "{flag},{few},{i},{word},{mixed},n{i},{at},").unwrap();
        }
        let inferred: Vec<(String, Option<Kind>, String)> = infer_text("rows.csv", &table)
            .into_iter()
            .map(|column| (column.name, column.kind, column.reason))
            .collect();
        let expected = [
            ("flag", Some(Kind::Boolean), "true or false"),
            ("few", Some(Kind::Numeric), "3 distinct numbers"),
            ("many", Some(Kind::Numeric), "numbers"),
            ("word", Some(Kind::Categorical), "2 different texts"),
            ("mixed", Some(Kind::Categorical), "text and 10 numbers"),
            ("id", None, "an identifier: every text is different"),
            ("at", None, "times"),
            ("empty", None, "no values"),
        ]
        .map(|(name, kind, reason)| (name.to_owned(), kind, reason.to_owned()));
        assert_eq!(inferred, expected);
    }

    #[test]
    fn members_of_json_objects_are_columns_and_arrays_are_not() {
        let columns = infer_text(
            "rows.ndjson",
            "{\"a\": {\"b\": 1.5}, \"list\": [1]}\n{\"a\": {\"b\": 2.5, \"c\": \"x\"}}\n",
        );
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["a.b", "a.c"]);
    }
}
