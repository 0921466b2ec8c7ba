//! Arguments of commands that read data files: the form of the files.

use clap::Args;
use encoding_rs::Encoding;

use crate::source::files::{DataFile, FileError, FileForm};

/// The form of data files, where the user gives it.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArgs {
    /// Separator of the columns of a table: one character, or `tab`; default: found in the file
    #[arg(long, value_name = "CHAR", value_parser = separator)]
    separator: Option<u8>,
    /// Encoding of the file, such as utf-8, utf-16 or windows-1252; default: found in the file
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<&'static Encoding>,
    /// Decimal sign of the numbers of a table: . or , ; default: found in the file
    #[arg(long, value_name = "CHAR", value_parser = has_decimal_comma)]
    decimal: Option<bool>,
    /// Texts of a table that are missing values, separated by commas; default: those of pandas,
    /// such as NA, N/A, null, None and nan; an empty cell is missing in any case
    #[arg(long, value_name = "TEXTS", value_delimiter = ',')]
    missing: Option<Vec<String>>,
}

impl FileArgs {
    /// Opens a file and prints what is unusual about it on standard error.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(&self, name: &str) -> Result<DataFile, FileError> {
        let form = FileForm {
            separator: self.separator,
            encoding: self.encoding,
            has_decimal_comma: self.decimal,
            missing: self.missing.clone(),
        };
        let file = DataFile::open_as(name, form)?;
        for note in file.notes() {
            anstream::eprintln!("{note}");
        }
        Ok(file)
    }
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Ok(*byte),
        _ => Err("expected one character such as ; or |, or tab".to_owned()),
    }
}

fn has_decimal_comma(text: &str) -> Result<bool, String> {
    match text {
        "," => Ok(true),
        "." => Ok(false),
        _ => Err("expected . or ,".to_owned()),
    }
}

fn encoding(text: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(text.as_bytes())
        .ok_or_else(|| "expected an encoding such as utf-8, utf-16 or windows-1252".to_owned())
}
