//! Data files: CSV and NDJSON, plain or gzipped, row by row.
//!
//! A file is read more than once (first to infer its columns, then to count its rows), so standard
//! input is copied to a temporary file. Rows are passed to a closure by reference. A malformed row
//! is passed as [`Row::Bad`] and does not end the reading.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tempfile::NamedTempFile;

use crate::decode::DecodeError;

/// The first two bytes of a gzip stream (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An error of a data file as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file does not exist or may not be read.
    #[error("{path}: cannot be opened")]
    Open {
        /// The file's name as given.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file cannot be read to its end or copied.
    #[error("{path}: cannot be read")]
    Io {
        /// The file's name as given.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The first row of the table is not a header.
    #[error("{path}: the first row is not a header")]
    Header {
        /// The file's name as given.
        path: String,
        /// The error of the CSV reader.
        source: csv::Error,
    },
}

impl FileError {
    /// Reports whether the command names a wrong file, as opposed to a failure while reading it.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, FileError::Open { .. })
    }
}

/// One row of a data file.
#[derive(Debug)]
pub enum Row<'a> {
    /// A line of NDJSON.
    Json(&'a [u8]),
    /// Cells of a table.
    Cells(&'a csv::StringRecord),
    /// A malformed row.
    Bad(DecodeError),
}

/// A readable data file.
#[derive(Debug)]
pub struct DataFile {
    path: PathBuf,
    name: String,
    is_table: bool,
    /// Keeps the copy of standard input; removes it when dropped.
    _spool: Option<NamedTempFile>,
}

impl DataFile {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// The file cannot be read, or standard input cannot be copied.
    pub fn open(name: &str) -> Result<Self, FileError> {
        let spool = if name == "-" {
            Some(spool_stdin().map_err(|source| io_error(name, source))?)
        } else {
            None
        };
        let path = spool
            .as_ref()
            .map_or_else(|| PathBuf::from(name), |file| file.path().to_owned());
        let is_table = check_file(&path)
            .and_then(|()| is_table(name, &path))
            .map_err(|source| FileError::Open {
                path: name.to_owned(),
                source,
            })?;
        Ok(DataFile {
            path,
            name: name.to_owned(),
            is_table,
            _spool: spool,
        })
    }

    /// The name the file was opened by; `-` for standard input.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Size on disk in bytes; 0 if the size cannot be read.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |metadata| metadata.len())
    }

    /// The column names; `None` for NDJSON.
    ///
    /// # Errors
    /// The file cannot be read or has no header.
    pub fn header(&self) -> Result<Option<Vec<String>>, FileError> {
        if !self.is_table {
            return Ok(None);
        }
        let mut ignore_progress = |_| ();
        let mut reader = table_reader(self.open_decompressed(&mut ignore_progress)?);
        let header = reader.headers().map_err(|source| FileError::Header {
            path: self.name.clone(),
            source,
        })?;
        Ok(Some(header.iter().map(str::to_owned).collect()))
    }

    /// Passes every row to `each` until `each` returns `false`. Passes the number of bytes read
    /// from disk so far to `read`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows(
        &self,
        read: &mut dyn FnMut(u64),
        each: &mut dyn FnMut(Row<'_>) -> bool,
    ) -> Result<(), FileError> {
        let input = self.open_decompressed(read)?;
        let outcome = if self.is_table {
            table_rows(input, each)
        } else {
            json_rows(input, each)
        };
        outcome.map_err(|source| io_error(&self.name, source))
    }

    fn open_decompressed<'a>(
        &self,
        read: &'a mut dyn FnMut(u64),
    ) -> Result<Box<dyn BufRead + 'a>, FileError> {
        let to_error = |source| io_error(&self.name, source);
        let file = File::open(&self.path).map_err(to_error)?;
        let counting = CountingReader {
            file,
            bytes: 0,
            read,
        };
        let mut input = BufReader::with_capacity(1 << 16, counting);
        let is_gzip = input.fill_buf().map_err(to_error)?.starts_with(&GZIP_MAGIC);
        Ok(if is_gzip {
            Box::new(BufReader::with_capacity(
                1 << 16,
                MultiGzDecoder::new(input),
            ))
        } else {
            Box::new(input)
        })
    }
}

/// Reports the number of bytes read from a file.
struct CountingReader<'a> {
    file: File,
    bytes: u64,
    read: &'a mut dyn FnMut(u64),
}

impl Read for CountingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.bytes += bytes as u64;
        (self.read)(self.bytes);
        Ok(bytes)
    }
}

fn io_error(path: &str, source: io::Error) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        source,
    }
}

fn spool_stdin() -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(file)
}

/// Checks that a path is a file that may be read.
fn check_file(path: &Path) -> io::Result<()> {
    if File::open(path)?.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(())
}

/// True for CSV: decided by the extension of the name, else by the first character, since `{`
/// begins a line of NDJSON.
fn is_table(name: &str, path: &Path) -> io::Result<bool> {
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => Ok(true),
        Some("ndjson" | "jsonl" | "json") => Ok(false),
        _ => {
            let mut start = Vec::new();
            let mut file = BufReader::new(File::open(path)?);
            if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
                MultiGzDecoder::new(file)
                    .take(512)
                    .read_to_end(&mut start)?;
            } else {
                file.take(512).read_to_end(&mut start)?;
            }
            Ok(!start.trim_ascii_start().starts_with(b"{"))
        }
    }
}

fn table_reader<'a>(input: Box<dyn BufRead + 'a>) -> csv::Reader<Box<dyn BufRead + 'a>> {
    csv::ReaderBuilder::new().from_reader(input)
}

fn table_rows(
    input: Box<dyn BufRead + '_>,
    each: &mut dyn FnMut(Row<'_>) -> bool,
) -> io::Result<()> {
    let mut reader = table_reader(input);
    let mut cells = csv::StringRecord::new();
    loop {
        let wants_more = match reader.read_record(&mut cells) {
            Ok(false) => return Ok(()),
            Ok(true) => each(Row::Cells(&cells)),
            Err(error) => match error.into_kind() {
                csv::ErrorKind::Io(error) => return Err(error),
                csv::ErrorKind::Utf8 { .. } => each(Row::Bad(DecodeError::Utf8)),
                _ => each(Row::Bad(DecodeError::RowLength)),
            },
        };
        if !wants_more {
            return Ok(());
        }
    }
}

fn json_rows(
    mut input: Box<dyn BufRead + '_>,
    each: &mut dyn FnMut(Row<'_>) -> bool,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let row = line.trim_ascii();
        if !row.is_empty() && !each(Row::Json(row)) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn rows(suffix: &str, content: &[u8]) -> Vec<String> {
        let mut file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut rows = Vec::new();
        let data = DataFile::open(file.path().to_str().unwrap()).unwrap();
        data.rows(&mut |_| (), &mut |row| {
            rows.push(match row {
                Row::Json(line) => String::from_utf8_lossy(line).into_owned(),
                Row::Cells(cells) => cells.iter().collect::<Vec<_>>().join("|"),
                Row::Bad(error) => error.reason().to_owned(),
            });
            true
        })
        .unwrap();
        rows
    }

    #[test]
    fn format_is_taken_from_the_extension_or_the_first_character() {
        assert_eq!(rows(".csv", b"a,b\n1,2\n"), ["1|2"], "csv");
        assert_eq!(
            rows(".ndjson", b"{\"a\":1}\n\n {\"a\":2}"),
            ["{\"a\":1}", "{\"a\":2}"],
            "blank lines"
        );
        assert_eq!(
            rows(".data", b"a,b\n1,2\n"),
            ["1|2"],
            "table by its first character"
        );
        assert_eq!(
            rows(".data", b" {\"a\":1}\n"),
            ["{\"a\":1}"],
            "lines by their first character"
        );
    }

    #[test]
    fn gzip_is_detected_whatever_the_name_is() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"a\n1\n2\n").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(rows(".csv.gz", &packed), ["1", "2"], "named");
        assert_eq!(rows(".csv", &packed), ["1", "2"], "not named");
    }

    #[test]
    fn a_malformed_row_does_not_end_the_reading() {
        assert_eq!(
            rows(".csv", b"a,b\n1\n3,4\n\xff,1\n5,6\n"),
            ["row_length", "3|4", "utf8", "5|6"],
            "good and bad rows in order"
        );
    }
}
