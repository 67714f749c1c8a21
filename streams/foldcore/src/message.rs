//! One message: its facts, each set once, and `evolve` (`domain/message.py`, which defines what they mean).

use crate::facts::{MessageFact, What};

/// Last offset per source topic, in the order of `FOLD_SOURCES`; −1 = none.
pub type Offsets = [i64; 5];
/// Of nothing.
pub const NOTHING_READ: Offsets = [-1; 5];
/// Number of the topic of requests; the others follow.
pub const REQUESTS: usize = 0;
/// Number of the topic of attempts.
pub const ATTEMPTS: usize = 1;
/// Number of the topic of responses.
pub const RESPONSES: usize = 2;
/// Number of the topic of postbacks.
pub const POSTBACKS: usize = 3;
/// Number of the topic of decisions.
pub const DECISIONS: usize = 4;

/// What was asked for; times in µs.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub offset: i64,
    pub at: i64,
    pub to_last3: Box<str>,
    pub operator_id: Option<Box<str>>,
    pub not_before: Option<i64>,
    pub expires_at: Option<i64>,
}

/// The first AttemptStarted in log order.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub offset: i64,
    pub at: i64,
}

/// How the provider answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Accepted,
    Rejected,
    Throttled,
    NotSent,
}

/// The first real answer in log order. `code`: error code, or the reason of a call that never began.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub offset: i64,
    pub at: i64,
    pub kind: Kind,
    pub tracking_id: Option<Box<str>>,
    pub code: Option<Box<str>>,
    pub retry_at: Option<i64>,
}

/// A fact of a closed vocabulary: SendUnanswered, DoubtResolved, SendWithheld; the first in log order.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub offset: i64,
    pub at: i64,
    pub word: &'static str,
}

/// One attempt: up to four facts, each set once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempt {
    pub claim: Option<Claim>,
    pub response: Option<Response>,
    pub silence: Option<Said>,
    pub decision: Option<Said>,
}

/// All facts about one message that its own events carry. `attempts`: by number.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub campaign_id: Box<str>,
    pub request: Option<Request>,
    pub attempts: Vec<(u32, Attempt)>,
    pub withheld: Option<Said>,
    pub to: Offsets,
}

/// How an attempt stands by its own facts (`domain/message.py: end_of`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Accepted,
    Rejected,
    Throttled,
    NotSent,
    Resolved,
    Resend,
    InDoubt,
    Open,
}

trait Placed {
    fn offset(&self) -> i64;
}

macro_rules! placed {
    ($($of:ty),*) => { $(impl Placed for $of { fn offset(&self) -> i64 { self.offset } })* };
}
placed!(Request, Claim, Response, Said);

/// Of two values of one fact the one with the lower offset stands.
fn first<T: Placed>(known: &mut Option<T>, new: T) {
    if known.as_ref().map_or(true, |known| known.offset() > new.offset()) {
        *known = Some(new);
    }
}

/// The greater of two `to`, topic by topic.
pub fn join(to: &mut Offsets, other: &Offsets) {
    for (mine, &theirs) in to.iter_mut().zip(other) {
        *mine = (*mine).max(theirs);
    }
}

fn kept(text: &Option<crate::facts::Text>) -> Option<Box<str>> {
    text.as_deref().map(Box::from)
}

impl Message {
    /// A message of which nothing is known but its names.
    pub fn initial(fact: &MessageFact) -> Self {
        Message {
            campaign_id: Box::from(&*fact.campaign_id),
            request: None,
            attempts: Vec::new(),
            withheld: None,
            to: NOTHING_READ,
        }
    }

    /// One step. `offset`: where the fact stands in its own topic partition.
    pub fn evolve(&mut self, topic: usize, offset: i64, fact: &MessageFact) {
        let at = fact.at;
        self.to[topic] = self.to[topic].max(offset);
        match &fact.what {
            What::Requested { to_last3, operator_id, not_before, expires_at } => {
                let request = Request {
                    offset,
                    at,
                    to_last3: Box::from(&**to_last3),
                    operator_id: kept(operator_id),
                    not_before: *not_before,
                    expires_at: *expires_at,
                };
                first(&mut self.request, request);
            }
            What::Started { attempt } => first(&mut self.attempt(*attempt).claim, Claim { offset, at }),
            What::Withheld { reason } => first(&mut self.withheld, Said { offset, at, word: reason }),
            What::Unanswered { attempt, reason } => {
                first(&mut self.attempt(*attempt).silence, Said { offset, at, word: reason });
            }
            What::Resolved { attempt, resolution } => {
                first(&mut self.attempt(*attempt).decision, Said { offset, at, word: resolution });
            }
            What::Accepted { attempt, tracking_id } => {
                self.answered(*attempt, offset, at, Kind::Accepted, Some(tracking_id), None, None);
            }
            What::Rejected { attempt, error_code } => {
                self.answered(*attempt, offset, at, Kind::Rejected, None, Some(error_code), None);
            }
            What::Throttled { attempt, error_code, retry_at } => {
                self.answered(*attempt, offset, at, Kind::Throttled, None, Some(error_code), Some(*retry_at));
            }
            What::NotSent { attempt, reason } => {
                self.answered(*attempt, offset, at, Kind::NotSent, None, Some(reason), None);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn answered(
        &mut self,
        number: u32,
        offset: i64,
        at: i64,
        kind: Kind,
        tracking_id: Option<&str>,
        code: Option<&str>,
        retry_at: Option<i64>,
    ) {
        let (tracking_id, code) = (tracking_id.map(Box::from), code.map(Box::from));
        let response = Response { offset, at, kind, tracking_id, code, retry_at };
        first(&mut self.attempt(number).response, response);
    }

    fn attempt(&mut self, number: u32) -> &mut Attempt {
        let place = match self.attempts.binary_search_by_key(&number, |one| one.0) {
            Ok(place) => place,
            Err(place) => {
                self.attempts.insert(place, (number, Attempt::default()));
                place
            }
        };
        &mut self.attempts[place].1
    }

    /// The attempts that count, by number: a claim behind a SendWithheld lost the arbitration and never called.
    pub fn standing(&self) -> impl Iterator<Item = (u32, &Attempt)> {
        let withheld = self.withheld.as_ref().map(|withheld| withheld.offset);
        self.attempts.iter().map(|(number, attempt)| (*number, attempt)).filter(move |(_, attempt)| {
            let lost = matches!((&attempt.claim, withheld), (Some(claim), Some(place)) if claim.offset > place);
            !lost || attempt.response.is_some()
        })
    }

    /// The TRACKINGIDs that its responses gave it.
    pub fn tracking_ids(&self) -> impl Iterator<Item = &str> {
        self.attempts.iter().filter_map(|(_, attempt)| attempt.response.as_ref()?.tracking_id.as_deref())
    }

    /// Whether an attempt ever was unanswered.
    pub fn ever_unanswered(&self) -> bool {
        self.attempts.iter().any(|(_, attempt)| attempt.silence.is_some())
    }
}

impl Attempt {
    /// An answer that settles stands above a decision; a decision above a throttle, a call not made, and doubt.
    pub fn end(&self) -> End {
        let kind = self.response.as_ref().map(|response| response.kind);
        match (kind, self.decision.as_ref().map(|decision| decision.word)) {
            (Some(Kind::Accepted), _) => End::Accepted,
            (Some(Kind::Rejected), _) => End::Rejected,
            (_, Some("sent" | "withhold")) => End::Resolved,
            (Some(Kind::Throttled), _) => End::Throttled,
            (Some(Kind::NotSent), _) => End::NotSent,
            (None, Some(_)) => End::Resend,
            (None, None) if self.silence.is_some() => End::InDoubt,
            (None, None) => End::Open,
        }
    }
}
