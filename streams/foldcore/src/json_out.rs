//! Pieces of JSON, written.

use crate::message::Offsets;
use crate::names::decimal;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A string with its quotes.
pub fn text(value: &str, into: &mut Vec<u8>) {
    escaped(value.as_bytes(), into);
}

/// A string, given as UTF-8, with its quotes.
pub fn escaped(value: &[u8], into: &mut Vec<u8>) {
    into.push(b'"');
    let mut start = 0;
    for (place, &byte) in value.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        into.extend_from_slice(&value[start..place]);
        start = place + 1;
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            _ => {
                into.extend_from_slice(b"\\u00");
                into.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    into.extend_from_slice(&value[start..]);
    into.push(b'"');
}

/// A string or null.
pub fn text_or_null(value: Option<&str>, into: &mut Vec<u8>) {
    match value {
        None => into.extend_from_slice(b"null"),
        Some(value) => text(value, into),
    }
}

/// `,"name":`.
pub fn name(name: &str, into: &mut Vec<u8>) {
    into.extend_from_slice(b",\"");
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(b"\":");
}

/// `,"name":number`.
pub fn member(of: &str, number: i64, into: &mut Vec<u8>) {
    name(of, into);
    decimal(number, into);
}

/// Offsets by topic.
pub fn offsets(to: &Offsets, topics: &[String], into: &mut Vec<u8>) {
    for (number, (topic, &offset)) in topics.iter().zip(to).enumerate() {
        into.push(if number == 0 { b'{' } else { b',' });
        text(topic, into);
        into.push(b':');
        decimal(offset, into);
    }
    into.push(b'}');
}
