//! One gzip member from pieces that were compressed at different times.
//!
//! A scrape joins blocks that are encoded once per evaluation with one that is encoded per scrape.
//! A gzip member per block would be simpler, but curl, wget and browsers drop everything behind the
//! first member. So each block is compressed as a piece of a raw deflate stream (RFC 1951): it ends
//! at a byte boundary, is not final, and refers to no earlier byte. Pieces in a row, one empty
//! final block, and the combined checksum of the text are one member (RFC 1952).

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// Magic number, method deflate, no flags, no time, fastest level, unknown system: RFC 1952, 2.3.1.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// An empty final block with fixed codes: the bits 1 and 01, and seven zeros for "end of block".
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

/// A compressed piece of a member.
#[derive(Debug, Default)]
pub(super) struct Piece {
    deflated: Vec<u8>,
    /// Checksum and length of the text.
    crc: Crc,
}

impl Piece {
    /// Compresses a text.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(text);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        // `flush` ends the last block and aligns the stream to a byte without ending it.
        encoder
            .write_all(text)
            .and_then(|()| encoder.flush())
            .expect("writing to memory does not fail");
        Piece {
            deflated: std::mem::take(encoder.get_mut()),
            crc,
        }
    }
}

/// Joins pieces to one member.
pub(super) fn member(pieces: &[&Piece]) -> Vec<u8> {
    let mut crc = Crc::new();
    let mut member = HEADER.to_vec();
    for piece in pieces {
        crc.combine(&piece.crc);
        member.extend(&piece.deflated);
    }
    member.extend(FINAL_BLOCK);
    member.extend(crc.sum().to_le_bytes());
    member.extend(crc.amount().to_le_bytes());
    member
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::bufread::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    /// The text of the first member, and the bytes behind it.
    fn unpack(packed: &[u8]) -> (Vec<u8>, usize) {
        let mut decoder = GzDecoder::new(packed);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        (text, decoder.into_inner().len())
    }

    proptest! {
        /// The decoder checks length and checksum, and reads one member only: with a member per
        /// block it returned the first block and left the others.
        #[test]
        fn pieces_in_a_row_are_one_member(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5),
            repeats in 1_usize..2000,
        ) {
            let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.repeat(repeats)).collect();
            let pieces: Vec<Piece> = texts.iter().map(|text| Piece::new(text)).collect();
            let packed = member(&pieces.iter().collect::<Vec<_>>());
            prop_assert_eq!(unpack(&packed), (texts.concat(), 0));
        }
    }

    #[test]
    fn a_piece_is_used_in_several_members() {
        let (large, small) = (Piece::new(&b"drift ".repeat(10_000)), Piece::new(b"live"));
        for _ in 0..2 {
            let (text, rest) = unpack(&member(&[&large, &small]));
            assert!(text.ends_with(b"drift live"), "{} bytes", text.len());
            assert_eq!((text.len(), rest), (60_004, 0));
        }
        let size = member(&[&large, &small]).len();
        assert!(size < 1000, "{size} bytes for a text that repeats itself");
    }
}
