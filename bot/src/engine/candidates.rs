//! The inventory as the choice of a target wants it: the newest releases with what is known of each.

use std::collections::BTreeMap;

use lastgood_core::{
    At, RollbackId, ServiceId,
    inventory::{
        Phase, Release, Stability,
        choice::{InRegistry, Known},
        soak::{Span, longest_quiet},
    },
};

use crate::store::{self, Pool, Result};

/// At most `limit` releases, newest first, and whether there may be more.
///
/// # Errors
/// As the store says.
pub async fn history(db: &Pool, service: &ServiceId, now: At, limit: i64) -> Result<(Vec<Known>, bool)> {
    let releases = store::releases::newest(db, service, limit).await?;
    let more = i64::try_from(releases.len()).is_ok_and(|n| n == limit);
    let oldest = releases.last().map_or(0, |r| r.at);
    let marks: BTreeMap<String, Stability> = store::releases::newest_marks(db, service, limit)
        .await?
        .into_iter()
        .map(|mark| (mark.digest.to_string(), mark.stability))
        .collect();
    let blamed: BTreeMap<String, i64> =
        store::rollbacks::blamed(db, service, limit).await?.into_iter().collect();
    let mut noise = spans(store::alerts::firing_times(db, service, oldest).await?, now);
    noise.extend(spans(store::rollbacks::activity(db, service, oldest).await?, now));
    let lives = sole_lives(&releases, now);
    let known = releases.into_iter().zip(lives).map(|(release, lived)| {
        let digest = release.artifact.digest.to_string();
        Known {
            stability: marks.get(&digest).cloned().unwrap_or_default(),
            rolled_back_by: blamed.get(&digest).map(|id| RollbackId(*id)),
            soaked: lived.map_or(0, |lived| longest_quiet(lived, &noise)),
            registry: InRegistry::NotAsked,
            release,
        }
    });
    Ok((known.collect(), more))
}

fn spans(times: Vec<(At, Option<At>)>, now: At) -> Vec<Span> {
    times.into_iter().map(|(from, to)| Span { from, to: to.unwrap_or(now).min(now) }).collect()
}

/// From its record to the next one that took traffic: a canary of something newer ends being alone, too.
fn sole_lives(newest_first: &[Release], now: At) -> Vec<Option<Span>> {
    let mut next = now;
    newest_first
        .iter()
        .map(|release| {
            if release.phase == Phase::Preview {
                return None;
            }
            let span = Span { from: release.at, to: next };
            next = release.at;
            (release.phase == Phase::Live).then_some(span)
        })
        .collect()
}
