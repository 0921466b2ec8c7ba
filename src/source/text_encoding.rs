//! The text encoding of data files: found in their bytes, and turned into UTF-8.
//!
//! Spreadsheets export UTF-8 with a byte order mark, UTF-16, or the code page of the machine. Read
//! as UTF-8, the rows with an umlaut of a code page are lost, which are not just any rows. So a
//! table that is not UTF-8 is read as Windows-1252, which contains latin-1 and is by far the most
//! common code page, and a note for the user names it.

use std::io::{self, Read};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;

/// Bytes that are searched for text that is not UTF-8. More would not change the decision often
/// enough for another pass over a large file.
const MAX_SCANNED: u64 = 256 << 20;

/// Bytes at the beginning of a text that are searched for zeros, which every second byte of ASCII
/// in UTF-16 is.
const ZEROS_SCANNED: usize = 256;

/// Returns the encoding that follows from a byte order mark or from the zeros of UTF-16.
pub(super) fn marked(start: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(start) {
        return Some(encoding);
    }
    let start = &start[..start.len().min(ZEROS_SCANNED)];
    let zeros = |first: usize| {
        start
            .iter()
            .skip(first)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    match (zeros(0), zeros(1)) {
        (0, odd) if odd > start.len() / 4 => Some(UTF_16LE),
        (even, 0) if even > start.len() / 4 => Some(UTF_16BE),
        _ => None,
    }
}

/// Returns UTF-8 or, if a text is rather not that, Windows-1252.
///
/// A text of a code page holds bytes above 127 that are not UTF-8, and hardly ever a sequence of
/// them that is. A text in UTF-8 with a damaged row is the other way round.
pub(super) fn scan(input: &mut dyn Read) -> io::Result<&'static Encoding> {
    let mut buffer = vec![0; 1 << 16];
    let (mut kept, mut scanned) = (0, 0);
    let (mut sequences, mut invalid) = (0_u64, 0_u64);
    while scanned < MAX_SCANNED {
        let read = input.read(&mut buffer[kept..])?;
        let bytes = &buffer[..kept + read];
        let mut rest = 0;
        for chunk in bytes.utf8_chunks() {
            sequences += chunk.valid().bytes().filter(|byte| *byte >= 0xc0).count() as u64;
            let is_last =
                std::ptr::eq(chunk.invalid().as_ptr_range().end, bytes.as_ptr_range().end);
            // A sequence may go on in the next block.
            if is_last && read > 0 {
                rest = chunk.invalid().len();
            } else {
                invalid += u64::from(!chunk.invalid().is_empty());
            }
        }
        if read == 0 {
            break;
        }
        let end = bytes.len();
        buffer.copy_within(end - rest..end, 0);
        kept = rest;
        scanned += read as u64;
    }
    Ok(match invalid > sequences {
        true => WINDOWS_1252,
        false => UTF_8,
    })
}

/// Decodes a whole text; what cannot be decoded becomes a replacement character.
pub(super) fn decode_lossy(bytes: &[u8], encoding: &'static Encoding) -> String {
    encoding.decode(bytes).0.into_owned()
}

/// Turns a text into UTF-8 without a byte order mark. Invalid UTF-8 stays as it is, so that a
/// reader of rows can reject the row.
pub(super) fn to_utf8<'a>(input: impl Read + 'a, encoding: &'static Encoding) -> impl Read + 'a {
    DecodeReaderBytesBuilder::new()
        // Without an encoding, the bytes of a text in UTF-8 pass unchanged.
        .encoding((encoding != UTF_8).then_some(encoding))
        .bom_override(true)
        .strip_bom(true)
        .utf8_passthru(true)
        .build(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(text: &[u8]) -> &'static Encoding {
        // Small reads, so that sequences are cut at every place.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(buffer.len()).min(3);
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        scan(&mut Slow(text)).unwrap()
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_windows_1252() {
        assert_eq!(scanned(b"a,b\n1,2\n"), UTF_8, "ASCII");
        let umlauts = "K\u{f6}ln\nM\u{fc}nchen\n\u{20ac}\n";
        assert_eq!(scanned(umlauts.as_bytes()), UTF_8, "UTF-8");
        assert_eq!(scanned(b"K\xf6ln\nM\xfcnchen\n"), WINDOWS_1252, "latin-1");
        let damaged = [umlauts.as_bytes(), b"\xff\n"].concat();
        assert_eq!(scanned(&damaged), UTF_8, "one damaged row");
        assert_eq!(scanned(b"K\xf6"), WINDOWS_1252, "cut off at the end");
    }

    #[test]
    fn a_mark_or_zeros_identify_utf_16() {
        assert_eq!(marked(b"\xff\xfea\0"), Some(UTF_16LE), "little end first");
        assert_eq!(marked(b"\xfe\xff\0a"), Some(UTF_16BE), "big end first");
        assert_eq!(marked(b"\xef\xbb\xbfa"), Some(UTF_8), "marked UTF-8");
        assert_eq!(marked(b"a\0,\0b\0"), Some(UTF_16LE), "without a mark");
        assert_eq!(marked(b"\0a\0,\0b"), Some(UTF_16BE), "without a mark");
        assert_eq!(marked(b"a,b\n"), None, "ASCII");
    }
}
