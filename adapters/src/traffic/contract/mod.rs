//! The contract with shifters of the user's own, whether they are a program (`exec`) or a server (`http`): one request, one
//! answer, both JSON, with a version. `docs/adapters.md` describes it for those who write one.

mod answer;
mod wire;

use std::collections::BTreeSet;

use lastgood_core::{Artifact, Digest, Shares, Strategy};

pub use self::{
    answer::Answer,
    wire::{Complaint, Operation, Request},
};
use super::{Move, Observation, Preflight, Progress, shares};
use crate::{Check, Fault};

/// Of the contract. A shifter that does not know it refuses.
pub const VERSION: u32 = 1;

/// What both kinds of transport know of the service.
#[derive(Debug, Clone)]
pub struct Service {
    pub name: String,
    /// Empty: the shifter replaces what runs, and what runs stands in the place of pools, named by its digest.
    pub pools: Vec<String>,
}

impl Service {
    pub fn request<'a>(&'a self, operation: Operation, wanted: Option<&'a Move>) -> Request<'a> {
        Request { version: VERSION, operation, service: &self.name, pools: &self.pools, wanted }
    }

    /// # Errors
    /// `Invalid` for an answer that makes no sense.
    pub fn observation(&self, answer: &Answer) -> Result<Observation, Fault> {
        let mut seen = answer.observation()?;
        self.sensible(&seen)?;
        seen.fluid = self.replaces();
        Ok(seen)
    }

    /// Whether going back means that something else is made to run, and not that traffic moves between pools.
    fn replaces(&self) -> bool {
        self.pools.is_empty()
    }

    /// The name under which answers show an artifact, where what runs is replaced.
    pub fn pool_of(&self, artifact: &Artifact) -> Option<String> {
        self.replaces().then(|| artifact.digest.short().to_owned())
    }

    /// # Errors
    /// As `observation`.
    pub fn progress(&self, answer: &Answer) -> Result<Progress, Fault> {
        let mut progress = answer.progress()?;
        let (Progress::Settled(seen)
        | Progress::Moving { seen, .. }
        | Progress::Stuck { seen, .. }
        | Progress::Failed { seen, .. }) = &mut progress;
        self.sensible(seen)?;
        seen.fluid = self.replaces();
        Ok(progress)
    }

    /// # Errors
    /// As `observation`.
    pub fn preflight(&self, answer: &Answer) -> Result<Preflight, Fault> {
        answer.preflight()
    }

    /// Why a move makes no sense for these pools. A shifter is not bothered with one that does not.
    pub fn senseless(&self, wanted: &Move) -> Option<String> {
        let pools: Vec<&str> = self.pools.iter().map(String::as_str).collect();
        if pools.is_empty() { None } else { shares::senseless(&pools, &wanted.shares) }
    }

    /// What `runs` says has to fit the shares. Where what runs is replaced, a target is found again by its name: the name is the
    /// digest's first twelve digits.
    fn named_by_what_runs(&self, seen: &Observation) -> Result<(), String> {
        for (name, running) in &seen.runs {
            if !seen.shares.contains_key(name) {
                return Err(format!("it tells what {name} runs, and has no share for it"));
            }
            let Some(digest) = &running.digest else { continue };
            let digest: Digest = digest.parse().map_err(|error| format!("of what {name} runs: {error}"))?;
            if self.replaces() && digest.short() != name {
                return Err(format!(
                    "what runs is named by the first twelve digits of its digest: {} and not {name}",
                    digest.short()
                ));
            }
        }
        let told = |name: &String| seen.runs.get(name).is_some_and(|running| running.digest.is_some());
        match seen.shares.keys().find(|name| self.replaces() && !told(name)) {
            Some(name) => Err(format!("it does not tell what {name} is: `runs` has no digest of it")),
            None => Ok(()),
        }
    }

    /// Shares decide what is done at night: they are believed only when they can be true.
    fn sensible(&self, seen: &Observation) -> Result<(), Fault> {
        let known: BTreeSet<&str> = self.pools.iter().map(String::as_str).collect();
        let told: BTreeSet<&str> = seen.shares.keys().map(String::as_str).collect();
        if !known.is_empty() && known != told {
            let names = |of: &BTreeSet<&str>| of.iter().copied().collect::<Vec<_>>().join(", ");
            let why = format!("its shares are of {}, and the pools are {}", names(&told), names(&known));
            return Err(Fault::Invalid(why));
        }
        self.named_by_what_runs(seen).map_err(Fault::Invalid)?;
        let sum = |shares: &Shares| shares.values().map(|share| u32::from(*share)).sum::<u32>();
        match (sum(&seen.shares), seen.disagreement.is_some(), seen.shares.values().any(|share| *share > 100))
        {
            (0 | 100, _, false) | (_, true, false) => Ok(()),
            (sum, ..) => Err(Fault::Invalid(format!("its shares add up to {sum} %, not to 100 %"))),
        }
    }
}

/// Blue/green and canary need pools to move between; a rolling update has none.
pub fn pools_for(strategy: Strategy, pools: &[String]) -> Option<String> {
    match strategy {
        Strategy::Rolling if pools.is_empty() => None,
        Strategy::Rolling => Some(
            "a rolling update replaces what runs, and moves no traffic between pools: leave `pools` out (the shifter names what \
             runs by its digest, see docs/adapters.md), or use \"blue-green\" or \"canary\""
                .to_owned(),
        ),
        Strategy::BlueGreen | Strategy::Canary if pools.len() >= 2 => None,
        Strategy::BlueGreen | Strategy::Canary => {
            Some("name two pools or more: traffic is moved between them".to_owned())
        }
    }
}

/// The line of `lastgood check`.
pub fn checked(what: String, seen: Result<Observation, Fault>) -> Check {
    match seen {
        Ok(seen) => {
            let gives = shares::spell(&seen.shares);
            let dead = |(pool, capacity): (&String, &super::Capacity)| {
                (capacity.alive == 0).then(|| format!("no server of pool {pool} can serve"))
            };
            let dead = seen.capacity.iter().find_map(dead);
            match seen.disagreement.into_iter().chain(seen.warnings).chain(dead).next() {
                Some(warning) => Check::warning(what, format!("{gives}; {warning}"), "see its own log"),
                None => Check::good(what, gives),
            }
        }
        Err(fault) => {
            let advice = match &fault {
                Fault::NotFound(_) => "is that its whole path or address?",
                Fault::Denied(_) => "may lastgood's user run or ask it, and is the secret the right one?",
                Fault::Invalid(_) => "compare its answer with the contract in docs/adapters.md",
                _ => "run it by hand with {\"version\":1,\"operation\":\"observe\"}",
            };
            Check::bad(what, fault.to_string(), advice)
        }
    }
}
