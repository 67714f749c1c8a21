//! Sendledger's fold of one partition: the quick form of `sendledger.domain`, byte strings in and out.
//!
//! `sendledger.domain` defines what events mean; this crate does the same work on whole batches of Kafka's bytes. Tests
//! hold the two together, and `sendledger verify` proves the numbers of this one with the code of the other. It has no
//! dependencies, does no I/O, and tells no time.

#![allow(missing_docs)] // fields and variants carry the names of the domain's, where they are described

pub mod codec;
pub mod contribution;
pub mod facts;
pub mod ffi;
pub mod fold;
pub mod hash;
pub mod host;
pub mod instant;
pub mod json;
pub mod json_out;
pub mod loading;
pub mod message;
pub mod names;
pub mod page;
pub mod parts;
pub mod probe;
pub mod reading;
pub mod receive;
pub mod receive_ffi;
pub mod recipient;
pub mod records;
pub mod settled;
pub mod sha256;
pub mod shelf;
pub mod state_record;
pub mod stored;
pub mod tally;
pub mod tracking;
pub mod work;
