//! The `data` of an event: which fields are read of which type, and what makes a fact of them.

use super::{Claim, Fact, MessageFact, Postback, Text, What};
use crate::instant;
use crate::json::Reader;
use std::borrow::Cow;

const ID: usize = 64;
const CAMPAIGN: usize = 128;
/// The longest text without a bound of its own, in characters.
pub(super) const WORDS: usize = 4096;

/// The text, if it has `least` to `most` characters.
#[inline]
pub(super) fn bounded(text: Text<'_>, least: usize, most: usize) -> Option<Text<'_>> {
    // As many bytes as characters at least, so that mostly nobody has to count.
    let fits = text.len() >= least && (text.len() <= most || text.chars().count() <= most);
    fits.then_some(text)
}

fn last3(text: Text<'_>) -> Text<'_> {
    let start = text.char_indices().rev().nth(2).map_or(0, |(at, _)| at);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(text) => Cow::Owned(text[start..].to_owned()),
    }
}

/// The type of an event that the fold reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Requested,
    Started,
    Withheld,
    Accepted,
    Rejected,
    Throttled,
    NotSent,
    Unanswered,
    Resolved,
    Postback,
}

impl Kind {
    /// By its name on the log.
    pub(super) fn named(name: &str) -> Option<Kind> {
        Some(match name.strip_prefix("sendledger.")? {
            "send-requested.v1" => Kind::Requested,
            "attempt-started.v1" => Kind::Started,
            "send-withheld.v1" => Kind::Withheld,
            "send-accepted.v1" => Kind::Accepted,
            "send-rejected.v1" => Kind::Rejected,
            "send-throttled.v1" => Kind::Throttled,
            "send-not-sent.v1" => Kind::NotSent,
            "send-unanswered.v1" => Kind::Unanswered,
            "doubt-resolved.v1" => Kind::Resolved,
            "postback-received.v1" => Kind::Postback,
            _ => return None,
        })
    }

    /// The fields of its `data` that are read, one bit each, and which of them may be null or missing.
    fn fields(self) -> (u32, u32) {
        match self {
            Kind::Requested => (OF_MESSAGE | TO, OPERATOR_ID | NOT_BEFORE | EXPIRES_AT),
            Kind::Started => (OF_MESSAGE | ATTEMPT, 0),
            Kind::Withheld => (OF_MESSAGE | REASON, 0),
            Kind::Accepted => (OF_MESSAGE | ATTEMPT | TRACKING_ID, 0),
            Kind::Rejected => (OF_MESSAGE | ATTEMPT | ERROR_CODE, 0),
            Kind::Throttled => (OF_MESSAGE | ATTEMPT | ERROR_CODE | RETRY_AT, 0),
            Kind::NotSent | Kind::Unanswered => (OF_MESSAGE | ATTEMPT | REASON, 0),
            Kind::Resolved => (OF_MESSAGE | ATTEMPT | RESOLUTION, 0),
            Kind::Postback => {
                (RECIPIENT_ID | RECEIVED_AT, CLAIM | DETAIL | TRACKING_ID | HISTORY_ID | OPERATOR_ID | PROVIDER_TIME)
            }
        }
    }
}

// Texts, instants and the one number: the bit's position is where the value is kept.
const MESSAGE_ID: u32 = 1;
const CAMPAIGN_ID: u32 = 1 << 1;
const RECIPIENT_ID: u32 = 1 << 2;
const TO: u32 = 1 << 3;
const OPERATOR_ID: u32 = 1 << 4;
const TRACKING_ID: u32 = 1 << 5;
const ERROR_CODE: u32 = 1 << 6;
const REASON: u32 = 1 << 7;
const RESOLUTION: u32 = 1 << 8;
const CLAIM: u32 = 1 << 9;
const DETAIL: u32 = 1 << 10;
const HISTORY_ID: u32 = 1 << 11;
const TEXTS: usize = 12;
const NOT_BEFORE: u32 = 1 << 12;
const EXPIRES_AT: u32 = 1 << 13;
const RETRY_AT: u32 = 1 << 14;
const RECEIVED_AT: u32 = 1 << 15;
const PROVIDER_TIME: u32 = 1 << 16;
const INSTANTS: usize = 5;
const ATTEMPT: u32 = 1 << 17;
const OF_MESSAGE: u32 = MESSAGE_ID | CAMPAIGN_ID | RECIPIENT_ID;

fn field(name: &[u8]) -> u32 {
    match name {
        b"message_id" => MESSAGE_ID,
        b"campaign_id" => CAMPAIGN_ID,
        b"recipient_id" => RECIPIENT_ID,
        b"to" => TO,
        b"operator_id" => OPERATOR_ID,
        b"tracking_id" => TRACKING_ID,
        b"error_code" => ERROR_CODE,
        b"reason" => REASON,
        b"resolution" => RESOLUTION,
        b"claim" => CLAIM,
        b"detail" => DETAIL,
        b"history_id" => HISTORY_ID,
        b"not_before" => NOT_BEFORE,
        b"expires_at" => EXPIRES_AT,
        b"retry_at" => RETRY_AT,
        b"received_at" => RECEIVED_AT,
        b"provider_time" => PROVIDER_TIME,
        b"attempt" => ATTEMPT,
        _ => 0,
    }
}

/// The fields that one `data` has, without their bounds.
pub(super) struct Fields<'a> {
    texts: [Option<Text<'a>>; TEXTS],
    instants: [Option<i64>; INSTANTS],
    attempt: u32,
}

impl<'a> Fields<'a> {
    /// Before anything is read.
    #[inline]
    pub(super) fn none() -> Self {
        const NO_TEXT: Option<Text<'static>> = None;
        Fields { texts: [NO_TEXT; TEXTS], instants: [None; INSTANTS], attempt: 0 }
    }

    /// Reads an object; `None` if a field of this type stands twice, is missing or has a value of another JSON type.
    pub(super) fn read(&mut self, reader: &mut Reader<'a>, kind: Kind) -> Option<()> {
        let (must, may) = kind.fields();
        let mut left = must | may;
        let mut more = reader.open()?;
        while more {
            let field = field(reader.key()?) & (must | may);
            if field == 0 {
                reader.skip()?;
            } else if left & field == 0 {
                return None;
            } else if may & field == 0 || !reader.null()? {
                self.take(reader, field)?;
            }
            left &= !field;
            more = reader.more()?;
        }
        (left & must == 0).then_some(())
    }

    fn take(&mut self, reader: &mut Reader<'a>, field: u32) -> Option<()> {
        let number = field.trailing_zeros() as usize;
        if field == ATTEMPT {
            self.attempt = reader.number()?;
        } else if let Some(text) = self.texts.get_mut(number) {
            *text = Some(reader.string()?);
        } else {
            self.instants[number - TEXTS] = Some(instant::parse(reader.plain()?.as_bytes())?);
        }
        Some(())
    }

    fn text(&mut self, field: u32) -> Option<Text<'a>> {
        self.texts[field.trailing_zeros() as usize].take()
    }

    fn words(&mut self, field: u32) -> Option<Text<'a>> {
        bounded(self.text(field)?, 0, WORDS)
    }

    /// The text or nothing, if there is none; `None` if it is too long.
    fn maybe(&mut self, field: u32) -> Option<Option<Text<'a>>> {
        match self.text(field) {
            Some(text) => bounded(text, 0, WORDS).map(Some),
            None => Some(None),
        }
    }

    fn word(&mut self, field: u32, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(field)?;
        words.iter().copied().find(|word| *word == text)
    }

    fn instant(&self, field: u32) -> Option<i64> {
        self.instants[field.trailing_zeros() as usize - TEXTS]
    }

    /// The fact that they make with the envelope's `id` and time; `None` if a value is out of its bounds.
    pub(super) fn fact(&mut self, kind: Kind, id: Text<'a>, at: i64) -> Option<Fact<'a>> {
        let recipient_id = bounded(self.text(RECIPIENT_ID)?, 1, ID)?;
        if kind == Kind::Postback {
            return self.postback(id, recipient_id).map(Fact::Postback);
        }
        Some(Fact::Message(MessageFact {
            at,
            message_id: bounded(self.text(MESSAGE_ID)?, 1, ID)?,
            campaign_id: bounded(self.text(CAMPAIGN_ID)?, 1, CAMPAIGN)?,
            recipient_id,
            what: self.what(kind)?,
        }))
    }

    fn what(&mut self, kind: Kind) -> Option<What<'a>> {
        let attempt = self.attempt;
        Some(match kind {
            Kind::Requested => What::Requested {
                to_last3: last3(self.text(TO)?),
                operator_id: self.maybe(OPERATOR_ID)?,
                not_before: self.instant(NOT_BEFORE),
                expires_at: self.instant(EXPIRES_AT),
            },
            Kind::Started => What::Started { attempt },
            Kind::Withheld => What::Withheld { reason: self.word(REASON, &["cancelled", "expired", "suppressed"])? },
            Kind::Accepted => What::Accepted { attempt, tracking_id: bounded(self.text(TRACKING_ID)?, 1, WORDS)? },
            Kind::Rejected => What::Rejected { attempt, error_code: self.words(ERROR_CODE)? },
            Kind::Throttled => {
                What::Throttled { attempt, error_code: self.words(ERROR_CODE)?, retry_at: self.instant(RETRY_AT)? }
            }
            Kind::NotSent => What::NotSent { attempt, reason: self.words(REASON)? },
            Kind::Unanswered => What::Unanswered {
                attempt,
                reason: self.word(REASON, &["timeout", "reset", "http_5xx", "unreadable", "crash"])?,
            },
            Kind::Resolved => {
                What::Resolved { attempt, resolution: self.word(RESOLUTION, &["sent", "withhold", "resend"])? }
            }
            Kind::Postback => return None,
        })
    }

    fn postback(&mut self, id: Text<'a>, recipient_id: Text<'a>) -> Option<Postback<'a>> {
        Some(Postback {
            id,
            recipient_id,
            received_at: self.instant(RECEIVED_AT)?,
            claim: match self.text(CLAIM) {
                Some(word) => Some(Claim::named(&word)?),
                None => None,
            },
            detail: self.maybe(DETAIL)?,
            tracking_id: self.maybe(TRACKING_ID)?,
            history_id: self.maybe(HISTORY_ID)?,
            operator_id: self.maybe(OPERATOR_ID)?,
            provider_time: self.instant(PROVIDER_TIME),
        })
    }
}
