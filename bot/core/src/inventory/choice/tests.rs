use super::*;
use crate::inventory::{Origin, live::Running};

fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

const MIN: Millis = 60_000;

/// `letter` is the version and the digest; releases are listed newest first, an hour apart.
fn history(letters: &str) -> Vec<Known> {
    letters
        .chars()
        .enumerate()
        .map(|(index, letter)| Known {
            release: Release {
                id: ReleaseId(100 - index as i64),
                service: "checkout".into(),
                artifact: Artifact { version: letter.to_string(), digest: digest(letter) },
                phase: Phase::Live,
                pool: None,
                at: (100 - index as i64) * 60 * MIN,
                by: None,
                url: None,
                irreversible: None,
                origin: Origin::Recorded,
            },
            stability: Stability::Unproven,
            rolled_back_by: None,
            soaked: 60 * MIN,
            registry: InRegistry::Present,
        })
        .collect()
}

/// `blue:a:0 green:b:100`
fn live(text: &str) -> Live {
    let mut live = Live::default();
    for pool in text.split_whitespace() {
        let parts: Vec<_> = pool.split(':').collect();
        live.shares.insert(parts[0].into(), parts[2].parse().unwrap());
        let running = match parts[1] {
            "?" => Running::Unknown { why: "timed out".into() },
            letter => Running::Seen { digest: digest(letter.chars().next().unwrap()) },
        };
        live.pools.insert(parts[0].into(), running);
    }
    live
}

struct Case {
    history: Vec<Known>,
    live: Live,
    needs_pool: bool,
    must_pull: bool,
    tried: BTreeSet<Digest>,
    wanted: Option<&'static str>,
    alert_since: Option<At>,
}

impl Case {
    fn new(letters: &str, pools: &str) -> Self {
        Self {
            history: history(letters),
            live: live(pools),
            needs_pool: false,
            must_pull: false,
            tried: BTreeSet::new(),
            wanted: None,
            alert_since: None,
        }
    }

    fn choose(&self) -> Choice {
        let artifacts = self.history.iter().map(|known| &known.release.artifact.digest);
        let names = artifacts.map(|digest| (digest.clone(), digest.short().to_owned())).collect();
        choose(&Question {
            history: &self.history,
            live: &self.live,
            min_bake: 10 * MIN,
            routes: if self.needs_pool { Routes::Pools } else { Routes::Made(&names) },
            alert_since: self.alert_since,
            suspect_within: 24 * 60 * MIN,
            must_pull: self.must_pull,
            tried: &self.tried,
            wanted: self.wanted,
        })
    }

    /// `chosen < failing`, then each candidate with its skip reason.
    fn told(&self) -> String {
        let choice = self.choose();
        let name = |d: &Digest| d.short().chars().next().unwrap();
        let mut out = format!(
            "{} < {}",
            choice.chosen.as_ref().map_or('-', name),
            choice.failing.map_or("-".into(), |f| f.artifact.version)
        );
        for c in &choice.candidates {
            out.push_str(&format!("; {}", c.artifact.version));
            if let Some(skip) = &c.skip {
                out.push_str(&format!(" {skip}"));
            }
        }
        out
    }
}

#[test]
fn the_newest_trusted_release_before_the_current_one() {
    assert_eq!(Case::new("dcba", "blue:c:0 green:d:100").told(), "c < d; c; b; a");
}

#[test]
fn every_reason_to_pass_one_over_is_told() {
    let mut case = Case::new("fedcba98", "p:f:100");
    case.history[1].stability = Stability::Unstable { why: "RB-7".into(), provisional: false };
    case.history[2].rolled_back_by = Some(RollbackId(3));
    case.history[3].release.phase = Phase::Preview;
    case.history[4].release.phase = Phase::Canary;
    case.history[5].soaked = 9 * MIN;
    case.tried.insert(digest('9'));
    assert_eq!(
        case.told(),
        "8 < f; e marked unstable: RB-7; d was rolled back itself by RB-3; c was only previewed; b was only a canary; \
         a was live and quiet for 9 min only, needs 10 min; 9 tried already, did not help; 8"
    );
}

#[test]
fn a_person_who_marked_it_stable_is_believed() {
    let mut case = Case::new("dcb", "p:d:100");
    case.history[1].stability = Stability::Stable { by_person: true };
    case.history[1].soaked = 0;
    case.history[1].rolled_back_by = Some(RollbackId(1));
    assert_eq!(case.told(), "c < d; c; b");
}

#[test]
fn a_late_record_never_becomes_current_and_a_newer_one_that_serves_nothing_is_no_suspect() {
    // e is recorded last but serves nothing; d serves: d is the suspect and e is no candidate.
    assert_eq!(Case::new("edc", "blue:d:100 green:e:0").told(), "c < d; c");
}

#[test]
fn in_an_unfinished_canary_the_other_live_one_is_the_target_without_min_bake() {
    let mut case = Case::new("dc", "stable:c:95 canary:d:5");
    case.history[1].soaked = 0;
    assert_eq!(case.told(), "c < d; c");
    case.history[1].stability = Stability::Unstable { why: "CVE".into(), provisional: false };
    assert_eq!(case.told(), "- < d; c marked unstable: CVE");
}

#[test]
fn blue_green_offers_what_is_in_a_pool_and_names_the_better_one_that_is_not() {
    let mut case = Case::new("dcb", "blue:b:0 green:d:100");
    case.needs_pool = true;
    assert_eq!(case.told(), "b < d; c not deployed: in no pool now; b");
    case.wanted = Some("c");
    assert_eq!(case.choose().chosen, None, "nobody can choose what is in no pool");
}

#[test]
fn a_digest_that_is_gone_blocks_only_where_it_must_be_pulled() {
    let mut case = Case::new("dcb", "blue:c:0 green:d:100");
    case.history[1].registry = InRegistry::Gone;
    let choice = case.choose();
    assert_eq!(choice.chosen, Some(digest('c')));
    assert!(choice.candidates[0].warning.as_ref().unwrap().contains("gone"));
    case.must_pull = true;
    assert_eq!(case.told(), "b < d; c its digest is gone from the registry; b");
    case.history[2].registry = InRegistry::Unreadable("timeout".into());
    assert_eq!(case.choose().chosen, Some(digest('b')), "what can't be asked is a warning");
}

#[test]
fn irreversible_releases_block_what_is_before_them() {
    let mut case = Case::new("dcba", "p:d:100");
    case.history[1].release.irreversible = Some("drops column x".into());
    let choice = case.choose();
    assert_eq!(choice.chosen, Some(digest('c')));
    assert!(choice.candidates[0].irreversible.is_none(), "going back to c does not undo c");
    assert!(choice.candidates[1].caveats()[0].needs_reason);
    case.history[0].release.irreversible = Some("new queue format".into());
    assert_eq!(case.choose().candidates[0].irreversible, Some(("d".into(), "new queue format".into())));
}

#[test]
fn same_bytes_as_before_means_the_configuration_changed() {
    let mut case = Case::new("ddc", "p:d:100");
    case.history[0].release.artifact.version = "d2".into();
    let choice = case.choose();
    assert!(choice.notes[0].contains("configuration changed"));
    assert_eq!(choice.chosen, Some(digest('c')));
    assert_eq!(choice.candidates[0].skip, Some(Skip::SameAsCurrent));
}

#[test]
fn a_persons_word_chooses_even_what_would_be_skipped_with_a_caveat() {
    let mut case = Case::new("dcba", "p:d:100");
    case.history[2].stability = Stability::Unstable { why: "RB-2".into(), provisional: false };
    case.wanted = Some("b");
    let choice = case.choose();
    assert_eq!(choice.chosen, Some(digest('b')));
    assert_eq!(choice.candidates[1].caveats()[0].text, "b marked unstable: RB-2");
    case.wanted = Some("aaaaaaaaaa");
    assert_eq!(case.choose().chosen, Some(digest('a')), "by the digest's first digits");
    case.wanted = Some("v9");
    assert_eq!(case.choose().chosen, None);
}

#[test]
fn a_later_preview_of_old_bytes_does_not_hide_that_they_were_live() {
    let mut case = Case::new("dcc", "p:d:100");
    case.history[1].release.phase = Phase::Preview;
    case.history[1].soaked = 0;
    assert_eq!(case.told(), "c < d; c");
}

#[test]
fn what_was_never_recorded_is_still_a_suspect_and_what_is_unknown_is_not_guessed() {
    assert_eq!(Case::new("cb", "blue:c:0 green:f:100").told(), "c < unrecorded ffffffffffff; c; b");
    assert_eq!(Case::new("cb", "blue:c:0 green:?:100").told(), "- < -");
}

/// The alert began so long after the newest release but `releases`, each of which came an hour after the last.
fn began(case: &Case, releases: usize, after: Millis) -> Option<At> {
    Some(case.history[releases].release.at + after)
}

#[test]
fn a_hotfix_after_the_alert_is_named_and_what_was_live_before_it_is_the_suspect() {
    // d was live when the alert began; e was deployed against it, and did not help.
    let mut case = Case::new("edcb", "p:e:100");
    case.alert_since = began(&case, 1, 2 * MIN);
    assert_eq!(case.told(), "c < d; c; b");
    let choice = case.choose();
    assert!(choice.notes[0].contains("e was deployed 58 min after the alert began"), "{:?}", choice.notes);
    // Also while it is only a canary beside the suspect.
    let mut canary = Case::new("edcb", "stable:d:95 canary:e:5");
    canary.history[0].release.phase = Phase::Canary;
    canary.alert_since = began(&canary, 1, 2 * MIN);
    assert_eq!(canary.told(), "c < d; c; b");
    assert_eq!(canary.choose().failing.unwrap().share, 95);
}

#[test]
fn a_record_that_comes_a_little_late_is_still_the_suspects_own() {
    let mut case = Case::new("dcb", "p:d:100");
    case.alert_since = Some(case.history[0].release.at - 9 * MIN);
    assert_eq!(case.told(), "c < d; c; b");
    case.alert_since = Some(case.history[0].release.at - 11 * MIN);
    assert_eq!(case.told(), "b < c; b", "later than that it is a release of its own");
    // Where nothing else was released for long, it is nevertheless the likeliest.
    case.history[1].release.at -= 30 * 60 * MIN;
    case.history[2].release.at -= 30 * 60 * MIN;
    assert_eq!(case.told(), "c < d; c; b");
}

#[test]
fn a_preview_and_a_rollback_of_ours_date_no_suspect() {
    let mut previewed = Case::new("ddc", "p:d:100");
    previewed.history[1].release.phase = Phase::Preview;
    let live_since = previewed.history[0].release.at;
    assert_eq!(previewed.choose().failing.unwrap().since, Some(live_since));
    let mut newest_is_preview = Case::new("ddc", "p:d:100");
    newest_is_preview.history[0].release.phase = Phase::Preview;
    let live_since = newest_is_preview.history[1].release.at;
    assert_eq!(newest_is_preview.choose().failing.unwrap().since, Some(live_since));
    // b was brought back by a rollback of c: it was released long before.
    let mut back = Case::new("bcba", "p:b:100");
    back.history[0].release.origin = Origin::Rollback;
    let released = back.history[2].release.at;
    assert_eq!(back.told(), "a < b; a");
    assert_eq!(back.choose().failing.unwrap().since, Some(released));
}

#[test]
fn a_target_has_the_routing_that_serves_it() {
    let choice = Case { needs_pool: true, ..Case::new("dcb", "blue:c:0 green:d:100 red:b:0") }.choose();
    let pools: Vec<_> =
        choice.candidates.iter().map(|c| c.target.as_ref().map(|target| target.routing().clone())).collect();
    let all =
        |pool: &str| ["blue", "green", "red"].map(|p| (p.to_owned(), if p == pool { 100 } else { 0 })).into();
    assert_eq!(pools, [Some(all("blue")), Some(all("red"))]);
    let made = Case::new("dcb", "dddddddddddd:d:100").choose();
    let [Some(c), Some(b)] = [0, 1].map(|at| made.candidates[at].target.clone()) else { panic!("{made:?}") };
    assert_eq!((c.routing()["cccccccccccc"], c.routing()["dddddddddddd"]), (100, 0));
    assert_eq!((b.routing()["bbbbbbbbbbbb"], b.routing().get("cccccccccccc")), (100, None));
}

#[test]
fn what_a_rollback_had_withdrawn_before_the_alert_is_no_suspect() {
    // c was rolled back to b, which was live when the alert began; d was deployed against it.
    let mut case = Case::new("dbcba", "p:d:100");
    case.history[1].release.origin = Origin::Rollback;
    case.history[2].rolled_back_by = Some(RollbackId(1));
    case.alert_since = began(&case, 1, 2 * MIN);
    assert_eq!(case.told(), "a < b; a");
    // Nor is a canary that was withdrawn.
    let mut canary = Case::new("dcba", "p:d:100");
    canary.history[1].release.phase = Phase::Canary;
    canary.alert_since = began(&canary, 1, 2 * MIN);
    assert_eq!(canary.told(), "a < b; a");
}
