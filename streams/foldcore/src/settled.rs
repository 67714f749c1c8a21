//! What a message's facts mean together (`domain/outline.py`, `domain/settled.py`).

use crate::facts::Claim;
use crate::message::{Attempt, End, Kind, Message, Response};
use crate::tracking::{earliest, Notice, Tracking};

/// The names of the buckets.
pub const BUCKETS: [&str; 11] = [
    "queued",
    "attempting",
    "in_doubt",
    "cancelled",
    "expired",
    "suppressed",
    "rejected",
    "accepted",
    "sent",
    "delivered",
    "undelivered",
];

/// The bucket of a message; its number is the place in `BUCKETS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Queued,
    Attempting,
    InDoubt,
    Cancelled,
    Expired,
    Suppressed,
    Rejected,
    Accepted,
    Sent,
    Delivered,
    Undelivered,
}

impl Bucket {
    /// As it is published.
    pub fn name(self) -> &'static str {
        BUCKETS[self as usize]
    }

    /// Whether a message stays there unless it is contradicted.
    pub fn is_final(self) -> bool {
        use Bucket::{Cancelled, Delivered, Expired, Rejected, Suppressed, Undelivered};
        matches!(self, Cancelled | Expired | Suppressed | Rejected | Delivered | Undelivered)
    }
}

/// The policies by which a reader may choose, the default first; see `domain/policies.py`.
pub const POLICIES: [&str; 4] = ["first-final", "last-final", "delivered-wins", "failure-wins"];

/// What the standing attempts come to. Times in µs.
///
/// `began`: when the attempt that the provider took, or else the last one, began (without one: when it was asked for).
#[derive(Debug, Default)]
pub struct Outline<'a> {
    pub attempts: usize,
    pub first_claim: Option<i64>,
    pub began: i64,
    pub calls: Vec<(Option<i64>, &'a Response)>,
    pub accepted: Option<&'a Response>,
    pub rejected: Option<&'a Response>,
    pub said_sent: bool,
    pub doubt: Option<&'static str>,
    pub doubt_since: Option<i64>,
    pub decided_at: Option<i64>,
    ends: u8,
}

impl<'a> Outline<'a> {
    /// One pass over the standing attempts.
    pub fn of(message: &'a Message) -> Self {
        let asked = message.request.as_ref().map_or(0, |request| request.at);
        let mut outline = Outline::default();
        let (mut last_claim, mut taken) = (None, None);
        for (_, attempt) in message.standing() {
            let claimed = attempt.claim.as_ref().map(|claim| claim.at);
            outline.add(attempt, claimed);
            if outline.accepted.is_some() && taken.is_none() {
                taken = Some(claimed);
            }
            last_claim = claimed.or(last_claim);
        }
        outline.began = taken.flatten().or(last_claim).unwrap_or(asked);
        outline
    }

    fn add(&mut self, attempt: &'a Attempt, claimed: Option<i64>) {
        let end = attempt.end();
        self.attempts += 1;
        self.ends |= 1 << end as u8;
        self.first_claim = match (self.first_claim, claimed) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
        if let Some(response) = &attempt.response {
            self.calls.push((claimed, response));
            match end {
                End::Accepted => self.accepted = self.accepted.or(Some(response)),
                End::Rejected => self.rejected = self.rejected.or(Some(response)),
                _ => {}
            }
        }
        if let Some(decision) = &attempt.decision {
            self.decided_at = Some(decision.at);
            self.said_sent |= end == End::Resolved && decision.word == "sent";
        }
        if end == End::InDoubt {
            self.doubt = attempt.silence.as_ref().map(|silence| silence.word);
            self.doubt_since = attempt.silence.as_ref().map(|silence| silence.at);
        }
    }

    /// Whether any attempt stands like this.
    pub fn has(&self, end: End) -> bool {
        self.ends & 1 << end as u8 != 0
    }

    /// When the answer that counts came.
    pub fn responded_at(&self) -> Option<i64> {
        self.accepted.or_else(|| self.calls.last().map(|call| call.1)).map(|response| response.at)
    }
}

/// A message with the postbacks that are its own: those of its TRACKINGIDs, and of one that it adopted.
///
/// `finals`: the final claims by provider time; `sent`: the first *sent* claim; `operator_id`: the carrier as the first
/// postback names it that names one, or else as the request did.
pub struct Facts<'a> {
    pub message: &'a Message,
    pub outline: Outline<'a>,
    pub notices: Vec<&'a Notice>,
    pub finals: Vec<&'a Notice>,
    pub repeats: usize,
    pub tracking_id: Option<&'a str>,
    pub sent: Option<&'a Notice>,
    pub operator_id: Option<&'a str>,
}

impl<'a> Facts<'a> {
    /// `owned`: the TRACKINGIDs that are the message's, each once.
    pub fn of(message: &'a Message, owned: &[(&'a str, &'a Tracking)]) -> Self {
        let mut notices: Vec<&Notice> = owned.iter().flat_map(|(_, tracking)| &tracking.notices).collect();
        if owned.len() > 1 {
            notices.sort_by(|one, other| one.event_id.cmp(&other.event_id));
        }
        let mut finals: Vec<&Notice> = notices.iter().copied().filter(|notice| notice.is_final()).collect();
        finals.sort_by(|one, other| one.order().cmp(&other.order()));
        let carrier = earliest(&notices, |one| one.operator_id.as_deref().map_or(false, |name| !name.is_empty()));
        let asked = message.request.as_ref().and_then(|request| request.operator_id.as_deref());
        Facts {
            message,
            outline: Outline::of(message),
            sent: earliest(&notices, |one| one.claim == Claim::Sent),
            finals,
            repeats: owned.iter().map(|(_, tracking)| tracking.repeats()).sum(),
            tracking_id: owned.iter().map(|(name, _)| *name).min(),
            operator_id: carrier.and_then(|one| one.operator_id.as_deref()).or(asked),
            notices,
        }
    }

    /// Which of several final claims counts; `policy`: place in `POLICIES`.
    pub fn counting(&self, policy: usize) -> Option<&'a Notice> {
        let first = self.finals.first().copied();
        match policy {
            0 => first,
            1 => self.finals.last().copied(),
            _ => self.finals.iter().copied().find(|one| one.delivers() == (policy == 2)).or(first),
        }
    }

    /// Two different final claims came.
    pub fn conflicted(&self) -> bool {
        self.finals.iter().any(|one| one.delivers() != self.finals[0].delivers())
    }

    /// The first line of DESIGN §4's table that holds. Each message with a request is in exactly one bucket.
    pub fn bucket(&self, policy: usize) -> Bucket {
        if !self.notices.is_empty() {
            return match self.counting(policy) {
                None => Bucket::Sent,
                Some(settled) if settled.delivers() => Bucket::Delivered,
                Some(_) => Bucket::Undelivered,
            };
        }
        let outline = &self.outline;
        match () {
            () if outline.has(End::Accepted) => Bucket::Accepted,
            () if outline.has(End::Rejected) => Bucket::Rejected,
            () if outline.has(End::Resolved) && outline.said_sent => Bucket::Accepted,
            () if outline.has(End::Resolved) => Bucket::Cancelled,
            () if outline.has(End::InDoubt) => Bucket::InDoubt,
            () if outline.has(End::Open) => Bucket::Attempting,
            () => match self.message.withheld.as_ref().map(|withheld| withheld.word) {
                None => Bucket::Queued,
                Some("cancelled") => Bucket::Cancelled,
                Some("expired") => Bucket::Expired,
                Some(_) => Bucket::Suppressed,
            },
        }
    }
}

impl Response {
    /// An answer that settles: Success or Failure for good.
    pub fn settles(&self) -> bool {
        matches!(self.kind, Kind::Accepted | Kind::Rejected)
    }
}
