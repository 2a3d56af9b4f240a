//! Blue/green through HAProxy's Runtime API: a map entry that names the serving backend, or server weights in one
//! backend. The running process is the only truth: everything is read from it before and after it is written.
//!
//! HAProxy answers an empty line when it did as it was told. Weight and administrative state are independent of each
//! other, a map takes names of backends that do not exist, and a reload forgets: what follows from these is in `weigh`,
//! `preflight` and `persist`; who answers when two processes share a port, in `instance`.

mod check;
mod config;
mod data_plane;
mod instance;
mod keep;
mod observe;
mod persist;
mod preflight;
mod reading;
mod socket;
mod state;
mod weigh;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use lastgood_core::Strategy;
use tokio::time::Instant;

use self::{
    config::{Address, Route},
    keep::Keep,
    observe::Asked,
    reading::Reading,
};
pub use self::{
    config::{Config, ConfigError, Switch, Weights},
    data_plane::Config as DataPlaneConfig,
    keep::Persist,
};
use super::{
    CALL_LIMIT, Move, Observation, Preflight, Progress, Said, Section, Shifter,
    shares::{on_the_way, spell},
};
use crate::{BuildError, Check, Fault, secret::Source};

/// The HAProxy instances that route one service.
#[derive(Debug, Clone)]
pub struct HaProxy {
    instances: Vec<Address>,
    route: Route,
    keep: Option<Keep>,
    timeout: Duration,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        Self::pools(self)
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        match (strategy, self.switch.is_some(), self.weights.is_some()) {
            (Strategy::Rolling, ..) => {
                Some("haproxy moves traffic between pools: it replaces no pods".to_owned())
            }
            (_, false, false) | (_, true, true) => {
                Some("give either `switch` (a map entry names the backend) or `weights`".to_owned())
            }
            (Strategy::BlueGreen, ..) | (Strategy::Canary, false, true) => None,
            (Strategy::Canary, true, false) => {
                Some("a switch moves all traffic at once: a canary needs `weights`".to_owned())
            }
        }
    }

    fn splits(&self) -> bool {
        self.weights.is_some()
    }

    fn build(&self, _: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        use ConfigError as E;
        let built = HaProxy::new(self).map_err(|error| {
            let key = match &error {
                E::NoInstance | E::Address(_) | E::InstanceTwice(_) => "instances",
                E::NoTime => "timeout",
                // `misfit` says the same; whoever reports it by its key reports it once.
                E::NotOneRoute => "strategy",
                E::TooFewPools(_) | E::EmptyPool(_) | E::Name { .. } | E::Shared { .. } => "",
            };
            BuildError::invalid(key, error.to_string())
        })?;
        Ok(Arc::new(HaProxy { keep: self.keep(http)?, ..built }))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        self.password().map(|source| ("persist", source)).into_iter().collect()
    }
}

impl Config {
    fn password(&self) -> Option<&Source> {
        self.persist.as_ref()?.data_plane.as_ref().map(|api| &api.password)
    }
}

impl HaProxy {
    /// # Errors
    /// When the configuration makes no sense; nothing is asked.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let timeout = config.timeout.map_or(CALL_LIMIT, |span| span.0);
        if timeout.is_zero() {
            return Err(ConfigError::NoTime);
        }
        Ok(Self { instances: config.addresses()?, route: config.route()?, keep: None, timeout })
    }

    /// Pool names, in order.
    pub fn pools(&self) -> Vec<&str> {
        self.route.pools()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Asks all instances but those in `without` at the same time.
    async fn survey(&self, without: &[String], deep: bool, deadline: Instant) -> Vec<Asked<'_>> {
        let taking_part = self.instances.iter().filter(|address| !without.contains(&address.to_string()));
        let ask = |address| async move {
            Asked { address, answer: instance::survey(address, &self.route, deep, deadline).await }
        };
        join_all(taking_part.map(ask)).await
    }

    /// Why nothing may be written although it was asked for: a target that is not there, or that answers nobody.
    fn hopeless(&self, asked: &[Asked<'_>], wanted: &Move) -> Option<Fault> {
        for (name, reading) in asked.iter().flat_map(Asked::named) {
            for pool in wanted.shares.iter().filter(|(_, share)| **share > 0).map(|(pool, _)| pool) {
                let missing = reading.pools.get(pool).is_none_or(|pool| !pool.missing.is_empty());
                if missing {
                    return Some(Fault::Invalid(format!(
                        "{name}: a part of pool {pool} does not exist there"
                    )));
                }
                if reading.usable(&self.route, pool) == 0 {
                    return Some(Fault::Invalid(format!("{name}: no server of pool {pool} can serve")));
                }
            }
        }
        None
    }

    /// Those that are written to.
    fn part<'a>(&'a self, wanted: &'a Move) -> impl Iterator<Item = &'a Address> {
        self.instances.iter().filter(|address| !wanted.without.contains(&address.to_string()))
    }

    /// The shift is done: what would undo it at the next reload is said when it is read back.
    async fn make_it_last(&self, wanted: &Move, deadline: Instant) {
        let Some(keep) = &self.keep else { return };
        for address in self.part(wanted) {
            if let Err(fault) = keep.keep(address, &self.route, deadline).await {
                tracing::warn!(%fault, %address, "a shift could not be made to outlive a reload");
            }
        }
    }

    async fn doubts(&self, wanted: &Move) -> Vec<String> {
        let Some(keep) = &self.keep else { return Vec::new() };
        let deadline = self.deadline();
        let each = self.part(wanted).map(|address| keep.doubt(address, &self.route, deadline));
        let mut doubts: Vec<_> = join_all(each).await.into_iter().flatten().collect();
        doubts.dedup();
        doubts
    }

    /// Traffic that is not where it was read last, nor on the way to where it is to go.
    fn moved_by_another(&self, asked: &[Asked<'_>], wanted: &Move) -> Option<Fault> {
        let from = wanted.from.as_ref()?;
        asked.iter().flat_map(Asked::named).find_map(|(name, reading)| {
            let now = reading.shares(&self.route);
            let words = || format!("expected {}, but {name} gives {}", spell(from), spell(&now));
            (!on_the_way(&now, from, &wanted.shares)).then(|| Fault::Conflict(words()))
        })
    }

    /// Findings of all instances, named when there are several; and warnings about reloads.
    async fn findings(&self, asked: &[Asked<'_>], wanted: &Move, deadline: Instant) -> preflight::Findings {
        let mut all = preflight::Findings::default();
        let target = wanted.shares.iter().find(|(_, share)| **share == 100).map(|(pool, _)| pool.as_str());
        for one in asked {
            let readings = one.named();
            if readings.len() > 1 {
                all.warnings.push(format!(
                    "{}: {} processes answer there; each one seen is written to, but end the older one",
                    one.address,
                    readings.len()
                ));
            }
            if let Err(fault) = &one.answer {
                all.reasons.push(fault.to_string());
            }
            for (name, reading) in readings {
                let found = preflight::findings(&self.route, reading, &wanted.shares);
                let with_name =
                    |text: String| if self.instances.len() > 1 { format!("{name}: {text}") } else { text };
                all.reasons.extend(found.reasons.into_iter().map(with_name));
                all.warnings.extend(found.warnings.into_iter().map(with_name));
            }
            if self.keep.is_none()
                && let Ok(mut session) = socket::Session::open(one.address, deadline).await
                && let Some(caution) = persist::caution(one.address, &self.route, target, &mut session).await
            {
                all.warnings.push(format!("{}: {}; {}", one.address, caution.seen, caution.advice));
            }
        }
        all
    }

    /// Whether `wanted` came about, as far as the instances that take part tell.
    fn judge(&self, asked: &[Asked<'_>], wanted: &Move, seen: Observation) -> Progress {
        let part = || asked.iter().filter(|one| !wanted.without.contains(&one.address.to_string()));
        for (name, reading) in part().flat_map(Asked::named) {
            let shares = reading.shares(&self.route);
            if !reading.is(&self.route, &wanted.shares) {
                let detail = format!("{name} gives {}", spell(&shares));
                return Progress::Failed { seen, detail };
            }
            let dead = |pool: &&String| reading.usable(&self.route, pool) == 0;
            let shared = wanted.shares.iter().filter(|(_, share)| **share > 0).map(|(pool, _)| pool);
            if let Some(dead) = shared.clone().find(dead) {
                let detail = format!("{name} routes as wanted, but no server of {dead} is up");
                return Progress::Failed { seen, detail };
            }
            if let Some(stranger) = reading.strangers.iter().find(|server| server.serves()) {
                let detail = format!("{name}: server {} carries traffic but is in no pool", stranger.name);
                return Progress::Failed { seen, detail };
            }
        }
        let silent: Vec<_> = part().filter_map(Asked::unreachable).map(|one| one.instance).collect();
        if silent.is_empty() {
            return Progress::Settled(seen);
        }
        Progress::Moving { seen, detail: format!("can't be asked: {}", silent.join(", ")) }
    }
}

#[async_trait]
impl Shifter for HaProxy {
    async fn observe(&self) -> Result<Observation, Fault> {
        observe::picture(&self.survey(&[], false, self.deadline()).await, &self.route)
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        if let Some(reason) = preflight::senseless(&self.route, &wanted.shares) {
            return Ok(Preflight::Refused { reasons: vec![reason] });
        }
        let deadline = self.deadline();
        let asked = self.survey(&wanted.without, true, deadline).await;
        let instances: Vec<_> = asked.iter().filter_map(Asked::unreachable).collect();
        if asked.is_empty() {
            return Ok(Preflight::Refused { reasons: vec!["every instance is to be left out".to_owned()] });
        }
        if instances.len() == asked.len() {
            // Leaving out all of them is no choice to offer.
            return Err(observe::picture(&asked, &self.route).err().unwrap_or_else(|| nobody(wanted)));
        }
        if !instances.is_empty() {
            return Ok(Preflight::Unreachable { instances });
        }
        let there = |reading: &Reading| reading.is(&self.route, &wanted.shares);
        if asked.iter().all(|one| one.answer.as_ref().is_ok_and(|all| all.iter().all(there))) {
            return Ok(Preflight::AlreadyThere);
        }
        let found = self.findings(&asked, wanted, deadline).await;
        if found.reasons.is_empty() {
            Ok(Preflight::Ready { warnings: found.warnings })
        } else {
            Ok(Preflight::Refused { reasons: found.reasons })
        }
    }

    async fn apply(&self, wanted: &Move, _: &Said) -> Result<(), Fault> {
        if let Some(reason) = preflight::senseless(&self.route, &wanted.shares) {
            return Err(Fault::Invalid(reason));
        }
        let deadline = self.deadline();
        let asked = self.survey(&wanted.without, false, deadline).await;
        if asked.is_empty() {
            return Err(nobody(wanted));
        }
        // Nothing is written before every instance that takes part answered.
        if let Some(fault) = asked.iter().find_map(|one| one.answer.as_ref().err()) {
            return Err(fault.clone());
        }
        let there = |reading: &Reading| reading.is(&self.route, &wanted.shares);
        let to_move = asked.iter().filter(|one| one.answer.as_ref().is_ok_and(|all| !all.iter().all(there)));
        let processes = |one: &Asked<'_>| {
            one.named().iter().map(|(_, reading)| reading.process.clone()).collect::<BTreeSet<_>>()
        };
        let to_move: Vec<_> = to_move.map(|one| (one.address, processes(one))).collect();
        if to_move.is_empty() {
            self.make_it_last(wanted, deadline).await;
            return Ok(());
        }
        if let Some(fault) = self.hopeless(&asked, wanted) {
            return Err(fault);
        }
        if let Some(fault) = self.moved_by_another(&asked, wanted) {
            return Err(fault);
        }
        let wrote = AtomicBool::new(false);
        let settle = |(address, known): &(_, BTreeSet<String>)| {
            let (address, known): (&Address, _) = (*address, known.clone());
            let wrote = &wrote;
            async move { instance::settle(address, &self.route, &wanted.shares, &known, deadline, wrote).await }
        };
        let outcomes = join_all(to_move.iter().map(settle)).await;
        worst(outcomes.into_iter().filter_map(Result::err), wrote.load(Ordering::Relaxed))?;
        self.make_it_last(wanted, deadline).await;
        Ok(())
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        if let Some(reason) = preflight::senseless(&self.route, &wanted.shares) {
            return Err(Fault::Invalid(reason));
        }
        let asked = self.survey(&[], false, self.deadline()).await;
        let mut seen = observe::picture(&asked, &self.route)?;
        seen.warnings.extend(self.doubts(wanted).await);
        Ok(self.judge(&asked, wanted, seen))
    }

    async fn check(&self) -> Vec<Check> {
        check::lines(&self.instances, &self.route, self.keep.as_ref(), self.deadline()).await
    }
}

fn nobody(wanted: &Move) -> Fault {
    Fault::Invalid(format!("no instance is left without {}", wanted.without.join(", ")))
}

/// Of several faults the one that asks for most care. An instance that can't be reached any more is no harmless
/// "unavailable" once anything was written.
fn worst(faults: impl Iterator<Item = Fault>, wrote: bool) -> Result<(), Fault> {
    let raised = faults.map(|fault| match fault {
        Fault::Unavailable(text) if wrote => Fault::Unknown(text),
        other => other,
    });
    let care = |fault: &Fault| match fault {
        Fault::Unknown(_) => 2,
        Fault::Unavailable(_) => 0,
        _ => 1,
    };
    raised.max_by_key(care).map_or(Ok(()), Err)
}
