//! The documents as they are stored. Times of a message stand as differences to its request's: fewer bytes.

use crate::codec::{self, Damaged, Reader};
use crate::facts::Claim as Told;
use crate::message::{Attempt, Claim, Kind, Message, Request, Response, Said};
use crate::recipient::Head;
use crate::tracking::{Notice, Tracking};

const WITHHELD: [&str; 3] = ["cancelled", "expired", "suppressed"];
const UNANSWERED: [&str; 5] = ["timeout", "reset", "http_5xx", "unreadable", "crash"];
const RESOLUTIONS: [&str; 3] = ["sent", "withhold", "resend"];
const KINDS: [Kind; 4] = [Kind::Accepted, Kind::Rejected, Kind::Throttled, Kind::NotSent];
const CLAIMS: [Told; 5] = [Told::Sent, Told::Delivered, Told::Undelivered, Told::SubmitFailed, Told::Trying];

/// A document that the store keeps.
pub trait Stored: Sized {
    /// Its bytes.
    fn write(&self, into: &mut Vec<u8>);
    /// What `write` wrote.
    fn read(raw: &[u8]) -> Result<Self, Damaged>;
}

impl Stored for Message {
    fn write(&self, into: &mut Vec<u8>) {
        codec::text(&self.campaign_id, into);
        codec::offsets(&self.to, into);
        let base = self.request.as_ref().map_or(0, |request| request.at);
        codec::optional(&self.request, into, |request, into| {
            codec::signed(request.offset, into);
            codec::signed(request.at, into);
            codec::text(&request.to_last3, into);
            codec::optional(&request.operator_id, into, |name, into| codec::text(name, into));
            codec::optional(&request.not_before, into, |at, into| codec::signed(at.wrapping_sub(base), into));
            codec::optional(&request.expires_at, into, |at, into| codec::signed(at.wrapping_sub(base), into));
        });
        codec::optional(&self.withheld, into, |said, into| said.write(base, &WITHHELD, into));
        codec::list(&self.attempts, into, |(number, attempt), into| {
            codec::unsigned(u64::from(*number), into);
            attempt.write(base, into);
        });
    }

    fn read(raw: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(raw);
        let (campaign_id, to) = (from.owned()?, from.offsets()?);
        let request = from.optional(Request::read)?;
        let base = request.as_ref().map_or(0, |request| request.at);
        let withheld = from.optional(|from| Said::read(base, &WITHHELD, from))?;
        let attempts = from.list(|from| Ok((from.unsigned()? as u32, Attempt::read(base, from)?)))?;
        from.end()?;
        Ok(Message { campaign_id, request, attempts, withheld, to })
    }
}

impl Request {
    fn read(from: &mut Reader) -> Result<Self, Damaged> {
        let (offset, at, to_last3) = (from.signed()?, from.signed()?, from.owned()?);
        Ok(Request {
            offset,
            at,
            to_last3,
            operator_id: from.optional(Reader::owned)?,
            not_before: from.optional(|from| Ok(from.signed()?.wrapping_add(at)))?,
            expires_at: from.optional(|from| Ok(from.signed()?.wrapping_add(at)))?,
        })
    }
}

impl Said {
    fn write(&self, base: i64, of: &[&'static str], into: &mut Vec<u8>) {
        codec::signed(self.offset, into);
        codec::signed(self.at.wrapping_sub(base), into);
        codec::word(self.word, of, into);
    }

    fn read(base: i64, of: &[&'static str], from: &mut Reader) -> Result<Self, Damaged> {
        Ok(Said { offset: from.signed()?, at: from.signed()?.wrapping_add(base), word: from.word(of)? })
    }
}

impl Attempt {
    fn write(&self, base: i64, into: &mut Vec<u8>) {
        codec::optional(&self.claim, into, |claim, into| {
            codec::signed(claim.offset, into);
            codec::signed(claim.at.wrapping_sub(base), into);
        });
        codec::optional(&self.response, into, |response, into| {
            codec::signed(response.offset, into);
            codec::signed(response.at.wrapping_sub(base), into);
            into.push(response.kind as u8);
            codec::optional(&response.tracking_id, into, |name, into| codec::text(name, into));
            codec::optional(&response.code, into, |code, into| codec::text(code, into));
            codec::optional(&response.retry_at, into, |at, into| codec::signed(at.wrapping_sub(base), into));
        });
        codec::optional(&self.silence, into, |said, into| said.write(base, &UNANSWERED, into));
        codec::optional(&self.decision, into, |said, into| said.write(base, &RESOLUTIONS, into));
    }

    fn read(base: i64, from: &mut Reader) -> Result<Self, Damaged> {
        Ok(Attempt {
            claim: from.optional(|from| Ok(Claim { offset: from.signed()?, at: from.signed()?.wrapping_add(base) }))?,
            response: from.optional(|from| {
                Ok(Response {
                    offset: from.signed()?,
                    at: from.signed()?.wrapping_add(base),
                    kind: *KINDS.get(usize::from(from.byte()?)).ok_or(Damaged)?,
                    tracking_id: from.optional(Reader::owned)?,
                    code: from.optional(Reader::owned)?,
                    retry_at: from.optional(|from| Ok(from.signed()?.wrapping_add(base)))?,
                })
            })?,
            silence: from.optional(|from| Said::read(base, &UNANSWERED, from))?,
            decision: from.optional(|from| Said::read(base, &RESOLUTIONS, from))?,
        })
    }
}

fn write_name(name: &str, into: &mut Vec<u8>) {
    codec::text(name, into);
}

impl Stored for Tracking {
    fn write(&self, into: &mut Vec<u8>) {
        codec::signed(self.last, into);
        codec::optional(&self.owner, into, |(message_id, at), into| {
            codec::text(message_id, into);
            codec::signed(*at, into);
        });
        codec::list(&self.notices, into, Notice::write);
    }

    fn read(raw: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(raw);
        let last = from.signed()?;
        let owner = from.optional(|from| Ok((from.owned()?, from.signed()?)))?;
        let notices = from.list(Notice::read)?;
        from.end()?;
        Ok(Tracking { notices, last, owner })
    }
}

impl Notice {
    fn write(&self, into: &mut Vec<u8>) {
        let received = self.received_at;
        codec::text(&self.event_id, into);
        into.push(self.claim as u8);
        codec::signed(received, into);
        codec::optional(&self.provider_at, into, |at, into| codec::signed(at.wrapping_sub(received), into));
        for name in [&self.detail, &self.history_id, &self.operator_id] {
            codec::optional(name, into, |name, into| write_name(name, into));
        }
        codec::list(&self.again, into, |at, into| codec::signed(at.wrapping_sub(received), into));
    }

    fn read(from: &mut Reader) -> Result<Self, Damaged> {
        let event_id = from.owned()?;
        let claim = *CLAIMS.get(usize::from(from.byte()?)).ok_or(Damaged)?;
        let received_at = from.signed()?;
        Ok(Notice {
            event_id,
            claim,
            received_at,
            provider_at: from.optional(|from| Ok(from.signed()?.wrapping_add(received_at)))?,
            detail: from.optional(Reader::owned)?,
            history_id: from.optional(Reader::owned)?,
            operator_id: from.optional(Reader::owned)?,
            again: from.list(|from| Ok(from.signed()?.wrapping_add(received_at)))?,
        })
    }
}

impl Stored for Head {
    fn write(&self, into: &mut Vec<u8>) {
        codec::offsets(&self.to, into);
        codec::list(&self.campaigns, into, |name, into| write_name(name, into));
        codec::list(&self.days, into, |day, into| codec::signed(i64::from(*day), into));
        for numbered in [&self.unmatched, &self.candidates] {
            codec::list(numbered, into, |(name, number), into| {
                codec::text(name, into);
                codec::unsigned(u64::from(*number), into);
            });
        }
        codec::list(&self.unanswered, into, |name, into| write_name(name, into));
    }

    fn read(raw: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(raw);
        let head = Head {
            to: from.offsets()?,
            campaigns: from.list(Reader::owned)?,
            days: from.list(|from| Ok(from.signed()? as i32))?,
            unmatched: from.list(|from| Ok((from.owned()?, from.unsigned()? as u32)))?,
            candidates: from.list(|from| Ok((from.owned()?, from.unsigned()? as u32)))?,
            unanswered: from.list(Reader::owned)?,
        };
        from.end()?;
        Ok(head)
    }
}
