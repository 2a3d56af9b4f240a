//! The contract with shifters of the user's own, whether they are a program (`exec`) or a server (`http`): one request, one
//! answer, both JSON, with a version. `docs/adapters.md` describes it for those who write one.

mod answer;
mod wire;

use std::collections::BTreeSet;

use lastgood_core::{Shares, Strategy};

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
    /// Empty: only the shifter knows them.
    pub pools: Vec<String>,
}

impl Service {
    pub fn request<'a>(&'a self, operation: Operation, wanted: Option<&'a Move>) -> Request<'a> {
        Request { version: VERSION, operation, service: &self.name, pools: &self.pools, wanted }
    }

    /// # Errors
    /// `Invalid` for an answer that makes no sense.
    pub fn observation(&self, answer: &Answer) -> Result<Observation, Fault> {
        let seen = answer.observation()?;
        self.sensible(&seen)?;
        Ok(seen)
    }

    /// # Errors
    /// As `observation`.
    pub fn progress(&self, answer: &Answer) -> Result<Progress, Fault> {
        let progress = answer.progress()?;
        let (Progress::Settled(seen)
        | Progress::Moving { seen, .. }
        | Progress::Stuck { seen, .. }
        | Progress::Failed { seen, .. }) = &progress;
        self.sensible(seen)?;
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

    /// Shares decide what is done at night: they are believed only when they can be true.
    fn sensible(&self, seen: &Observation) -> Result<(), Fault> {
        let known: BTreeSet<&str> = self.pools.iter().map(String::as_str).collect();
        let told: BTreeSet<&str> = seen.shares.keys().map(String::as_str).collect();
        if !known.is_empty() && known != told {
            let names = |of: &BTreeSet<&str>| of.iter().copied().collect::<Vec<_>>().join(", ");
            let why = format!("its shares are of {}, and the pools are {}", names(&told), names(&known));
            return Err(Fault::Invalid(why));
        }
        let sum = |shares: &Shares| shares.values().map(|share| u32::from(*share)).sum::<u32>();
        match (sum(&seen.shares), seen.disagreement.is_some(), seen.shares.values().any(|share| *share > 100))
        {
            (0 | 100, _, false) | (_, true, false) => Ok(()),
            (sum, ..) => Err(Fault::Invalid(format!("its shares add up to {sum} %, not to 100 %"))),
        }
    }
}

/// Blue/green and canary need pools to move between.
pub fn pools_for(strategy: Strategy, pools: &[String]) -> Option<String> {
    match strategy {
        Strategy::Rolling => None,
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
