//! The choice of the target, over inventories nobody would think of.

use std::collections::BTreeSet;

use lastgood_core::{
    Digest, ReleaseId, RollbackId,
    inventory::{
        Origin, Phase, Release, Stability,
        choice::{InRegistry, Known, Question, Routes, Skip, choose, names},
        live::{Live, Running},
    },
};
use proptest::prelude::*;

use crate::kit::*;

const LETTERS: [char; 6] = ['a', 'b', 'c', 'd', 'e', 'f'];

fn known() -> impl Strategy<Value = Known> {
    let stability = prop_oneof![
        4 => Just(Stability::Unproven),
        2 => any::<bool>().prop_map(|by_person| Stability::Stable { by_person }),
        1 => any::<bool>().prop_map(|provisional| Stability::Unstable { why: "RB-1".into(), provisional }),
    ];
    let registry = prop_oneof![
        4 => Just(InRegistry::Present),
        1 => Just(InRegistry::NotAsked),
        1 => Just(InRegistry::Gone),
        1 => Just(InRegistry::Unreadable("timed out".into())),
    ];
    let phase = prop_oneof![4 => Just(Phase::Live), 1 => Just(Phase::Canary), 1 => Just(Phase::Preview)];
    let rolled_back = prop::option::weighted(0.1, Just(RollbackId(3)));
    let irreversible = prop::option::weighted(0.1, Just("drops a column".to_owned()));
    let origin = prop_oneof![4 => Just(Origin::Recorded), 1 => Just(Origin::Rollback)];
    let row = (
        prop::sample::select(&LETTERS[..]),
        stability,
        registry,
        phase,
        rolled_back,
        irreversible,
        0i64..30,
        origin,
    );
    row.prop_map(|(letter, stability, registry, phase, rolled_back_by, irreversible, soaked, origin)| Known {
        release: Release {
            id: ReleaseId(0),
            service: "checkout".into(),
            artifact: artifact(letter),
            phase,
            pool: None,
            at: 0,
            by: None,
            url: None,
            irreversible,
            origin,
        },
        stability,
        rolled_back_by,
        soaked: soaked * MIN,
        registry,
    })
}

/// Newest first, an hour apart; what is known of an artifact is the same in all its rows.
fn history() -> impl Strategy<Value = Vec<Known>> {
    prop::collection::vec(known(), 0..12).prop_map(|mut rows| {
        let all = rows.clone();
        for (index, row) in rows.iter_mut().enumerate() {
            row.release.id = ReleaseId(100 - index as i64);
            row.release.at = START - index as i64 * 60 * MIN;
            let same = |k: &&Known| k.release.artifact == row.release.artifact;
            if let Some(first) = all.iter().find(same) {
                row.stability = first.stability.clone();
                row.registry = first.registry.clone();
                row.rolled_back_by = first.rolled_back_by;
            }
        }
        rows
    })
}

fn lives() -> impl Strategy<Value = Live> {
    let pool = (prop::option::weighted(0.9, prop::sample::select(&LETTERS[..])), 0u8..4);
    prop::collection::vec(pool, 1..4).prop_map(|pools| {
        let mut live = Live::default();
        for (index, (letter, share)) in pools.into_iter().enumerate() {
            let running = match letter {
                Some(letter) => Running::Seen { digest: digest(letter) },
                None => Running::Unknown { why: "timed out".into() },
            };
            live.shares.insert(format!("p{index}"), share * 33);
            live.pools.insert(format!("p{index}"), running);
        }
        live
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_chosen_may_be_chosen(
        history in history(), live in lives(), needs_pool in any::<bool>(), must_pull in any::<bool>(),
        alert in prop::option::of(-60i64..800), within in prop::option::weighted(0.8, Just(24 * 60 * MIN)),
        tried in prop::collection::btree_set(prop::sample::select(&LETTERS[..]), 0..3),
        wanted in prop::option::of(prop::sample::select(&LETTERS[..])), by_digest in any::<bool>(),
    ) {
        let tried: BTreeSet<Digest> = tried.into_iter().map(digest).collect();
        let word = wanted.map(|l| if by_digest { digest(l).short().to_owned() } else { artifact(l).version });
        let made_as = LETTERS.map(|letter| (digest(letter), digest(letter).short().to_owned())).into();
        let alert_since = alert.map(|minutes| START - minutes * MIN);
        let question = Question {
            history: &history, live: &live, min_bake: 10 * MIN, must_pull, tried: &tried, alert_since,
            routes: if needs_pool { Routes::Pools } else { Routes::Made(&made_as) },
            suspect_within: within.unwrap_or(0), wanted: word.as_deref(),
        };
        let choice = choose(&question);
        prop_assert_eq!(&choice, &choose(&question), "the same question has the same answer");
        listed_once_newest_first(&choice);
        routings_serve_their_targets(&question, &choice);
        suspects_are_no_doing_of_ours(&question, &choice);
        let Some(chosen) = &choice.chosen else { return untold(&question, &choice) };
        let failing = choice.failing.as_ref().expect("a target, and nothing that fails");
        prop_assert_ne!(chosen, &failing.artifact.digest, "the failing one is its own rescue");
        let serves = live.set().contains_key(&failing.artifact.digest);
        prop_assert!(serves || alert_since.is_some(), "the suspect serves nobody, and no alert began before");
        let candidate = choice.candidates.iter().find(|c| c.artifact.digest == *chosen).unwrap();
        prop_assert!(candidate.possible);
        prop_assert!(!needs_pool || !candidate.pools.is_empty(), "not deployed");
        let rows = || history.iter().filter(|k| k.release.artifact.digest == *chosen);
        prop_assert!(!must_pull || rows().all(|k| k.registry != InRegistry::Gone), "it can't be pulled");
        if let Some(word) = &word {
            prop_assert!(names(&candidate.artifact, word), "wanted {}, got {}", word, candidate.artifact);
            // A person may override what is held against it, but never without being told.
            prop_assert_eq!(candidate.skip.is_none(), candidate.caveats().iter().all(|c| c.needs_reason));
            return Ok(());
        }
        prop_assert!(!tried.contains(chosen));
        let unstable = |k: &Known| matches!(k.stability, Stability::Unstable { .. });
        prop_assert!(!rows().any(unstable), "marked unstable");
        let trusted = rows().any(|k| k.stability == Stability::Stable { by_person: true });
        prop_assert!(trusted || rows().all(|k| k.rolled_back_by.is_none()), "was rolled back itself");
        let proven = rows().any(|k| k.soaked >= 10 * MIN) || live.set().contains_key(chosen);
        prop_assert!(trusted || (proven && rows().any(|k| k.release.phase == Phase::Live)), "never proven");
        let newest = choice.candidates.iter().find(|c| c.skip.is_none()).unwrap();
        prop_assert_eq!(&newest.artifact.digest, chosen, "a newer one would have done");
    }
}

fn listed_once_newest_first(choice: &lastgood_core::inventory::choice::Choice) {
    let digests: BTreeSet<_> = choice.candidates.iter().map(|c| &c.artifact.digest).collect();
    assert_eq!(digests.len(), choice.candidates.len(), "one line per artifact");
    assert!(choice.candidates.is_sorted_by(|a, b| a.at >= b.at), "newest first");
}

/// Whatever is chosen, by rule or by a person, traffic goes where these very bytes run or will be made to.
fn routings_serve_their_targets(question: &Question<'_>, choice: &lastgood_core::inventory::choice::Choice) {
    for candidate in &choice.candidates {
        let Some(target) = &candidate.target else {
            assert!(!candidate.possible, "possible, and nothing serves it");
            continue;
        };
        assert_eq!(target.artifact(), &candidate.artifact);
        assert_eq!(target.routing().values().map(|share| u32::from(*share)).sum::<u32>(), 100);
        for (pool, _) in target.routing().iter().filter(|(_, share)| **share > 0) {
            let runs = question.live.pools.get(pool).and_then(Running::digest);
            let made =
                matches!(question.routes, Routes::Made(names) if names[&candidate.artifact.digest] == *pool);
            assert!(made || runs == Some(&candidate.artifact.digest), "{pool} runs {runs:?}");
            assert_eq!(target.contents().get(pool), Some(&candidate.artifact.digest));
        }
    }
}

/// A suspect is dated by a record of somebody else's, of a time at which it carried traffic.
fn suspects_are_no_doing_of_ours(question: &Question<'_>, choice: &lastgood_core::inventory::choice::Choice) {
    let Some(failing) = &choice.failing else { return };
    let Some(since) = failing.since else { return };
    let dated = question.history.iter().any(|known| {
        let release = &known.release;
        release.at == since
            && release.artifact == failing.artifact
            && release.origin == Origin::Recorded
            && release.phase != Phase::Preview
    });
    assert!(dated, "dated by {since}");
}

/// Nothing chosen: there is a reason for every candidate, and the wanted one is impossible or not among them.
fn untold(
    question: &Question<'_>,
    choice: &lastgood_core::inventory::choice::Choice,
) -> Result<(), TestCaseError> {
    for candidate in &choice.candidates {
        match question.wanted {
            Some(wanted) => prop_assert!(!(names(&candidate.artifact, wanted) && candidate.possible)),
            None => prop_assert!(candidate.skip.is_some(), "passed over without a reason"),
        }
        let hopeless = matches!(candidate.skip, Some(Skip::SameAsCurrent | Skip::Gone | Skip::NotDeployed));
        prop_assert!(!hopeless || !candidate.possible);
    }
    Ok(())
}
