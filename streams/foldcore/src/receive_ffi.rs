//! The C interface of the receiver's rounds, for `sendledger.edges.postback_rounds`. One thread at a time uses a handle.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice;

use crate::codec::{Damaged, Reader};
use crate::receive::event::Maker;
use crate::receive::{Round, Rounds};

/// The maker of rounds, and the last of them.
pub struct Receiver {
    rounds: Rounds,
    last: Round,
}

/// `given`: bytes of a batch, the headers' names and values, then what `Maker::read` reads. Null if it cannot be read.
///
/// # Safety
/// `given` has `length` bytes.
#[no_mangle]
pub unsafe extern "C" fn foldcore_receiver_new(given: *const u8, length: usize) -> *mut Receiver {
    let given = slice::from_raw_parts(given, length);
    match catch_unwind(|| rounds(given)) {
        Ok(Ok(rounds)) => Box::into_raw(Box::new(Receiver { rounds, last: Round::default() })),
        _ => std::ptr::null_mut(),
    }
}

fn rounds(given: &[u8]) -> Result<Rounds, Damaged> {
    let mut from = Reader::new(given);
    let most = from.unsigned()? as usize;
    let headers = from.list(Reader::bytes)?;
    let maker = Maker::read(from.bytes()?)?;
    from.end()?;
    Ok(Rounds::new(maker, most, &headers))
}

/// The receiver is not needed any more.
///
/// # Safety
/// `handle` came from `foldcore_receiver_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn foldcore_receiver_drop(handle: *mut Receiver) {
    if !handle.is_null() {
        drop(Box::from_raw(handle));
    }
}

/// Make one round of `count` bodies, which stand one behind the other; `foldcore_receiver_batches` then has its batches.
/// `places` is filled: for each body the number of its batch, or `NOT_OURS`. Returns 0, or 1 after a panic or if the
/// lengths go beyond the bytes: then there is no round.
///
/// # Safety
/// `handle` came from `foldcore_receiver_new`; `bodies` has `length` bytes; the others have `count` numbers.
#[no_mangle]
pub unsafe extern "C" fn foldcore_receiver_round(
    handle: *mut Receiver,
    bodies: *const u8,
    length: usize,
    lengths: *const u32,
    came: *const i64,
    count: usize,
    places: *mut u32,
) -> i32 {
    let (handle, mut left) = (&mut *handle, slice::from_raw_parts(bodies, length));
    let (lengths, came) = (slice::from_raw_parts(lengths, count), slice::from_raw_parts(came, count));
    handle.last = Round::default();
    if lengths.iter().map(|&length| u64::from(length)).sum::<u64>() != left.len() as u64 {
        return 1;
    }
    let each = lengths.iter().zip(came).map(move |(&length, &came)| {
        let (body, rest) = left.split_at(length as usize);
        left = rest;
        (body, came)
    });
    let rounds = &mut handle.rounds;
    match catch_unwind(AssertUnwindSafe(|| rounds.make(each))) {
        Ok(round) if round.places.len() == count => {
            slice::from_raw_parts_mut(places, count).copy_from_slice(&round.places);
            handle.last = round;
            0
        }
        _ => 1,
    }
}

/// The batches of the last round (`receive::Round`). Valid until the next one.
///
/// # Safety
/// `handle` came from `foldcore_receiver_new`; the others can be written to.
#[no_mangle]
pub unsafe extern "C" fn foldcore_receiver_batches(
    handle: *const Receiver,
    data: *mut *const u8,
    lengths: *mut *const u32,
    count: *mut usize,
) {
    let batches = &(*handle).last.batches;
    *data = batches.bytes.as_ptr();
    *lengths = batches.lengths.as_ptr();
    *count = batches.len();
}
