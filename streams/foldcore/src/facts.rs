//! What the fold reads of an event: `sendledger.domain.facts`, for a strict subset of what Python accepts.
//!
//! Whatever is accepted here, `decode_fact` accepts with the same values. Everything that our own producers write is
//! accepted, and every fact as msgspec encodes it again. All else is `None`, and then Python decides: a dead letter,
//! or the same fact in the ordinary form.

mod fields;

use crate::instant;
use crate::json::Reader;
pub use crate::json::Text;
use fields::{bounded, Fields, Kind, WORDS};

/// One event. Times are microseconds since 1970, UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact<'a> {
    /// An event of one message.
    Message(MessageFact<'a>),
    /// The provider told us something.
    Postback(Postback<'a>),
}

/// An event that names its message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageFact<'a> {
    /// The envelope's time.
    pub at: i64,
    /// 1 to 64 characters.
    pub message_id: Text<'a>,
    /// 1 to 128 characters.
    pub campaign_id: Text<'a>,
    /// 1 to 64 characters.
    pub recipient_id: Text<'a>,
    /// What happened to the message.
    pub what: What<'a>,
}

/// What happened to a message. `attempt` is 1 to 2³¹ − 1; texts without a named bound have up to 4,096 characters.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields are those of the events, which `sendledger_schemas` describes
pub enum What<'a> {
    /// It was asked for. `to_last3`: the last 3 characters of the number, which is not kept (P7).
    Requested { to_last3: Text<'a>, operator_id: Option<Text<'a>>, not_before: Option<i64>, expires_at: Option<i64> },
    /// A call was claimed.
    Started { attempt: u32 },
    /// It was withheld: cancelled, expired or suppressed.
    Withheld { reason: &'static str },
    /// A call ended in success; the id has at least one character.
    Accepted { attempt: u32, tracking_id: Text<'a> },
    /// A call ended in failure for good.
    Rejected { attempt: u32, error_code: Text<'a> },
    /// A call ended in a throttle code.
    Throttled { attempt: u32, error_code: Text<'a>, retry_at: i64 },
    /// A call never began.
    NotSent { attempt: u32, reason: Text<'a> },
    /// A call ended without a usable answer.
    Unanswered { attempt: u32, reason: &'static str },
    /// An operator settled a doubt: sent, withhold or resend.
    Resolved { attempt: u32, resolution: &'static str },
}

/// One notification by the provider; texts that may be missing have up to 4,096 characters.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct Postback<'a> {
    /// The envelope's id.
    pub id: Text<'a>,
    /// 1 to 64 characters.
    pub recipient_id: Text<'a>,
    pub received_at: i64,
    pub claim: Option<Claim>,
    pub detail: Option<Text<'a>>,
    pub tracking_id: Option<Text<'a>>,
    pub history_id: Option<Text<'a>>,
    pub operator_id: Option<Text<'a>>,
    pub provider_time: Option<i64>,
}

/// What one postback says of its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Claim {
    Sent,
    Delivered,
    Undelivered,
    SubmitFailed,
    Trying,
}

impl Claim {
    const ALL: [Claim; 5] = [Claim::Sent, Claim::Delivered, Claim::Undelivered, Claim::SubmitFailed, Claim::Trying];

    /// The word that stands on the log.
    pub fn name(self) -> &'static str {
        match self {
            Claim::Sent => "sent",
            Claim::Delivered => "delivered",
            Claim::Undelivered => "undelivered",
            Claim::SubmitFailed => "submit_failed",
            Claim::Trying => "trying",
        }
    }

    fn named(word: &str) -> Option<Claim> {
        Claim::ALL.iter().copied().find(|claim| claim.name() == word)
    }
}

impl Fact<'_> {
    /// The index in `FOLD_SOURCES` of the topic on which such events stand.
    pub fn topic(&self) -> usize {
        match self {
            Fact::Postback(_) => 3,
            Fact::Message(message) => match message.what {
                What::Requested { .. } => 0,
                What::Started { .. } | What::Withheld { .. } => 1,
                What::Accepted { .. } | What::Rejected { .. } | What::Throttled { .. } => 2,
                What::NotSent { .. } | What::Unanswered { .. } => 2,
                What::Resolved { .. } => 4,
            },
        }
    }

    /// Whom it is about: 1 to 64 characters.
    pub fn recipient(&self) -> &str {
        match self {
            Fact::Message(message) => &message.recipient_id,
            Fact::Postback(postback) => &postback.recipient_id,
        }
    }
}

/// Bytes of a record's value → a fact, or `None` if Python has to decide.
pub fn decode(raw: &[u8]) -> Option<Fact<'_>> {
    let mut reader = Reader::new(raw)?;
    let mut fields = Fields::none();
    let (mut kind, mut id, mut time, mut data) = (None, None, None, None);
    let mut early = false; // `data` came before its type, so that it was passed over
    let mut more = reader.open()?;
    while more {
        match reader.key()? {
            b"type" if kind.is_none() => kind = Some(Kind::named(reader.plain()?)?),
            b"id" if id.is_none() => id = Some(bounded(reader.string()?, 0, WORDS)?),
            b"time" if time.is_none() => time = Some(instant::parse(reader.plain()?.as_bytes())?),
            b"data" if data.is_none() => {
                data = Some(reader.place());
                match kind {
                    Some(kind) => fields.read(&mut reader, kind)?,
                    None => early = reader.skip().map(|()| true)?,
                }
            }
            b"type" | b"id" | b"time" | b"data" => return None,
            _ => reader.skip()?,
        }
        more = reader.more()?;
    }
    let (kind, place) = (kind?, data?);
    if !reader.ended() {
        return None;
    }
    if early {
        fields.read(&mut reader.from(place), kind)?;
    }
    fields.fact(kind, id?, time?)
}

#[cfg(test)]
mod tests {
    use super::{decode, Fact, What};

    const TYPE: &str = r#""type":"sendledger.send-accepted.v1""#;
    const ID: &str = r#""id":"x""#;
    const TIME: &str = r#""time":"1970-01-01T00:00:01Z""#;
    const DATA: &str =
        r#""data":{"tracking_id":"t","reason":7,"recipient_id":"r","campaign_id":"c","message_id":"m","attempt":2}"#;

    fn read(parts: &[&str]) -> Option<What<'static>> {
        let raw = Box::leak(format!("{{{}}}", parts.join(",")).into_boxed_str());
        match decode(raw.as_bytes())? {
            Fact::Message(message) => Some(message.what),
            Fact::Postback(_) => None,
        }
    }

    #[test]
    fn fields_may_stand_in_any_order() {
        let wanted = Some(What::Accepted { attempt: 2, tracking_id: "t".into() });
        for parts in [[TYPE, ID, TIME, DATA], [DATA, TIME, ID, TYPE], [ID, DATA, TYPE, TIME]] {
            assert_eq!(read(&parts), wanted);
        }
    }

    #[test]
    fn each_field_of_the_envelope_stands_once() {
        let all = [TYPE, ID, TIME, DATA];
        for one in 0..4 {
            let without: Vec<&str> = all.iter().copied().filter(|part| *part != all[one]).collect();
            assert_eq!(read(&without), None);
            assert_eq!(read(&[&all[..], &[all[one]]].concat()), None);
        }
    }
}
