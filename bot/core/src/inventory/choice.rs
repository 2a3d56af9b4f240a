//! Choosing the target: the newest release before the current one that may be trusted, with the reason for every one that
//! was passed over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Phase, Release, Stability,
    live::Live,
    suspect::{Suspect, later_notes, suspect, suspected},
    target::Target,
};
use crate::{Artifact, At, Digest, Millis, ReleaseId, RollbackId, words::spell};

/// A release with all that the choice needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub release: Release,
    pub stability: Stability,
    /// The rollback that once moved traffic away from this artifact.
    pub rolled_back_by: Option<RollbackId>,
    /// Longest quiet stretch as the sole live release; see [`super::soak`].
    pub soaked: Millis,
    pub registry: InRegistry,
}

/// What the registry says of a digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InRegistry {
    /// No registry is configured, or the choice did not need it.
    #[default]
    NotAsked,
    Present,
    Gone,
    /// It could not be asked: a warning, and no reason to skip.
    Unreadable(String),
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Newest first.
    pub history: &'a [Known],
    pub live: &'a Live,
    pub min_bake: Millis,
    pub routes: Routes<'a>,
    /// When the alert began that the question is asked for.
    pub alert_since: Option<At>,
    /// How old a release may be to be suspected of an alert.
    pub suspect_within: Millis,
    /// The artifact has to be pulled before it can serve.
    pub must_pull: bool,
    /// Targets of earlier runs for the same trouble: they did not help.
    pub tried: &'a BTreeSet<Digest>,
    /// A version or digest that a person asked for.
    pub wanted: Option<&'a str>,
}

/// How an artifact comes to serve.
#[derive(Debug, Clone, Copy)]
pub enum Routes<'a> {
    /// From a pool that runs it now.
    Pools,
    /// It is made to run, under the name that the router gives it.
    Made(&'a BTreeMap<Digest, String>),
}

/// Why a release is not the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "skip")]
pub enum Skip {
    SameAsCurrent,
    Tried,
    Unstable { why: String },
    RolledBack { by: RollbackId },
    OnlyPreviewed,
    OnlyCanaried,
    NotSoaked { for_ms: Millis, needed_ms: Millis },
    Gone,
    NotDeployed,
}

impl Skip {
    /// Whether a person may choose it all the same. The others can't work at all.
    fn can_be_overridden(&self) -> bool {
        !matches!(self, Self::SameAsCurrent | Self::Gone | Self::NotDeployed)
    }
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SameAsCurrent => f.write_str("same bytes as the failing one"),
            Self::Tried => f.write_str("tried already, did not help"),
            Self::Unstable { why } => write!(f, "marked unstable: {why}"),
            Self::RolledBack { by } => write!(f, "was rolled back itself by {by}"),
            Self::OnlyPreviewed => f.write_str("was only previewed"),
            Self::OnlyCanaried => f.write_str("was only a canary"),
            Self::NotSoaked { for_ms, needed_ms } => {
                write!(f, "was live and quiet for {} only, needs {}", spell(*for_ms), spell(*needed_ms))
            }
            Self::Gone => f.write_str("its digest is gone from the registry"),
            Self::NotDeployed => f.write_str("not deployed: in no pool now"),
        }
    }
}

/// A release considered as rollback target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub release: ReleaseId,
    pub artifact: Artifact,
    pub at: At,
    /// None: it may be the target.
    pub skip: Option<Skip>,
    /// A release after it that can't be undone: version and reason. Going behind it takes a typed reason.
    pub irreversible: Option<(String, String)>,
    /// Pools that hold it now.
    pub pools: Vec<String>,
    /// What it would be as the target. None: nothing can be made to serve it.
    #[serde(default)]
    pub target: Option<Target>,
    /// Worth saying about it: the registry could not be asked.
    pub warning: Option<String>,
    /// Why it may be trusted, when nothing speaks against it.
    #[serde(default)]
    pub because: Option<String>,
    /// It can be made to serve now; a person may choose it even when it is skipped.
    pub possible: bool,
}

impl Candidate {
    /// What a person must know, and may have to give a reason for, before this becomes the target.
    pub fn caveats(&self) -> Vec<Caveat> {
        let skip = self
            .skip
            .as_ref()
            .map(|skip| Caveat { text: format!("{} {skip}", self.artifact), needs_reason: false });
        let behind = self.irreversible.as_ref().map(|(version, why)| Caveat {
            text: format!("{version} can't be undone: {why}"),
            needs_reason: true,
        });
        skip.into_iter().chain(behind).collect()
    }
}

/// Something that costs one more, explicit click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caveat {
    pub text: String,
    /// A click is not enough: the approver types why.
    pub needs_reason: bool,
}

/// What the choice came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The suspect. None: no release is known to be live.
    pub failing: Option<Suspect>,
    /// Newest first.
    pub candidates: Vec<Candidate>,
    /// Which of them is proposed.
    pub chosen: Option<Digest>,
    pub notes: Vec<String>,
}

/// Most candidates that are kept and shown; the ones behind are older still.
pub const SHOWN: usize = 25;

/// Chooses. Looks at nothing but the question.
pub fn choose(question: &Question<'_>) -> Choice {
    let live = question.live.set();
    let current = suspected(question, &live);
    let failing = suspect(question, current);
    let mut choice = Choice { failing, ..Choice::default() };
    let Some(suspect) = &choice.failing else {
        choice
            .notes
            .push("nothing is known of what is live: no record and no readable version endpoint".into());
        return choice;
    };
    let before = current.map_or(0, |at| at + 1);
    choice.notes.extend(same_bytes_note(question.history, current));
    choice.notes.extend(later_notes(question, current));
    choice.candidates = candidates(question, suspect, before, current);
    choice.chosen = match question.wanted {
        Some(wanted) => choice.candidates.iter().find(|c| names(&c.artifact, wanted) && c.possible),
        None => choice.candidates.iter().find(|c| c.skip.is_none()),
    }
    .map(|c| c.artifact.digest.clone());
    choice
}

/// Whether a person's word for an artifact means this one: its version, its digest, or the digest's first digits.
pub fn names(artifact: &Artifact, wanted: &str) -> bool {
    let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    artifact.version == wanted
        || artifact.digest.as_str() == wanted
        || (digits.len() >= 8
            && artifact.digest.as_str().split(':').nth(1).is_some_and(|d| d.starts_with(digits)))
}

fn same_bytes_note(history: &[Known], current: Option<usize>) -> Option<String> {
    let at = current?;
    let now = &history.get(at)?.release;
    let before = history.iter().skip(at + 1).map(|k| &k.release).find(|r| r.phase == Phase::Live)?;
    (before.artifact.digest == now.artifact.digest && before.at != now.at)
        .then(|| "configuration changed, not the artifact: a rollback may not help".to_owned())
}

fn candidates(
    question: &Question<'_>,
    suspect: &Suspect,
    before: usize,
    current: Option<usize>,
) -> Vec<Candidate> {
    let mut seen: BTreeSet<&Digest> = BTreeSet::new();
    let mut irreversible: Option<(String, String)> =
        current.and_then(|at| question.history.get(at)).and_then(|known| blocks(&known.release));
    let mut list = Vec::new();
    for (index, known) in question.history.iter().enumerate().skip(before) {
        let release = &known.release;
        let rows = || {
            question
                .history
                .iter()
                .skip(index)
                .filter(|k| k.release.artifact.digest == release.artifact.digest)
        };
        // One line per artifact, at its newest full deployment; a later preview of old bytes says nothing about them.
        let stands_for_itself =
            release.phase == Phase::Live || !rows().any(|k| k.release.phase == Phase::Live);
        if stands_for_itself && seen.insert(&release.artifact.digest) {
            let soaked = rows().map(|k| k.soaked).max().unwrap_or(0);
            list.push(candidate(question, suspect, known, soaked, irreversible.clone()));
        }
        irreversible = blocks(release).or(irreversible);
        if list.len() >= SHOWN {
            break;
        }
    }
    list
}

fn blocks(release: &Release) -> Option<(String, String)> {
    release.irreversible.clone().map(|why| (release.artifact.version.clone(), why))
}

fn candidate(
    question: &Question<'_>,
    suspect: &Suspect,
    known: &Known,
    soaked: Millis,
    irreversible: Option<(String, String)>,
) -> Candidate {
    let digest = &known.release.artifact.digest;
    let pools: Vec<String> = question.live.pools_with(digest).map(str::to_owned).collect();
    let target = target(question, &known.release.artifact, &pools);
    let skip = skip(question, suspect, known, soaked, target.is_none());
    let warning = match &known.registry {
        InRegistry::Unreadable(why) => Some(format!("the registry could not be asked: {why}")),
        InRegistry::Gone if skip.is_none() => {
            Some("its digest is gone from the registry; it runs in a pool".into())
        }
        _ => None,
    };
    let because = match &known.stability {
        _ if skip.is_some() => None,
        Stability::Stable { by_person: true } => Some("a person marked it stable".to_owned()),
        _ => Some(format!("it was live and quiet for {}", spell(soaked))),
    };
    let skip_allows = skip.as_ref().is_none_or(Skip::can_be_overridden);
    Candidate {
        release: known.release.id,
        artifact: known.release.artifact.clone(),
        at: known.release.at,
        skip,
        irreversible,
        because,
        possible: skip_allows && target.is_some(),
        pools,
        target,
        warning,
    }
}

fn target(question: &Question<'_>, artifact: &Artifact, pools: &[String]) -> Option<Target> {
    let live = question.live;
    let made = match question.routes {
        Routes::Pools => None,
        Routes::Made(names) => names.get(&artifact.digest).map(|name| Target::made(artifact, name, live)),
    };
    // The pool that carries most of it already has the least to take on.
    let pool = || pools.iter().max_by_key(|pool| live.shares.get(*pool).copied().unwrap_or(0));
    made.or_else(|| Target::in_pool(artifact, pool()?, live))
}

fn skip(
    question: &Question<'_>,
    suspect: &Suspect,
    known: &Known,
    soaked: Millis,
    nowhere: bool,
) -> Option<Skip> {
    let digest = &known.release.artifact.digest;
    let trusted = known.stability == Stability::Stable { by_person: true };
    // In an unfinished canary or rolling update the other live artifact is what everybody was on a moment ago.
    let still_serving = question.live.set().contains_key(digest);
    if *digest == suspect.artifact.digest {
        return Some(Skip::SameAsCurrent);
    }
    if question.must_pull && known.registry == InRegistry::Gone {
        return Some(Skip::Gone);
    }
    if question.tried.contains(digest) {
        return Some(Skip::Tried);
    }
    if let Some(skip) = verdict_on(known, trusted) {
        return Some(skip);
    }
    let unproven = match known.release.phase {
        _ if trusted => None,
        Phase::Preview => Some(Skip::OnlyPreviewed),
        Phase::Canary => Some(Skip::OnlyCanaried),
        Phase::Live if still_serving || soaked >= question.min_bake => None,
        Phase::Live => Some(Skip::NotSoaked { for_ms: soaked, needed_ms: question.min_bake }),
    };
    // Last of all: it would be the one, were it there.
    unproven.or_else(|| nowhere.then_some(Skip::NotDeployed))
}

/// What is held against the artifact itself.
fn verdict_on(known: &Known, trusted: bool) -> Option<Skip> {
    match (&known.stability, known.rolled_back_by) {
        (Stability::Unstable { why, .. }, _) => Some(Skip::Unstable { why: why.clone() }),
        (_, Some(by)) if !trusted => Some(Skip::RolledBack { by }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
