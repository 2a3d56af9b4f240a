//! Which release the trouble is about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Origin, Phase, Release,
    choice::{Known, Question},
};
use crate::{Artifact, At, Digest, Millis, words::spell};

/// The release that the trouble is about, as far as records and traffic tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    pub artifact: Artifact,
    /// When it went live, where a record says so.
    pub since: Option<At>,
    pub share: u8,
    pub url: Option<String>,
    pub by: Option<String>,
}

/// Records come late: pipelines write them when they have finished. One that came within this time after the alert began may well
/// tell of what the alert is about.
const LATE_RECORD: Millis = 10 * 60_000;

/// The newest release that was live when the alert began. What a rollback of ours brought back was released when it was first
/// recorded, and what never carried traffic broke nothing.
pub(super) fn suspected(question: &Question<'_>, live: &BTreeMap<&Digest, u8>) -> Option<usize> {
    let releases = || {
        let told = question.history.iter().enumerate();
        told.filter(|(_, k)| k.release.phase != Phase::Preview && k.release.origin == Origin::Recorded)
    };
    let serving = |known: &Known| live.contains_key(&known.release.artifact.digest);
    let (newest, known) = releases().find(|(_, known)| serving(known))?;
    let Some(began) = question.alert_since else { return Some(newest) };
    let in_time = |known: &Known| known.release.at <= began.saturating_add(LATE_RECORD);
    if in_time(known) {
        return Some(newest);
    }
    // What is live now came after the trouble had begun: a hotfix, unless nothing else can have caused it. Who was live then, the
    // records of our own rollbacks tell as well; a canary may have been withdrawn since.
    let then = question.history.iter().enumerate().find(|(_, known)| {
        let served = match known.release.phase {
            Phase::Live => true,
            Phase::Canary => serving(known),
            Phase::Preview => false,
        };
        served && in_time(known)
    });
    let recent = |known: &Known| began.saturating_sub(known.release.at) <= question.suspect_within;
    let culprit = then.filter(|(_, known)| recent(known)).and_then(|(then, served)| {
        let digest = &served.release.artifact.digest;
        releases().find(|(at, known)| *at >= then && known.release.artifact.digest == *digest)
    });
    culprit.map_or(Some(newest), |(at, _)| Some(at))
}

/// What was deployed after the suspect is named, and is no target: the trouble did not end with it.
pub(super) fn later_notes(question: &Question<'_>, current: Option<usize>) -> Vec<String> {
    let (Some(current), Some(began)) = (current, question.alert_since) else { return vec![] };
    let suspect = question.history.get(current).map(|known| &known.release);
    let later = question.history.iter().take(current).map(|known| &known.release).filter(|release| {
        let other = suspect.is_none_or(|suspect| suspect.artifact.digest != release.artifact.digest);
        other && release.phase != Phase::Preview && release.origin == Origin::Recorded && release.at > began
    });
    let note = |release: &Release| {
        let after = spell(release.at.saturating_sub(began));
        format!(
            "{} was deployed {after} after the alert began, and the alert is about what was live before",
            release.artifact
        )
    };
    later.map(note).collect()
}

pub(super) fn suspect(question: &Question<'_>, current: Option<usize>) -> Option<Suspect> {
    let live = question.live.set();
    if let Some(known) = current.and_then(|at| question.history.get(at)) {
        let release = &known.release;
        return Some(Suspect {
            share: live.get(&release.artifact.digest).copied().unwrap_or(0),
            artifact: release.artifact.clone(),
            since: Some(release.at),
            url: release.url.clone(),
            by: release.by.clone(),
        });
    }
    // Live, but never recorded: it is still the suspect, by its digest.
    live.iter().max_by_key(|(_, share)| **share).map(|(digest, share)| Suspect {
        artifact: Artifact { version: format!("unrecorded {}", digest.short()), digest: (*digest).clone() },
        since: None,
        share: *share,
        url: None,
        by: None,
    })
}
