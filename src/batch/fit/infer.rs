//! Infers the features and kinds of a data set that no configuration describes.
//!
//! `true` and `false` make a boolean, numbers a numeric feature, text a categorical one. Codes with
//! leading zeros are text, although they look like numbers. A few texts among numbers do not make
//! categories of them: they are invalid values. Identifiers (whole numbers that are all different,
//! or texts that mostly are), dates and clocks cannot drift in a useful way, so they are left out.
//! Every decision carries its reason, so the commands can print it, and the user can overrule it.

use super::column_profile::{ColumnProfile, Verdict};
use crate::batch::{columns, dataset};
use crate::decode::{Decoder, Paths, TimeReader};
use crate::model::{FeatureSpec, Kind, Pointer, Role, TimestampFormat, TimestampSpec, suggest};
use crate::source::{Rows, RowsError};

/// A column and the kind inferred for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// Name of the column, or member names of a JSON value joined with dots.
    pub name: String,
    /// Path of the column in a record.
    pub path: Pointer,
    /// Inferred kind; `None` if the column is left out.
    pub kind: Option<Kind>,
    /// Form of the times, if the column holds nothing but times.
    pub times: Option<TimestampFormat>,
    /// Reason of the decision in a few words.
    pub reason: String,
    /// A fact about the values that a user may not expect, as a sentence.
    pub note: Option<String>,
    /// True if the values could be categories, and are left out because they hardly are.
    pub may_be_categories: bool,
    /// True if the values are left out because they are arrays or objects.
    pub is_nested: bool,
}

/// The columns that a user decides about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnChoice {
    /// Columns to leave out.
    pub exclude: Vec<String>,
    /// Columns whose values are categories, even if they look like numbers.
    pub categorical: Vec<String>,
    /// Columns whose values are numbers, even if they look like something else.
    pub numeric: Vec<String>,
}

/// A choice that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// The data has no column of this name.
    #[error("--{option} {column}: no such column, {}", suggest(.column, &.known.iter().map(String::as_str).collect::<Vec<_>>()))]
    UnknownColumn {
        /// Name of the option without its dashes.
        option: &'static str,
        /// Name of the column.
        column: String,
        /// Names of all columns.
        known: Vec<String>,
    },
    /// Two options name the column.
    #[error("--{option} {column}: --{earlier} names the column too")]
    NamedTwice {
        /// Name of the option without its dashes.
        option: &'static str,
        /// Name of the other option.
        earlier: &'static str,
        /// Name of the column.
        column: String,
    },
}

impl ColumnChoice {
    /// True if nothing is chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == ColumnChoice::default()
    }

    /// Overrules what was inferred.
    ///
    /// # Errors
    /// A column does not exist, or two options name it.
    pub fn apply(&self, columns: &mut [Inferred]) -> Result<(), ChoiceError> {
        let known: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let mut chosen: Vec<(&str, &'static str)> = Vec::new();
        let options = [
            ("exclude", &self.exclude, None),
            ("categorical", &self.categorical, Some(Kind::Categorical)),
            ("numeric", &self.numeric, Some(Kind::Numeric)),
        ];
        for (option, names, kind) in options {
            for name in names {
                let Some(column) = columns.iter_mut().find(|column| column.name == *name) else {
                    return Err(ChoiceError::UnknownColumn {
                        option,
                        column: name.clone(),
                        known,
                    });
                };
                if let Some((_, earlier)) = chosen.iter().find(|(chosen, _)| chosen == name)
                    && *earlier != option
                {
                    return Err(ChoiceError::NamedTwice {
                        option,
                        earlier,
                        column: name.clone(),
                    });
                }
                chosen.push((name, option));
                (column.kind, column.times, column.note) = (kind, None, None);
                (column.may_be_categories, column.is_nested) = (false, false);
                column.reason = format!("--{option}");
            }
        }
        Ok(())
    }
}

impl Inferred {
    /// Leaves the column out because it holds the time of the rows.
    pub fn mark_as_time(&mut self) {
        (self.kind, self.note, self.may_be_categories) = (None, None, false);
        self.reason = match self.times {
            Some(format) => format!("the rows' time ({format})"),
            None => "the rows' time".to_owned(),
        };
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

/// Returns the only column that holds times; `None` if there is none, or if there are several.
pub fn only_time(columns: &mut [Inferred]) -> Option<&mut Inferred> {
    let mut times = columns.iter_mut().filter(|column| column.times.is_some());
    let only = times.next()?;
    times.next().is_none().then_some(only)
}

/// Infers the kind of every column from all rows.
///
/// # Errors
/// The rows cannot be read.
pub fn infer(rows: &dyn Rows) -> Result<Vec<Inferred>, RowsError> {
    let columns = columns::discover(rows)?;
    let mut paths = Paths::new();
    let slots: Vec<usize> = columns
        .iter()
        .map(|column| paths.add(&column.path, Some(&column.name)))
        .collect();
    let mut profiles: Vec<ColumnProfile> =
        columns.iter().map(|_| ColumnProfile::default()).collect();
    let mut decoder = Decoder::new(&paths);
    let times = TimeReader::new(&TimestampSpec::default());
    dataset::read(rows, &mut decoder, &mut |row| {
        let fields = row.fields;
        for (slot, profile) in slots.iter().zip(&mut profiles) {
            profile.record(fields.slots[*slot], fields.scratch, row.number, &times);
        }
        true
    })?;
    Ok(columns
        .into_iter()
        .zip(profiles)
        .map(|(column, profile)| {
            let Verdict {
                kind,
                times,
                reason,
                note,
                may_be_categories,
                is_nested,
            } = match column.name.as_str() {
                "" => Verdict::left_out("the column has no name"),
                _ => profile.verdict(),
            };
            Inferred {
                name: column.name,
                path: column.path,
                kind,
                times,
                reason,
                note,
                may_be_categories,
                is_nested,
            }
        })
        .collect())
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
        let mut table =
            "flag,few,many,word,mixed,id,at,empty,order,zip,seconds,,price\n".to_owned();
        for i in 0..40 {
            let (flag, few, word) = (i % 2 == 0, i % 3, ["red", "green"][i % 2]);
            let mixed = if i % 4 == 0 { "7" } else { "x" };
            let at = format!("2026-11-01T00:00:{i:02}Z");
            let (many, zip, seconds) = (i % 30, 4750 + i % 7, 1_793_491_200 + i);
            writeln!(
                table,
                "{flag},{few},{many},{word},{mixed},n{i},{at},,{i},{zip:05},{seconds},{i},{i}.5"
            )
            .unwrap();
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
            ("at", None, "times (rfc3339)"),
            ("empty", None, "no values"),
            // They were numeric features.
            ("order", None, "an identifier: every number is different"),
            ("zip", Some(Kind::Categorical), "codes with leading zeros"),
            ("seconds", None, "times (epoch_s)"),
            ("", None, "the column has no name"),
            ("price", Some(Kind::Numeric), "numbers"),
        ]
        .map(|(name, kind, reason)| (name.to_owned(), kind, reason.to_owned()));
        assert_eq!(inferred, expected);
    }

    #[test]
    fn members_of_json_objects_are_columns_and_arrays_are_left_out() {
        let columns = infer_text(
            "rows.ndjson",
            "{\"a\": {\"b\": 1.5}, \"list\": [1], \"mixed\": 1}
             {\"a\": {\"b\": 2.5, \"c\": \"x\"}, \"list\": null, \"mixed\": {\"d\": 1}}\n",
        );
        let columns: Vec<(&str, Option<Kind>, &str)> = columns
            .iter()
            .map(|column| (column.name.as_str(), column.kind, column.reason.as_str()))
            .collect();
        let numeric = Some(Kind::Numeric);
        // An array was not a column, so it was missing without a word.
        let array = "arrays or objects; `path` can lead to an element";
        let expected = [
            ("a/b", numeric, "2 distinct numbers"),
            ("list", None, array),
            ("mixed", None, "arrays or objects in 50.0 % of the values"),
            ("a/c", Some(Kind::Categorical), "1 different texts"),
            ("mixed/d", numeric, "1 distinct numbers"),
        ];
        assert_eq!(columns, expected);
    }

    fn columns() -> Vec<Inferred> {
        let mut table = "id,zip,at\n".to_owned();
        for i in 0..40 {
            writeln!(table, "{i},{:05},2026-11-01 00:00:{i:02}", 4750 + i % 30).unwrap();
        }
        infer_text("rows.csv", &table)
    }

    #[test]
    fn a_choice_overrules_what_was_inferred() {
        let mut columns = columns();
        let choice = |exclude: &[&str], categorical: &[&str], numeric: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            ColumnChoice {
                exclude: owned(exclude),
                categorical: owned(categorical),
                numeric: owned(numeric),
            }
        };
        choice(&["at"], &["id"], &["zip"])
            .apply(&mut columns)
            .unwrap();
        let kinds: Vec<Option<Kind>> = columns.iter().map(|column| column.kind).collect();
        assert_eq!(kinds, [Some(Kind::Categorical), Some(Kind::Numeric), None]);
        assert!(only_time(&mut columns).is_none(), "excluded");
        let error = |choice: ColumnChoice| choice.apply(&mut super::tests::columns()).unwrap_err();
        assert_eq!(
            error(choice(&["zpi"], &[], &[])).to_string(),
            "--exclude zpi: no such column, did you mean \"zip\"?"
        );
        assert_eq!(
            error(choice(&["id"], &[], &["id"])).to_string(),
            "--numeric id: --exclude names the column too"
        );
    }

    #[test]
    fn the_only_column_of_times_is_the_time() {
        let mut columns = columns();
        let time = only_time(&mut columns).unwrap();
        assert_eq!(time.times, Some(TimestampFormat::Datetime), "{}", time.name);
        columns[0].times = Some(TimestampFormat::EpochS);
        assert!(only_time(&mut columns).is_none(), "two of them");
    }
}
