//! What one message adds to its campaign's numbers, as a bag of counters (`domain/contribution.py` defines it).

use crate::message::Kind as Answer;
use crate::names::{Counter, Kind, Words};
use crate::settled::{Bucket, Facts, POLICIES};
use crate::tracking::Notice;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const RECEIPT_DEADLINE: i64 = 72 * HOUR;
const FINE_SERIES: i64 = 6 * HOUR;
const BINS: usize = 160;
const BINS_AN_OCTAVE: f64 = 4.0;
const FINEST: f64 = 1_000.0;

const QUEUE_WAIT: u8 = 0;
const API: u8 = 1;
const CARRIER: u8 = 2;
const HANDSET: u8 = 3;
const END_TO_END: u8 = 4;
const RECEIPT_LAG: u8 = 5;

const ACCEPTED: u8 = 0;
const DELIVERED: u8 = 1;
const FAILED: u8 = 2;

/// Makes contributions. Holds the words that counters name, and the upper ends of the latency bins (µs).
pub struct Contributions {
    /// Words by number.
    pub words: Words,
    upper_ends: Vec<f64>,
}

impl Default for Contributions {
    fn default() -> Self {
        let upper_ends = (0..BINS).map(|n| FINEST * 2f64.powf(n as f64 / BINS_AN_OCTAVE)).collect();
        Contributions { words: Words::default(), upper_ends }
    }
}

impl Contributions {
    /// Add to `bag` the counters to which this message adds one each (one may stand more than once).
    pub fn of(&mut self, facts: &Facts, bag: &mut Vec<Counter>) {
        let start = bag.len();
        self.under(facts, 0, bag);
        if facts.finals.len() > 1 {
            self.otherwise(facts, start, bag);
        }
    }

    /// What would be different under the policies by which another of the final claims counts.
    fn otherwise(&mut self, facts: &Facts, start: usize, bag: &mut Vec<Counter>) {
        let mut ours = bag[start..].to_vec();
        ours.sort_unstable();
        for policy in 1..POLICIES.len() {
            let counting = facts.counting(policy).map(|notice| &notice.event_id);
            if counting == Some(&facts.finals[0].event_id) {
                continue;
            }
            let mut theirs = Vec::new();
            self.under(facts, policy, &mut theirs);
            theirs.sort_unstable();
            without(&theirs, &ours, |more| bag.push(more.otherwise(policy, true)));
            without(&ours, &theirs, |less| bag.push(less.otherwise(policy, false)));
        }
    }

    fn under(&mut self, facts: &Facts, policy: usize, bag: &mut Vec<Counter>) {
        let request = match &facts.message.request {
            None => return,
            Some(request) => request,
        };
        let bucket = facts.bucket(policy);
        bag.push(plain(Kind::Requested));
        bag.push(Counter::new(Kind::Bucket, bucket as u8, 0));
        if let Some(operator) = facts.operator_id {
            bag.push(Counter::new(Kind::Carrier, bucket as u8, self.word(operator)));
        }
        self.calls(facts, request.at, bag);
        let began = facts.outline.began;
        if !facts.notices.is_empty() {
            self.receipts(facts, request.at, policy, bag);
        } else if bucket == Bucket::Accepted {
            bag.push(plain(Kind::AcceptedEver));
            bag.push(Counter::new(Kind::OpenHour, 0, began.div_euclid(HOUR)));
        } else if bucket == Bucket::InDoubt {
            bag.push(Counter::new(Kind::Doubt, 0, self.word(facts.outline.doubt.unwrap_or("other"))));
        } else if let (Bucket::Queued, Some(from)) = (bucket, request.not_before) {
            bag.push(Counter::new(Kind::Scheduled, 0, from.div_euclid(MINUTE)));
        }
        bag.extend((0..facts.repeats).map(|_| plain(Kind::Repeat)));
    }

    fn word(&mut self, word: &str) -> i64 {
        i64::from(self.words.number(word))
    }

    fn calls(&mut self, facts: &Facts, requested_at: i64, bag: &mut Vec<Counter>) {
        if let Some(claimed) = facts.outline.first_claim {
            bag.push(self.latency(QUEUE_WAIT, requested_at, claimed));
        }
        for (claimed, response) in &facts.outline.calls {
            let code = response.code.as_deref().filter(|code| !code.is_empty()).unwrap_or("other");
            if response.kind == Answer::Throttled {
                bag.push(Counter::new(Kind::Throttled, 0, self.word(code)));
            }
            if !response.settles() {
                continue;
            }
            if let Some(claimed) = claimed {
                bag.push(self.latency(API, *claimed, response.at));
            }
            if response.kind == Answer::Accepted {
                bag.push(series(requested_at, response.at, ACCEPTED));
            } else {
                bag.push(Counter::new(Kind::Rejected, 0, self.word(code)));
                bag.push(series(requested_at, response.at, FAILED));
            }
        }
    }

    fn receipts(&mut self, facts: &Facts, requested_at: i64, policy: usize, bag: &mut Vec<Counter>) {
        let (outline, sent) = (&facts.outline, facts.sent);
        let hour = outline.began.div_euclid(HOUR);
        bag.push(plain(Kind::AcceptedEver));
        if sent.is_some() || !facts.finals.is_empty() {
            bag.push(plain(Kind::AtCarrier));
            bag.push(Counter::new(Kind::CarrierHour, 0, hour));
        }
        if let (Some(sent), Some(accepted)) = (sent, outline.accepted) {
            bag.push(self.latency(CARRIER, accepted.at, sent.received_at));
        }
        for notice in &facts.notices {
            if let Some(said) = notice.provider_at {
                bag.push(self.latency(RECEIPT_LAG, said, notice.received_at));
            }
        }
        let settled = match facts.counting(policy) {
            None => return bag.push(Counter::new(Kind::OpenHour, 0, hour)),
            Some(settled) => settled,
        };
        bag.push(plain(Kind::Receipt));
        self.settled(settled, sent, requested_at, bag);
        if settled.delivers() {
            bag.push(Counter::new(Kind::DeliveredHour, 0, hour));
        }
        if facts.conflicted() {
            bag.push(plain(Kind::Conflicted));
        }
        if facts.finals[0].received_at - outline.began > RECEIPT_DEADLINE {
            bag.push(plain(Kind::Late));
        }
    }

    fn settled(&mut self, settled: &Notice, sent: Option<&Notice>, requested_at: i64, bag: &mut Vec<Counter>) {
        if !settled.delivers() {
            bag.push(Counter::new(Kind::Detail, 0, self.word(settled.why())));
        }
        let what = if settled.delivers() { DELIVERED } else { FAILED };
        bag.push(series(requested_at, settled.received_at, what));
        bag.push(self.latency(END_TO_END, requested_at, settled.received_at));
        if let (Some(sent), Some(settled)) = (sent.and_then(|sent| sent.provider_at), settled.provider_at) {
            bag.push(self.latency(HANDSET, sent, settled));
        }
    }

    /// Bin n holds what takes up to its upper end; negative durations (clocks) are in bin 0.
    fn latency(&self, stage: u8, start: i64, end: i64) -> Counter {
        let took = (end - start) as f64;
        Counter::new(Kind::Latency, stage, self.upper_ends.partition_point(|&upper| upper < took) as i64)
    }
}

fn plain(kind: Kind) -> Counter {
    Counter::new(kind, 0, 0)
}

fn series(requested_at: i64, at: i64, what: u8) -> Counter {
    if at - requested_at < FINE_SERIES {
        Counter::new(Kind::Minute, what, at.div_euclid(MINUTE))
    } else {
        Counter::new(Kind::Hour, what, at.div_euclid(HOUR))
    }
}

/// What of one sorted bag is not in the other, each as often as it is more there.
fn without(bag: &[Counter], other: &[Counter], mut found: impl FnMut(Counter)) {
    let mut others = other.iter().peekable();
    for &counter in bag {
        while others.next_if(|known| **known < counter).is_some() {}
        if others.next_if(|known| **known == counter).is_none() {
            found(counter);
        }
    }
}
