//! The traffic port on the demo's switch: reads and writes the switch directly, as the other adapters do theirs.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use lastgood_adapters::{
    Check, Fault,
    traffic::{Capacity, Move, Observation, Preflight, Progress, Said, Shifter},
};
use lastgood_core::Shares;

use super::{GREEN, Switch};

pub struct SwitchShifter {
    switch: Arc<Switch>,
}

impl SwitchShifter {
    pub(super) fn new(switch: Arc<Switch>) -> Self {
        Self { switch }
    }

    async fn read(&self) -> Observation {
        let mut capacity = BTreeMap::new();
        for pool in &self.switch.pools {
            let all = u32::try_from(pool.servers.len()).unwrap_or(u32::MAX);
            capacity.insert(pool.name.to_owned(), Capacity { alive: self.switch.alive(pool).await, all });
        }
        // Shares last: they are what a decision is made on.
        Observation { shares: self.switch.shares(), capacity, ..Observation::default() }
    }

    /// Green's share in a move that makes sense; otherwise why it makes none.
    fn green(&self, wanted: &Move) -> Result<u8, String> {
        let known = |pool: &&String| self.switch.pools.iter().any(|known| known.name == pool.as_str());
        if let Some(unknown) = wanted.shares.keys().find(|pool| !known(pool)) {
            return Err(format!("the switch has no pool {unknown:?}"));
        }
        let sum: u32 = wanted.shares.values().copied().map(u32::from).sum();
        if sum != 100 {
            return Err(format!("shares add up to {sum} %, not to 100 %"));
        }
        Ok(wanted.shares.get(GREEN).copied().unwrap_or(0))
    }

    /// A pool that is not named gets nothing.
    fn complete(&self, wanted: &Move) -> Shares {
        let pools = self.switch.pools.iter().map(|pool| pool.name);
        pools.map(|pool| (pool.to_owned(), wanted.shares.get(pool).copied().unwrap_or(0))).collect()
    }
}

/// Why pools that would get more can't take it. All servers that carry traffic now count as needed: what is about to
/// carry all of it must be as big.
fn too_small(seen: &Observation, wanted: &Shares) -> Vec<String> {
    let share = |shares: &Shares, pool: &str| shares.get(pool).copied().unwrap_or(0);
    let carrying: u32 = seen
        .capacity
        .iter()
        .filter(|(pool, _)| share(&seen.shares, pool) > 0)
        .map(|(_, capacity)| capacity.alive)
        .sum();
    let gains = |pool: &String| share(wanted, pool) > share(&seen.shares, pool);
    seen.capacity
        .iter()
        .filter(|(pool, _)| gains(pool))
        .filter_map(|(pool, capacity)| match capacity.alive {
            0 => Some(format!("none of the {} servers of pool {pool} answers", capacity.all)),
            alive if share(wanted, pool) == 100 && alive < carrying => {
                Some(format!("pool {pool} has {alive} servers, {carrying} carry the traffic now"))
            }
            _ => None,
        })
        .collect()
}

#[async_trait]
impl Shifter for SwitchShifter {
    async fn observe(&self) -> Result<Observation, Fault> {
        Ok(self.read().await)
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        if let Err(reason) = self.green(wanted) {
            return Ok(Preflight::Refused { reasons: vec![reason] });
        }
        let shares = self.complete(wanted);
        let seen = self.read().await;
        if seen.shares == shares && self.switch.wanted() == shares {
            return Ok(Preflight::AlreadyThere);
        }
        let reasons = too_small(&seen, &shares);
        if reasons.is_empty() {
            Ok(Preflight::Ready { warnings: Vec::new() })
        } else {
            Ok(Preflight::Refused { reasons })
        }
    }

    async fn apply(&self, wanted: &Move, _: &Said) -> Result<(), Fault> {
        let green = self.green(wanted).map_err(Fault::Invalid)?;
        self.switch.want(green);
        Ok(())
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        self.green(wanted).map_err(Fault::Invalid)?;
        let shares = self.complete(wanted);
        let turning_to = self.switch.wanted();
        let seen = self.read().await;
        let detail = said(&seen.shares);
        Ok(if turning_to != shares {
            Progress::Failed {
                seen,
                detail: format!("{detail}; the switch was set to {}", said(&turning_to)),
            }
        } else if seen.shares == shares {
            Progress::Settled(seen)
        } else {
            Progress::Moving { seen, detail }
        })
    }

    async fn check(&self) -> Vec<Check> {
        vec![Check::good("switch", said(&self.switch.shares()))]
    }
}

/// `blue 35 %, green 65 %`.
fn said(shares: &Shares) -> String {
    shares.iter().map(|(pool, share)| format!("{pool} {share} %")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(blue: (u8, u32), green: (u8, u32)) -> Observation {
        let pools = [("blue", blue), ("green", green)];
        Observation {
            shares: pools.iter().map(|(pool, (share, _))| ((*pool).to_owned(), *share)).collect(),
            capacity: pools
                .iter()
                .map(|(pool, (_, alive))| ((*pool).to_owned(), Capacity { alive: *alive, all: 2 }))
                .collect(),
            ..Observation::default()
        }
    }

    #[test]
    fn a_target_must_be_alive_and_as_big() {
        let back = Shares::from([("blue".into(), 100), ("green".into(), 0)]);
        assert_eq!(too_small(&seen((0, 2), (100, 2)), &back), Vec::<String>::new());
        assert_eq!(too_small(&seen((0, 0), (100, 2)), &back), ["none of the 2 servers of pool blue answers"]);
        assert_eq!(
            too_small(&seen((0, 1), (100, 2)), &back),
            ["pool blue has 1 servers, 2 carry the traffic now"]
        );
    }
}
