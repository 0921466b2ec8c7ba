//! One pass over a JSON record, visiting configured paths only.
//!
//! `serde_json` drives; a seed per trie node takes what is asked for and skips the rest. Its number parser refuses `1e999`, which should cost one value and
//! not the record: such a record is read a second time in a careful way, in which leaves are taken as raw text and judged by `str::parse`. Depth is bounded
//! before parsing by counting brackets, exactly only when there are many.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::paths::Trie;
use super::{DecodeError, MAX_DEPTH, Record};
use crate::model::{Slot, TextRange};

pub(super) fn decode(payload: &[u8], trie: &Trie, record: &mut Record) -> Result<(), DecodeError> {
    let text = std::str::from_utf8(payload).map_err(|_| DecodeError::Utf8)?;
    if is_too_deep(payload) {
        return Err(DecodeError::Depth);
    }
    let Err(error) = read(text, trie, record) else {
        return Ok(());
    };
    if !error.to_string().starts_with("number out of range") {
        return Err(classify(&error, text, record));
    }
    record.begin();
    read_carefully(text, trie, record).map_err(|error| classify(&error, text, record))
}

fn read(text: &str, trie: &Trie, record: &mut Record) -> serde_json::Result<()> {
    let mut deserializer = Deserializer::from_str(text);
    deserializer.deserialize_map(NodeVisitor {
        trie,
        record,
        node: 0,
    })?;
    deserializer.end()
}

fn read_carefully(text: &str, trie: &Trie, record: &mut Record) -> serde_json::Result<()> {
    let mut deserializer = Deserializer::from_str(text);
    deserializer.deserialize_map(CarefulMap {
        trie,
        record,
        node: 0,
    })?;
    deserializer.end()
}

/// Names the reason by what stands where the parser stopped.
fn classify(error: &serde_json::Error, text: &str, record: &Record) -> DecodeError {
    if record.is_duplicate {
        return DecodeError::DuplicateKey;
    }
    if error.is_data() && text.trim_start().starts_with(|first: char| first != '{') {
        return DecodeError::NotAnObject;
    }
    let line = text
        .split('\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let near = error.column().saturating_sub(2)..=error.column();
    let is_bare_word = near.into_iter().any(|at| {
        line.get(at..)
            .is_some_and(|rest| rest.starts_with("NaN") || rest.starts_with("Infinity"))
    });
    if is_bare_word {
        DecodeError::NonFiniteLiteral
    } else {
        DecodeError::Json
    }
}

/// Whether brackets nest deeper than allowed. Few brackets cannot, so that most records pay for one count only.
fn is_too_deep(payload: &[u8]) -> bool {
    memchr::memchr2_iter(b'{', b'[', payload)
        .nth(MAX_DEPTH)
        .is_some()
        && exact_depth(payload) > MAX_DEPTH
}

/// The deepest nesting outside of texts.
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

/// Visits the value at a trie node.
struct NodeVisitor<'a> {
    trie: &'a Trie,
    record: &'a mut Record,
    node: usize,
}

impl NodeVisitor<'_> {
    fn put<E>(self, slot: Slot) -> Result<(), E> {
        if let Some(index) = self.trie.node(self.node).slot {
            self.record.slots[index] = slot;
        }
        Ok(())
    }

    /// A whole number that a double may not hold keeps its digits.
    fn put_integer<E>(self, value: i128) -> Result<(), E> {
        const EXACT: i128 = 1 << 53;
        let text = if value.abs() > EXACT {
            self.record.keep(&value.to_string())
        } else {
            TextRange { start: 0, end: 0 }
        };
        self.put(Slot::Number(value as f64, text))
    }
}

impl<'de> DeserializeSeed<'de> for NodeVisitor<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(Slot::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(Slot::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put_integer(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put_integer(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(Slot::Number(value, TextRange { start: 0, end: 0 }))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        let text = self.record.keep(value);
        self.put(Slot::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let NodeVisitor { trie, record, node } = self;
        if let Some(slot) = trie.node(node).slot {
            record.slots[slot] = Slot::Nested;
        }
        while let Some(child) = map.next_key_seed(KeySeed { trie, node })? {
            let Some(child) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if !record.visit(child) {
                return Err(A::Error::custom("duplicate key"));
            }
            map.next_value_seed(NodeVisitor {
                trie,
                record,
                node: child,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let NodeVisitor { trie, record, node } = self;
        if let Some(slot) = trie.node(node).slot {
            record.slots[slot] = Slot::Nested;
        }
        for index in 0_usize.. {
            let child = match trie.node(node).children.is_empty() {
                true => None,
                false => trie.node(node).children.get(index.to_string().as_str()),
            };
            let more = match child {
                Some(&node) => items
                    .next_element_seed(NodeVisitor { trie, record, node })?
                    .is_some(),
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// Looks a key up without keeping its text.
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

/// The careful way: values as raw text, judged one by one.
struct CarefulMap<'a> {
    trie: &'a Trie,
    record: &'a mut Record,
    node: usize,
}

impl<'de> Visitor<'de> for CarefulMap<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let CarefulMap { trie, record, node } = self;
        while let Some(child) = map.next_key_seed(KeySeed { trie, node })? {
            let Some(child) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if !record.visit(child) {
                return Err(A::Error::custom("duplicate key"));
            }
            let raw = map.next_value::<&RawValue>()?;
            take_raw(raw.get(), trie, record, child).map_err(A::Error::custom)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let CarefulMap { trie, record, node } = self;
        let mut index = 0_usize;
        while let Some(raw) = items.next_element::<&RawValue>()? {
            if let Some(&child) = trie.node(node).children.get(index.to_string().as_str()) {
                take_raw(raw.get(), trie, record, child).map_err(A::Error::custom)?;
            }
            index += 1;
        }
        Ok(())
    }
}

fn take_raw(raw: &str, trie: &Trie, record: &mut Record, node: usize) -> serde_json::Result<()> {
    let mut deserializer = Deserializer::from_str(raw);
    match raw.as_bytes().first() {
        Some(b'{' | b'[') => {
            if let Some(slot) = trie.node(node).slot {
                record.slots[slot] = Slot::Nested;
            }
            deserializer.deserialize_any(CarefulMap { trie, record, node })
        }
        Some(b'-' | b'0'..=b'9') => {
            if let (Some(slot), Ok(value)) = (trie.node(node).slot, raw.parse()) {
                let text = record.keep(raw);
                record.slots[slot] = Slot::Number(value, text);
            }
            Ok(())
        }
        _ => deserializer.deserialize_any(NodeVisitor { trie, record, node }),
    }
}
