//! What the columns of a data set are, when nobody has said.
//!
//! `true` and `false` make a boolean, numbers a numeric feature, text a categorical one. Text in which every value is different is an identifier and says
//! nothing about drift; text that reads as times is the clock. Both are left out, and everything is printed, so that nothing happens silently.

use rustc_hash::FxHashSet;

use crate::batch::dataset;
use crate::decode::{Decoder, Fields, Paths, Reading, boolean, category, number, timestamp};
use crate::model::{FeatureSpec, Kind, Pointer, Role, Slot};
use crate::source::files::Row;
use crate::source::{Rows, RowsError};

/// Columns are discovered in this many rows of NDJSON.
const SAMPLE_ROWS: usize = 1000;
/// Distinct values are told apart up to this many.
const MANY: usize = 100_000;
/// Up to so many distinct numbers get one bin each.
const DISCRETE: usize = 20;

/// A column and what it was taken for.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// Its name, and where it is.
    pub name: String,
    /// Where it is.
    pub path: Pointer,
    /// `None` = left out.
    pub kind: Option<Kind>,
    /// Why, in a few words.
    pub why: String,
}

impl Inferred {
    /// It is what tells the rows' time, and no feature.
    pub fn set_time(&mut self) {
        self.kind = None;
        "the rows' time".clone_into(&mut self.why);
    }

    /// The feature it becomes.
    #[must_use]
    pub fn feature(&self) -> Option<FeatureSpec> {
        let (name, path) = (self.name.clone(), Some(self.path.clone()));
        self.kind.map(|kind| FeatureSpec {
            name,
            path,
            kind: Some(kind),
            role: Role::Feature,
            bins: None,
            top: None,
        })
    }
}

/// What has been seen of a column.
#[derive(Debug, Default)]
struct Profile {
    values: u64,
    numbers: u64,
    booleans: u64,
    texts: u64,
    times: u64,
    distinct: FxHashSet<String>,
}

/// Looks at every row.
///
/// # Errors
/// The rows cannot be read.
pub fn infer(rows: &dyn Rows) -> Result<Vec<Inferred>, RowsError> {
    let found = discover(rows)?;
    let mut paths = Paths::new();
    let slots: Vec<usize> = found
        .iter()
        .map(|(name, path)| paths.add(path, Some(name)))
        .collect();
    let mut profiles: Vec<Profile> = found.iter().map(|_| Profile::default()).collect();
    let mut decoder = Decoder::new(&paths);
    let mut buffer = String::new();
    dataset::read(rows, &mut decoder, &mut |fields| {
        for (slot, profile) in slots.iter().zip(&mut profiles) {
            profile.see(fields, *slot, &mut buffer);
        }
        true
    })?;
    let named = found.into_iter().zip(profiles);
    Ok(named
        .map(|((name, path), profile)| profile.conclude(name, path))
        .collect())
}

/// The columns of a table, or the scalar paths in the first rows of NDJSON.
fn discover(rows: &dyn Rows) -> Result<Vec<(String, Pointer)>, RowsError> {
    let root = Pointer::default();
    if let Some(header) = rows.header()? {
        return Ok(header
            .into_iter()
            .map(|name| (name.clone(), root.child(&name)))
            .collect());
    }
    let mut found = Vec::new();
    let mut seen = 0;
    rows.rows(&mut |_| (), &mut |row, _| {
        if let Row::Json(line) = row
            && let Ok(value) = serde_json::from_slice(line)
        {
            walk(&value, "", &root, &mut found);
        }
        seen += 1;
        seen < SAMPLE_ROWS
    })?;
    Ok(found)
}

fn walk(value: &serde_json::Value, name: &str, path: &Pointer, found: &mut Vec<(String, Pointer)>) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                let below = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                walk(value, &below, &path.child(key), found);
            }
        }
        serde_json::Value::Array(_) => {}
        _ if found.iter().any(|(_, known)| known == path) => {}
        _ => found.push((name.to_owned(), path.clone())),
    }
}

impl Profile {
    fn see(&mut self, fields: Fields<'_>, slot: usize, buffer: &mut String) {
        let (slot, scratch) = (fields.slots[slot], fields.scratch);
        if matches!(slot, Slot::Absent | Slot::Null) {
            return;
        }
        let is_number = !matches!(number(slot, scratch), Reading::Invalid(_));
        self.values += 1;
        self.numbers += u64::from(is_number);
        self.booleans += u64::from(matches!(boolean(slot, scratch), Reading::Value(_)));
        self.texts += u64::from(!is_number);
        self.times += u64::from(!is_number && timestamp(slot, scratch).is_some());
        if self.distinct.len() <= MANY
            && let Reading::Value(name) = category(slot, scratch, buffer)
            && !self.distinct.contains(name)
        {
            self.distinct.insert(name.to_owned());
        }
    }

    fn conclude(&self, name: String, path: Pointer) -> Inferred {
        let (kind, why) = self.kind();
        Inferred {
            name,
            path,
            kind,
            why,
        }
    }

    fn kind(&self) -> (Option<Kind>, String) {
        let distinct = self.distinct.len();
        let is_all = |count: u64| count == self.values;
        match () {
            () if self.values == 0 => (None, "no values".to_owned()),
            () if is_all(self.booleans) => (Some(Kind::Boolean), "true or false".to_owned()),
            () if is_all(self.numbers) && distinct <= DISCRETE => {
                (Some(Kind::Numeric), format!("{distinct} distinct numbers"))
            }
            () if is_all(self.numbers) => (Some(Kind::Numeric), "numbers".to_owned()),
            () if is_all(self.times) => (None, "times".to_owned()),
            () if self.values > 1 && (distinct > MANY || distinct as u64 == self.values) => {
                (None, "an identifier: every text is different".to_owned())
            }
            () if self.numbers > 0 => (
                Some(Kind::Categorical),
                format!("text and {} numbers", self.numbers),
            ),
            () => (
                Some(Kind::Categorical),
                format!("{distinct} different texts"),
            ),
        }
    }
}
