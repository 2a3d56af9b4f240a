//! The inventory as the choice of a target wants it: the newest releases with what is known of each.

use std::collections::BTreeMap;

use lastgood_core::{
    At, Digest, Millis, RollbackId, ServiceId,
    inventory::{
        Phase, Release, Stability,
        choice::{InRegistry, Known},
        soak::{Span, longest_quiet},
    },
};

use super::images;
use crate::store::{self, Pool, Result, StoreError};

/// At most `limit` releases, newest first, and whether there may be more. An alert that was not told for `alert_expires`
/// milliseconds is no noise any more.
///
/// # Errors
/// As the store says.
pub async fn history(
    db: &Pool,
    service: &ServiceId,
    now: At,
    limit: i64,
    alert_expires: Millis,
) -> Result<(Vec<Known>, bool)> {
    let releases = store::releases::newest(db, service, limit).await?;
    let more = i64::try_from(releases.len()).is_ok_and(|n| n == limit);
    let oldest = releases.last().map_or(0, |r| r.at);
    let images = images::kept(db, service, &releases).await?;
    let mut newest_marks = store::releases::newest_marks(db, service, limit).await?;
    // An artifact that was marked by several of its digests: the last word counts.
    newest_marks.sort_by_key(|mark| mark.at);
    let marks: BTreeMap<Digest, Stability> = newest_marks
        .into_iter()
        .map(|mark| (images.artifact(&mark.digest).clone(), mark.stability))
        .collect();
    let mut blamed: BTreeMap<Digest, i64> = BTreeMap::new();
    for (digest, id) in store::rollbacks::blamed(db, service, limit).await? {
        let digest =
            Digest::try_from(digest).map_err(|e| StoreError::undecodable("what a rollback blamed", e))?;
        blamed.insert(images.artifact(&digest).clone(), id);
    }
    let silent_before = now - alert_expires;
    let mut noise = spans(store::alerts::firing_times(db, service, oldest, silent_before).await?, now);
    noise.extend(spans(store::rollbacks::activity(db, service, oldest).await?, now));
    let lives = sole_lives(&releases, now);
    let known = releases.into_iter().zip(lives).map(|(mut release, lived)| {
        let digest = images.artifact(&release.artifact.digest).clone();
        release.artifact.digest = digest.clone();
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
