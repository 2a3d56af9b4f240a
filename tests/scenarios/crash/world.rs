//! A service with two pools behind a switch, its registry, monitoring and pager: honest, deduplicating as the real ones
//! do, and counting what really changed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use lastgood_adapters::{
    Check, Fault,
    metrics::{Metrics, Sample},
    pager::{Call, Pager},
    probe::{Health, Version},
    registry::{Found, Registry},
    traffic::{Capacity, Move, Observation, Preflight, Progress, Said, Shifter},
};
use lastgood_core::{At, Digest, Shares};
use lastgood_tests::shop::artifact;
use tokio::sync::watch;

use super::steps::Steps;

pub const GOOD: &str = "v1";
pub const BAD: &str = "v2";

/// Blue runs the good version, green the bad one, and green has all traffic.
pub struct World {
    state: Mutex<State>,
    /// Whether the good version helps.
    cures: bool,
    /// Calls that have begun, in order.
    begun: watch::Sender<Vec<&'static str>>,
    /// This call waits before it does anything.
    held: watch::Sender<&'static str>,
}

struct State {
    shares: Shares,
    shifts: u32,
    rings: Vec<Ring>,
    summaries: Vec<String>,
}

/// One incident at the pager: a telephone that rang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    pub key: String,
    pub open: bool,
    pub acknowledged: bool,
}

pub fn shares(blue: u8) -> Shares {
    [("blue".to_owned(), blue), ("green".to_owned(), 100 - blue)].into()
}

impl World {
    pub fn new(cures: bool) -> Arc<Self> {
        let state = Mutex::new(State { shares: shares(0), shifts: 0, rings: vec![], summaries: vec![] });
        Arc::new(Self { state, cures, begun: watch::Sender::default(), held: watch::Sender::default() })
    }

    pub fn shares(&self) -> Shares {
        self.state.lock().unwrap().shares.clone()
    }

    /// How often the routing really changed.
    pub fn shifts(&self) -> u32 {
        self.state.lock().unwrap().shifts
    }

    pub fn rings(&self) -> Vec<Ring> {
        self.state.lock().unwrap().rings.clone()
    }

    /// What the pager showed for every call that it took.
    pub fn summaries(&self) -> Vec<String> {
        self.state.lock().unwrap().summaries.clone()
    }

    /// From now on this call waits before it does anything ("": none does).
    pub fn hold(&self, call: &'static str) {
        self.held.send_replace(call);
    }

    /// Until a call of this name has begun.
    pub async fn begun(&self, call: &str) {
        self.begun.subscribe().wait_for(|begun| begun.contains(&call)).await.unwrap();
    }

    /// How often a call was begun.
    pub fn calls(&self, call: &str) -> usize {
        self.begun.borrow().iter().filter(|begun| **begun == call).count()
    }

    async fn pass(&self, call: &'static str) {
        self.begun.send_modify(|begun| begun.push(call));
        self.held.subscribe().wait_for(|held| *held != call).await.unwrap();
    }

    fn error_rate(&self) -> f64 {
        let blue = self.shares()["blue"];
        if self.cures && blue == 100 { 0.0 } else { 0.3 }
    }

    fn observe(&self) -> Observation {
        let two = Capacity { alive: 2, all: 2 };
        let capacity = [("blue".to_owned(), two), ("green".to_owned(), two)].into();
        Observation { shares: self.shares(), capacity, ..Observation::default() }
    }

    fn apply(&self, wanted: &Shares) {
        let mut state = self.state.lock().unwrap();
        if state.shares != *wanted {
            state.shares.clone_from(wanted);
            state.shifts += 1;
        }
    }
}

/// The world as one life of the product reaches it.
#[derive(Clone)]
pub struct Reach {
    pub world: Arc<World>,
    pub steps: Arc<Steps>,
}

#[async_trait]
impl Shifter for Reach {
    async fn observe(&self) -> Result<Observation, Fault> {
        self.steps.call("observe", async { Ok(self.world.observe()) }).await
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        let judge = async {
            self.world.pass("preflight").await;
            Ok(match self.world.shares() == wanted.shares {
                true => Preflight::AlreadyThere,
                false => Preflight::Ready { warnings: vec![] },
            })
        };
        self.steps.call("preflight", judge).await
    }

    async fn apply(&self, wanted: &Move, _: &Said) -> Result<(), Fault> {
        let apply = async {
            self.world.pass("apply").await;
            self.world.apply(&wanted.shares);
            Ok(())
        };
        self.steps.call("apply", apply).await
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        let judge = async {
            let seen = self.world.observe();
            Ok(match seen.shares == wanted.shares {
                true => Progress::Settled(seen),
                false => Progress::Failed { seen, detail: "another routing".into() },
            })
        };
        self.steps.call("progress", judge).await
    }

    async fn check(&self) -> Vec<Check> {
        vec![]
    }
}

#[async_trait]
impl Registry for Reach {
    async fn find(&self, _digest: &Digest) -> Result<Found, Fault> {
        let found = Found { media_type: "application/vnd.oci.image.manifest.v1+json".into(), size: 512 };
        self.steps.call("registry", async { Ok(found) }).await
    }

    async fn manifests(&self, _digest: &Digest) -> Result<BTreeSet<Digest>, Fault> {
        Ok(BTreeSet::new())
    }

    async fn check(&self) -> Vec<Check> {
        vec![]
    }
}

#[async_trait]
impl Metrics for Reach {
    fn window(&self) -> Duration {
        Duration::ZERO
    }

    async fn error_rate(&self, _at: At) -> Result<Option<Sample>, Fault> {
        let read = async { Ok(Some(Sample { rate: self.world.error_rate(), requests: Some(100.0) })) };
        self.steps.call("metrics", read).await
    }

    async fn check(&self, _now: At) -> Vec<Check> {
        vec![]
    }
}

#[async_trait]
impl Health for Reach {
    fn name(&self) -> &str {
        "front"
    }

    async fn probe(&self) -> Result<String, Fault> {
        self.steps.call("health", async { Ok("200".to_owned()) }).await
    }
}

/// What a pool says it runs.
pub struct Runs(pub Reach, pub &'static str);

#[async_trait]
impl Version for Runs {
    async fn running(&self) -> Result<Digest, Fault> {
        self.0.steps.call("version", async { Ok(artifact(self.1).digest) }).await
    }
}

#[async_trait]
impl Pager for Reach {
    async fn page(&self, call: &Call) -> Result<(), Fault> {
        let ring = async {
            self.world.pass("page").await;
            let mut state = self.world.state.lock().unwrap();
            state.summaries.push(call.summary.clone());
            if !state.rings.iter().any(|ring| ring.open && ring.key == call.key) {
                state.rings.push(Ring { key: call.key.clone(), open: true, acknowledged: false });
            }
            Ok(())
        };
        self.steps.call("page", ring).await
    }

    async fn acknowledge(&self, key: &str) -> Result<(), Fault> {
        let acknowledge = async {
            self.world.pass("acknowledge").await;
            let mut state = self.world.state.lock().unwrap();
            let open = state.rings.iter_mut().filter(|ring| ring.open && ring.key == key);
            open.for_each(|ring| ring.acknowledged = true);
            Ok(())
        };
        self.steps.call("acknowledge", acknowledge).await
    }

    async fn resolve(&self, key: &str) -> Result<(), Fault> {
        let resolve = async {
            let mut state = self.world.state.lock().unwrap();
            state.rings.iter_mut().filter(|ring| ring.key == key).for_each(|ring| ring.open = false);
            Ok(())
        };
        self.steps.call("resolve", resolve).await
    }

    async fn check(&self) -> Vec<Check> {
        vec![]
    }
}
