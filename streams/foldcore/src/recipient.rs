//! What concerns several messages of one recipient: its head, and adoption (`domain/recipient.py`; DESIGN §4).

use crate::message::{End, Message, Offsets, NOTHING_READ, POSTBACKS};
use crate::settled::Facts;
use crate::tracking::Tracking;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
const ADOPTION_WINDOW: i64 = 72 * HOUR;
const CLOCK_SLACK: i64 = HOUR / 12;

/// What must be at hand for every event of a recipient. Lists are in order, and have each once.
///
/// `campaigns`: those that have a requested message to it; `unmatched`: TRACKINGID and number of its postbacks that no
/// response owns; `candidates`: (message, attempt) unanswered or still open; `unanswered`: messages that ever were;
/// `to`: last offsets of all facts of the recipient; `days`: since 1970, on which postbacks arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub campaigns: Vec<Box<str>>,
    pub unmatched: Vec<(Box<str>, u32)>,
    pub candidates: Vec<(Box<str>, u32)>,
    pub unanswered: Vec<Box<str>>,
    pub to: Offsets,
    pub days: Vec<i32>,
}

impl Default for Head {
    fn default() -> Self {
        Head {
            campaigns: Vec::new(),
            unmatched: Vec::new(),
            candidates: Vec::new(),
            unanswered: Vec::new(),
            to: NOTHING_READ,
            days: Vec::new(),
        }
    }
}

/// Put a value into an ordered list that has each once.
pub fn include<T, B: Ord + ?Sized>(list: &mut Vec<T>, value: &B, own: impl FnOnce(&B) -> T)
where
    T: std::borrow::Borrow<B>,
{
    if let Err(place) = list.binary_search_by(|known| known.borrow().cmp(value)) {
        list.insert(place, own(value));
    }
}

/// The day of a moment (µs), since 1970.
pub fn day_at(at: i64) -> i32 {
    at.div_euclid(DAY) as i32
}

impl Head {
    /// The head once the message stands as it does now.
    pub fn take_message(&mut self, message_id: &str, message: &Message) {
        self.candidates.retain(|candidate| &*candidate.0 != message_id);
        if message.request.is_some() {
            include(&mut self.campaigns, &*message.campaign_id, |name| Box::from(name));
        }
        for (number, attempt) in message.standing() {
            if attempt.response.is_none() && (attempt.silence.is_some() || attempt.claim.is_some()) {
                self.candidates.push((Box::from(message_id), number));
            }
        }
        self.candidates.sort_unstable();
        if message.ever_unanswered() {
            include(&mut self.unanswered, message_id, |name| Box::from(name));
        }
    }

    /// The head once the TRACKINGID stands as it does now.
    pub fn take_tracking(&mut self, name: &str, tracking: &Tracking) {
        let count = if tracking.owner.is_some() { 0 } else { tracking.notices.len() as u32 };
        match (self.unmatched.binary_search_by(|known| (*known.0).cmp(name)), count) {
            (Ok(place), 0) => drop(self.unmatched.remove(place)),
            (Ok(place), _) => self.unmatched[place].1 = count,
            (Err(_), 0) => {}
            (Err(place), _) => self.unmatched.insert(place, (Box::from(name), count)),
        }
    }

    /// Whether the message ever was unanswered.
    pub fn ever_unanswered(&self, message_id: &str) -> bool {
        self.unanswered.binary_search_by(|known| (**known).cmp(message_id)).is_ok()
    }

    /// (TRACKINGID, message, attempt) where exactly one TRACKINGID is unmatched and exactly one attempt a candidate.
    pub fn lone_pair(&self) -> Option<(&str, &str, u32)> {
        // A postback without a TRACKINGID can settle nothing.
        let mut named = self.unmatched.iter().map(|known| &*known.0).filter(|name| !name.is_empty());
        match (&*self.candidates, named.next(), named.next()) {
            ([(message_id, number)], Some(name), None) => Some((name, message_id, *number)),
            _ => None,
        }
    }
}

/// Whether the lone TRACKINGID settles the lone candidate: it is unanswered, and the times fit.
pub fn adopts(message: &Message, number: u32, tracking: &Tracking) -> bool {
    let attempt = match message.attempts.binary_search_by_key(&number, |one| one.0) {
        Ok(place) => &message.attempts[place].1,
        Err(_) => return false,
    };
    let silence = match &attempt.silence {
        Some(silence) if attempt.end() != End::Open => silence,
        _ => return false,
    };
    let began = attempt.claim.as_ref().map_or(silence.at, |claim| claim.at);
    match tracking.notices.iter().map(|notice| notice.received_at).min() {
        Some(first) => (-CLOCK_SLACK..=ADOPTION_WINDOW).contains(&(first - began)),
        None => false,
    }
}

/// The days whose series the message could ever count in: they only grow with the facts (`domain/recipient.py`).
pub fn days_of(message_id: &str, facts: &Facts, head: &Head, days: &mut Vec<i32>) {
    let mut add = |at: i64| {
        let day = day_at(at);
        if !days.contains(&day) {
            days.push(day);
        }
    };
    facts.notices.iter().for_each(|notice| add(notice.received_at));
    let message = facts.message;
    message.request.iter().for_each(|request| add(request.at));
    for (_, attempt) in &message.attempts {
        attempt.claim.iter().for_each(|claim| add(claim.at));
        attempt.response.iter().for_each(|response| add(response.at));
        attempt.silence.iter().for_each(|silence| add(silence.at));
    }
    if head.ever_unanswered(message_id) {
        for &day in &head.days {
            if !days.contains(&day) {
                days.push(day);
            }
        }
    }
}

/// `to` of a message: of its own facts, and of its whole recipient if it ever was unanswered (DESIGN §5).
pub fn offsets_of(message_id: &str, message: &Message, mine: &[(&str, &Tracking)], head: &Head) -> Offsets {
    if head.ever_unanswered(message_id) {
        return head.to;
    }
    let mut to = message.to;
    for (_, tracking) in mine.iter().filter(|(_, tracking)| tracking.is_of(message_id)) {
        to[POSTBACKS] = to[POSTBACKS].max(tracking.last);
    }
    to
}
