//! What readings mean: one picture of all of them, what speaks against a move, how far it is, and the lines of
//! `lastgood check`.

use std::collections::BTreeMap;

use lastgood_core::{Shares, inventory::live::near};

use super::{Asked, Pool, Reading, Vendor};
use crate::{
    Check, Fault,
    traffic::{
        Capacity, Move, Observation, Progress,
        capacity::{self, Judgement},
        shares::spell,
    },
};

#[derive(Debug, Default)]
pub struct Findings {
    pub reasons: Vec<String>,
    pub warnings: Vec<String>,
}

fn readings<'a>(asked: &'a [Asked<'_>]) -> impl Iterator<Item = (&'a str, &'a Reading)> {
    asked.iter().filter_map(|one| Some((one.instance, one.answer.as_ref().ok()?)))
}

/// # Errors
/// The first fault when nobody answered, or when somebody answered that what is configured isn't there.
pub fn picture(asked: &[Asked<'_>]) -> Result<Observation, Fault> {
    for one in asked {
        if let Err(fault @ (Fault::NotFound(_) | Fault::Invalid(_))) = &one.answer {
            return Err(fault.clone());
        }
    }
    let mut seen = Observation::default();
    let mut first: Option<(&str, &Shares)> = None;
    let mut differing = Vec::new();
    for (instance, reading) in readings(asked) {
        for (pool, share) in &reading.shares {
            let most = seen.shares.entry(pool.clone()).or_default();
            *most = (*share).max(*most);
        }
        for (pool, one) in reading.capacity() {
            let least = seen.capacity.entry(pool).or_insert(one);
            *least = Capacity { alive: least.alive.min(one.alive), all: least.all.max(one.all) };
        }
        match first {
            None => first = Some((instance, &reading.shares)),
            Some((_, shares)) if near(shares, &reading.shares) => {}
            Some(_) => differing.push(format!("{instance} gives {}", spell(&reading.shares))),
        }
        seen.warnings.extend(remarks(instance, reading));
        seen.runs.extend(reading.runs.clone());
        seen.writer = seen.writer.or_else(|| reading.writer.clone());
    }
    let Some((instance, shares)) = first else {
        let fault = asked.iter().find_map(|one| one.answer.as_ref().err().cloned());
        return Err(fault.unwrap_or_else(|| Fault::Unavailable("no instance was asked".to_owned())));
    };
    seen.unreachable = asked.iter().filter_map(Asked::unreachable).collect();
    let torn = readings(asked).find_map(|(_, reading)| reading.torn.clone());
    seen.disagreement = (!differing.is_empty())
        .then(|| format!("{instance} gives {}, but {}", spell(shares), differing.join(", ")))
        .or(torn);
    Ok(seen)
}

/// What is not as it seems. That a restart would forget something is no news here: preflight and check say it.
fn remarks(instance: &str, reading: &Reading) -> Vec<String> {
    let strange = reading.strange.iter().map(|text| format!("{instance}: {text}"));
    let coming = reading.coming.iter().map(|(to, why)| format!("{instance} was told {}: {why}", spell(to)));
    strange.chain(coming).collect()
}

/// What one reading says about the move.
pub fn findings(reading: &Reading, wanted: &Shares) -> Findings {
    let reasons = reading.strange.iter().chain(&reading.torn).cloned().collect();
    let mut found = Findings { reasons, warnings: Vec::new() };
    if let Some((to, why)) = reading.coming.as_ref().filter(|(to, _)| !near(to, wanted)) {
        found.warnings.push(format!("it was told {} and has not taken that over: {why}", spell(to)));
    }
    for (name, share) in wanted {
        let Some(pool) = reading.pools.get(name) else { continue };
        match (&pool.missing, share) {
            (Some(missing), 0) => found.warnings.push(format!("pool {name}: {missing}")),
            (Some(missing), _) => found.reasons.push(format!("pool {name}: {missing}")),
            (None, 0) => {}
            (None, share) => of_capacity(reading, name, pool, *share, &mut found),
        }
    }
    found.warnings.extend(reading.cautions.iter().map(super::Caution::said));
    found
}

fn of_capacity(reading: &Reading, name: &str, pool: &Pool, share: u8, found: &mut Findings) {
    let asked = capacity::Asked {
        pool: name,
        usable: pool.alive,
        all: pool.all,
        carrying: reading.carrying(),
        share,
    };
    match capacity::judge(&asked) {
        Judgement::Enough => {}
        Judgement::Fewer(text) => found.warnings.push(text),
        Judgement::Refused(text) => found.reasons.push(text),
    }
    if pool.unchecked {
        let text = format!("pool {name}: nobody checks the health of its servers, so they may be dead");
        found.warnings.push(text);
    }
}

/// Why nothing may be written to this router although it was asked for.
pub fn forbids(instance: &str, reading: &Reading, wanted: &Move) -> Option<Fault> {
    if let Some(why) = reading.hopeless(&wanted.shares) {
        return Some(Fault::Invalid(format!("{instance}: {why}")));
    }
    let from = wanted.from.as_ref()?;
    // One write moves all of a router's traffic, so that a move which was cut off leaves nothing in between.
    let ours = |shares: &Shares| near(shares, from) || near(shares, &wanted.shares);
    let told = reading.coming.as_ref().is_none_or(|(to, _)| ours(to));
    if ours(&reading.shares) && told {
        return None;
    }
    let now = reading.coming.as_ref().map_or(&reading.shares, |(to, _)| to);
    Some(Fault::Conflict(format!("expected {}, but {instance} gives {}", spell(from), spell(now))))
}

/// Whether `wanted` came about, as far as the routers that take part tell.
pub fn progress(asked: &[Asked<'_>], wanted: &Move, seen: Observation) -> Progress {
    let part = || asked.iter().filter(|one| !wanted.without.iter().any(|left| left == one.instance));
    let mut waiting = Vec::new();
    for one in part() {
        let Ok(reading) = &one.answer else { continue };
        let name = one.instance;
        match &reading.coming {
            Some((to, why)) if near(to, &wanted.shares) => {
                // Some keep no record of what they give meanwhile.
                let still = match near(&reading.shares, to) {
                    true => why.clone(),
                    false => format!("still gives {}: {why}", spell(&reading.shares)),
                };
                waiting.push(format!("{name}: {still}"));
                continue;
            }
            Some((to, _)) => {
                let detail = format!("{name} was told {}", spell(to));
                return Progress::Failed { seen, detail };
            }
            None => {}
        }
        if let Some(torn) = &reading.torn {
            return Progress::Failed { seen, detail: format!("{name}: {torn}") };
        }
        if !near(&reading.shares, &wanted.shares) {
            let detail = format!("{name} gives {}", spell(&reading.shares));
            return Progress::Failed { seen, detail };
        }
        if let Some(why) = reading.hopeless(&wanted.shares) {
            let detail = format!("{name} routes as wanted, but {why}");
            return Progress::Failed { seen, detail };
        }
        if let Some(strange) = reading.strange.first() {
            let detail = format!("{name}: {strange}");
            return Progress::Failed { seen, detail };
        }
    }
    let silent: Vec<_> = part().filter_map(Asked::unreachable).map(|one| one.instance).collect();
    if !silent.is_empty() {
        waiting.push(format!("can't be asked: {}", silent.join(", ")));
    }
    if waiting.is_empty() {
        return Progress::Settled(seen);
    }
    Progress::Moving { seen, detail: waiting.join("; ") }
}

pub fn lines<V: Vendor>(vendor: &V, one: &Asked<'_>) -> Vec<Check> {
    let what = format!("{} {}", V::NAME, one.instance);
    let reading = match &one.answer {
        Ok(reading) => reading,
        Err(fault) => return vec![Check::bad(what, fault.to_string(), vendor.remedy(fault))],
    };
    let mut lines =
        vec![Check::good(what.clone(), format!("{}; {}", reading.router, spell(&reading.shares)))];
    for strange in &reading.strange {
        let advice = "put it into a pool here, or take it out there: until then a rollback would be refused";
        lines.push(Check::bad(format!("{what}: routing"), strange.clone(), advice));
    }
    if let Some((to, why)) = &reading.coming {
        let seen = format!("it was told {} and has not taken that over: {why}", spell(to));
        lines.push(Check::warning(format!("{what}: routing"), seen, "see its log"));
    }
    lines.extend(reading.pools.iter().map(|(name, pool)| of_pool(&what, name, pool)));
    for caution in &reading.cautions {
        let what = format!("{what}: restart");
        lines.push(Check::warning(what, caution.seen.clone(), caution.advice.clone()));
    }
    lines
}

fn of_pool(what: &str, name: &str, pool: &Pool) -> Check {
    let what = format!("{what}: pool {name}");
    let usable = format!("{} of {} servers can serve", pool.alive, pool.all);
    match pool {
        Pool { missing: Some(missing), .. } => {
            Check::bad(what, missing.clone(), "correct the name here or there")
        }
        Pool { alive: 0, .. } => Check::warning(what, usable, "a rollback to this pool would be refused"),
        Pool { unchecked: true, .. } => {
            let advice = "configure a health check for it there, so that a dead one is noticed";
            Check::warning(what, format!("{usable}, as far as is known"), advice)
        }
        _ => Check::good(what, usable),
    }
}

/// Pools and their shares, from weights by name: what has a weight and is in no pool is told.
pub fn by_pool<'a>(
    pools: &BTreeMap<String, String>,
    weights: impl Iterator<Item = (&'a str, u64)>,
    what: &str,
) -> (Shares, Vec<String>) {
    let mut sums: BTreeMap<String, u64> = pools.keys().map(|pool| (pool.clone(), 0)).collect();
    let mut strange = Vec::new();
    for (name, weight) in weights {
        match pools.iter().find(|(_, known)| known.as_str() == name) {
            Some((pool, _)) => *sums.entry(pool.clone()).or_default() += weight,
            None if weight > 0 => {
                strange.push(format!("{what} {name} has weight {weight} and is in no pool"))
            }
            None => {}
        }
    }
    (crate::traffic::shares::percent(sums), strange)
}
