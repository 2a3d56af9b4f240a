//! Random histories, each step and each whole held against the laws.

use std::collections::BTreeMap;

use lastgood_core::rollback::{Approval, Event, Kind, Opening, Pace, Phase, Policy, open, step};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    kit::*,
    laws,
    world::{Act, World},
};

fn acts(longest: usize) -> impl Strategy<Value = Vec<Act>> {
    let act = (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(what, which, flavour)| Act {
        what,
        which,
        flavour,
    });
    prop::collection::vec(act, 0..longest)
}

prop_compose! {
    fn openings()(
        approvals in 0u32..4,
        pagers in 0u32..4,
        own in any::<bool>(),
        asked in any::<bool>(),
        alert in prop::bool::weighted(0.7),
        auto in prop::bool::weighted(0.2),
        undo in prop::bool::weighted(0.15),
        good_in_a_row in 0u32..4,
        linked in any::<bool>(),
        steps in prop::collection::vec(1u8..=100, 0..4),
        watch in any::<bool>(),
        bake in prop::sample::select(&[0, 60_000, 600_000][..]),
    ) -> Opening {
        let approval = if auto { Approval::None } else { Approval::Required };
        let policy = Policy {
            approval, approvals, pagers, requester_may_approve: own, good_in_a_row, bake,
            pace: Pace { steps, every: 2_000, watch }, ..policy()
        };
        let mut opening = opening(policy);
        if asked { opening.by = Some(actor("ana")); }
        if !alert { opening.alert = None; }
        if linked { opening.parent = Some(lastgood_core::RollbackId(7)); }
        if undo {
            let of = lastgood_core::RollbackId(7);
            opening.kind = Kind::Undo { of, to: to("blue"), artifact: Some(artifact('a')), contents: Default::default() };
        }
        opening
    }
}

/// How far good luck takes a run: the histories would be worth little if they all ended early.
fn lucky(world: &mut World, steps: u8) {
    for _ in 0..steps {
        if let Phase::Proposed { .. } = world.state.phase {
            for name in ["cy", "bo", "di", "eva"] {
                let (revision, reason) = (world.state.revision, Some("yes".into()));
                let (by, standing) = (actor(name), approver());
                world.give(Event::ProposeAnyway { by: by.clone(), standing: standing.clone() });
                world.give(Event::Approved { by, standing, revision, confirmed: true, reason });
            }
        }
        world.at += 1_000;
        world.answer(0, 4);
    }
}

/// Everybody answers in good time, nobody clicks: where does it come to rest?
fn settle(world: &mut World, flavours: &[u8]) {
    for turn in 0..2_000usize {
        if matches!(world.state.phase, Phase::Ended { .. } | Phase::Escalated { .. }) {
            return;
        }
        world.at += 5_000;
        let due = world.timers.values().any(|at| *at <= world.at);
        if due || world.pending.is_empty() {
            world.fire_next();
        } else {
            world.answer(0, flavours[turn % flavours.len()]);
        }
    }
    panic!("still {} after 2000 turns", world.state.phase.word());
}

/// Some luck, then anything at all, then everybody answers until it rests.
fn lived(opening: Opening, luck: u8, acts: Vec<Act>, fair: &[u8]) -> World {
    let mut world = World::new(opening);
    lucky(&mut world, luck);
    for (index, act) in acts.into_iter().enumerate() {
        world.act(act);
        laws::of_the_moment(&world);
        if index % 5 == 0 {
            laws::time_leads_somewhere(&world);
        }
    }
    settle(&mut world, fair);
    laws::of_the_moment(&world);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_obeys_the_laws(
        opening in openings(), luck in 0u8..14, acts in acts(60), fair in prop::collection::vec(0u8..=254, 1..8),
    ) {
        let world = lived(opening, luck, acts, &fair);
        laws::of_the_whole(&world);
        replays(&world);
    }
}

/// The events give the same states again, also when everything went through JSON on its way.
fn replays(world: &World) {
    let through =
        |event: &Event| -> Event { serde_json::from_str(&serde_json::to_string(event).unwrap()).unwrap() };
    let Event::Opened(opening) = through(&Event::Opened(Box::new(world.opening.clone()))) else {
        panic!("the opening is another event after JSON")
    };
    let mut state = open(&opening).state;
    for taken in &world.log {
        let again = step(&state, &through(&taken.event), taken.at).unwrap();
        assert_eq!(again, taken.step, "replaying {}", taken.event.kind());
        state = serde_json::from_str(&serde_json::to_string(&again.state).unwrap()).unwrap();
        assert_eq!(state, again.state, "after {}", taken.event.kind());
        for change in &again.changes {
            let text = serde_json::to_string(change).unwrap();
            assert_eq!(serde_json::from_str::<lastgood_core::rollback::Change>(&text).unwrap(), *change);
        }
        for request in &again.effects {
            let text = serde_json::to_string(request).unwrap();
            assert_eq!(serde_json::from_str::<lastgood_core::rollback::Request>(&text).unwrap(), *request);
        }
    }
}

/// Laws that nothing ever comes near prove nothing: the histories must lead everywhere.
#[test]
fn the_histories_go_everywhere() {
    let mut runner = TestRunner::deterministic();
    let strategy = (openings(), 0u8..14, acts(60), prop::collection::vec(0u8..=254, 1..8));
    let mut seen = BTreeMap::<String, u32>::new();
    for _ in 0..1_500 {
        let (opening, luck, acts, fair) = strategy.new_tree(&mut runner).unwrap().current();
        let world = lived(opening, luck, acts, &fair);
        for taken in world.log {
            *seen.entry(whereabouts(&taken.step.state.phase)).or_default() += 1;
        }
    }
    let ends = [
        "rejected",
        "expired",
        "superseded",
        "stopped",
        "recovered",
        "handed over",
        "handed over, unattended",
        "undone",
    ];
    let whys = [
        "no_candidate",
        "expired",
        "router_unreadable",
        "artifact_missing",
        "preflight_refused",
        "instances_unreachable",
        "shift_failed",
        "partly_shifted",
        "outcome_unknown",
        "not_recovered",
        "relapsed",
        "alert_still_firing",
        "other_bytes",
        "moved_by_another_hand",
        "another_release",
        "stopped",
        "stuck",
    ];
    let on_the_way = [
        "surveying",
        "proposed",
        "deciding",
        "fetching",
        "preflight",
        "shifting",
        "observing",
        "confirming",
        "stopping",
    ];
    let expected = on_the_way
        .map(str::to_owned)
        .into_iter()
        .chain(ends.map(|end| format!("ended: {end}")))
        .chain(whys.map(|why| format!("escalated: {why}")));
    let missed: Vec<_> = expected.filter(|place| seen.get(place).is_none_or(|times| *times < 5)).collect();
    assert!(missed.is_empty(), "hardly ever seen: {missed:?} in {seen:#?}");
}

fn whereabouts(phase: &Phase) -> String {
    match phase {
        Phase::Ended { end } => format!("ended: {}", end.word()),
        Phase::Escalated { why } => {
            let json = serde_json::to_value(why).unwrap();
            format!("escalated: {}", json["why"].as_str().unwrap())
        }
        other => other.word().to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A rate that changed by one bit on its way through the database could be judged differently when it is replayed.
    #[test]
    fn every_rate_is_kept_to_the_last_bit(rate in any::<f64>().prop_filter("finite", |r| r.is_finite())) {
        let seen = look(true, Some(rate), START);
        let text = serde_json::to_string(&seen).unwrap();
        prop_assert_eq!(serde_json::from_str::<lastgood_core::verdict::Observation>(&text).unwrap(), seen);
    }
}
