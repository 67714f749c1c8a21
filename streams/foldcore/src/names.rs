//! Counters as numbers: what `domain/contribution.py` names by strings. A word from outside has a number of its own.

use std::collections::HashMap;

use crate::hash::Build;
use crate::instant;
use crate::settled::{BUCKETS, POLICIES};

/// The stages of the latency histograms.
pub const STAGES: [&str; 6] = ["queue_wait", "api", "carrier", "handset", "end_to_end", "receipt_lag"];

/// What the series of a day tell by minute or hour.
pub const SERIES: [&str; 3] = ["accepted", "delivered", "failed"];

const MINUTES_A_DAY: i64 = 1_440;
const HOURS_A_DAY: i64 = 24;

/// The kind of a counter. In the comment: how `domain/contribution.py` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Requested,     // requested
    Bucket,        // b:<bucket>
    Rejected,      // e:<word>
    Throttled,     // t:<word>
    Doubt,         // q:<word>
    Detail,        // d:<word>
    Carrier,       // o:<word>:<bucket>
    Latency,       // l:<stage>:<bin>
    AcceptedEver,  // accepted_ever
    AtCarrier,     // carrier
    Receipt,       // receipt
    Scheduled,     // s:<minute>
    Conflicted,    // conflicted
    Late,          // late
    Repeat,        // repeat
    Orphans,       // orphans
    OrphansOf,     // orphans:<word>
    Minute,        // <day>/m:<minute>:<series>
    Hour,          // <day>/h:<hour>:<series>
    OpenHour,      // <day>/open:<hour>
    CarrierHour,   // <day>/carrier:<hour>
    DeliveredHour, // <day>/delivered:<hour>
}

const KINDS: [Kind; 22] = {
    use Kind::*;
    [
        Requested,
        Bucket,
        Rejected,
        Throttled,
        Doubt,
        Detail,
        Carrier,
        Latency,
        AcceptedEver,
        AtCarrier,
        Receipt,
        Scheduled,
        Conflicted,
        Late,
        Repeat,
        Orphans,
        OrphansOf,
        Minute,
        Hour,
        OpenHour,
        CarrierHour,
        DeliveredHour,
    ]
};

/// One counter: kind, a small number (bucket, stage, series), a larger one (word, bin, minute, hour), and, where it is
/// a difference under another policy (`y:<policy>:<sign>:…`), which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counter(u64);

impl Counter {
    /// A counter under the default policy.
    pub fn new(kind: Kind, small: u8, large: i64) -> Self {
        Counter((kind as u64) << 48 | u64::from(small) << 40 | (large as u64 & 0xff_ffff_ffff))
    }

    /// The same counter as what is more (or less) of it under another policy.
    pub fn otherwise(self, policy: usize, more: bool) -> Self {
        Counter(self.0 | (policy as u64 * 2 + u64::from(more)) << 56)
    }

    /// Its bits, for the store; words keep their numbers there only as long as the process lives.
    pub fn kind(self) -> Kind {
        KINDS[(self.0 >> 48 & 0xff) as usize]
    }

    /// See `new`.
    pub fn small(self) -> u8 {
        (self.0 >> 40) as u8
    }

    /// See `new`.
    pub fn large(self) -> i64 {
        (self.0 << 24) as i64 >> 24
    }

    /// The same with another word.
    pub fn with_word(self, word: u32) -> Self {
        Counter(self.0 & !0xff_ffff_ffff | u64::from(word))
    }

    /// Everything but kind, word and numbers: policy and sign, 0 = none.
    pub fn mark(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// What `mark` gave.
    pub fn marked(self, mark: u8) -> Self {
        Counter(self.0 & ((1 << 56) - 1) | u64::from(mark) << 56)
    }

    /// Whether `large` is the number of a word.
    pub fn has_word(self) -> bool {
        use Kind::{Carrier, Detail, Doubt, OrphansOf, Rejected, Throttled};
        matches!(self.kind(), Rejected | Throttled | Doubt | Detail | Carrier | OrphansOf)
    }

    /// The day, since 1970, of a series counter; None for one of the campaign's main record.
    pub fn day(self) -> Option<i32> {
        match self.kind() {
            Kind::Minute => Some(self.large().div_euclid(MINUTES_A_DAY) as i32),
            Kind::Hour | Kind::OpenHour | Kind::CarrierHour | Kind::DeliveredHour => {
                Some(self.large().div_euclid(HOURS_A_DAY) as i32)
            }
            _ => None,
        }
    }

    /// The kind with this number, if there is one.
    pub fn kind_of(number: u8) -> Option<Kind> {
        KINDS.get(usize::from(number)).copied()
    }

    /// Its name as `domain/contribution.py` has it, not yet escaped for JSON.
    pub fn write(self, words: &Words, into: &mut Vec<u8>) {
        if let Some(day) = self.day() {
            instant::write_day(i64::from(day) * HOURS_A_DAY, into);
            into.push(b'/');
        }
        let mark = usize::from(self.mark());
        if mark != 0 {
            into.extend_from_slice(b"y:");
            into.extend_from_slice(POLICIES[mark / 2].as_bytes());
            into.extend_from_slice(if mark % 2 == 1 { b":+:" } else { b":-:" });
        }
        self.write_plain(words, into);
    }

    fn write_plain(self, words: &Words, into: &mut Vec<u8>) {
        let (small, large) = (usize::from(self.small()), self.large());
        let word = || words.of(large as u32).as_bytes();
        match self.kind() {
            Kind::Requested => into.extend_from_slice(b"requested"),
            Kind::Bucket => joined(into, b"b:", BUCKETS[small].as_bytes()),
            Kind::Rejected => joined(into, b"e:", word()),
            Kind::Throttled => joined(into, b"t:", word()),
            Kind::Doubt => joined(into, b"q:", word()),
            Kind::Detail => joined(into, b"d:", word()),
            Kind::Carrier => {
                joined(into, b"o:", word());
                joined(into, b":", BUCKETS[small].as_bytes());
            }
            Kind::Latency => {
                joined(into, b"l:", STAGES[small].as_bytes());
                numbered(into, b":", large);
            }
            Kind::AcceptedEver => into.extend_from_slice(b"accepted_ever"),
            Kind::AtCarrier => into.extend_from_slice(b"carrier"),
            Kind::Receipt => into.extend_from_slice(b"receipt"),
            Kind::Scheduled => numbered(into, b"s:", large),
            Kind::Conflicted => into.extend_from_slice(b"conflicted"),
            Kind::Late => into.extend_from_slice(b"late"),
            Kind::Repeat => into.extend_from_slice(b"repeat"),
            Kind::Orphans => into.extend_from_slice(b"orphans"),
            Kind::OrphansOf => joined(into, b"orphans:", word()),
            Kind::Minute | Kind::Hour => {
                numbered(into, if self.kind() == Kind::Minute { b"m:" } else { b"h:" }, large);
                joined(into, b":", SERIES[small].as_bytes());
            }
            Kind::OpenHour => numbered(into, b"open:", large),
            Kind::CarrierHour => numbered(into, b"carrier:", large),
            Kind::DeliveredHour => numbered(into, b"delivered:", large),
        }
    }
}

fn joined(into: &mut Vec<u8>, head: &[u8], rest: &[u8]) {
    into.extend_from_slice(head);
    into.extend_from_slice(rest);
}

fn numbered(into: &mut Vec<u8>, head: &[u8], number: i64) {
    into.extend_from_slice(head);
    decimal(number, into);
}

/// A number in digits.
pub fn decimal(number: i64, into: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let (mut at, mut left) = (digits.len(), number.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        into.push(b'-');
    }
    into.extend_from_slice(&digits[at..]);
}

/// Words from outside (carriers, error codes, details, campaigns), each with a number as long as the process lives.
#[derive(Default)]
pub struct Words {
    numbers: HashMap<Box<str>, u32, Build>,
    words: Vec<Box<str>>,
}

impl Words {
    /// The number of a word.
    pub fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.words.push(Box::from(word));
        self.numbers.insert(Box::from(word), number);
        number
    }

    /// The word with this number.
    pub fn of(&self, number: u32) -> &str {
        &self.words[number as usize]
    }
}
