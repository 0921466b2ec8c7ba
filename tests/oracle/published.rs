//! The published data sets: their location, and their gzipped tables by column.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The folder of a data set; `None` when it is absent and that is allowed.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let shared = std::env::var("PEGEL_SHARED").map_or_else(
        |_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let folder = shared.join("data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("PEGEL_TEST_REQUIRE").is_ok_and(|value| value == "1");
    assert!(!required, "data set {name} is required and absent");
    println!("skipped: data set {name} is absent");
    None
}

/// The cells of a table, by column.
pub(crate) fn read_columns(path: &Path) -> HashMap<String, Vec<String>> {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap()));
    let header: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let mut columns = vec![Vec::new(); header.len()];
    for row in reader.records() {
        for (column, cell) in columns.iter_mut().zip(row.unwrap().iter()) {
            column.push(cell.to_owned());
        }
    }
    header.into_iter().zip(columns).collect()
}
