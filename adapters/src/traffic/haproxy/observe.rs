//! Many readings, one picture.

use std::collections::BTreeMap;

use lastgood_core::Shares;

use super::{
    config::{Address, Route},
    reading::Reading,
};
use crate::{
    Fault,
    traffic::{Capacity, Observation, Unreachable, shares::spell},
};

/// What came of asking one instance.
pub(super) struct Asked<'a> {
    pub address: &'a Address,
    pub answer: Result<Vec<Reading>, Fault>,
}

impl Asked<'_> {
    /// Why it could not be asked; an instance that answered nonsense is not unreachable.
    pub fn unreachable(&self) -> Option<Unreachable> {
        match &self.answer {
            Err(Fault::NotFound(_) | Fault::Invalid(_)) | Ok(_) => None,
            Err(fault) => Some(Unreachable { instance: self.address.to_string(), detail: fault.to_string() }),
        }
    }

    /// Its readings, each with a name for people: several processes behind one address are told apart.
    pub fn named(&self) -> Vec<(String, &Reading)> {
        let readings = self.answer.as_deref().unwrap_or_default();
        let name = |reading: &Reading| match readings {
            [_] => self.address.to_string(),
            _ => format!("{} (process {})", self.address, reading.process),
        };
        readings.iter().map(|reading| (name(reading), reading)).collect()
    }
}

/// # Errors
/// The first fault when nobody answered, or when somebody answered that the map or backend isn't there.
pub(super) fn picture(asked: &[Asked<'_>], route: &Route) -> Result<Observation, Fault> {
    for one in asked {
        if let Err(fault @ (Fault::NotFound(_) | Fault::Invalid(_))) = &one.answer {
            return Err(fault.clone());
        }
    }
    let readings: Vec<_> = asked.iter().flat_map(Asked::named).collect();
    if readings.is_empty() {
        let fault = asked.iter().find_map(|one| one.answer.as_ref().err().cloned());
        return Err(fault.unwrap_or_else(|| Fault::Unavailable("no instance was asked".to_owned())));
    }
    let mut shares = Shares::new();
    let mut capacity: BTreeMap<String, Capacity> = BTreeMap::new();
    for (_, reading) in &readings {
        for (pool, share) in reading.shares(route) {
            let most = shares.entry(pool).or_default();
            *most = share.max(*most);
        }
        for (pool, one) in reading.capacity(route) {
            let seen = capacity.entry(pool).or_insert(one);
            *seen = Capacity { alive: seen.alive.min(one.alive), all: seen.all.max(one.all) };
        }
    }
    let unreachable = asked.iter().filter_map(Asked::unreachable).collect();
    Ok(Observation {
        shares,
        capacity,
        unreachable,
        disagreement: disagreement(&readings, route),
        ..Observation::default()
    })
}

fn disagreement(readings: &[(String, &Reading)], route: &Route) -> Option<String> {
    let (first, others) = readings.split_first()?;
    let shares = first.1.shares(route);
    let differing: Vec<_> = others
        .iter()
        .filter(|(_, reading)| reading.shares(route) != shares)
        .map(|(name, reading)| format!("{name} gives {}", spell(&reading.shares(route))))
        .collect();
    (!differing.is_empty())
        .then(|| format!("{} gives {}, but {}", first.0, spell(&shares), differing.join(", ")))
}
