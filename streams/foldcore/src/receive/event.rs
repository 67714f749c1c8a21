//! From one body to the event that keeps it, to the byte what `edges/postback_records.py` makes of it.
//!
//! Only what is certain is made here. What codes and numbers mean is told by the host, as a table of what stands in the
//! event for them; a body that is not in the form, or not in the table, is the host's.

use std::collections::HashMap;

use crate::codec::{self, Damaged, Reader};
use crate::hash::Build;
use crate::instant;
use crate::receive::page_form::{self, Page};
use crate::sha256::{sha256, Hmac};

const LONGEST_BODY: usize = 4096;
const LONGEST_ID: usize = 128;
const LONGEST_NUMBER: usize = 20;
const STAMP: usize = "2011-07-26 10:22:26.975911-04".len();
const ID: usize = 26;

/// What all events of a receiver have in common.
pub struct Maker {
    recipients: Hmac,
    partitions: u32,
    /// The event's text before its id, its time, its recipient's id, and its codes.
    before: [Box<[u8]>; 4],
    /// Origin, code, protocol and status, each with a zero byte behind it → their part of the event's text.
    meanings: HashMap<Box<[u8]>, Box<[u8]>, Build>,
}

/// Where an event goes.
pub struct Place {
    pub partition: u32,
    pub key: [u8; ID],
}

/// The buffers of one event; kept from one to the next.
#[derive(Default)]
pub struct Scratch {
    pub value: Vec<u8>,
    key: Vec<u8>,
    at: Vec<u8>,
}

impl Maker {
    /// Pepper, count of partitions, the four texts, the table as a list of names and a list of texts.
    pub fn read(given: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(given);
        let recipients = Hmac::new(from.bytes()?);
        let partitions = from.unsigned()? as u32;
        let mut boxed = || from.bytes().map(Box::from);
        let before = [boxed()?, boxed()?, boxed()?, boxed()?];
        let names = from.list(Reader::bytes)?;
        let texts = from.list(Reader::bytes)?;
        from.end()?;
        if partitions == 0 || names.len() != texts.len() {
            return Err(Damaged);
        }
        let meanings = names.into_iter().map(Box::from).zip(texts.into_iter().map(Box::from)).collect();
        Ok(Maker { recipients, partitions, before, meanings })
    }

    /// The event of a body that came at this instant (µs since 1970), into `scratch.value`; None: it is the host's.
    pub fn make(&self, body: &[u8], came: i64, scratch: &mut Scratch) -> Option<Place> {
        if body.len() > LONGEST_BODY {
            return None;
        }
        let page = page_form::read(body)?;
        let meaning = self.meanings.get(meaning_name(&page, &mut scratch.key))?;
        let timestamp = stamp(page.timestamp)?;
        let created = stamp(page.created)?;
        if !is_number(page.to) || page.tracking.is_empty() {
            return None;
        }
        if [page.id, page.history, page.tracking].iter().any(|id| id.len() > LONGEST_ID) {
            return None;
        }
        scratch.at.clear();
        instant::write_full(came, &mut scratch.at)?;
        let key = spelled(&self.recipients.of(page.to));

        let into = &mut scratch.value;
        into.clear();
        for (before, text) in self.before.iter().zip([&spelled(&sha256(body))[..], &scratch.at, &key, meaning]) {
            into.extend_from_slice(before);
            into.extend_from_slice(text);
        }
        member(b",\"tracking_id\":\"", page.tracking, into);
        member(b",\"history_id\":\"", page.history, into);
        member(b",\"notification_id\":\"", page.id, into);
        into.extend_from_slice(b",\"provider_time\":\"");
        instant::write_full(created, into)?;
        into.extend_from_slice(b"\",\"provider_timestamp\":\"");
        instant::write_full(timestamp, into)?;
        into.extend_from_slice(b"\"");
        member(b",\"received_at\":\"", &scratch.at, into);
        into.extend_from_slice(b",\"raw\":\"");
        escaped(body, into);
        into.extend_from_slice(b"\"}}");
        Some(Place { partition: (murmur2(&key) & 0x7fff_ffff) % self.partitions, key })
    }
}

fn meaning_name<'a>(page: &Page, name: &'a mut Vec<u8>) -> &'a [u8] {
    name.clear();
    for value in [page.origin, page.code, page.protocol, page.status] {
        name.extend_from_slice(value);
        name.push(0);
    }
    name
}

/// Digits that begin with none of the prefixes that recipients are told apart without.
fn is_number(to: &[u8]) -> bool {
    to.len() <= LONGEST_NUMBER && matches!(to.first(), Some(b'1'..=b'9')) && to.iter().all(u8::is_ascii_digit)
}

/// The page's own form of a time, in microseconds since 1970.
fn stamp(text: &[u8]) -> Option<i64> {
    if text.len() != STAMP || (text[10], text[19]) != (b' ', b'.') {
        return None;
    }
    let mut usual = *b"YYYY-MM-DDTHH:MM:SS.ffffff+HH:00";
    usual[..STAMP].copy_from_slice(text);
    usual[10] = b'T';
    instant::parse(&usual)
}

/// The id of a hash: its first 16 bytes.
fn spelled(digest: &[u8; 32]) -> [u8; ID] {
    let mut id = [0; ID];
    codec::spell(&digest[..16], &mut id);
    id
}

fn member(name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    if !value.is_empty() {
        into.extend_from_slice(name);
        into.extend_from_slice(value);
        into.push(b'"');
    }
}

/// What stands in a body of this form, as JSON wants it: printable ASCII and the blanks of XML.
fn escaped(body: &[u8], into: &mut Vec<u8>) {
    let mut start = 0;
    for (place, byte) in body.iter().enumerate() {
        let letter = match byte {
            b'"' | b'\\' => *byte,
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            _ => continue,
        };
        into.extend_from_slice(&body[start..place]);
        into.extend_from_slice(&[b'\\', letter]);
        start = place + 1;
    }
    into.extend_from_slice(&body[start..]);
}

/// Kafka's hash of keys.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, &byte| last << 8 | u32::from(byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_kafka_s_own_tests() {
        for (key, hash) in [
            (&b"21"[..], -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key) as i32, hash);
        }
    }

    #[test]
    fn times_in_other_forms_are_not_read() {
        assert_eq!(stamp(b"1970-01-01 00:00:00.000001-01"), Some(3_600_000_001));
        for text in ["1970-01-01T00:00:00.000001-01", "1970-01-01 00:00:00,000001-01", "1970-01-01 00:00:00.000001Z "] {
            assert_eq!(stamp(text.as_bytes()), None, "{}", text);
        }
    }
}
