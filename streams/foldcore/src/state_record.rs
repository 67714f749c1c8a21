//! The record of one message on `sms.message-state.v1` (`domain/state_record.py`).

use crate::instant;
use crate::json_out::{member, name, offsets, text, text_or_null};
use crate::message::{Offsets, Request};
use crate::parts::{version_of, Origin};
use crate::settled::{Bucket, Facts, POLICIES};
use crate::tracking::{earliest, Notice};

/// The names that a message goes by.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub message_id: &'a str,
    pub recipient_id: &'a str,
}

/// Write the state of a message that has its request, as it is published.
pub fn write(names: Names, facts: &Facts, request: &Request, to: &Offsets, origin: &Origin, into: &mut Vec<u8>) {
    let (message, outline, bucket) = (facts.message, &facts.outline, facts.bucket(0));
    let settled = facts.counting(0);
    into.extend_from_slice(b"{\"message_id\":");
    text(names.message_id, into);
    words(&[("campaign_id", &message.campaign_id), ("recipient_id", names.recipient_id)], into);
    words(&[("to_last3", &request.to_last3), ("bucket", bucket.name())], into);
    name("final", into);
    boolean(bucket.is_final(), into);
    name("conflicted", into);
    boolean(facts.conflicted(), into);
    let accepted = outline.accepted.and_then(|response| response.tracking_id.as_deref());
    let history = earliest(&facts.notices, |one| one.history_id.as_deref().map_or(false, |id| !id.is_empty()));
    let optional = [
        ("detail", settled.and_then(detail)),
        ("error_code", outline.rejected.and_then(|response| response.code.as_deref())),
        ("doubt_reason", outline.doubt),
        ("tracking_id", facts.tracking_id.filter(|id| !id.is_empty()).or(accepted)),
        ("history_id", history.and_then(|one| one.history_id.as_deref())),
        ("operator_id", facts.operator_id),
    ];
    for (of, value) in optional {
        name(of, into);
        text_or_null(value, into);
    }
    member("attempts", outline.attempts as i64, into);
    time("requested_at", Some(request.at), into);
    time("attempted_at", outline.first_claim, into);
    time("responded_at", outline.responded_at(), into);
    time("sent_at", facts.sent.map(|sent| sent.received_at), into);
    time("settled_at", settled_at(facts, bucket), into);
    time("doubt_since", outline.doubt_since, into);
    into.extend_from_slice(b",\"request\":{\"partition\":");
    crate::names::decimal(origin.partition, into);
    member("offset", request.offset, into);
    into.extend_from_slice(b"},\"to\":");
    offsets(to, &origin.topics, into);
    member("version", version_of(to), into);
    member("fold_version", origin.fold_version, into);
    if matches!(bucket, Bucket::Accepted | Bucket::Sent) {
        time("open_since", Some(outline.began), into);
    }
    otherwise(facts, into);
    into.push(b'}');
}

fn words(of: &[(&str, &str)], into: &mut Vec<u8>) {
    for (key, value) in of {
        name(key, into);
        text(value, into);
    }
}

fn boolean(value: bool, into: &mut Vec<u8>) {
    into.extend_from_slice(if value { b"true" } else { b"false" });
}

fn time(of: &str, at: Option<i64>, into: &mut Vec<u8>) {
    name(of, into);
    match at {
        None => into.extend_from_slice(b"null"),
        Some(at) => {
            into.push(b'"');
            instant::write(at, into);
            into.push(b'"');
        }
    }
}

fn detail(settled: &Notice) -> Option<&str> {
    if settled.delivers() {
        None
    } else {
        Some(settled.why())
    }
}

/// By policy, where another final claim counts than by default.
fn otherwise(facts: &Facts, into: &mut Vec<u8>) {
    let mut told = false;
    for (policy, of) in POLICIES.iter().enumerate().skip(1) {
        let settled = match facts.counting(policy) {
            Some(settled) if settled.event_id != facts.finals[0].event_id => settled,
            _ => continue,
        };
        into.extend_from_slice(if told { b"," } else { b",\"otherwise\":{" });
        told = true;
        text(of, into);
        into.extend_from_slice(b":{\"bucket\":");
        text(if settled.delivers() { "delivered" } else { "undelivered" }, into);
        name("detail", into);
        text_or_null(detail(settled), into);
        time("settled_at", Some(settled.received_at), into);
        into.push(b'}');
    }
    if told {
        into.push(b'}');
    }
}

fn settled_at(facts: &Facts, bucket: Bucket) -> Option<i64> {
    if let Some(settled) = facts.counting(0) {
        return Some(settled.received_at);
    }
    if bucket == Bucket::Rejected {
        return facts.outline.responded_at();
    }
    if !bucket.is_final() {
        return None;
    }
    facts.message.withheld.as_ref().map_or(facts.outline.decided_at, |withheld| Some(withheld.at))
}
