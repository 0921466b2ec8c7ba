//! Decodes a JSON record in one pass, visiting configured paths only.
//!
//! `serde_json` drives; a seed per trie node takes the configured values and skips the rest. The
//! number parser of `serde_json` rejects `1e999`, which must not reject the record. Such a record
//! is parsed a second time with configured values as raw text, whose numbers are parsed by
//! `str::parse`. Depth is bounded before parsing by counting brackets; the exact depth is computed
//! only if there are many.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::buffer::RecordBuffer;
use super::error::{DecodeError, MAX_DEPTH};
use super::paths::Trie;
use crate::model::{Slot, TextRange};

const NO_TEXT: TextRange = TextRange { start: 0, end: 0 };

/// The fast mode: `serde_json` parses numbers and rejects the record if one is out of range.
const FAST: bool = false;

/// The mode for records with numbers out of range: configured values are raw text first.
const RAW: bool = true;

/// Decodes `payload` into `buffer`.
pub(super) fn decode(
    payload: &[u8],
    trie: &Trie,
    buffer: &mut RecordBuffer,
) -> Result<(), DecodeError> {
    let text = std::str::from_utf8(payload).map_err(|_| DecodeError::Utf8)?;
    if is_too_deep(payload) {
        return Err(DecodeError::Depth);
    }
    let Err(error) = parse::<FAST>(text, trie, buffer) else {
        return Ok(());
    };
    if !error.to_string().starts_with("number out of range") {
        return Err(classify(&error, text, buffer));
    }
    buffer.begin();
    parse::<RAW>(text, trie, buffer).map_err(|error| classify(&error, text, buffer))
}

fn parse<const MODE: bool>(
    text: &str,
    trie: &Trie,
    buffer: &mut RecordBuffer,
) -> serde_json::Result<()> {
    let mut deserializer = Deserializer::from_str(text);
    deserializer.deserialize_map(NodeVisitor::<MODE> {
        trie,
        buffer,
        node: 0,
    })?;
    deserializer.end()
}

/// Finds the reason from the text at the position where the parser stopped.
fn classify(error: &serde_json::Error, text: &str, buffer: &RecordBuffer) -> DecodeError {
    if buffer.has_duplicate() {
        return DecodeError::DuplicateKey;
    }
    if error.is_data() && text.trim_start().starts_with(|first: char| first != '{') {
        return DecodeError::NotAnObject;
    }
    let line = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let is_bare_word = (error.column().saturating_sub(2)..=error.column()).any(|at| {
        line.get(at..)
            .is_some_and(|rest| rest.starts_with("NaN") || rest.starts_with("Infinity"))
    });
    if is_bare_word {
        DecodeError::NonFiniteLiteral
    } else {
        DecodeError::Json
    }
}

/// True if brackets nest deeper than [`MAX_DEPTH`]. A record with few brackets cannot, so most
/// records cost only one count of brackets.
fn is_too_deep(payload: &[u8]) -> bool {
    memchr::memchr2_iter(b'{', b'[', payload)
        .nth(MAX_DEPTH)
        .is_some()
        && exact_depth(payload) > MAX_DEPTH
}

/// The deepest nesting of brackets outside of texts.
fn exact_depth(payload: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in payload {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Visits the value at a trie node; `MODE` is [`FAST`] or [`RAW`].
struct NodeVisitor<'a, const MODE: bool> {
    trie: &'a Trie,
    buffer: &'a mut RecordBuffer,
    node: usize,
}

impl<const MODE: bool> NodeVisitor<'_, MODE> {
    fn put(&mut self, slot: Slot) {
        if let Some(index) = self.trie.node(self.node).slot {
            self.buffer.slots[index] = slot;
        }
    }

    /// Stores a whole number, with its digits if a double may not hold it exactly.
    fn put_integer(&mut self, value: i128) {
        const MAX_EXACT: i128 = 1 << 53;
        let digits = if value.abs() > MAX_EXACT {
            self.buffer.keep(&value.to_string())
        } else {
            NO_TEXT
        };
        self.put(Slot::Number(value as f64, digits));
    }
}

impl<'de, const MODE: bool> DeserializeSeed<'de> for NodeVisitor<'_, MODE> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, const MODE: bool> Visitor<'de> for NodeVisitor<'_, MODE> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.put(Slot::Null);
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.put(Slot::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.put_integer(value.into());
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.put_integer(value.into());
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.put(Slot::Number(value, NO_TEXT));
        Ok(())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        let text = self.buffer.keep(value);
        self.put(Slot::Text(text));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        self.put(Slot::Nested);
        let NodeVisitor { trie, buffer, node } = self;
        while let Some(child) = entries.next_key_seed(KeySeed { trie, node })? {
            let Some(child) = child else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            if !buffer.visit(child) {
                return Err(A::Error::custom("duplicate key"));
            }
            if MODE == RAW {
                let raw = entries.next_value::<&RawValue>()?;
                parse_raw(raw.get(), trie, buffer, child).map_err(A::Error::custom)?;
            } else {
                entries.next_value_seed(NodeVisitor::<MODE> {
                    trie,
                    buffer,
                    node: child,
                })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.put(Slot::Nested);
        let NodeVisitor { trie, buffer, node } = self;
        let children = &trie.node(node).children;
        for index in 0_usize.. {
            // Most arrays are not configured; they cost no formatting of indices.
            let child = match children.is_empty() {
                true => None,
                false => children.get(index.to_string().as_str()).copied(),
            };
            let has_item = match child {
                None => items.next_element::<IgnoredAny>()?.is_some(),
                Some(child) if MODE == RAW => match items.next_element::<&RawValue>()? {
                    Some(raw) => {
                        parse_raw(raw.get(), trie, buffer, child).map_err(A::Error::custom)?;
                        true
                    }
                    None => false,
                },
                Some(node) => items
                    .next_element_seed(NodeVisitor::<MODE> { trie, buffer, node })?
                    .is_some(),
            };
            if !has_item {
                break;
            }
        }
        Ok(())
    }
}

/// Looks up a key among the children of a trie node, without keeping its text.
struct KeySeed<'a> {
    trie: &'a Trie,
    node: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.trie.node(self.node).children.get(key).copied())
    }
}

/// Parses one raw value. A number out of range becomes infinite.
fn parse_raw(
    raw: &str,
    trie: &Trie,
    buffer: &mut RecordBuffer,
    node: usize,
) -> serde_json::Result<()> {
    if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        if let (Some(slot), Ok(value)) = (trie.node(node).slot, raw.parse()) {
            let digits = buffer.keep(raw);
            buffer.slots[slot] = Slot::Number(value, digits);
        }
        return Ok(());
    }
    Deserializer::from_str(raw).deserialize_any(NodeVisitor::<RAW> { trie, buffer, node })
}
