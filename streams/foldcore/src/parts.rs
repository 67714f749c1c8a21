//! The numbers of campaigns in one partition: sums of contributions, a part a campaign and day (`domain/partial.py`).

use std::collections::{BTreeMap, HashMap};

use crate::codec::{self, Damaged, Reader};
use crate::hash::Build;
use crate::instant;
use crate::json_out;
use crate::message::{join, Offsets, NOTHING_READ};
use crate::names::{decimal, Counter, Kind, Words};

/// Names of one open vocabulary that a record tells apart: carriers, and the provider's codes.
const MOST_NAMES: usize = 200;
const OPEN: [Kind; 3] = [Kind::Carrier, Kind::Rejected, Kind::Throttled];
const OTHER: &str = "other";

/// Where a fold's numbers come from. `source`: `"from"` and `"topic_ids"` of every record, as JSON members.
pub struct Origin {
    pub partition: i64,
    pub slot: i64,
    pub fold_version: i64,
    pub topics: Vec<String>,
    pub from: Offsets,
    pub topic_ids: String,
}

/// The counters of one record and the last offsets that they count.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub counters: BTreeMap<Counter, i64>,
    pub to: Offsets,
}

impl Default for Part {
    fn default() -> Self {
        Part { counters: BTreeMap::new(), to: NOTHING_READ }
    }
}

impl Part {
    /// One difference; a counter that falls to 0 leaves, so that equal numbers are equal records.
    pub fn add(&mut self, counter: Counter, by: i64) {
        let value = self.counters.entry(counter).or_insert(0);
        *value += by;
        if *value == 0 {
            self.counters.remove(&counter);
        }
    }

    /// Its `to` is at least this.
    pub fn reach(&mut self, to: &Offsets) {
        join(&mut self.to, to);
    }

    /// The counters in an order that does not depend on the numbers of words: equal numbers are equal bytes.
    fn ordered<'c>(counters: &'c BTreeMap<Counter, i64>, words: &Words) -> Vec<(&'c Counter, &'c i64)> {
        let mut all: Vec<(&Counter, &i64)> = counters.iter().collect();
        let mut start = 0;
        while start < all.len() {
            let group = all[start].0.with_word(0);
            let length = all[start..].iter().take_while(|one| one.0.with_word(0) == group).count();
            if group.has_word() {
                all[start..start + length].sort_by_key(|one| words.of(one.0.large() as u32));
            }
            start += length;
        }
        all
    }

    /// The stored document. Words stand as such: their numbers are of this process.
    pub fn write(&self, words: &Words, into: &mut Vec<u8>) {
        codec::offsets(&self.to, into);
        codec::unsigned(self.counters.len() as u64, into);
        for (counter, &count) in Part::ordered(&self.counters, words) {
            into.push(counter.kind() as u8);
            into.push(counter.mark());
            into.push(counter.small());
            if counter.has_word() {
                codec::text(words.of(counter.large() as u32), into);
            } else {
                codec::signed(counter.large(), into);
            }
            codec::signed(count, into);
        }
    }

    /// What `write` wrote.
    pub fn read(raw: &[u8], words: &mut Words) -> Result<Self, Damaged> {
        let mut from = Reader::new(raw);
        let mut part = Part { counters: BTreeMap::new(), to: from.offsets()? };
        for _ in 0..from.count()? {
            let kind = Counter::kind_of(from.byte()?).ok_or(Damaged)?;
            let (mark, small) = (from.byte()?, from.byte()?);
            let counter = Counter::new(kind, small, 0);
            let counter = if counter.has_word() {
                counter.with_word(words.number(&from.text()?))
            } else {
                Counter::new(kind, small, from.signed()?)
            };
            part.counters.insert(counter.marked(mark), from.signed()?);
        }
        from.end()?;
        Ok(part)
    }

    /// The partial as it is published (`sendledger_schemas.states.CampaignPartial`). `day`: since 1970.
    pub fn record(&self, campaign: &str, day: Option<i32>, origin: &Origin, words: &mut Words, into: &mut Vec<u8>) {
        into.extend_from_slice(b"{\"campaign_id\":");
        json_out::text(campaign, into);
        json_out::member("partition", origin.partition, into);
        json_out::member("slot", origin.slot, into);
        into.extend_from_slice(b",\"day\":");
        match day {
            None => into.extend_from_slice(b"null"),
            Some(day) => {
                into.push(b'"');
                instant::write_day(i64::from(day) * 24, into);
                into.push(b'"');
            }
        }
        into.extend_from_slice(b",\"counters\":{");
        let mut name = Vec::new();
        let start = into.len();
        let mut tell = |counter: Counter, count: i64, words: &Words, into: &mut Vec<u8>| {
            name.clear();
            counter.write(words, &mut name);
            if into.len() > start {
                into.push(b',');
            }
            json_out::escaped(&name, into);
            into.push(b':');
            decimal(count, into);
        };
        let bounded = if self.counters.len() > MOST_NAMES { Some(self.bounded(words)) } else { None };
        for (&counter, &count) in Part::ordered(bounded.as_ref().unwrap_or(&self.counters), words) {
            tell(counter, count, words, into);
        }
        into.extend_from_slice(b"},\"from\":");
        json_out::offsets(&origin.from, &origin.topics, into);
        into.extend_from_slice(b",\"to\":");
        json_out::offsets(&self.to, &origin.topics, into);
        json_out::member("version", version_of(&self.to), into);
        json_out::member("fold_version", origin.fold_version, into);
        into.extend_from_slice(b",\"topic_ids\":");
        into.extend_from_slice(origin.topic_ids.as_bytes());
        into.extend_from_slice(b",\"archived\":false}");
    }

    /// Of each open vocabulary the names that count most, the rest as `other`: no record may outgrow the broker's
    /// limit, and the names are other people's. Sums stay.
    fn bounded(&self, words: &mut Words) -> BTreeMap<Counter, i64> {
        let other = words.number(OTHER);
        let kept: Vec<HashMap<u32, (), Build>> = OPEN.iter().map(|&kind| self.most(kind, other, words)).collect();
        let mut result = BTreeMap::new();
        for (&counter, &count) in &self.counters {
            let told = match OPEN.iter().position(|&kind| kind == counter.kind()) {
                Some(place) if !kept[place].contains_key(&(counter.large() as u32)) => counter.with_word(other),
                _ => counter,
            };
            *result.entry(told).or_insert(0) += count;
        }
        result
    }

    fn most(&self, kind: Kind, other: u32, words: &Words) -> HashMap<u32, (), Build> {
        let mut weights: HashMap<u32, i64, Build> = HashMap::default();
        for (&counter, &count) in &self.counters {
            if counter.kind() == kind && counter.mark() == 0 && counter.large() != i64::from(other) {
                *weights.entry(counter.large() as u32).or_insert(0) += count;
            }
        }
        let mut ordered: Vec<(u32, i64)> = weights.into_iter().collect();
        ordered.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| words.of(one.0).cmp(words.of(two.0))));
        ordered.into_iter().take(MOST_NAMES).map(|(word, _)| (word, ())).collect()
    }
}

/// The sum of `to` (`domain/partial.py: version_of`).
pub fn version_of(to: &Offsets) -> i64 {
    to.iter().sum::<i64>() + to.len() as i64
}
