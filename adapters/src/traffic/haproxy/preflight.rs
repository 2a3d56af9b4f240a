//! What speaks against a move, found before anything is changed.

use lastgood_core::Shares;

use super::{config::Route, reading::Reading};
use crate::traffic::{
    capacity::{Asked, Judgement, judge},
    shares,
};

#[derive(Debug, Default, PartialEq)]
pub(super) struct Findings {
    pub reasons: Vec<String>,
    pub warnings: Vec<String>,
}

/// Why `wanted` makes no sense for this configuration, whatever the world is like.
pub(super) fn senseless(route: &Route, wanted: &Shares) -> Option<String> {
    if let Some(reason) = shares::senseless(&route.pools(), wanted) {
        return Some(reason);
    }
    if matches!(route, Route::Map(_)) && wanted.values().any(|share| !matches!(share, 0 | 100)) {
        return Some("a map entry names one backend: it can't split traffic; use `weights`".to_owned());
    }
    None
}

/// What one process's reading says about the move.
pub(super) fn findings(route: &Route, reading: &Reading, wanted: &Shares) -> Findings {
    let mut found = Findings::default();
    match route {
        Route::Map(switch) => {
            let named = reading.entry.first();
            match named {
                None => found.warnings.push(format!(
                    "{} has no entry {} now: the map's default serves, and undo can't bring that back",
                    switch.map, switch.key
                )),
                Some(other) if !switch.pools.values().any(|backend| backend == other) => {
                    found.warnings.push(format!(
                        "{} sends {} to {other} now, which is in no pool: undo can't bring that back",
                        switch.map, switch.key
                    ))
                }
                Some(_) => {}
            }
        }
        Route::Weights(_) => habits(reading, &mut found),
    }
    for (pool, share) in wanted {
        missing(route, reading, pool, *share, &mut found);
        if *share > 0 {
            capacity(route, reading, pool, *share, &mut found);
        }
    }
    found
}

fn habits(reading: &Reading, found: &mut Findings) {
    // `set server` needs more than the level; maps may be set at every level (2.6).
    if reading.level != "admin" {
        found.reasons.push(format!(
            "the socket's level is {:?}; changing weights needs \"admin\" (stats socket … level admin)",
            reading.level
        ));
    }
    for stranger in reading.strangers.iter().filter(|server| server.assigned()) {
        found.reasons.push(format!("server {} carries traffic but is in no pool", stranger.name));
    }
    let ours =
        |name: &str| reading.pools.values().flat_map(|pool| &pool.servers).any(|server| server.name == name);
    for backup in reading.habits.iter().filter(|habit| habit.backup && ours(&habit.name)) {
        found.reasons.push(format!("server {} is a backup: its weight decides nothing", backup.name));
    }
    let sticky: Vec<_> = reading
        .habits
        .iter()
        .filter(|habit| habit.sticky && ours(&habit.name))
        .map(|h| h.name.as_str())
        .collect();
    if !sticky.is_empty() {
        found
            .warnings
            .push(format!("clients stick to {} by cookie: those stay where they are", sticky.join(", ")));
    }
}

fn missing(route: &Route, reading: &Reading, pool: &str, share: u8, found: &mut Findings) {
    let kind = match route {
        Route::Map(_) => "backend",
        Route::Weights(_) => "server",
    };
    for name in reading.pools.get(pool).iter().flat_map(|pool| &pool.missing) {
        let text = format!("pool {pool}: HAProxy has no {kind} {name}");
        if share > 0 { found.reasons.push(text) } else { found.warnings.push(text) }
    }
}

fn capacity(route: &Route, reading: &Reading, pool: &str, share: u8, found: &mut Findings) {
    let Some(members) = reading.pools.get(pool).filter(|pool| !pool.servers.is_empty()) else {
        if reading.pools.get(pool).is_some_and(|pool| pool.missing.is_empty()) {
            found.reasons.push(format!("pool {pool} has no server"));
        }
        return;
    };
    let (usable, carrying) = (reading.usable(route, pool), reading.carrying(route));
    let all = u32::try_from(members.servers.len()).unwrap_or(u32::MAX);
    match judge(&Asked { pool, usable, all, carrying, share }) {
        Judgement::Enough => {}
        Judgement::Fewer(text) => found.warnings.push(text),
        Judgement::Refused(text) => found.reasons.push(text),
    }
    let kept = members.servers.iter().filter(|server| server.in_maintenance()).map(|s| s.name.as_str());
    let kept: Vec<_> = kept.collect();
    if usable > 0 && !kept.is_empty() {
        found.warnings.push(format!("pool {pool}: {} stays in maintenance", kept.join(", ")));
    }
    let unchecked: Vec<_> = members.servers.iter().filter(|s| !s.checked).map(|s| s.name.as_str()).collect();
    if !unchecked.is_empty() {
        let names = unchecked.join(", ");
        found
            .warnings
            .push(format!("pool {pool}: HAProxy does not check the health of {names}, so it may be dead"));
    }
}
