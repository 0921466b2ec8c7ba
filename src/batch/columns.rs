//! The columns of data: those that it has, and those that a monitor expects in vain.
//!
//! A renamed column reads as values that are all missing. That is true and says nothing about what
//! to do, so the absent column is named, with the column that it may be now.

use std::fmt;

use super::dataset;
use crate::decode::Decoder;
use crate::engine::MonitorPlan;
use crate::model::{Pointer, Slot, nearest};
use crate::observe::{ObserverPlan, is_selected};
use crate::source::files::Row;
use crate::source::{Rows, RowsError};

/// Number of rows in which columns are looked for.
const DISCOVERY_ROWS: usize = 1000;
/// Number of rows beyond which no more are searched for those that a monitor selects.
const MAX_SCANNED: usize = 100 * DISCOVERY_ROWS;
/// Most columns that a message lists.
const MAX_LISTED: usize = 8;

/// A feature whose column the data does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentColumn {
    /// Name of the file or topic.
    pub data: String,
    /// Name of the feature.
    pub feature: String,
    /// True if only the first rows were looked at: a member of JSON objects may come later.
    pub is_sampled: bool,
    /// The columns that no feature reads.
    pub unread: Vec<String>,
}

impl fmt::Display for AbsentColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread: Vec<&str> = self.unread.iter().map(String::as_str).collect();
        write!(f, "{}: no column {}", self.data, self.feature)?;
        if self.is_sampled {
            write!(f, " in the first {DISCOVERY_ROWS} rows")?;
        }
        if let Some(name) = nearest(&self.feature, &unread) {
            return write!(f, ", did you mean {name:?}?");
        }
        match unread.len() {
            0 => Ok(()),
            count if count > MAX_LISTED => write!(
                f,
                "; columns that no feature reads: {} and {} more",
                unread[..MAX_LISTED].join(", "),
                count - MAX_LISTED
            ),
            _ => write!(f, "; columns that no feature reads: {}", unread.join(", ")),
        }
    }
}

/// The fields that a monitor reads.
#[must_use]
pub fn observed(plan: &MonitorPlan) -> ObserverPlan {
    let mut observer = ObserverPlan::default();
    observer.add(&plan.spec, &plan.observed());
    observer
}

/// Returns the features of the first monitor that no row has, of the first rows that it selects.
///
/// # Errors
/// The rows cannot be read.
pub fn absent_columns(
    rows: &dyn Rows,
    plan: &ObserverPlan,
) -> Result<Vec<AbsentColumn>, RowsError> {
    let Some(monitor) = plan.monitors.first() else {
        return Ok(Vec::new());
    };
    let mut decoder = Decoder::new(&plan.paths);
    let columns = dataset::columns(rows, &decoder)?;
    let mut is_present = vec![false; monitor.features.len()];
    let (mut read, mut scanned) = (0, 0);
    rows.rows(&mut |_| (), &mut |row, _| {
        scanned += 1;
        if let Ok(fields) = dataset::fields(row, &mut decoder, columns.as_ref())
            && is_selected(monitor, fields)
        {
            for (feature, is_present) in monitor.features.iter().zip(&mut is_present) {
                *is_present |= fields.slots[feature.slot] != Slot::Absent;
            }
            read += 1;
        }
        let is_complete = is_present.iter().all(|is_present| *is_present);
        read < DISCOVERY_ROWS && scanned < MAX_SCANNED && !is_complete
    })?;
    if read == 0 || is_present.iter().all(|is_present| *is_present) {
        return Ok(Vec::new());
    }
    let unread: Vec<String> = discover(rows)?
        .into_iter()
        .filter(|column| !column.is_array && !plan.paths.reads(&column.path, &column.name))
        .map(|column| column.name)
        .filter(|name| !name.is_empty())
        .collect();
    Ok(monitor
        .features
        .iter()
        .zip(is_present)
        .filter(|(_, is_present)| !is_present)
        .map(|(feature, _)| AbsentColumn {
            data: rows.name().to_owned(),
            feature: feature.name.clone(),
            is_sampled: columns.is_none() && read == DISCOVERY_ROWS,
            unread: unread.clone(),
        })
        .collect())
}

/// A column of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataColumn {
    /// Name of the column, or member names of a JSON value joined with slashes.
    pub(super) name: String,
    /// Path of its values in a record.
    pub(super) path: Pointer,
    /// True if its first value is an array.
    pub(super) is_array: bool,
}

/// Returns the columns of a table, or the paths of the scalars and arrays in the first rows of
/// NDJSON.
pub(super) fn discover(rows: &dyn Rows) -> Result<Vec<DataColumn>, RowsError> {
    let root = Pointer::default();
    if let Some(header) = rows.header()? {
        return Ok(header
            .into_iter()
            .map(|name| DataColumn {
                path: root.child(&name),
                name,
                is_array: false,
            })
            .collect());
    }
    let mut columns = Vec::new();
    let mut read = 0;
    rows.rows(&mut |_| (), &mut |row, _| {
        if let Row::Json(line) = row
            && let Ok(value) = serde_json::from_slice(line)
        {
            collect_columns(&value, &root, &mut columns);
        }
        read += 1;
        read < DISCOVERY_ROWS
    })?;
    Ok(columns)
}

/// Adds every scalar and every array in `value` that `columns` lacks.
fn collect_columns(value: &serde_json::Value, path: &Pointer, columns: &mut Vec<DataColumn>) {
    let is_array = match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                collect_columns(member, &path.child(key), columns);
            }
            return;
        }
        value => value.is_array(),
    };
    if columns.iter().all(|known| known.path != *path) {
        columns.push(DataColumn {
            name: path.feature_name(),
            path: path.clone(),
            is_array,
        });
    }
}
