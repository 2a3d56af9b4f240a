//! Moving a service's traffic. An adapter makes one bounded step at a time; steps, waiting and what to do about a
//! failure belong to the state machine.

use std::time::Duration;

use async_trait::async_trait;
use lastgood_core::Shares;
use serde::{Deserialize, Serialize};

use crate::{Check, Fault};

pub mod haproxy;

/// What routes traffic now, as read from the router itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Every configured pool with its share in percent, 0 included. Adds up to 100, unless nothing is served (all 0).
    pub shares: Shares,
    /// Servers that can take traffic now, and all servers, by pool.
    pub capacity: std::collections::BTreeMap<String, Capacity>,
    /// Router instances that could not be asked. Their share is not in `shares`.
    pub unreachable: Vec<Unreachable>,
    /// Instances that route differently from the first one that answered, in words. While this is not empty, `shares`
    /// holds for each pool the largest share that any instance gives it (more than 100 in all): read it as "not settled".
    pub disagreement: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Up, not draining, not in maintenance.
    pub alive: u32,
    pub all: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreachable {
    pub instance: String,
    pub detail: String,
}

/// A wanted routing. The same `Move` may be applied any number of times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Every configured pool with its wanted share in percent; adds up to 100.
    pub shares: Shares,
    /// The artifact that is meant to serve, for adapters that find the target by digest (orchestrators).
    pub digest: String,
    /// Unreachable instances that an approver said to go on without; every other one must take part.
    pub without: Vec<String>,
}

/// Whether a move can happen. Found before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preflight {
    /// It can. Warnings are shown ("would not survive a reload").
    Ready { warnings: Vec<String> },
    /// Nothing to do: this is how traffic is routed already, on every instance.
    AlreadyThere,
    /// It must not, with all reasons: target dead or too small, backend that does not exist, permissions.
    Refused { reasons: Vec<String> },
    /// Some instances can't be asked and are not in `without`.
    Unreachable { instances: Vec<Unreachable> },
}

/// How far an accepted move is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Read back from every instance that takes part: it is so.
    Settled(Observation),
    /// Under way; the text is for people ("3 of 8 pods").
    Moving { seen: Observation, detail: String },
    /// It will not come about by itself, with the reason.
    Failed { seen: Observation, detail: String },
}

/// Traffic port. All methods are bounded by the adapter's own configured time limit per call (10 s unless configured)
/// and may be called any number of times.
#[async_trait]
pub trait Shifter: Send + Sync {
    /// Reads who gets which share. Changes nothing.
    ///
    /// # Errors
    /// `Unavailable` when no instance could be asked; `Denied`, `NotFound`, `Invalid` as the router says.
    async fn observe(&self) -> Result<Observation, Fault>;

    /// Asks whether `wanted` can happen: permissions, target alive and big enough (judged against all servers that carry
    /// the service's traffic now), dry run where there is one. Changes nothing.
    ///
    /// # Errors
    /// As `observe`. A move that can't happen is not an error but an answer.
    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault>;

    /// Makes it so, target raised before the other side is lowered; reads before it writes. Returns when accepted.
    ///
    /// # Errors
    /// `Unknown` when an instance may or may not have taken it; `Unavailable` when surely nothing changed; `Denied`,
    /// `NotFound`, `Invalid` with what was refused (instances before the failing one may have moved: ask `progress`).
    async fn apply(&self, wanted: &Move) -> Result<(), Fault>;

    /// Reads back how far `wanted` is. Changes nothing.
    ///
    /// # Errors
    /// As `observe`.
    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault>;

    /// Connections and permissions, a line each, for `lastgood check`. Changes nothing.
    async fn check(&self) -> Vec<Check>;
}

/// What one call to a router may take unless configured otherwise.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);
