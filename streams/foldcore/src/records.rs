//! Records of Kafka's message format v2, as they stand in a record batch that is not compressed (yet, or any more).

use crate::codec;
use crate::host::{Packed, Stop};

/// One record batch: `first`: the first offset that is wanted of it; `base`: its base offset; `count`: of its records.
pub struct Batch<'a> {
    pub topic: usize,
    pub first: i64,
    pub base: i64,
    pub count: usize,
    pub records: &'a [u8],
}

/// One record; what is null is empty.
pub struct Record<'a> {
    pub offset: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Hand on the wanted records in their order. Errors: Records if the bytes are not what they should be.
    pub fn each(&self, mut take: impl FnMut(Record<'a>)) -> Result<(), Stop> {
        let mut left = self.records;
        for _ in 0..self.count {
            let length = varint(&mut left)?;
            let mut record = bytes(&mut left, length)?;
            bytes(&mut record, 1)?; // attributes: none are defined
            varint(&mut record)?; // the time is the batch's
            let offset = self.base + varint(&mut record)?;
            let key = nullable(&mut record)?;
            let value = nullable(&mut record)?;
            if offset >= self.first {
                take(Record { offset, key, value });
            }
        }
        Ok(())
    }
}

/// Records to publish, in batches of up to so many bytes: `batches` has for each its records, and how many (decimal).
pub struct Written {
    most: usize,
    records: Vec<u8>,
    count: u32,
    value: Vec<u8>,
    batches: Packed,
}

impl Written {
    /// `most`: bytes of a batch, unless one record alone has more.
    pub fn new(most: usize) -> Self {
        Written { most, records: Vec::new(), count: 0, value: Vec::new(), batches: Packed::default() }
    }

    /// One more record, whose value `write` writes.
    pub fn put(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.value.clear();
        write(&mut self.value);
        if self.count > 0 && self.records.len() + key.len() + self.value.len() > self.most {
            self.close();
        }
        let mut head = Vec::with_capacity(16);
        head.extend_from_slice(&[0, 0]); // attributes; the batch's time
        codec::signed(i64::from(self.count), &mut head);
        codec::signed(key.len() as i64, &mut head);
        let mut length = Vec::with_capacity(8);
        codec::signed(self.value.len() as i64, &mut length);
        let all = head.len() + key.len() + length.len() + self.value.len() + 1;
        codec::signed(all as i64, &mut self.records);
        for piece in [&head, key, &length, &self.value, &[0]] {
            self.records.extend_from_slice(piece);
        }
        self.count += 1;
    }

    fn close(&mut self) {
        self.batches.put(|into| into.append(&mut self.records));
        self.batches.put(|into| into.extend_from_slice(self.count.to_string().as_bytes()));
        self.count = 0;
    }

    /// All batches.
    pub fn finish(mut self) -> Packed {
        if self.count > 0 {
            self.close();
        }
        self.batches
    }
}

fn nullable<'a>(left: &mut &'a [u8]) -> Result<&'a [u8], Stop> {
    match varint(left)? {
        -1 => Ok(&[]),
        length => bytes(left, length),
    }
}

fn bytes<'a>(left: &mut &'a [u8], count: i64) -> Result<&'a [u8], Stop> {
    if count < 0 || count as u64 > left.len() as u64 {
        return Err(Stop::Records);
    }
    let (found, rest) = left.split_at(count as usize);
    *left = rest;
    Ok(found)
}

fn varint(left: &mut &[u8]) -> Result<i64, Stop> {
    let mut value = 0u64;
    for (place, &byte) in left.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << ((7 * place as u32) & 63);
        if byte < 0x80 {
            *left = &left[place + 1..];
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(Stop::Records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_or_negative_is_refused() {
        let raw = [20, 0, 0, 2, 2, b'k', 4, b'v', b'w', 0, 0];
        for length in 0..raw.len() {
            let batch = Batch { topic: 0, first: 0, base: 7, count: 1, records: &raw[..length] };
            assert_eq!(batch.each(|_| {}), Err(Stop::Records), "{length} bytes");
        }
        let mut found = Vec::new();
        let batch = Batch { topic: 0, first: 0, base: 7, count: 1, records: &raw };
        batch.each(|record| found.push((record.offset, record.key, record.value))).unwrap();
        assert_eq!(found, vec![(8, &b"k"[..], &b"vw"[..])]);
    }
}
