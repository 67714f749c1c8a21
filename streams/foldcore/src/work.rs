//! What one batch does to one recipient: its documents, and what its messages come to on either side of it.

use std::borrow::Cow;

use crate::message::{join, Message, Offsets, NOTHING_READ};
use crate::recipient::{adopts, include, Head};
use crate::settled::Facts;
use crate::shelf::{Shelf, Side, Slot};
use crate::tracking::Tracking;

/// `split`: its documents are stored each by itself (`page.rs`); `to`: last offsets of the batch's facts; `days`: on
/// which its postbacks came.
pub struct Work<'f> {
    pub recipient: Cow<'f, str>,
    pub split: bool,
    pub head: Slot<Head>,
    pub messages: Shelf<'f, Message>,
    pub trackings: Shelf<'f, Tracking>,
    pub to: Offsets,
    pub days: Vec<i32>,
}

/// A message's facts, and the TRACKINGIDs that its responses gave it with what came under them.
pub struct Known<'a> {
    pub facts: Facts<'a>,
    pub mine: Vec<(&'a str, &'a Tracking)>,
}

impl<'f> Work<'f> {
    /// Of a recipient of whom nothing is loaded.
    pub fn new(recipient: Cow<'f, str>) -> Self {
        Work {
            recipient,
            split: false,
            head: Slot::default(),
            messages: Shelf::default(),
            trackings: Shelf::default(),
            to: NOTHING_READ,
            days: Vec::new(),
        }
    }

    /// Once all facts are stepped: make the head, and touch the messages whose TRACKINGIDs moved.
    pub fn finish(&mut self) {
        let head = self.head.change(Head::default);
        for named in &self.messages.all {
            if let Some(message) = named.slot.changed() {
                head.take_message(&named.name, message);
            }
        }
        let mut owners: Vec<Box<str>> = Vec::new();
        for named in &self.trackings.all {
            if let Some(tracking) = named.slot.changed() {
                head.take_tracking(&named.name, tracking);
                owners.extend(tracking.owner.iter().map(|owner| owner.0.clone()));
            }
        }
        for &day in &self.days {
            include(&mut head.days, &day, |day| *day);
        }
        join(&mut head.to, &self.to);
        for owner in owners {
            let place = self.messages.place(Cow::Owned(owner.into_string()));
            self.messages.all[place].touched = true;
        }
    }

    /// Give a place to every message that may have to be looked at: the unanswered ones, and who could adopt.
    pub fn name_messages(&mut self) {
        let mut names: Vec<String> = Vec::new();
        for head in [Side::Before, Side::After].iter().filter_map(|&side| self.head.on(side)) {
            names.extend(head.unanswered.iter().map(|name| name.to_string()));
            names.extend(head.lone_pair().map(|pair| pair.1.to_owned()));
        }
        for name in names {
            self.messages.place(Cow::Owned(name));
        }
    }

    /// Give a place to every TRACKINGID on which these messages depend.
    pub fn name_trackings(&mut self) {
        let mut names: Vec<String> = Vec::new();
        for head in [Side::Before, Side::After].iter().filter_map(|&side| self.head.on(side)) {
            names.extend(head.lone_pair().map(|pair| pair.0.to_owned()));
        }
        for message in self.messages.all.iter().filter_map(|named| named.slot.on(Side::After)) {
            names.extend(message.tracking_ids().map(str::to_owned).filter(|name| self.trackings.find(name).is_none()));
        }
        for name in names {
            self.trackings.place(Cow::Owned(name));
        }
    }

    /// (TRACKINGID, message) where the lone TRACKINGID settles the lone unanswered attempt (DESIGN §4).
    pub fn adoption(&self, side: Side) -> Option<(&str, &str)> {
        let (tracking_id, message_id, number) = self.head.on(side)?.lone_pair()?;
        let message = self.messages.on(side, message_id)?;
        let tracking = self.trackings.on(side, tracking_id)?;
        if adopts(message, number, tracking) {
            Some((tracking_id, message_id))
        } else {
            None
        }
    }

    /// The message with its postbacks, once its request is known. `adoption`: of the recipient, on that side.
    pub fn known<'a>(&'a self, side: Side, place: usize, adoption: Option<(&'a str, &str)>) -> Option<Known<'a>> {
        let named = &self.messages.all[place];
        let message = named.slot.on(side)?;
        message.request.as_ref()?;
        let mut mine: Vec<(&str, &Tracking)> = Vec::new();
        for name in message.tracking_ids() {
            if mine.iter().all(|known| known.0 != name) {
                mine.extend(self.trackings.on(side, name).map(|tracking| (name, tracking)));
            }
        }
        let adopted = adoption.filter(|pair| pair.1 == named.name);
        let facts = if adopted.is_none() && mine.iter().all(|known| known.1.is_of(&named.name)) {
            Facts::of(message, &mine)
        } else {
            let mut owned = mine.clone();
            owned.retain(|known| known.1.is_of(&named.name));
            let adopted = adopted.and_then(|pair| Some((pair.0, self.trackings.on(side, pair.0)?)));
            owned.extend(adopted);
            Facts::of(message, &owned)
        };
        Some(Known { facts, mine })
    }

    /// Postbacks that are nobody's.
    pub fn orphans(&self, side: Side) -> i64 {
        let adopted = self.adoption(side).map(|pair| pair.0);
        let head = self.head.on(side);
        let unmatched = head.iter().flat_map(|head| &head.unmatched);
        unmatched.filter(|known| Some(&*known.0) != adopted).map(|known| i64::from(known.1)).sum()
    }
}
