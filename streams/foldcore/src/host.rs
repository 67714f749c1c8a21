//! What the fold needs from outside, and what can stop it.

use crate::codec::Damaged;

/// Byte strings one behind the other. `ABSENT` as a length stands for none.
#[derive(Default)]
pub struct Packed {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// The length of each.
    pub lengths: Vec<u32>,
}

/// The length of what is not there.
pub const ABSENT: u32 = u32::MAX;

impl Packed {
    /// One more, written by `write`.
    pub fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.lengths.push((self.bytes.len() - start) as u32);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Each in turn.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut at = 0;
        self.lengths.iter().map(move |&length| {
            if length == ABSENT {
                return None;
            }
            at += length as usize;
            self.bytes.get(at - length as usize..at)
        })
    }
}

/// Why a batch could not be folded. Whoever gets one must not go on with this fold.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The host failed, and knows how.
    Host,
    /// A stored document is not as it was written.
    Document,
    /// A record batch is not in Kafka's format.
    Records,
    /// The fold contradicts itself.
    Broken(&'static str),
}

impl From<Damaged> for Stop {
    fn from(_: Damaged) -> Self {
        Stop::Document
    }
}

/// The shell: it has the store, and it judges what is out of the ordinary.
pub trait Host {
    /// The documents under these keys, in their order.
    fn load(&mut self, keys: &Packed) -> Result<Packed, Stop>;

    /// What a record says that `facts::decode` does not take: an event in its usual form, or None for a dead letter.
    fn judge(&mut self, topic: usize, offset: i64) -> Result<Option<Vec<u8>>, Stop>;
}
