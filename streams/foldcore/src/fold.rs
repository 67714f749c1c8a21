//! The fold of one partition: record batches in, changed documents and records to publish out.
//!
//! Order within a batch: 1 read the records, decode · 2 load the documents that the facts name · 3 evolve, fact by fact
//! · 4 of every message whose facts or adoption moved contribution(after) − contribution(before) · 5 the parts change
//! by these differences. Publishing, then writing, is the shell's (agents/fold.py).

use std::collections::HashSet;

use crate::contribution::Contributions;
use crate::hash::Build;
use crate::host::{Host, Packed, Stop};
use crate::instant;
use crate::loading::{asked, load, load_related, write};
use crate::message::{join, Offsets, NOTHING_READ};
use crate::names::{Counter, Kind};
use crate::parts::Origin;
use crate::reading::{evolve, named, read};
use crate::recipient::{day_at, days_of, offsets_of, Head};
use crate::records::{Batch, Written};
use crate::settled::Facts;
use crate::shelf::Side;
use crate::state_record::{self, Names};
use crate::tally::{part_key, publish, stored, Parts, Tally, NO_CAMPAIGN};
use crate::work::Work;

/// Bytes of a batch of message states, before compression: below the broker's limit, and easy on memory.
const MOST_BYTES: usize = 512 * 1024;

/// What a batch changed. `documents`: key, value, …; `messages`: records of a Kafka batch, their count, …; `partials`:
/// key, campaign, value, imbalance (empty for a day's series), …
#[derive(Default)]
pub struct Changes {
    pub documents: Packed,
    pub messages: Packed,
    pub partials: Packed,
}

/// The fold of one partition. Between batches it keeps only campaigns' parts, which follow from what it wrote.
pub struct PartitionFold {
    pub(crate) origin: Origin,
    archived: HashSet<Box<str>, Build>,
    cut: Offsets,
    contributions: Contributions,
    parts: Parts,
}

impl PartitionFold {
    /// `archived`: campaigns of which nothing is published any more.
    pub fn new(origin: Origin, archived: HashSet<Box<str>, Build>) -> Self {
        // What the log no longer holds counts as read: `_none` begins anew on a cut log, and must not seem the lesser.
        let cut = origin.from.map(|first| first - 1);
        PartitionFold { origin, archived, cut, contributions: Contributions::default(), parts: Parts::default() }
    }

    /// Fold the records of these batches, each topic's in log order.
    pub fn fold(&mut self, batches: &[Batch], host: &mut dyn Host) -> Result<Changes, Stop> {
        let mut judged = Vec::new();
        let located = read(batches, host, &mut judged)?;
        let mut works: Vec<Work> = Vec::new();
        let steps = named(&located, &mut works);
        load(&mut works, host)?;
        for step in steps {
            evolve(&mut works[step.work], &step);
        }
        works.iter_mut().for_each(Work::finish);
        load_related(&mut works, host)?;
        let (mut changes, mut tally) = (Changes::default(), Tally::default());
        let (mut last, mut states) = (NOTHING_READ, Written::new(MOST_BYTES));
        for work in &works {
            self.settle(work, &mut tally, &mut states);
            write(work, &mut changes.documents);
            join(&mut last, &work.to);
        }
        changes.messages = states.finish();
        if !works.is_empty() {
            join(&mut last, &self.cut);
            tally.moved(self.contributions.words.number(NO_CAMPAIGN), &last, &[]);
        }
        self.count(tally, host, &mut changes)?;
        Ok(changes)
    }

    /// The difference that the batch makes to every message of a recipient that it moved, and to the orphans.
    fn settle(&mut self, work: &Work, tally: &mut Tally, states: &mut Written) {
        let (before, after) = (work.adoption(Side::Before), work.adoption(Side::After));
        let none = Head::default();
        let head_before = work.head.on(Side::Before).unwrap_or(&none);
        let head = work.head.on(Side::After).unwrap_or(&none);
        let (mut bag, mut bag_before, mut days) = (Vec::new(), Vec::new(), Vec::new());
        for (place, named) in work.messages.all.iter().enumerate() {
            if !named.touched && !head.ever_unanswered(&named.name) {
                continue;
            }
            let now = match work.known(Side::After, place, after) {
                None => continue,
                Some(now) => now,
            };
            bag.clear();
            bag_before.clear();
            days.clear();
            if let Some(then) = work.known(Side::Before, place, before) {
                self.contributions.of(&then.facts, &mut bag_before);
                days_of(&named.name, &then.facts, head_before, &mut days);
            }
            self.contributions.of(&now.facts, &mut bag);
            days_of(&named.name, &now.facts, head, &mut days);
            let message = now.facts.message;
            let campaign = self.contributions.words.number(&message.campaign_id);
            let to = offsets_of(&named.name, message, &now.mine, head);
            tally.moved(campaign, &to, &days);
            tally.changed(campaign, &bag_before, &bag);
            self.publish(Names { message_id: &named.name, recipient_id: &work.recipient }, &now.facts, &to, states);
        }
        self.orphaned(work, tally);
    }

    fn publish(&self, names: Names, facts: &Facts, to: &Offsets, states: &mut Written) {
        if let (Some(request), false) = (&facts.message.request, self.archived.contains(&*facts.message.campaign_id)) {
            let write = |into: &mut Vec<u8>| state_record::write(names, facts, request, to, &self.origin, into);
            states.put(names.message_id.as_bytes(), write);
        }
    }

    fn orphaned(&mut self, work: &Work, tally: &mut Tally) {
        let mut none = None;
        for (side, sign) in [(Side::Before, -1), (Side::After, 1)] {
            let count = sign * work.orphans(side);
            let head = match work.head.on(side) {
                Some(head) if count != 0 => head,
                _ => continue,
            };
            let words = &mut self.contributions.words;
            let none = *none.get_or_insert_with(|| words.number(NO_CAMPAIGN));
            tally.add(none, Counter::new(Kind::Orphans, 0, 0), count);
            for campaign in &head.campaigns {
                let word = i64::from(words.number(campaign));
                tally.add(none, Counter::new(Kind::OrphansOf, 0, word), count);
            }
        }
    }

    fn count(&mut self, tally: Tally, host: &mut dyn Host, changes: &mut Changes) -> Result<(), Stop> {
        let words = &mut self.contributions.words;
        let moved = tally.parts()?;
        self.parts.load(moved.iter().map(|part| part.name), words, host)?;
        for change in moved {
            let campaign = words.of(change.name.0).to_owned();
            let part = self.parts.changed(&change);
            changes.documents.put(|into| part_key(&campaign, change.name.1, into));
            changes.documents.put(|into| part.write(words, into));
            if !self.archived.contains(&*campaign) {
                publish(part, &campaign, change.name.1, &self.origin, words, &mut changes.partials);
            }
        }
        self.parts.forget();
        Ok(())
    }

    /// The records of a campaign once more, as they are stored: its main part, those of `days` (`YYYY-MM-DD`), and the
    /// states of these of its messages (recipient, id). No documents.
    pub fn again(
        &mut self,
        campaign: &str,
        days: &[&str],
        messages: &[(&str, &str)],
        host: &mut dyn Host,
    ) -> Result<Changes, Stop> {
        let mut changes = Changes::default();
        let words = &mut self.contributions.words;
        let number = words.number(campaign);
        let mut names = vec![(number, None)];
        names.extend(days.iter().filter_map(|day| day_named(day)).map(|day| (number, Some(day))));
        for (name, part) in stored(&names, words, host)? {
            publish(&part, campaign, name.1, &self.origin, words, &mut changes.partials);
        }
        let mut states = Written::new(MOST_BYTES);
        for work in &asked(messages, host)? {
            let (adoption, none) = (work.adoption(Side::After), Head::default());
            let head = work.head.on(Side::After).unwrap_or(&none);
            for (place, named) in work.messages.all.iter().enumerate().filter(|(_, named)| named.touched) {
                let known = work.known(Side::After, place, adoption);
                if let Some(known) = known.filter(|known| &*known.facts.message.campaign_id == campaign) {
                    let to = offsets_of(&named.name, known.facts.message, &known.mine, head);
                    let names = Names { message_id: &named.name, recipient_id: &work.recipient };
                    self.publish(names, &known.facts, &to, &mut states);
                }
            }
        }
        changes.messages = states.finish();
        Ok(changes)
    }
}

/// `YYYY-MM-DD` as days since 1970.
fn day_named(day: &str) -> Option<i32> {
    instant::parse(format!("{day}T00:00:00Z").as_bytes()).map(day_at)
}
