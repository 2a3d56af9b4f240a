//! What lastgood decides, and the words it decides in. No clock, no I/O, no async: whoever calls brings the facts and
//! the time, so that every decision can be replayed and tested over its whole table.

pub mod card;
pub mod incident;
pub mod inventory;
pub mod rollback;
pub mod verdict;
pub mod words;

pub use words::{
    Actor, Artifact, At, Digest, IncidentId, Millis, ReleaseId, RollbackId, ServiceId, Shares, Strategy,
    ThreadId,
};
