//! Bytes of the stored documents: variable-length integers and strings with their length.
//!
//! Most strings are ids: 26 characters of lower-case base32 (`sendledger_schemas.ids`). They stand as their 16 bytes.

use std::borrow::Cow;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const ID: usize = 26;
/// Stands where the length of another string would, doubled: an odd number.
const IS_ID: u64 = 1;

/// A document is not as it was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged;

/// Reads what the functions below wrote.
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From the first byte on.
    pub fn new(raw: &'a [u8]) -> Self {
        Reader { left: raw }
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.left.split_first().ok_or(Damaged)?;
        self.left = rest;
        Ok(*first)
    }

    /// An unsigned number, 7 bits a byte.
    pub fn unsigned(&mut self) -> Result<u64, Damaged> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged)
    }

    /// A number that may be negative (zigzag).
    pub fn signed(&mut self) -> Result<i64, Damaged> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that follow, each of at least one byte.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let count = self.unsigned()? as usize;
        if count <= self.left.len() {
            Ok(count)
        } else {
            Err(Damaged)
        }
    }

    /// Bytes with their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let count = self.unsigned()?;
        self.take(count)
    }

    /// A string with its plain length.
    pub fn plain(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged)
    }

    /// A string.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Damaged> {
        let length = self.unsigned()?;
        if length == IS_ID {
            return self.take(16).map(|raw| Cow::Owned(spelled(raw)));
        }
        let raw = self.take(length / 2)?;
        std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| Damaged)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Damaged> {
        if count > self.left.len() as u64 {
            return Err(Damaged);
        }
        let (found, rest) = self.left.split_at(count as usize);
        self.left = rest;
        Ok(found)
    }

    /// A string that is kept.
    pub fn owned(&mut self) -> Result<Box<str>, Damaged> {
        self.text().map(|text| text.into_owned().into_boxed_str())
    }

    /// What `write` wrote with `optional`.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Damaged>) -> Result<Option<T>, Damaged> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Damaged),
        }
    }

    /// What `list` wrote.
    pub fn list<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, Damaged>) -> Result<Vec<T>, Damaged> {
        let count = self.count()?;
        (0..count).map(|_| read(self)).collect()
    }

    /// Five last offsets.
    pub fn offsets(&mut self) -> Result<[i64; 5], Damaged> {
        let mut to = [0; 5];
        for offset in &mut to {
            *offset = self.signed()?;
        }
        Ok(to)
    }

    /// One of a closed list of words, by its place.
    pub fn word(&mut self, of: &[&'static str]) -> Result<&'static str, Damaged> {
        of.get(usize::from(self.byte()?)).copied().ok_or(Damaged)
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), Damaged> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(Damaged)
        }
    }
}

/// See `Reader::unsigned`.
pub fn unsigned(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// See `Reader::signed`.
pub fn signed(value: i64, into: &mut Vec<u8>) {
    unsigned((value << 1 ^ value >> 63) as u64, into);
}

/// See `Reader::text`.
pub fn text(value: &str, into: &mut Vec<u8>) {
    match packed(value.as_bytes()) {
        Some(id) => {
            unsigned(IS_ID, into);
            into.extend_from_slice(&id.to_be_bytes());
        }
        None => {
            unsigned(value.len() as u64 * 2, into);
            into.extend_from_slice(value.as_bytes());
        }
    }
}

/// The 16 bytes of an id as we write ids; None for any other string.
fn packed(text: &[u8]) -> Option<u128> {
    if text.len() != ID {
        return None;
    }
    let mut id = 0u128;
    for &character in &text[..ID - 1] {
        id = id << 5 | u128::from(five_bits(character)?);
    }
    let last = five_bits(text[ID - 1])?; // three bits of it are the id's
    if last & 3 == 0 {
        Some(id << 3 | u128::from(last >> 2))
    } else {
        None
    }
}

fn five_bits(character: u8) -> Option<u8> {
    match character {
        b'a'..=b'z' => Some(character - b'a'),
        b'2'..=b'7' => Some(character - b'2' + 26),
        _ => None,
    }
}

/// The id of 16 bytes.
fn spelled(raw: &[u8]) -> String {
    let mut text = [0; ID];
    spell(raw, &mut text);
    text.iter().map(|&byte| char::from(byte)).collect()
}

/// The id of 16 bytes, written.
pub fn spell(raw: &[u8], into: &mut [u8; ID]) {
    let id = raw.iter().fold(0u128, |id, &byte| id << 8 | u128::from(byte));
    for (place, letter) in into[..ID - 1].iter_mut().enumerate() {
        *letter = ALPHABET[(id >> (123 - 5 * place) & 31) as usize];
    }
    into[ID - 1] = ALPHABET[(id << 2 & 31) as usize];
}

/// See `Reader::optional`.
pub fn optional<T>(value: &Option<T>, into: &mut Vec<u8>, write: impl FnOnce(&T, &mut Vec<u8>)) {
    match value {
        None => into.push(0),
        Some(value) => {
            into.push(1);
            write(value, into);
        }
    }
}

/// See `Reader::list`.
pub fn list<T>(values: &[T], into: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    unsigned(values.len() as u64, into);
    for value in values {
        write(value, into);
    }
}

/// See `Reader::offsets`.
pub fn offsets(to: &[i64; 5], into: &mut Vec<u8>) {
    for &offset in to {
        signed(offset, into);
    }
}

/// See `Reader::word`.
pub fn word(value: &str, of: &[&'static str], into: &mut Vec<u8>) {
    let place = of.iter().position(|&known| known == value);
    into.push(place.expect("a word of the list") as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, -1, 63, 64, -64, -65, 300, i64::MAX, i64::MIN] {
            let mut raw = Vec::new();
            signed(value, &mut raw);
            let mut reader = Reader::new(&raw);
            assert_eq!(reader.signed(), Ok(value));
            assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn strings_come_back_and_ids_are_short() {
        let id = "at7mq6nxpuyk6yi6zczvyo47pu";
        let no_ids =
            ["", "a text", "AT7MQ6NXPUYK6YI6ZCZVYO47PU", "at7mq6nxpuyk6yi6zczvyo47pv", "at7mq6nxpuyk6yi6zczvyo47p1"];
        for (value, size) in no_ids.iter().map(|text| (*text, 1 + text.len())).chain([(id, 17)]) {
            let mut raw = Vec::new();
            text(value, &mut raw);
            assert_eq!(raw.len(), size, "{value}");
            assert_eq!(Reader::new(&raw).text().unwrap(), value);
        }
    }

    #[test]
    fn what_is_cut_short_is_damaged() {
        for value in ["a text", "at7mq6nxpuyk6yi6zczvyo47pu"] {
            let mut raw = Vec::new();
            text(value, &mut raw);
            for length in 0..raw.len() {
                assert_eq!(Reader::new(&raw[..length]).text(), Err(Damaged));
            }
        }
    }
}
