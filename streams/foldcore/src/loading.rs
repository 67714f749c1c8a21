//! Which stored documents a batch needs, and which it has changed.

use std::borrow::Cow;

use crate::host::{Host, Packed, Stop};
use crate::page;
use crate::shelf::{Shelf, Side, Slot};
use crate::stored::Stored;
use crate::work::Work;

fn recipient_key(recipient: &str, into: &mut Vec<u8>) {
    into.push(b'r');
    into.extend_from_slice(recipient.as_bytes());
}

fn message_key(message_id: &str, into: &mut Vec<u8>) {
    into.push(b'm');
    into.extend_from_slice(message_id.as_bytes());
}

/// A TRACKINGID counts only together with its recipient.
fn tracking_key(recipient: &str, name: &str, into: &mut Vec<u8>) {
    into.push(b't');
    into.extend_from_slice(recipient.as_bytes());
    into.push(b'/');
    into.extend_from_slice(name.as_bytes());
}

/// Ask for keys; the answers go into the slots, in the same order.
struct Wanted<'w, D> {
    keys: Packed,
    slots: Vec<&'w mut Slot<D>>,
}

impl<'w, D: Stored + Clone> Wanted<'w, D> {
    fn new() -> Self {
        Wanted { keys: Packed::default(), slots: Vec::new() }
    }

    fn want(&mut self, slot: &'w mut Slot<D>, key: impl FnOnce(&mut Vec<u8>)) {
        if !slot.loaded {
            self.keys.put(key);
            self.slots.push(slot);
        }
    }

    fn want_all<'f>(&mut self, shelf: &'w mut Shelf<'f, D>, key: impl Fn(&str, &mut Vec<u8>)) {
        for named in &mut shelf.all {
            let name = &named.name;
            self.want(&mut named.slot, |into| key(name, into));
        }
    }

    fn fetch(self, host: &mut dyn Host) -> Result<(), Stop> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let found = host.load(&self.keys)?;
        if found.len() != self.slots.len() {
            return Err(Stop::Broken("the host answered something else than it was asked"));
        }
        for (slot, raw) in self.slots.into_iter().zip(found.iter()) {
            slot.put(raw.map(D::read).transpose()?);
        }
        Ok(())
    }
}

/// Load what the facts name: the recipients, and of those that are stored in parts the parts.
pub fn load(works: &mut [Work], host: &mut dyn Host) -> Result<(), Stop> {
    let mut keys = Packed::default();
    for work in works.iter() {
        keys.put(|into| recipient_key(&work.recipient, into));
    }
    if !keys.is_empty() {
        let found = host.load(&keys)?;
        for (work, raw) in works.iter_mut().zip(found.iter()) {
            page::read(work, raw)?;
        }
    }
    messages(works, host)?;
    trackings(works, host)
}

/// Once the heads are made: load what the messages that may have changed depend on.
pub fn load_related(works: &mut [Work], host: &mut dyn Host) -> Result<(), Stop> {
    works.iter_mut().filter(|work| work.split).for_each(Work::name_messages);
    messages(works, host)?;
    works.iter_mut().filter(|work| work.split).for_each(Work::name_trackings);
    trackings(works, host)
}

fn messages(works: &mut [Work], host: &mut dyn Host) -> Result<(), Stop> {
    let mut wanted = Wanted::new();
    for work in works.iter_mut().filter(|work| work.split) {
        wanted.want_all(&mut work.messages, message_key);
    }
    wanted.fetch(host)
}

fn trackings(works: &mut [Work], host: &mut dyn Host) -> Result<(), Stop> {
    let mut wanted = Wanted::new();
    for work in works.iter_mut().filter(|work| work.split) {
        let recipient = &work.recipient;
        wanted.want_all(&mut work.trackings, |name, into| tracking_key(recipient, name, into));
    }
    wanted.fetch(host)
}

/// These messages (recipient, id), marked as touched, with all that their states depend on.
pub fn asked<'f>(names: &[(&'f str, &'f str)], host: &mut dyn Host) -> Result<Vec<Work<'f>>, Stop> {
    let mut works: Vec<Work> = Vec::new();
    for &(recipient, message_id) in names {
        let work = works.iter().position(|work| work.recipient == recipient).unwrap_or_else(|| {
            works.push(Work::new(Cow::Borrowed(recipient)));
            works.len() - 1
        });
        let place = works[work].messages.place(Cow::Borrowed(message_id));
        works[work].messages.all[place].touched = true;
    }
    load(&mut works, host)?;
    load_related(&mut works, host)?;
    Ok(works)
}

/// The recipient's documents that differ from the store.
pub fn write(work: &Work, into: &mut Packed) {
    let recipient = &work.recipient;
    if let Some(head) = work.head.changed() {
        into.put(|into| recipient_key(recipient, into));
        into.put(|into| page::write(work, head, into));
    }
    if page::fits(work) {
        return;
    }
    // Who has outgrown one document has every part written by itself, once.
    for named in work.messages.all.iter().filter(|named| named.slot.is_changed() || !work.split) {
        if let Some(message) = named.slot.on(Side::After) {
            into.put(|into| message_key(&named.name, into));
            into.put(|into| message.write(into));
        }
    }
    for named in work.trackings.all.iter().filter(|named| named.slot.is_changed() || !work.split) {
        if let Some(tracking) = named.slot.on(Side::After) {
            into.put(|into| tracking_key(recipient, &named.name, into));
            into.put(|into| tracking.write(into));
        }
    }
}
