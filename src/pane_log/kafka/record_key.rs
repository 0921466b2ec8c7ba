//! The key of a record in the topic: its writer, and the partitions the writer was configured with.

/// The key of a record.
///
/// A record without such a key was not written by pegel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKey {
    /// Id of the writer, drawn at random when it starts.
    pub writer: u64,
    /// Number of the record among those of its writer, from 0.
    pub number: u64,
    /// Number of partitions that the writer was configured with.
    pub partitions: u32,
}

impl RecordKey {
    /// Encodes the key: writer, number and partitions, little-endian.
    pub(super) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.writer.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..].copy_from_slice(&self.partitions.to_le_bytes());
        bytes
    }

    /// Decodes a key; `None` if the length is wrong.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 20] = bytes.try_into().ok()?;
        let number = |from: usize| bytes[from..from + 8].try_into().map(u64::from_le_bytes);
        Some(RecordKey {
            writer: number(0).ok()?,
            number: number(8).ok()?,
            partitions: bytes[16..].try_into().map(u32::from_le_bytes).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_key_equals_the_encoded_one() {
        let key = RecordKey {
            writer: u64::MAX,
            number: 7,
            partitions: 8,
        };
        assert_eq!(
            RecordKey::from_bytes(&key.to_bytes()),
            Some(key),
            "round trip"
        );
        assert_eq!(RecordKey::from_bytes(b"other"), None, "another length");
    }
}
