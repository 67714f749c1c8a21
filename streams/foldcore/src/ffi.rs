//! The C interface, for `sendledger.edges.fold_core`. A fold is used by one thread at a time.
//!
//! Byte strings travel as `Packed`: all bytes, and the length of each. What a function returns: 0 = done, 1 = the host
//! failed, 2 = a stored document is damaged, 3 = a record batch is not in Kafka's format, 4 = the fold contradicts
//! itself. After anything but 0 the fold must not be used any more.

use std::collections::HashSet;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice;

use crate::codec::Reader;
use crate::fold::{Changes, PartitionFold};
use crate::host::{Host, Packed, Stop};
use crate::parts::Origin;
use crate::records::Batch;

/// Where the host puts its answer.
#[derive(Default)]
pub struct Reply(Option<Packed>);

type Load = extern "C" fn(reply: *mut Reply, bytes: *const u8, lengths: *const u32, count: usize) -> i32;
type Judge = extern "C" fn(reply: *mut Reply, topic: usize, offset: i64) -> i32;

/// The host's two functions: each puts its answer into the reply (`foldcore_reply`; none to `judge` means that it is a
/// dead letter) and returns 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Callbacks {
    load: Load,
    judge: Judge,
}

/// A record batch; see `records::Batch`.
#[repr(C)]
pub struct RawBatch {
    topic: usize,
    first: i64,
    base: i64,
    count: usize,
    records: *const u8,
    length: usize,
}

/// A fold, and what its last batch changed.
pub struct Handle {
    fold: PartitionFold,
    changes: Changes,
}

impl Host for Callbacks {
    fn load(&mut self, keys: &Packed) -> Result<Packed, Stop> {
        let mut reply = Reply::default();
        match (self.load)(&mut reply, keys.bytes.as_ptr(), keys.lengths.as_ptr(), keys.len()) {
            0 => reply.0.ok_or(Stop::Host),
            _ => Err(Stop::Host),
        }
    }

    fn judge(&mut self, topic: usize, offset: i64) -> Result<Option<Vec<u8>>, Stop> {
        let mut reply = Reply::default();
        match (self.judge)(&mut reply, topic, offset) {
            0 => Ok(reply.0.map(|packed| packed.bytes)),
            _ => Err(Stop::Host),
        }
    }
}

/// `length` bytes from `start`, which may be null if there are none.
unsafe fn bytes<'a, T>(start: *const T, length: usize) -> &'a [T] {
    if length == 0 {
        &[]
    } else {
        slice::from_raw_parts(start, length)
    }
}

/// `given`: `Origin` in the form that `origin` reads. Returns null if it cannot be read.
///
/// # Safety
/// `given` has `length` bytes.
#[no_mangle]
pub unsafe extern "C" fn foldcore_new(given: *const u8, length: usize) -> *mut Handle {
    let given = bytes(given, length);
    match catch_unwind(|| origin(given)) {
        Ok(Ok(fold)) => Box::into_raw(Box::new(Handle { fold, changes: Changes::default() })),
        _ => std::ptr::null_mut(),
    }
}

/// Partition, slot, fold version, topic ids as JSON, the topics with their first offsets, the archived campaigns.
fn origin(given: &[u8]) -> Result<PartitionFold, crate::codec::Damaged> {
    let mut from = Reader::new(given);
    let (partition, slot, fold_version) = (from.signed()?, from.signed()?, from.signed()?);
    let topic_ids = from.plain()?.to_owned();
    let (mut topics, mut first) = (Vec::new(), [0; 5]);
    for offset in &mut first {
        topics.push(from.plain()?.to_owned());
        *offset = from.signed()?;
    }
    let archived: HashSet<Box<str>, _> = from.list(Reader::plain)?.into_iter().map(Box::from).collect();
    from.end()?;
    Ok(PartitionFold::new(Origin { partition, slot, fold_version, topics, from: first, topic_ids }, archived))
}

/// The fold is not needed any more.
///
/// # Safety
/// `handle` came from `foldcore_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn foldcore_drop(handle: *mut Handle) {
    if !handle.is_null() {
        drop(Box::from_raw(handle));
    }
}

/// What the host answers, from within one of its functions.
///
/// # Safety
/// `reply` is what the function was given; `data` has `length` bytes, `lengths` has `count` numbers.
#[no_mangle]
pub unsafe extern "C" fn foldcore_reply(
    reply: *mut Reply,
    data: *const u8,
    length: usize,
    lengths: *const u32,
    count: usize,
) {
    let packed = Packed { bytes: bytes(data, length).to_vec(), lengths: bytes(lengths, count).to_vec() };
    (*reply).0 = Some(packed);
}

/// Fold record batches; `foldcore_changes` then tells what that changed.
///
/// # Safety
/// `handle` came from `foldcore_new`; `batches` has `count` of them, whose bytes stay where they are until this returns.
#[no_mangle]
pub unsafe extern "C" fn foldcore_fold(
    handle: *mut Handle,
    batches: *const RawBatch,
    count: usize,
    callbacks: Callbacks,
) -> i32 {
    let handle = &mut *handle;
    let given = bytes(batches, count).iter().map(|one| Batch {
        topic: one.topic,
        first: one.first,
        base: one.base,
        count: one.count,
        records: bytes(one.records, one.length),
    });
    let given: Vec<Batch> = given.collect();
    let mut host = callbacks;
    told(handle, |fold| fold.fold(&given, &mut host))
}

/// Publish again what is stored of a campaign; `foldcore_changes` then has the records. `given`: campaign, days, messages'
/// recipients, messages.
///
/// # Safety
/// `handle` came from `foldcore_new`; `given` has `length` bytes.
#[no_mangle]
pub unsafe extern "C" fn foldcore_again(
    handle: *mut Handle,
    given: *const u8,
    length: usize,
    callbacks: Callbacks,
) -> i32 {
    let given = bytes(given, length);
    let mut host = callbacks;
    told(&mut *handle, |fold| {
        let mut from = Reader::new(given);
        let (campaign, days) = (from.plain()?, from.list(Reader::plain)?);
        let recipients = from.list(Reader::plain)?;
        let messages: Vec<(&str, &str)> = recipients.into_iter().zip(from.list(Reader::plain)?).collect();
        fold.again(campaign, &days, &messages, &mut host)
    })
}

fn told(handle: &mut Handle, work: impl FnOnce(&mut PartitionFold) -> Result<Changes, Stop>) -> i32 {
    let fold = &mut handle.fold;
    match catch_unwind(AssertUnwindSafe(|| work(fold))) {
        Ok(Ok(changes)) => {
            handle.changes = changes;
            0
        }
        Ok(Err(Stop::Host)) => 1,
        Ok(Err(Stop::Document)) => 2,
        Ok(Err(Stop::Records)) => 3,
        Ok(Err(Stop::Broken(_))) | Err(_) => 4,
    }
}

/// What the last batch changed: 0 documents, 1 message states, 2 partials (`fold::Changes`). Valid until the next one.
///
/// # Safety
/// `handle` came from `foldcore_new`; the others can be written to.
#[no_mangle]
pub unsafe extern "C" fn foldcore_changes(
    handle: *const Handle,
    which: i32,
    data: *mut *const u8,
    length: *mut usize,
    lengths: *mut *const u32,
    count: *mut usize,
) {
    let changes = &(*handle).changes;
    let packed = match which {
        0 => &changes.documents,
        1 => &changes.messages,
        _ => &changes.partials,
    };
    *data = packed.bytes.as_ptr();
    *length = packed.bytes.len();
    *lengths = packed.lengths.as_ptr();
    *count = packed.len();
}
