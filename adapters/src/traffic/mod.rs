//! Moving a service's traffic. An adapter makes one bounded step at a time; steps, waiting and what to do about a
//! failure belong to the state machine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use lastgood_core::{Artifact, Shares, Strategy};
use serde::{Deserialize, Serialize};

use crate::{BuildError, Check, Fault, client::Address, secret::Source};

pub mod caddy;
mod capacity;
mod contract;
mod dial;
pub mod envoy;
pub mod exec;
mod fleet;
pub mod haproxy;
pub mod http;
pub mod kubernetes;
pub mod nginx;
mod shares;
mod text;
pub mod traefik;

pub use kubernetes::{
    discover, rollout as kubernetes_rollout,
    rollout::argo as argo_rollouts,
    route::{
        gateway as gateway_api, ingress_nginx, istio, service as kubernetes_service, traefik as traefik_crd,
    },
};

/// What routes traffic now, as read from the router itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Every configured pool with its share in percent, 0 included. Adds up to 100, unless nothing is served (all 0).
    pub shares: Shares,
    /// Servers that can take traffic now, and all servers, by pool.
    pub capacity: BTreeMap<String, Capacity>,
    /// Router instances that could not be asked. Their share is not in `shares`.
    pub unreachable: Vec<Unreachable>,
    /// Instances that route differently from the first one that answered, in words. While this is not empty, `shares`
    /// holds for each pool the largest share that any instance gives it (more than 100 in all): read it as "not settled".
    pub disagreement: Option<String>,
    /// What makes this routing less than certain: a change that was told and not taken over, servers of no pool. Approving a
    /// move from there takes one more click; after a move they are shown.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What pools run, where the router itself knows (orchestrators). Elsewhere the pools are asked.
    #[serde(default)]
    pub runs: BTreeMap<String, Running>,
    /// Shares change by themselves while something is under way (pods that are replaced): who is there counts, and not how much.
    #[serde(default)]
    pub fluid: bool,
    /// Who changed it last, where the router keeps that: named when traffic is not where it should be.
    #[serde(default)]
    pub writer: Option<String>,
}

/// What is known of a pool's artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub digest: Option<String>,
    /// Its tag, which says less: the inventory may know the digest by it.
    pub version: Option<String>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Every configured pool with its wanted share in percent; adds up to 100.
    pub shares: Shares,
    /// The artifact that is meant to serve, for adapters that find the target by digest (orchestrators).
    pub digest: String,
    /// The version under which the inventory knows the digest, for people and for finding it by its tag.
    #[serde(default)]
    pub version: String,
    /// Why it is done, in a few words, for those who keep a history of their own.
    #[serde(default)]
    pub note: String,
    /// Unreachable instances that an approver said to go on without; every other one must take part.
    pub without: Vec<String>,
    /// The routing that was read last. An instance that is neither there nor on the way to `shares` was moved by another
    /// hand, and is not written to. None: it is written to wherever it is.
    #[serde(default)]
    pub from: Option<Shares>,
    /// The same for every repetition of one request: an idempotency key for those who take one.
    #[serde(default)]
    pub key: String,
}

/// What a long call says of itself meanwhile; the latest line is the one that is shown.
pub type Said = tokio::sync::watch::Sender<String>;

/// What is to be said of a move before anybody approves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreseen {
    /// Each costs one more click.
    pub caveats: Vec<String>,
    /// Shown, and no more.
    pub notes: Vec<String>,
}

/// Somebody who would put a move back, and was made to stand still for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub who: String,
    /// What letting them go on would do to the move now, or that this can't be told. None: nothing, which is known.
    pub danger: Option<String>,
}

/// What came of letting go those who stood still.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetGo {
    /// Who goes on as before.
    pub on: Vec<String>,
    /// Who still stands still, with for whom.
    pub still: Vec<String>,
}

/// Makes others stand still who would put a move back, and lets them go on. `holder` names for whom; what was before, and for whom they
/// stand still, is remembered outside of this process.
#[async_trait]
pub trait Truce: Send + Sync {
    /// Who would be made to stand still, and can be. Changes nothing.
    ///
    /// # Errors
    /// As `hold`.
    async fn would_hold(&self) -> Result<Vec<String>, Fault>;

    /// Makes them stand still, before a move; whom a person has made to is left as found. Their names; a repetition gives the same.
    ///
    /// # Errors
    /// As `Shifter::apply`: the move must not be made then.
    async fn hold(&self, holder: &str) -> Result<Vec<String>, Fault>;

    /// Who stands still for `holder`. Changes nothing.
    ///
    /// # Errors
    /// As `Shifter::observe`.
    async fn held(&self, holder: &str) -> Result<Vec<Held>, Fault>;

    /// Lets those go on that stand still for `holder`, and for nobody else, as they were before.
    ///
    /// # Errors
    /// As `Shifter::apply`; a repetition goes on where it ended.
    async fn let_go(&self, holder: &str) -> Result<LetGo, Fault>;
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
    /// Nobody changed anything about it, and it does not get on by itself, with the reason.
    Stuck { seen: Observation, detail: String },
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
    /// `Unknown` when an instance may or may not have taken it; `Unavailable` when surely nothing changed; `Conflict` when
    /// traffic is not where `wanted.from` says; `Denied`, `NotFound`, `Invalid` with what was refused (instances before the
    /// failing one may have moved: ask `progress`).
    async fn apply(&self, wanted: &Move, said: &Said) -> Result<(), Fault>;

    /// Reads back how far `wanted` is. Changes nothing.
    ///
    /// # Errors
    /// As `observe`.
    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault>;

    /// Where there are no pools but what is running itself (orchestrators): the name under which `observe` shows an artifact.
    fn pool_of(&self, _artifact: &Artifact) -> Option<String> {
        None
    }

    /// What whoever approves a move has to know of it, before it is proposed. Changes nothing.
    ///
    /// # Errors
    /// As `observe`.
    async fn foresee(&self, _wanted: &Move) -> Result<Foreseen, Fault> {
        Ok(Foreseen::default())
    }

    /// Others who would put a move back (those who apply the routing from Git), where they are to stand still for it.
    fn truce(&self) -> Option<&dyn Truce> {
        None
    }

    /// Connections and permissions, a line each, for `lastgood check`. Changes nothing.
    async fn check(&self) -> Vec<Check>;
}

/// The configuration of an adapter: what the rest of the program asks of it, whatever the vendor.
pub trait Section {
    /// The pools that traffic can go to, in order. Empty: only the other side knows them.
    fn pools(&self) -> Vec<&str>;

    /// Why the adapter can't do the strategy as it is configured.
    fn misfit(&self, strategy: Strategy) -> Option<String>;

    /// Whether a pool can get a part of the traffic, as far as the configuration tells.
    fn splits(&self) -> bool {
        true
    }

    /// Whether going back means that other pods are made, so that any artifact can be the target and no pool is needed.
    fn replaces_pods(&self) -> bool {
        false
    }

    /// Whether `observe` tells what each pool runs, so that nobody else has to be asked.
    fn tells_what_runs(&self) -> bool {
        false
    }

    /// Nothing is asked yet.
    ///
    /// # Errors
    /// What the adapter refuses to be built from.
    fn build(&self, service: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError>;

    /// Secrets that the adapter reads when it is built.
    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        Vec::new()
    }
}

/// What one call to a router may take unless configured otherwise.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

/// For adapters that move traffic between pools.
fn no_pods(kind: &str, strategy: Strategy) -> Option<String> {
    matches!(strategy, Strategy::Rolling)
        .then(|| format!("{kind} moves traffic between pools: it replaces no pods"))
}

/// Of several faults the one that asks for most care.
fn worst(faults: impl Iterator<Item = Fault>) -> Result<(), Fault> {
    let care = |fault: &Fault| match fault {
        Fault::Unknown(_) => 2,
        Fault::Unavailable(_) => 0,
        _ => 1,
    };
    faults.max_by_key(care).map_or(Ok(()), Err)
}

/// Two pools or more, nothing in two of them.
fn two_pools(pools: &BTreeMap<String, String>) -> Result<(), BuildError> {
    if pools.len() < 2 {
        let why = format!("{} configured: traffic can only be moved between two or more", pools.len());
        return Err(BuildError::invalid("pools", why));
    }
    let mut owners = BTreeMap::new();
    for (pool, name) in pools {
        if name.trim().is_empty() {
            return Err(BuildError::invalid("pools", format!("pool {pool:?} has no name there")));
        }
        if let Some(other) = owners.insert(name, pool) {
            let why = format!("{name:?} belongs to pool {other:?} and to pool {pool:?}");
            return Err(BuildError::invalid("pools", why));
        }
    }
    Ok(())
}

/// At least one address, none twice.
fn addresses(instances: &[Address]) -> Result<(), BuildError> {
    if instances.is_empty() {
        return Err(BuildError::invalid("instances", "empty: name at least one"));
    }
    let mut seen = std::collections::BTreeSet::new();
    match instances.iter().find(|address| !seen.insert(address.to_string())) {
        Some(twice) => Err(BuildError::invalid("instances", format!("{twice} is named twice"))),
        None => Ok(()),
    }
}
