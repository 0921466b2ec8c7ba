//! Data files: CSV and NDJSON, plain or gzipped, row by row.
//!
//! A file is read more than once (first to infer its columns, then to count its rows), so standard
//! input is copied to a temporary file. Rows are passed to a closure by reference. A malformed row
//! is passed as [`Row::Bad`] and does not end the reading.
//!
//! Encoding, separator and decimal sign are found in the file when it is opened, because they are
//! wrong more often than they are known. A choice that is not the usual one is a note for the user.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use flate2::read::MultiGzDecoder;
use rustc_hash::FxHashSet;
use tempfile::NamedTempFile;

use super::{decimal, separator, text_encoding};
use crate::decode::{CellForm, DecodeError};

/// The first two bytes of a gzip stream (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The number of bytes at the beginning of a file in which its form is found.
const SAMPLE_BYTES: usize = 1 << 16;

/// An error of a data file as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file does not exist or may not be read.
    #[error("{path}: cannot be read")]
    Open {
        /// The file's name as given.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file cannot be copied, or read to its end.
    #[error("{path}: cannot be read")]
    Io {
        /// The file's name as given.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Two columns of the table have one name.
    #[error("{path}: two columns are named {name:?}, expected different names")]
    DuplicateColumn {
        /// The file's name as given.
        path: String,
        /// Name of both columns.
        name: String,
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

/// The form of a data file, where the user gives it.
#[derive(Debug, Clone, Default)]
pub struct FileForm {
    /// The separator of a table's columns; `None` = found in the file.
    pub separator: Option<u8>,
    /// The encoding of the text; `None` = found in the file.
    pub encoding: Option<&'static Encoding>,
    /// True if a comma is the decimal sign, false if a point is; `None` = found in the file.
    pub has_decimal_comma: Option<bool>,
    /// Texts of a table that are missing values beside the empty one; `None` = those of pandas.
    pub missing: Option<Vec<String>>,
}

/// A readable data file.
#[derive(Debug)]
pub struct DataFile {
    path: PathBuf,
    name: String,
    is_table: bool,
    encoding: &'static Encoding,
    separator: u8,
    cells: CellForm,
    notes: Vec<String>,
    /// Keeps the copy of standard input; removes it when dropped.
    _spool: Option<NamedTempFile>,
}

impl DataFile {
    /// Opens a file, or standard input for `-`, and finds out its form.
    ///
    /// # Errors
    /// The file cannot be read, or standard input cannot be copied.
    pub fn open(name: &str) -> Result<Self, FileError> {
        Self::open_as(name, FileForm::default())
    }

    /// Opens a file, or standard input for `-`, in a form that the user may give.
    ///
    /// # Errors
    /// The file cannot be read, or standard input cannot be copied.
    pub fn open_as(name: &str, form: FileForm) -> Result<Self, FileError> {
        let spool = if name == "-" {
            Some(spool_stdin().map_err(|source| io_error(name, source))?)
        } else {
            None
        };
        let path = spool
            .as_ref()
            .map_or_else(|| PathBuf::from(name), |file| file.path().to_owned());
        check_file(&path).map_err(|source| FileError::Open {
            path: name.to_owned(),
            source,
        })?;
        let start = start_of(&path).map_err(|source| io_error(name, source))?;
        let marked = form.encoding.or_else(|| text_encoding::marked(&start));
        let sample = text_encoding::decode_lossy(&start, marked.unwrap_or(UTF_8));
        let is_table = is_table(name, &form, &sample);
        let encoding = match marked {
            Some(encoding) => encoding,
            // JSON is UTF-8, so a line of another encoding is malformed.
            None if !is_table => UTF_8,
            None => decompressed(&path)
                .and_then(|mut input| text_encoding::scan(&mut input))
                .map_err(|source| io_error(name, source))?,
        };
        let text = text_encoding::decode_lossy(&start, encoding);
        let sample = whole_lines(&text, start.len() < SAMPLE_BYTES);
        let separator = form.separator.unwrap_or_else(|| separator::detect(sample));
        // Where a comma separates columns, a comma in quotes may be anything.
        let may_have_decimal_comma =
            is_table && form.has_decimal_comma.is_none() && separator != b',';
        let with_comma = may_have_decimal_comma
            .then(|| decimal::detect(sample, separator))
            .flatten();
        let mut notes = Vec::new();
        notes.extend(lines_note(name, is_table));
        if form.encoding.is_none() {
            notes.extend(encoding_note(name, encoding));
        }
        if is_table && form.separator.is_none() && separator != b',' {
            let separator = char::from(separator);
            notes.push(format!("{name}: columns are separated by {separator:?}"));
        }
        if let Some(column) = &with_comma {
            notes.push(format!(
                "{name}: a comma is the decimal sign, as in {:?} of column {}; --decimal . reads \
                 such values as texts",
                column.text, column.name
            ));
        }
        Ok(DataFile {
            path,
            name: name.to_owned(),
            is_table,
            encoding,
            separator,
            cells: CellForm {
                missing: form.missing,
                has_decimal_comma: form.has_decimal_comma.unwrap_or(with_comma.is_some()),
            },
            notes,
            _spool: spool,
        })
    }

    /// Unusual facts about the form of the file, for the user.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The form of the cells of a table.
    #[must_use]
    pub const fn cells(&self) -> &CellForm {
        &self.cells
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
        let mut reader = self.table_reader(self.open_text(&mut ignore_progress)?);
        let header = reader.headers().map_err(|source| FileError::Header {
            path: self.name.clone(),
            source,
        })?;
        let header: Vec<String> = header.iter().map(str::to_owned).collect();
        let mut names = FxHashSet::default();
        let duplicate = header
            .iter()
            .find(|name| !name.is_empty() && !names.insert(name.as_str()));
        if let Some(name) = duplicate {
            return Err(FileError::DuplicateColumn {
                path: self.name.clone(),
                name: name.clone(),
            });
        }
        Ok(Some(header))
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
        let input = self.open_text(read)?;
        let outcome = if self.is_table {
            table_rows(self.table_reader(input), each)
        } else {
            json_rows(input, each)
        };
        outcome.map_err(|source| io_error(&self.name, source))
    }

    /// Opens the text of the file in UTF-8.
    fn open_text<'a>(
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
        let input = decompress(counting).map_err(to_error)?;
        let text = text_encoding::to_utf8(input, self.encoding);
        Ok(Box::new(BufReader::with_capacity(1 << 16, text)))
    }

    fn table_reader<'a>(&self, input: Box<dyn BufRead + 'a>) -> csv::Reader<Box<dyn BufRead + 'a>> {
        csv::ReaderBuilder::new()
            .delimiter(self.separator)
            .trim(csv::Trim::Headers)
            .from_reader(input)
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

/// The note on an encoding that was recognised; none for the usual one.
fn encoding_note(name: &str, encoding: &'static Encoding) -> Option<String> {
    if encoding == WINDOWS_1252 {
        Some(format!(
            "{name}: not UTF-8, read as Windows-1252 (latin-1); --encoding sets another"
        ))
    } else if encoding != UTF_8 {
        Some(format!("{name}: read as {}", encoding.name()))
    } else {
        None
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

/// Unpacks gzip, whatever the name of the file is.
fn decompress<'a>(input: impl Read + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let is_gzip = input.fill_buf()?.starts_with(&GZIP_MAGIC);
    Ok(if is_gzip {
        let unpacked = MultiGzDecoder::new(input);
        Box::new(BufReader::with_capacity(1 << 16, unpacked))
    } else {
        Box::new(input)
    })
}

fn decompressed(path: &Path) -> io::Result<Box<dyn BufRead>> {
    decompress(File::open(path)?)
}

/// The first [`SAMPLE_BYTES`] of a file.
fn start_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    decompressed(path)?
        .take(SAMPLE_BYTES as u64)
        .read_to_end(&mut start)?;
    Ok(start)
}

/// The lines of a sample without the last one, which may be cut off unless the file is `complete`.
fn whole_lines(sample: &str, is_complete: bool) -> &str {
    match sample.rfind('\n') {
        Some(end) if !is_complete => &sample[..=end],
        _ => sample,
    }
}

/// True for a table: decided by the extension of the name, unless the content is JSON all the same,
/// else by the first character, since `{` begins a line of NDJSON.
fn is_table(name: &str, form: &FileForm, sample: &str) -> bool {
    match is_named_table(name) {
        Some(false) => false,
        Some(true) => form.separator.is_some() || !begins_with_object(sample),
        None => !sample.trim_start().starts_with('{'),
    }
}

/// The note on lines of JSON in a file with the name of a table.
fn lines_note(name: &str, is_table: bool) -> Option<String> {
    (!is_table && is_named_table(name) == Some(true))
        .then(|| format!("{name}: read as NDJSON, because it begins with a JSON object"))
}

/// Reports whether the extension of a name is that of a table; `None` for an unknown one.
fn is_named_table(name: &str) -> Option<bool> {
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv" | "tsv") => Some(true),
        Some("ndjson" | "jsonl" | "json") => Some(false),
        _ => None,
    }
}

/// True if a text begins with a JSON object. The header of a table may begin with a brace, but
/// hardly with a quoted member after it.
fn begins_with_object(sample: &str) -> bool {
    sample
        .trim_start()
        .strip_prefix('{')
        .is_some_and(|members| members.trim_start().starts_with('"'))
}

fn table_rows(
    mut reader: csv::Reader<Box<dyn BufRead + '_>>,
    each: &mut dyn FnMut(Row<'_>) -> bool,
) -> io::Result<()> {
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
    fn lines_of_json_are_read_whatever_the_name_is() {
        // They were a table of the columns `{"a":1` and `"b":2}`.
        let lines = b"\n{\"a\":1,\"b\":2}\n{ \"a\":3,\"b\":4}\n";
        let expected = ["{\"a\":1,\"b\":2}", "{ \"a\":3,\"b\":4}"];
        assert_eq!(rows(".csv", lines), expected, "csv");
        assert_eq!(rows(".tsv", lines), expected, "tsv");
        assert_eq!(rows(".csv", b"{id},b\n1,2\n"), ["1|2"], "a header");
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
            rows(".csv", b"a,b\n1\n3,4\n\xff,1\n5,6\n\xc3\xb6,7\n"),
            ["row_length", "3|4", "utf8", "5|6", "\u{f6}|7"],
            "good and bad rows in order"
        );
    }

    #[test]
    fn every_usual_form_of_a_table_is_read() {
        // Rows with an umlaut of a code page were lost, and `age;country` was one column.
        let umlaut = ["1|K\u{f6}ln"];
        assert_eq!(rows(".csv", b"a,b\n1,K\xf6ln\n"), umlaut, "latin-1");
        assert_eq!(
            rows(".csv", b"\xef\xbb\xbfa,b\n1,K\xc3\xb6ln\n"),
            umlaut,
            "UTF-8 with a mark"
        );
        let utf_16: Vec<u8> = "\u{feff}a\tb\n1\tK\u{f6}ln\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(rows(".csv", &utf_16), umlaut, "UTF-16, separated by tabs");
        assert_eq!(rows(".csv", b"a;b\n1;2,5\n"), ["1|2,5"], "semicolons");
        assert_eq!(rows(".data", b"a|b\n1|2\n"), ["1|2"], "bars");
        assert_eq!(
            rows(".ndjson", b"\xef\xbb\xbf{\"a\":1}\n"),
            ["{\"a\":1}"],
            "lines with a mark"
        );
    }

    #[test]
    fn a_form_can_be_given_and_an_unusual_one_is_noted() {
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        file.write_all(b"a;b\n\xa4;2\n").unwrap();
        let name = file.path().to_str().unwrap();
        let file_as_is = DataFile::open(name).unwrap();
        let notes: Vec<String> = file_as_is
            .notes()
            .iter()
            .map(|note| note.replace(name, "x.csv"))
            .collect();
        assert_eq!(
            notes,
            [
                "x.csv: not UTF-8, read as Windows-1252 (latin-1); --encoding sets another",
                "x.csv: columns are separated by ';'",
            ]
        );
        let form = FileForm {
            separator: Some(b';'),
            encoding: Encoding::for_label(b"iso-8859-15"),
            ..FileForm::default()
        };
        let given = DataFile::open_as(name, form).unwrap();
        assert!(given.notes().is_empty(), "as the user said");
        let mut cells = Vec::new();
        given
            .rows(&mut |_| (), &mut |row| {
                if let Row::Cells(row) = row {
                    cells.extend(row.iter().map(str::to_owned));
                }
                true
            })
            .unwrap();
        assert_eq!(cells, ["\u{20ac}", "2"], "the euro sign of latin-9");
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        // The second one was never read.
        let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
        file.write_all(b"age, country ,age\n1,DE,2\n").unwrap();
        let error = DataFile::open(file.path().to_str().unwrap())
            .unwrap()
            .header()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("two columns are named \"age\", expected different names"),
            "{error}"
        );
    }
}
