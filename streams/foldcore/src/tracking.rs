//! The postbacks of one TRACKINGID, and what all their claims together mean (`domain/postbacks.py`).

use crate::facts::{Claim, Postback};

/// Of one body; the provider tries six times. Whoever has a token must not be able to make a document grow.
const MOST_REPEATS: usize = 100;

/// One distinct postback. `provider_at` is the provider's clock, `received_at` ours (µs).
///
/// `again`: when the same body was received other times; records with one `received_at` are one delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub event_id: Box<str>,
    pub claim: Claim,
    pub detail: Option<Box<str>>,
    pub provider_at: Option<i64>,
    pub received_at: i64,
    pub history_id: Option<Box<str>>,
    pub operator_id: Option<Box<str>>,
    pub again: Vec<i64>,
}

/// All that came under one TRACKINGID of one recipient.
///
/// `notices`: by event id, so that the state does not tell in which order they came; `last`: the last offset among the
/// postbacks, −1 = none; `owner`: the message whose response, at that offset, owns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracking {
    pub notices: Vec<Notice>,
    pub last: i64,
    pub owner: Option<(Box<str>, i64)>,
}

impl Default for Tracking {
    fn default() -> Self {
        Tracking { notices: Vec::new(), last: -1, owner: None }
    }
}

impl Tracking {
    /// One more postback: a new claim, or a repetition of one that is known (same body, same event id).
    pub fn received(&mut self, offset: i64, told: &Postback, claim: Claim) {
        self.last = self.last.max(offset);
        match self.notices.binary_search_by(|known| (*known.event_id).cmp(&*told.id)) {
            Ok(place) => self.notices[place].delivered_again(told.received_at),
            Err(place) => self.notices.insert(place, Notice::new(told, claim)),
        }
    }

    /// A response handed out this TRACKINGID: of several owners the first in log order stands.
    pub fn owned(&mut self, message_id: &str, offset: i64) {
        if self.owner.as_ref().map_or(true, |(_, at)| *at > offset) {
            self.owner = Some((Box::from(message_id), offset));
        }
    }

    /// How often a body of these was delivered again.
    pub fn repeats(&self) -> usize {
        self.notices.iter().map(|notice| notice.again.len()).sum()
    }

    /// Whether the response of this message owns it.
    pub fn is_of(&self, message_id: &str) -> bool {
        matches!(&self.owner, Some((owner, _)) if &**owner == message_id)
    }
}

impl Notice {
    fn new(told: &Postback, claim: Claim) -> Self {
        let kept = |text: &Option<crate::facts::Text>| text.as_deref().map(Box::from);
        Notice {
            event_id: Box::from(&*told.id),
            claim,
            detail: kept(&told.detail),
            provider_at: told.provider_time,
            received_at: told.received_at,
            history_id: kept(&told.history_id),
            operator_id: kept(&told.operator_id),
            again: Vec::new(),
        }
    }

    /// The first arrival counts, whichever stands first on the log; the rest are repeats.
    fn delivered_again(&mut self, at: i64) {
        if at == self.received_at || self.again.contains(&at) {
            return;
        }
        let mut all = vec![self.received_at, at];
        all.append(&mut self.again);
        all.sort_unstable();
        all.truncate(MOST_REPEATS + 1);
        self.received_at = all.remove(0);
        self.again = all;
    }

    /// Order of what happened: by the provider's time, then event id, never by arrival.
    pub fn order(&self) -> (i64, &str) {
        (self.provider_at.unwrap_or(self.received_at), &self.event_id)
    }

    /// Whether it says what became of the message in the end.
    pub fn is_final(&self) -> bool {
        matches!(self.claim, Claim::Delivered | Claim::Undelivered | Claim::SubmitFailed)
    }

    /// Of a final one: whether it settles the message as delivered.
    pub fn delivers(&self) -> bool {
        self.claim == Claim::Delivered
    }

    /// Why a message was not delivered, from the closed vocabulary of details.
    pub fn why(&self) -> &str {
        match self.detail.as_deref() {
            Some(detail) if !detail.is_empty() => detail,
            _ if self.claim == Claim::SubmitFailed => "submit_failed",
            _ => "other",
        }
    }
}

/// The first by provider time, then event id, of those that `wanted` takes.
pub fn earliest<'a>(notices: &[&'a Notice], wanted: impl Fn(&Notice) -> bool) -> Option<&'a Notice> {
    notices.iter().copied().filter(|notice| wanted(notice)).min_by(|one, other| one.order().cmp(&other.order()))
}
