//! How a recipient is stored: all of it in one document as long as it has few messages, else a document each.
//!
//! One document is one read and one write instead of three of each. Whoever has many messages must not cost more a
//! message: beyond `MOST_MESSAGES` the parts stand by themselves, for good.

use std::borrow::Cow;

use crate::codec::{self, Damaged, Reader};
use crate::recipient::Head;
use crate::shelf::Shelf;
use crate::stored::Stored;
use crate::work::Work;

const MOST_MESSAGES: usize = 8;
const MOST_TRACKINGS: usize = 16;
const WHOLE: u8 = 1;
const SPLIT: u8 = 0;

/// Whether the recipient fits into one document.
pub fn fits(work: &Work) -> bool {
    !work.split && work.messages.all.len() <= MOST_MESSAGES && work.trackings.all.len() <= MOST_TRACKINGS
}

/// The document under the recipient's key: the whole recipient if it fits, else its head.
pub fn write(work: &Work, head: &Head, into: &mut Vec<u8>) {
    if !fits(work) {
        into.push(SPLIT);
        return head.write(into);
    }
    into.push(WHOLE);
    sized(head, into);
    shelf(&work.messages, into);
    shelf(&work.trackings, into);
}

/// Put what the store has under the recipient's key in its place.
pub fn read(work: &mut Work, raw: Option<&[u8]>) -> Result<(), Damaged> {
    let (form, rest) = match raw {
        None => {
            work.head.put(None);
            return Ok(());
        }
        Some(raw) => raw.split_first().ok_or(Damaged)?,
    };
    work.split = *form == SPLIT;
    if work.split {
        work.head.put(Some(Head::read(rest)?));
        return Ok(());
    }
    let mut from = Reader::new(rest);
    work.head.put(Some(Head::read(from.bytes()?)?));
    onto(&mut work.messages, &mut from)?;
    onto(&mut work.trackings, &mut from)?;
    from.end()
}

fn sized(document: &impl Stored, into: &mut Vec<u8>) {
    let mut raw = Vec::with_capacity(256);
    document.write(&mut raw);
    codec::unsigned(raw.len() as u64, into);
    into.extend_from_slice(&raw);
}

fn shelf<D: Stored + Clone>(shelf: &Shelf<D>, into: &mut Vec<u8>) {
    let there: Vec<(&str, &D)> = shelf.documents().collect();
    codec::list(&there, into, |(name, document), into| {
        codec::text(name, into);
        sized(*document, into);
    });
}

fn onto<D: Stored + Clone>(shelf: &mut Shelf<D>, from: &mut Reader) -> Result<(), Damaged> {
    for _ in 0..from.count()? {
        let (name, raw) = (from.text()?, from.bytes()?);
        let place = shelf.place(Cow::Owned(name.into_owned()));
        shelf.all[place].slot.put(Some(D::read(raw)?));
    }
    Ok(())
}
