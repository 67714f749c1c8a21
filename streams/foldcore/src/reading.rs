//! From record batches to facts, and from facts to the documents that they are about.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::facts::{self, Fact, What};
use crate::hash::Build;
use crate::host::{Host, Stop};
use crate::message::Message;
use crate::recipient::{day_at, include};
use crate::records::{Batch, Record};
use crate::tracking::Tracking;
use crate::work::Work;

/// A fact and where it stands.
pub struct Located<'a> {
    topic: usize,
    offset: i64,
    fact: Fact<'a>,
}

/// A fact and its documents, as places: `place` of the message, or of a postback's TRACKINGID; `owned`: of the one that
/// a response gives.
pub struct Step<'f> {
    pub work: usize,
    place: usize,
    owned: usize,
    located: &'f Located<'f>,
}

/// An event in the host's form.
pub type Judged = (usize, i64, Vec<u8>);

/// Decode the records; what is out of the ordinary goes to the host, whose answers stand in `judged`.
pub fn read<'a>(
    batches: &[Batch<'a>],
    host: &mut dyn Host,
    judged: &'a mut Vec<Judged>,
) -> Result<Vec<Located<'a>>, Stop> {
    let mut located = Vec::with_capacity(batches.iter().map(|batch| batch.count.min(batch.records.len())).sum());
    let mut unsure: Vec<(usize, i64)> = Vec::new();
    for batch in batches {
        batch.each(|record| match usual(batch.topic, &record) {
            Some(fact) => located.push(Located { topic: batch.topic, offset: record.offset, fact }),
            None => unsure.push((batch.topic, record.offset)),
        })?;
    }
    for (topic, offset) in unsure {
        if let Some(event) = host.judge(topic, offset)? {
            judged.push((topic, offset, event));
        }
    }
    for (topic, offset, event) in judged.iter() {
        let fact = facts::decode(event).filter(|fact| fact.topic() == *topic);
        let fact = fact.ok_or(Stop::Broken("the host's form of an event is not the usual one"))?;
        located.push(Located { topic: *topic, offset: *offset, fact });
    }
    Ok(located)
}

/// An event that stands where it belongs, and whose key is its recipient: the key decides the partition.
fn usual<'a>(topic: usize, record: &Record<'a>) -> Option<Fact<'a>> {
    facts::decode(record.value).filter(|fact| fact.topic() == topic && fact.recipient().as_bytes() == record.key)
}

/// Give every document that the facts name a place. Postbacks without a claim (other origins, codes that nobody knows)
/// are kept as events and left unfolded (PROVIDER, postbacks 4): they have no step.
pub fn named<'f>(located: &'f [Located<'f>], works: &mut Vec<Work<'f>>) -> Vec<Step<'f>> {
    let mut places: HashMap<&str, usize, Build> = HashMap::default();
    let mut steps = Vec::with_capacity(located.len());
    for one in located {
        if matches!(&one.fact, Fact::Postback(told) if told.claim.is_none()) {
            continue;
        }
        let recipient = one.fact.recipient();
        let work = *places.entry(recipient).or_insert_with(|| {
            works.push(Work::new(Cow::Borrowed(recipient)));
            works.len() - 1
        });
        let (place, owned) = places_in(&mut works[work], &one.fact);
        steps.push(Step { work, place, owned, located: one });
    }
    steps
}

fn places_in<'f>(work: &mut Work<'f>, fact: &'f Fact<'f>) -> (usize, usize) {
    match fact {
        Fact::Postback(told) => (work.trackings.place(Cow::Borrowed(told.tracking_id.as_deref().unwrap_or(""))), 0),
        Fact::Message(fact) => {
            let owned = match &fact.what {
                What::Accepted { tracking_id, .. } => work.trackings.place(Cow::Borrowed(tracking_id)),
                _ => 0,
            };
            (work.messages.place(Cow::Borrowed(&fact.message_id)), owned)
        }
    }
}

/// Evolve the documents by one fact.
pub fn evolve(work: &mut Work, step: &Step) {
    let Located { topic, offset, fact } = step.located;
    work.to[*topic] = work.to[*topic].max(*offset);
    match fact {
        Fact::Message(fact) => {
            let named = &mut work.messages.all[step.place];
            named.touched = true;
            named.slot.change(|| Message::initial(fact)).evolve(*topic, *offset, fact);
            if let What::Accepted { .. } = fact.what {
                let tracking = &mut work.trackings.all[step.owned].slot;
                tracking.change(Tracking::default).owned(&fact.message_id, *offset);
            }
        }
        Fact::Postback(told) => {
            if let Some(claim) = told.claim {
                let tracking = work.trackings.all[step.place].slot.change(Tracking::default);
                tracking.received(*offset, told, claim);
                include(&mut work.days, &day_at(told.received_at), |day| *day);
            }
        }
    }
}
