//! A round of the receiver: bodies in, the record batches that keep them out.

pub mod event;
pub mod page_form;

use std::collections::BTreeMap;

use crate::codec;
use crate::host::Packed;
use event::{Maker, Scratch};

/// For a body that the host has to look at itself.
pub const NOT_OURS: u32 = u32::MAX;

/// The records of one batch, not compressed; `count` of them.
#[derive(Default)]
struct Batch {
    records: Vec<u8>,
    count: u32,
    /// Its place among the batches of the round.
    number: u32,
}

/// Makes rounds.
pub struct Rounds {
    maker: Maker,
    scratch: Scratch,
    /// Bytes of a batch, unless one record alone has more.
    most: usize,
    /// The headers of each record, as they stand in it.
    headers: Vec<u8>,
}

/// What became of a round: for each body the number of its batch; three byte strings a batch: its records, their count
/// and its partition (decimal).
#[derive(Default)]
pub struct Round {
    pub places: Vec<u32>,
    pub batches: Packed,
}

impl Rounds {
    /// `headers`: name and value of each, in turn.
    pub fn new(maker: Maker, most: usize, headers: &[&[u8]]) -> Self {
        let mut written = Vec::new();
        codec::signed(headers.len() as i64 / 2, &mut written);
        for text in headers {
            sized(text, &mut written);
        }
        Rounds { maker, scratch: Scratch::default(), most, headers: written }
    }

    /// One round of bodies, each with the instant at which it came (µs since 1970).
    pub fn make<'a>(&mut self, bodies: impl Iterator<Item = (&'a [u8], i64)>) -> Round {
        let (mut open, mut closed) = (BTreeMap::<u32, Batch>::new(), Vec::new());
        let (mut places, mut count) = (Vec::new(), 0);
        for (body, came) in bodies {
            let place = match self.maker.make(body, came, &mut self.scratch) {
                Some(place) => place,
                None => {
                    places.push(NOT_OURS);
                    continue;
                }
            };
            let batch = open.entry(place.partition).or_default();
            if batch.count > 0 && batch.records.len() + self.scratch.value.len() + 256 > self.most {
                closed.push((place.partition, std::mem::take(batch)));
            }
            if batch.count == 0 {
                batch.number = count;
                count += 1;
            }
            places.push(batch.number);
            record(batch, &place.key, &self.scratch.value, &self.headers);
        }
        closed.extend(open);
        closed.sort_unstable_by_key(|(_, batch)| batch.number);
        let mut batches = Packed::default();
        for (partition, batch) in closed {
            batches.put(|into| into.extend_from_slice(&batch.records));
            for number in [batch.count, partition] {
                batches.put(|into| into.extend_from_slice(number.to_string().as_bytes()));
            }
        }
        Round { places, batches }
    }
}

/// One more record at the batch's end (Kafka's message format v2).
fn record(batch: &mut Batch, key: &[u8], value: &[u8], headers: &[u8]) {
    let mut head = Vec::with_capacity(64);
    head.extend_from_slice(&[0, 0]); // attributes; the batch's time
    codec::signed(i64::from(batch.count), &mut head);
    sized(key, &mut head);
    codec::signed(value.len() as i64, &mut head);
    codec::signed((head.len() + value.len() + headers.len()) as i64, &mut batch.records);
    for piece in [&head, value, headers] {
        batch.records.extend_from_slice(piece);
    }
    batch.count += 1;
}

fn sized(text: &[u8], into: &mut Vec<u8>) {
    codec::signed(text.len() as i64, into);
    into.extend_from_slice(text);
}
