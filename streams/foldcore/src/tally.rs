//! What a batch adds to the campaigns' numbers, a part (campaign, day) at a time, and the parts that are at hand.

use std::collections::HashMap;

use crate::hash::Build;
use crate::host::{Host, Packed, Stop};
use crate::instant;
use crate::message::{join, Offsets, NOTHING_READ};
use crate::names::{Counter, Kind, Words};
use crate::parts::{Origin, Part};

/// The reserved campaign of the orphans.
pub const NO_CAMPAIGN: &str = "_none";

const PARTS_KEPT: usize = 2_000;
const HOURS_A_DAY: i64 = 24;

/// Number of the campaign's word, and day since 1970; None for the campaign's main part.
pub type Name = (u32, Option<i32>);

/// Differences and offsets, collected.
#[derive(Default)]
pub struct Tally {
    to: HashMap<Name, Offsets, Build>,
    by: HashMap<(u32, Counter), i64, Build>,
}

/// What changes in one part.
pub struct Change {
    pub name: Name,
    to: Offsets,
    by: Vec<(Counter, i64)>,
}

impl Tally {
    /// Every part that a message could ever count in moves its `to`, whether its numbers change or not.
    pub fn moved(&mut self, campaign: u32, to: &Offsets, days: &[i32]) {
        join(self.to.entry((campaign, None)).or_insert(NOTHING_READ), to);
        for &day in days {
            join(self.to.entry((campaign, Some(day))).or_insert(NOTHING_READ), to);
        }
    }

    /// One message's difference.
    pub fn changed(&mut self, campaign: u32, before: &[Counter], after: &[Counter]) {
        if before != after {
            before.iter().for_each(|&counter| self.add(campaign, counter, -1));
            after.iter().for_each(|&counter| self.add(campaign, counter, 1));
        }
    }

    /// One counter's difference.
    pub fn add(&mut self, campaign: u32, counter: Counter, by: i64) {
        *self.by.entry((campaign, counter)).or_insert(0) += by;
    }

    /// Each part to publish. Errors: Broken if a counter changed in a part whose `to` did not move.
    pub fn parts(self) -> Result<Vec<Change>, Stop> {
        let mut places: HashMap<Name, usize, Build> = HashMap::default();
        let mut changes = Vec::with_capacity(self.to.len());
        for (name, to) in self.to {
            places.insert(name, changes.len());
            changes.push(Change { name, to, by: Vec::new() });
        }
        for ((campaign, counter), by) in self.by.into_iter().filter(|(_, by)| *by != 0) {
            match places.get(&(campaign, counter.day())) {
                Some(&place) => changes[place].by.push((counter, by)),
                None => return Err(Stop::Broken("a counter changed in a part whose `to` did not move")),
            }
        }
        Ok(changes)
    }
}

/// Key of a campaign's part; the parts of one campaign stand together.
pub fn part_key(campaign: &str, day: Option<i32>, into: &mut Vec<u8>) {
    into.push(b'p');
    named(campaign, day, into);
}

fn named(campaign: &str, day: Option<i32>, into: &mut Vec<u8>) {
    into.extend_from_slice(campaign.as_bytes());
    if let Some(day) = day {
        into.push(b'/');
        instant::write_day(i64::from(day) * HOURS_A_DAY, into);
    }
}

/// The parts of these names that the store has.
pub fn stored(names: &[Name], words: &mut Words, host: &mut dyn Host) -> Result<Vec<(Name, Part)>, Stop> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut keys = Packed::default();
    for (campaign, day) in names {
        keys.put(|into| part_key(words.of(*campaign), *day, into));
    }
    let mut found = Vec::new();
    for (name, raw) in names.iter().zip(host.load(&keys)?.iter()) {
        if let Some(raw) = raw {
            found.push((*name, Part::read(raw, words)?));
        }
    }
    Ok(found)
}

/// The parts that were used last, as they were written.
#[derive(Default)]
pub struct Parts {
    kept: HashMap<Name, (Part, u64), Build>,
    uses: u64,
}

impl Parts {
    /// Have these at hand.
    pub fn load(
        &mut self,
        names: impl Iterator<Item = Name>,
        words: &mut Words,
        host: &mut dyn Host,
    ) -> Result<(), Stop> {
        let missing: Vec<Name> = names.filter(|name| !self.kept.contains_key(name)).collect();
        let found = stored(&missing, words, host)?;
        self.kept.extend(found.into_iter().map(|(name, part)| (name, (part, 0))));
        Ok(())
    }

    /// The part after a change.
    pub fn changed(&mut self, change: &Change) -> &Part {
        self.uses += 1;
        let (part, used) = self.kept.entry(change.name).or_insert_with(|| (Part::default(), 0));
        *used = self.uses;
        for &(counter, by) in &change.by {
            part.add(counter, by);
        }
        part.reach(&change.to);
        part
    }

    /// Let go of what was not used for longest.
    pub fn forget(&mut self) {
        if self.kept.len() > PARTS_KEPT {
            let mut uses: Vec<u64> = self.kept.values().map(|kept| kept.1).collect();
            uses.sort_unstable();
            let oldest = uses[uses.len() - PARTS_KEPT];
            self.kept.retain(|_, kept| kept.1 >= oldest);
        }
    }
}

/// Put a partial among those to publish: its key `campaign/partition/slot[/day]`, campaign, value, and of a main part
/// its imbalance (P6).
pub fn publish(part: &Part, campaign: &str, day: Option<i32>, origin: &Origin, words: &mut Words, into: &mut Packed) {
    into.put(|into| {
        into.extend_from_slice(format!("{campaign}/{}/{}", origin.partition, origin.slot).as_bytes());
        if day.is_some() {
            named("", day, into);
        }
    });
    into.put(|into| into.extend_from_slice(campaign.as_bytes()));
    into.put(|into| part.record(campaign, day, origin, words, into));
    into.put(|into| {
        if day.is_none() {
            into.extend_from_slice(imbalance(part).to_string().as_bytes());
        }
    });
}

/// `requested` less the sum of the buckets.
fn imbalance(part: &Part) -> i64 {
    let main = part.counters.iter().filter(|(counter, _)| counter.mark() == 0);
    main.map(|(counter, &count)| match counter.kind() {
        Kind::Requested => count,
        Kind::Bucket => -count,
        _ => 0,
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settled::Bucket;

    #[test]
    fn what_is_in_no_bucket_is_told() {
        let mut part = Part::default();
        part.add(Counter::new(Kind::Requested, 0, 0), 5);
        part.add(Counter::new(Kind::Bucket, Bucket::Sent as u8, 0), 3);
        part.add(Counter::new(Kind::Bucket, Bucket::Queued as u8, 0), 1);
        part.add(Counter::new(Kind::Bucket, Bucket::Sent as u8, 0).otherwise(2, true), 7); // of another policy
        assert_eq!(imbalance(&part), 1);
    }
}
