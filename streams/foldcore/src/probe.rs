//! For the differential test only (`tests/unit/fold/test_native_facts.py`): what this crate reads and writes, by C ABI.
//!
//! All functions return 1 with a text in `out`, 0 without one, or −1 after a panic. A text belongs to the caller until
//! `foldcore_free`. Nothing here keeps a pointer or touches a global, so any thread may call at any time.

use crate::facts::{decode, Fact, MessageFact, Postback, What};
use crate::instant;
use std::fmt::Write;
use std::panic::catch_unwind;

/// The fact in `raw` as a JSON object: its fields by the names of Python's, times in µs since 1970, what is missing as
/// null; and `kind` (the class), `topic` and `recipient`. 0: not decoded.
///
/// # Safety
/// `raw` must point to `len` readable bytes that nobody writes meanwhile; `out` and `out_len` must be writable.
#[no_mangle]
pub unsafe extern "C" fn foldcore_probe(raw: *const u8, len: usize, out: *mut *mut u8, out_len: *mut usize) -> i32 {
    // SAFETY: the caller's promise; an empty slice may have any pointer but null, and so may Python's empty bytes.
    let raw = std::slice::from_raw_parts(raw, len);
    let told = catch_unwind(|| decode(raw).map(|fact| told(&fact).into_bytes()));
    // SAFETY: the caller's promise.
    give(told, out, out_len)
}

/// A time as `instant::write` writes it (µs since 1970), or if `day` is not 0 the day of an hour since 1970.
///
/// # Safety
/// `out` and `out_len` must be writable.
#[no_mangle]
pub unsafe extern "C" fn foldcore_probe_time(value: i64, day: i32, out: *mut *mut u8, out_len: *mut usize) -> i32 {
    let told = catch_unwind(|| {
        let mut text = Vec::new();
        if day == 0 {
            instant::write(value, &mut text);
        } else {
            instant::write_day(value, &mut text);
        }
        Some(text)
    });
    // SAFETY: the caller's promise.
    give(told, out, out_len)
}

/// Takes back a text.
///
/// # Safety
/// `text` and `len` must be what one call returned as `out` and `out_len` with 1, and not be taken back twice.
#[no_mangle]
pub unsafe extern "C" fn foldcore_free(text: *mut u8, len: usize) {
    // SAFETY: `give` made them of a boxed slice of this length.
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(text, len)));
}

/// # Safety
/// `out` and `out_len` must be writable.
unsafe fn give(told: std::thread::Result<Option<Vec<u8>>>, out: *mut *mut u8, out_len: *mut usize) -> i32 {
    match told {
        Err(_) => -1,
        Ok(None) => 0,
        Ok(Some(text)) => {
            let text = Box::leak(text.into_boxed_slice());
            // SAFETY: the caller's promise.
            *out_len = text.len();
            *out = text.as_mut_ptr();
            1
        }
    }
}

struct Object(String);

impl Object {
    fn raw(&mut self, name: &str, value: &str) -> &mut Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{}\"{}\":{}", comma, name, value);
        self
    }

    fn number(&mut self, name: &str, value: Option<i64>) -> &mut Self {
        self.raw(name, &value.map_or_else(|| "null".to_owned(), |value| value.to_string()))
    }

    fn text(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        self.raw(name, &value.map_or_else(|| "null".to_owned(), quoted))
    }

    fn call(&mut self, kind: &str, attempt: u32) -> &mut Self {
        self.text("kind", Some(kind)).number("attempt", Some(i64::from(attempt)))
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..='\x1f' => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

fn told(fact: &Fact<'_>) -> String {
    let mut object = Object("{".to_owned());
    object.number("topic", i64::try_from(fact.topic()).ok()).text("recipient", Some(fact.recipient()));
    match fact {
        Fact::Message(message) => told_message(message, &mut object),
        Fact::Postback(postback) => told_postback(postback, &mut object),
    }
    object.0 + "}"
}

fn told_message(message: &MessageFact<'_>, object: &mut Object) {
    object
        .number("at", Some(message.at))
        .text("message_id", Some(&message.message_id))
        .text("campaign_id", Some(&message.campaign_id))
        .text("recipient_id", Some(&message.recipient_id));
    match &message.what {
        What::Requested { to_last3, operator_id, not_before, expires_at } => object
            .text("kind", Some("Requested"))
            .text("to_last3", Some(to_last3))
            .text("operator_id", operator_id.as_deref())
            .number("not_before", *not_before)
            .number("expires_at", *expires_at),
        What::Started { attempt } => object.call("Started", *attempt),
        What::Withheld { reason } => object.text("kind", Some("Withheld")).text("reason", Some(reason)),
        What::Accepted { attempt, tracking_id } => {
            object.call("Accepted", *attempt).text("tracking_id", Some(tracking_id))
        }
        What::Rejected { attempt, error_code } => {
            object.call("Rejected", *attempt).text("error_code", Some(error_code))
        }
        What::Throttled { attempt, error_code, retry_at } => {
            object.call("Throttled", *attempt).text("error_code", Some(error_code)).number("retry_at", Some(*retry_at))
        }
        What::NotSent { attempt, reason } => object.call("NotSent", *attempt).text("reason", Some(reason)),
        What::Unanswered { attempt, reason } => object.call("Unanswered", *attempt).text("reason", Some(reason)),
        What::Resolved { attempt, resolution } => {
            object.call("Resolved", *attempt).text("resolution", Some(resolution))
        }
    };
}

fn told_postback(postback: &Postback<'_>, object: &mut Object) {
    object
        .text("kind", Some("Postback"))
        .text("id", Some(&postback.id))
        .text("recipient_id", Some(&postback.recipient_id))
        .number("received_at", Some(postback.received_at))
        .text("claim", postback.claim.map(|claim| claim.name()))
        .text("detail", postback.detail.as_deref())
        .text("tracking_id", postback.tracking_id.as_deref())
        .text("history_id", postback.history_id.as_deref())
        .text("operator_id", postback.operator_id.as_deref())
        .number("provider_time", postback.provider_time);
}
