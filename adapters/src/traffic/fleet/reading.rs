//! How one router routes, as read from it.

use std::collections::BTreeMap;

use lastgood_core::Shares;

use crate::traffic::{Capacity, Running};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The router's name and version, for people.
    pub router: String,
    /// What it really gives, every configured pool included.
    pub shares: Shares,
    pub pools: BTreeMap<String, Pool>,
    /// What keeps its routing from being a matter of these pools alone: "cluster old has weight 5 and is in no pool".
    pub strange: Vec<String>,
    /// The routing that it was told and does not give yet, with what is known of the reason.
    pub coming: Option<(Shares, String)>,
    /// When this routing would be lost, and what to do about it.
    pub cautions: Vec<Caution>,
    /// What identifies the configuration that was read. A write is bound to it.
    pub revision: String,
    /// Its own rules route differently, in words; `shares` then holds the largest that any of them gives.
    pub torn: Option<String>,
    /// What its pools run, where the router's own world knows.
    pub runs: BTreeMap<String, Running>,
    /// Who changed the routing last, where that is kept.
    pub writer: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// Can take traffic, as far as is known.
    pub alive: u32,
    pub all: u32,
    /// Configured here and not there, in words.
    pub missing: Option<String>,
    /// Nobody would notice if its servers were dead.
    pub unchecked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caution {
    pub seen: String,
    pub advice: String,
}

impl Caution {
    pub fn new(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { seen: seen.into(), advice: advice.into() }
    }

    pub fn said(&self) -> String {
        format!("{}; {}", self.seen, self.advice)
    }
}

impl Reading {
    pub fn capacity(&self) -> BTreeMap<String, Capacity> {
        self.pools.iter().map(|(name, p)| (name.clone(), Capacity { alive: p.alive, all: p.all })).collect()
    }

    /// Servers that the service's traffic is spread over now, the crashed ones included: the load was theirs too.
    pub fn carrying(&self) -> u32 {
        let share = |pool: &String| self.shares.get(pool).copied().unwrap_or(0);
        self.pools.iter().filter(|(name, _)| share(name) > 0).map(|(_, pool)| pool.all).sum()
    }

    /// Of the pools that are to get a share, what is not there or answers nobody.
    pub fn hopeless(&self, wanted: &Shares) -> Option<String> {
        wanted.iter().filter(|(_, share)| **share > 0).find_map(|(name, _)| match self.pools.get(name) {
            None => Some(format!("there is no pool {name}")),
            Some(Pool { missing: Some(missing), .. }) => Some(format!("pool {name}: {missing}")),
            Some(Pool { alive: 0, all, .. }) => {
                Some(format!("pool {name} is dead: none of its {all} servers can serve"))
            }
            Some(_) => None,
        })
    }
}
