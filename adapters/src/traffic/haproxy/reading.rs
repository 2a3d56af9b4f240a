//! How one HAProxy process routes, whatever the means (a map entry, or weights): asked in one session, then judged
//! without asking further.

use std::collections::BTreeMap;

use lastgood_core::Shares;

use super::{
    config::{Route, Switch, Weights},
    socket::Session,
    state::{self, Habit, Server},
    weigh,
};
use crate::{
    Fault,
    traffic::{Capacity, shares::percent},
};

/// Percentage points that shares other than 0 and 100 may be off: weights are whole numbers.
const TOLERANCE: u8 = 1;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// The process that answered.
    pub process: String,
    pub version: String,
    /// What the socket allows: `user`, `operator` or `admin`.
    pub level: String,
    pub pools: BTreeMap<String, Pool>,
    /// Map: the values of the entry. More than one is a mistake that HAProxy allows; it uses the first.
    pub entry: Vec<String>,
    /// Weights: servers of the backend that are in no pool.
    pub strangers: Vec<Server>,
    pub habits: Vec<Habit>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pool {
    pub servers: Vec<Server>,
    /// Configured here but not there: backends (map) or servers (weights).
    pub missing: Vec<String>,
}

/// What `take` asks, as far as that does not depend on the answers.
pub fn questions(route: &Route) -> Vec<String> {
    let mut questions = vec!["show info".to_owned(), "show cli level".to_owned()];
    match route {
        Route::Map(switch) => {
            questions.extend([format!("show map {}", switch.map), "show backend".to_owned()]);
            questions.extend(switch.pools.values().map(|backend| format!("show servers state {backend}")));
        }
        Route::Weights(weights) => questions.push(format!("show servers state {}", weights.backend)),
    }
    questions
}

impl Reading {
    /// `deep` also asks for what only preflight and check need.
    ///
    /// # Errors
    /// `Unavailable` when answers stop; `NotFound`, `Denied`, `Invalid` when the map or the backend can't be read.
    pub async fn take(session: &mut Session, route: &Route, deep: bool) -> Result<Self, Fault> {
        let info = session.ask("show info").await?;
        let Some(process) = state::info(&info, "Pid") else {
            return Err(session.refused("show info", &info));
        };
        let mut reading = Self {
            process: process.to_owned(),
            version: state::info(&info, "Version").unwrap_or("of unknown version").to_owned(),
            level: session.ask("show cli level").await?,
            pools: BTreeMap::new(),
            entry: Vec::new(),
            strangers: Vec::new(),
            habits: Vec::new(),
        };
        match route {
            Route::Map(switch) => reading.take_map(session, switch).await?,
            Route::Weights(weights) => reading.take_weights(session, weights, deep).await?,
        }
        Ok(reading)
    }

    async fn take_map(&mut self, session: &mut Session, switch: &Switch) -> Result<(), Fault> {
        let question = format!("show map {}", switch.map);
        let answer = session.ask(&question).await?;
        self.entry =
            state::entries(&answer, &switch.key).ok_or_else(|| session.refused(&question, &answer))?;
        let backends = session.ask("show backend").await?;
        for (pool, backend) in &switch.pools {
            let mut found = Pool::default();
            if backends.lines().any(|line| line.trim() == backend) {
                found.servers = servers(session, backend).await?;
            } else {
                found.missing.push(backend.clone());
            }
            self.pools.insert(pool.clone(), found);
        }
        Ok(())
    }

    async fn take_weights(
        &mut self,
        session: &mut Session,
        weights: &Weights,
        deep: bool,
    ) -> Result<(), Fault> {
        let mut found = servers(session, &weights.backend).await?;
        for (pool, names) in &weights.pools {
            let mut members = Pool::default();
            for name in names {
                match found.iter().position(|server| server.name == *name) {
                    Some(at) => members.servers.push(found.remove(at)),
                    None => members.missing.push(name.clone()),
                }
            }
            self.pools.insert(pool.clone(), members);
        }
        self.strangers = found;
        if deep {
            // 4: servers, -1: all of them.
            self.habits = state::habits(&session.ask(&format!("show stat {} 4 -1", weights.backend)).await?);
        }
        Ok(())
    }

    /// Who gets which share, by what the servers are assigned, up or not: a server that crashes has not been moved by anybody,
    /// and a canary that is down is all the more the one to look at. Who is down is a matter of capacity.
    pub fn shares(&self, route: &Route) -> Shares {
        match route {
            Route::Map(switch) => {
                let named = self.named(switch);
                self.pools
                    .keys()
                    .map(|pool| (pool.clone(), if named == Some(pool) { 100 } else { 0 }))
                    .collect()
            }
            Route::Weights(_) => {
                let sum = |pool: &Pool| {
                    pool.servers.iter().filter(|s| s.assigned()).map(|s| u64::from(s.weight)).sum::<u64>()
                };
                percent(self.pools.iter().map(|(name, pool)| (name.clone(), sum(pool))).collect())
            }
        }
    }

    /// The pool whose backend the map entry names, if there is such a backend: a name without one serves nothing.
    fn named<'a>(&'a self, switch: &'a Switch) -> Option<&'a String> {
        let value = self.entry.first()?;
        let (pool, _) = switch.pools.iter().find(|(_, backend)| *backend == value)?;
        self.pools.get(pool).filter(|found| found.missing.is_empty()).map(|_| pool)
    }

    pub fn capacity(&self, route: &Route) -> BTreeMap<String, Capacity> {
        let of = |pool: &Pool| {
            // A switch leaves weights as they are: there, weight 0 is a server that can't take traffic.
            let alive = |server: &&Server| match route {
                Route::Map(_) => server.serves(),
                Route::Weights(_) => server.alive(),
            };
            Capacity { alive: count(pool.servers.iter().filter(alive)), all: count(pool.servers.iter()) }
        };
        self.pools.iter().map(|(name, pool)| (name.clone(), of(pool))).collect()
    }

    /// Servers of `pool` that carry traffic once it is moved there.
    pub fn usable(&self, route: &Route, pool: &str) -> u32 {
        let can = |server: &&Server| match route {
            Route::Map(_) => server.serves(),
            Route::Weights(_) => server.can_be_raised(),
        };
        self.pools.get(pool).map_or(0, |pool| count(pool.servers.iter().filter(can)))
    }

    /// Servers that the service's traffic is spread over now. Those that crashed count: the load was theirs too.
    pub fn carrying(&self, route: &Route) -> u32 {
        let assigned = |pool: &Pool| count(pool.servers.iter().filter(|server| server.assigned()));
        match route {
            Route::Map(switch) => {
                self.named(switch).and_then(|pool| self.pools.get(pool)).map_or(0, assigned)
            }
            Route::Weights(_) => {
                let strangers = count(self.strangers.iter().filter(|server| server.assigned()));
                self.pools.values().map(assigned).sum::<u32>() + strangers
            }
        }
    }

    /// Whether nothing has to be written for `wanted`. Says nothing about health.
    pub fn is(&self, route: &Route, wanted: &Shares) -> bool {
        match route {
            Route::Map(switch) => {
                let target = wanted.iter().find(|(_, share)| **share == 100).map(|(pool, _)| pool);
                let settled = self.entry.windows(2).all(|pair| pair[0] == pair[1]);
                target.is_some() && settled && self.named(switch) == target
            }
            Route::Weights(_) => {
                let shares = self.shares(route);
                self.pools.iter().all(|(name, pool)| {
                    let share = wanted.get(name).copied().unwrap_or(0);
                    let near = shares.get(name).is_some_and(|now| now.abs_diff(share) <= TOLERANCE);
                    weigh::fits(pool, share) && (near || matches!(share, 0 | 100))
                })
            }
        }
    }

    /// What makes it `wanted`: whoever gets more first and, once that was taken, whoever gets less.
    pub fn commands(&self, route: &Route, wanted: &Shares) -> [Vec<String>; 2] {
        match route {
            Route::Map(switch) => {
                let target = wanted.iter().find(|(_, share)| **share == 100).map(|(pool, _)| pool);
                let Some(backend) = target.and_then(|pool| switch.pools.get(pool)) else {
                    return [Vec::new(), Vec::new()];
                };
                // `set` on an absent entry is refused, `add` on a present one makes a double.
                let verb = if self.entry.is_empty() { "add" } else { "set" };
                [vec![format!("{verb} map {} {} {backend}", switch.map, switch.key)], Vec::new()]
            }
            Route::Weights(weights) => weigh::commands(&weights.backend, &self.pools, wanted),
        }
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

async fn servers(session: &mut Session, backend: &str) -> Result<Vec<Server>, Fault> {
    let question = format!("show servers state {backend}");
    let answer = session.ask(&question).await?;
    state::servers(&answer).ok_or_else(|| session.refused(&question, &answer))
}
