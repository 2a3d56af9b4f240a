//! People, artifacts and situations that the tests share.

use lastgood_core::{
    Actor, Artifact, At, Digest, ReleaseId, RollbackId, Shares, ThreadId,
    inventory::{
        choice::{Candidate, Choice, Skip},
        live::{Live, Running},
        suspect::Suspect,
        target::Target,
    },
    rollback::{
        Alerting, Kind, Opening, Policy, Preflighted, ShiftReading, Standing, Step, Survey, Surveyed,
    },
    verdict::{Measured, Observation, Probed},
};

pub const MIN: i64 = 60_000;
pub const START: At = 1_000 * MIN;

pub fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

pub fn artifact(letter: char) -> Artifact {
    Artifact { version: format!("v-{letter}"), digest: digest(letter) }
}

pub fn to(pool: &str) -> Shares {
    ["blue", "green"].map(|name| (name.to_owned(), if name == pool { 100 } else { 0 })).into()
}

pub fn actor(name: &str) -> Actor {
    Actor::new(format!("slack:{name}"), name)
}

pub fn approver() -> Standing {
    Standing { approver: true, ..Standing::default() }
}

pub fn policy() -> Policy {
    Policy::default()
}

pub fn opening(policy: Policy) -> Opening {
    Opening {
        id: RollbackId(42),
        service: "checkout".into(),
        thread: ThreadId(1),
        kind: Kind::Back,
        parent: None,
        policy,
        at: START,
        by: None,
        reason: None,
        alert: Some(Alerting { title: "error rate".into(), since: START, firing: true, heard: false }),
        wanted: None,
        tried: [].into(),
        commander: None,
        baselines: vec![],
        previous_end: None,
    }
}

/// Green runs the failing `b`, blue the good `a`.
pub fn live(pool: &str) -> Live {
    Live {
        shares: to(pool),
        pools: [
            ("blue".to_owned(), Running::Seen { digest: digest('a') }),
            ("green".to_owned(), Running::Seen { digest: digest('b') }),
        ]
        .into(),
        ..Live::default()
    }
}

pub fn candidate(letter: char, skip: Option<Skip>, pools: &[&str]) -> Candidate {
    let target = pools.first().and_then(|pool| {
        let mut live = live("green");
        live.pools.insert((*pool).to_owned(), Running::Seen { digest: digest(letter) });
        Target::in_pool(&artifact(letter), pool, &live)
    });
    Candidate {
        release: ReleaseId(1),
        artifact: artifact(letter),
        at: START - 100 * MIN,
        possible: !matches!(skip, Some(Skip::SameAsCurrent | Skip::Gone | Skip::NotDeployed)),
        skip,
        irreversible: None,
        because: None,
        pools: pools.iter().map(|p| (*p).to_owned()).collect(),
        target,
        warning: None,
    }
}

pub fn survey() -> Survey {
    Survey {
        choice: Choice {
            failing: Some(Suspect {
                artifact: artifact('b'),
                since: Some(START - 6 * MIN),
                share: 100,
                url: None,
                by: None,
            }),
            candidates: vec![
                candidate('a', None, &["blue"]),
                candidate('c', Some(Skip::Unstable { why: "RB-1".into() }), &["blue"]),
                candidate('d', Some(Skip::Gone), &[]),
            ],
            chosen: Some(digest('a')),
            notes: vec![],
        },
        live: live("green"),
        made_as: None,
        drift: vec![],
        notes: vec![],
        doubt: None,
        baselines: vec![],
    }
}

pub fn found(survey: Survey) -> Surveyed {
    Surveyed::Found(Box::new(survey))
}

pub fn nothing_found() -> Survey {
    let mut none = survey();
    none.choice.chosen = None;
    none
}

/// Preflight found traffic on this pool, and every pool as `live` says.
pub fn preflighted(pool: &str) -> Preflighted {
    Preflighted::Ready { before: to(pool), warnings: vec![], pools: live(pool).pools }
}

/// The shift was read back.
pub fn settled(shares: Shares) -> ShiftReading {
    ShiftReading::Settled { shares, warnings: vec![], pools: live("blue").pools }
}

/// A look at health: `rate` none is a source without data; `from` is where the metric's range starts.
pub fn look(healthy: bool, rate: Option<f64>, from: At) -> Observation {
    Observation {
        probes: vec![Probed { name: "/healthz".into(), healthy, detail: String::new() }],
        metrics: vec![Measured {
            name: "errors".into(),
            rate,
            baseline: Some(0.01),
            limit: 0.015,
            covers_from: from,
            detail: None,
        }],
    }
}

/// The effects of a step, by kind.
pub fn asked(step: &Step) -> Vec<&'static str> {
    step.effects.iter().map(|request| request.effect.kind()).collect()
}
