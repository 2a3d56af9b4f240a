//! A shift in steps, from its users' side.

use lastgood_core::{
    Shares,
    rollback::{
        Applied, Effect, Event, Pace, Phase, Policy, Preflighted, ShiftReading, Timer, TrafficNow, Why,
    },
};

use crate::{kit::*, world::World};

fn shares(blue: u8) -> Shares {
    [("blue".to_owned(), blue), ("green".to_owned(), 100 - blue)].into()
}

fn settled(blue: u8) -> Event {
    Event::ShiftRead { reading: crate::kit::settled(shares(blue)) }
}

fn watched(healthy: bool) -> Event {
    Event::Watched { observation: look(healthy, None, 0), traffic: TrafficNow::AsExpected }
}

/// A run whose preflight passed, one step asked for.
fn shifting(watch: bool) -> World {
    let mut policy = policy();
    policy.pace = Pace { steps: vec![10, 50, 100], every: 15_000, watch };
    until_shifting(policy)
}

fn until_shifting(policy: Policy) -> World {
    let mut world = World::new(opening(policy));
    while !matches!(world.state.phase, Phase::Shifting { .. }) {
        if let Phase::Proposed { .. } = world.state.phase {
            world.give(Event::Approved {
                by: actor("ana"),
                standing: approver(),
                revision: world.state.revision,
                confirmed: true,
                reason: None,
            });
        } else {
            // 4: what an engine answers when all is well.
            world.answer(0, 4);
        }
    }
    world
}

fn asked(world: &World) -> Option<(Shares, Option<Shares>)> {
    world.pending.iter().find_map(|effect| match effect {
        Effect::Apply { to, from, .. } => Some((to.clone(), from.clone())),
        _ => None,
    })
}

/// The step that is asked for comes about.
fn step_settles(world: &mut World, blue: u8) {
    let (to, from) = asked(world).unwrap();
    assert_eq!(to, shares(blue));
    assert_eq!(from, world.state.shares, "the step says what it was based on");
    world.pending.clear();
    world.give(Event::Applied { applied: Applied::Accepted });
    world.pending.clear();
    world.give(settled(blue));
}

#[test]
fn each_step_waits_and_looks_before_the_next() {
    let mut world = shifting(true);
    step_settles(&mut world, 10);
    for (after, next) in [(5_000, None), (5_000, None), (5_000, Some(50))] {
        assert!(
            matches!(world.pending.as_slice(), [Effect::Watch { target: true, .. }]),
            "{:?}",
            world.pending
        );
        world.pending.clear();
        world.at += after;
        world.give(watched(true));
        assert_eq!(asked(&world).map(|(to, _)| to["blue"]), next);
    }
    step_settles(&mut world, 50);
    world.pending.clear();
    world.at += 15_000;
    world.give(watched(true));
    step_settles(&mut world, 100);
    assert!(matches!(world.state.phase, Phase::Observing { .. }));
}

#[test]
fn a_bad_target_stops_the_way_and_says_so() {
    let mut world = shifting(true);
    step_settles(&mut world, 10);
    world.at += 15_000;
    world.give(watched(false));
    assert!(matches!(world.state.phase, Phase::Holding { bad: 1, .. }), "one failed look may be a hiccup");
    assert_eq!(asked(&world), None);
    world.give(watched(false));
    let Phase::Escalated { why: Why::TargetBad { shares: left, detail } } = &world.state.phase else {
        panic!("{:?}", world.state.phase)
    };
    assert_eq!((left, detail.is_empty()), (&shares(10), false));
    assert!(world.state.pages.len() == 1 && world.state.before == Some(shares(0)));
    // Somebody decides to go on all the same: from where it is, not from the start.
    world.give(Event::RetryAsked { by: actor("ana"), standing: approver() });
    let ready = Preflighted::Ready { before: shares(10), warnings: vec![], pools: Default::default() };
    world.pending.clear();
    world.give(Event::PreflightDone { preflight: ready });
    assert_eq!(world.state.before, Some(shares(0)), "the way back stays the one that was found first");
    step_settles(&mut world, 50);
}

#[test]
fn without_watching_only_traffic_is_looked_at() {
    let mut world = shifting(false);
    step_settles(&mut world, 10);
    assert!(matches!(world.pending.as_slice(), [Effect::Watch { target: false, .. }]));
    world.at += 15_000;
    let elsewhere = TrafficNow::Elsewhere { shares: shares(0), detail: "expected blue 10 %".into() };
    world.give(Event::Watched { observation: Default::default(), traffic: elsewhere });
    assert!(matches!(world.state.phase, Phase::Escalated { why: Why::MovedByAnotherHand { .. } }));
    assert_eq!(asked(&world), None);
}

#[test]
fn another_hand_in_the_middle_of_a_step_is_not_fought() {
    for blue in [0, 30] {
        let mut world = shifting(false);
        world.pending.clear();
        world.give(Event::Applied { applied: Applied::Accepted });
        world.pending.clear();
        let reading = ShiftReading::NotSettled {
            shares: shares(blue),
            detail: "lb1 gives that".into(),
            pending: false,
        };
        world.give(Event::ShiftRead { reading });
        assert!(
            matches!(world.state.phase, Phase::Escalated { why: Why::MovedByAnotherHand { .. } }),
            "{blue}"
        );
        assert_eq!(asked(&world), None, "{blue}");
    }
    let mut world = shifting(false);
    world.pending.clear();
    world.give(Event::Applied { applied: Applied::Conflict { detail: "lb1 gives blue 30 %".into() } });
    let reading = ShiftReading::NotSettled { shares: shares(30), detail: "not there".into(), pending: false };
    world.give(Event::ShiftRead { reading });
    let Phase::Escalated { why: Why::MovedByAnotherHand { detail, .. } } = &world.state.phase else {
        panic!("{:?}", world.state.phase)
    };
    assert_eq!(detail, "lb1 gives blue 30 %");
}

#[test]
fn a_request_that_was_lost_is_made_again_and_what_came_about_in_part_is_left_to_a_person() {
    let mut world = shifting(false);
    for _ in 0..2 {
        assert_eq!(asked(&world).unwrap().0, shares(10));
        world.pending.clear();
        world.give(Event::Applied { applied: Applied::Unknown { detail: "no answer".into() } });
        let reading =
            ShiftReading::NotSettled { shares: shares(0), detail: "nothing moved".into(), pending: false };
        world.give(Event::ShiftRead { reading });
    }
    assert_eq!(asked(&world).unwrap().0, shares(10));
    world.pending.clear();
    world.give(Event::Applied { applied: Applied::Unknown { detail: "no answer".into() } });
    // One of two instances moved: they disagree, so shares add up to more than 100.
    let split: Shares = [("blue".into(), 10), ("green".into(), 100)].into();
    world.give(Event::ShiftRead {
        reading: ShiftReading::NotSettled { shares: split, detail: "lb2 not".into(), pending: false },
    });
    assert!(matches!(world.state.phase, Phase::Escalated { why: Why::PartlyShifted { .. } }));
}

#[test]
fn traffic_that_moved_between_the_vote_and_the_shift_is_put_to_the_vote_again() {
    let mut world = World::new(opening(policy()));
    while !matches!(world.state.phase, Phase::Preflight) {
        if let Phase::Proposed { .. } = world.state.phase {
            let (by, standing, revision) = (actor("ana"), approver(), world.state.revision);
            world.give(Event::Approved { by, standing, revision, confirmed: false, reason: None });
        } else {
            world.answer(0, 4);
        }
    }
    let elsewhere = [("red".to_owned(), 40), ("green".to_owned(), 60)].into();
    let ready = Preflighted::Ready { before: elsewhere, warnings: vec![], pools: Default::default() };
    world.give(Event::PreflightDone { preflight: ready });
    assert!(matches!(world.state.phase, Phase::Surveying) && !world.state.moved);
    assert!(world.state.superseded.as_ref().unwrap().contains("red 40 %"));
}

fn not_settled(blue: u8, pending: bool) -> Event {
    let detail = "lb1 says so".to_owned();
    Event::ShiftRead { reading: ShiftReading::NotSettled { shares: shares(blue), detail, pending } }
}

#[test]
fn nobody_is_blamed_for_what_is_late_or_dead() {
    // Accepted, and not taken over in time.
    let mut late = shifting(false);
    late.give(Event::Applied { applied: Applied::Accepted });
    late.give(Event::TimerFired { timer: Timer::Shift });
    late.give(not_settled(0, true));
    assert!(
        matches!(late.state.phase, Phase::Escalated { why: Why::ShiftFailed { .. } }),
        "{:?}",
        late.state.phase
    );
    // Where it was to go, and what is there is dead.
    let mut dead = shifting(false);
    dead.give(Event::Applied { applied: Applied::Accepted });
    dead.give(not_settled(10, false));
    assert!(
        matches!(dead.state.phase, Phase::Escalated { why: Why::TargetBad { .. } }),
        "{:?}",
        dead.state.phase
    );
}

#[test]
fn after_a_downtime_between_two_steps_one_fresh_look_decides() {
    let mut world = shifting(true);
    step_settles(&mut world, 10);
    world.at += 600_000;
    world.give(Event::TimerFired { timer: Timer::Shift });
    assert!(matches!(world.state.phase, Phase::Holding { overdue: true, .. }), "nobody looked yet");
    assert!(matches!(world.pending.as_slice(), [Effect::Watch { .. }]));
    let mut blind = World { pending: vec![], cancelled: vec![], ..world.fork() };
    let unreadable = TrafficNow::Unreadable { detail: "timed out".into() };
    blind.give(Event::Watched { observation: Default::default(), traffic: unreadable });
    assert!(matches!(blind.state.phase, Phase::Escalated { why: Why::OutcomeUnknown { .. } }));
    world.pending.clear();
    world.give(watched(true));
    assert_eq!(asked(&world).unwrap().0, shares(50), "all is well: it goes on");
}

#[test]
fn a_stop_while_the_router_takes_it_over_does_not_forget_that_traffic_was_asked_to_move() {
    for (applied, moved) in [
        (Applied::Accepted, true),
        (Applied::Unknown { detail: "no answer".into() }, true),
        (Applied::Failed { detail: "denied".into() }, false),
    ] {
        let mut policy = policy();
        policy.pace = Pace::default();
        let mut world = until_shifting(policy);
        world.give(Event::Applied { applied });
        world.give(Event::StopAsked { by: actor("ana"), standing: approver() });
        world.give(Event::TrafficRead { shares: Some(shares(0)), detail: "green 100 %".into() });
        assert_eq!(world.state.moved, moved);
        assert_eq!(world.state.has_way_back(), moved);
    }
}

#[test]
fn there_is_no_way_back_to_routers_that_differed() {
    let mut world = shifting(false);
    world.state.before = Some([("blue".into(), 10), ("green".into(), 100)].into());
    world.give(Event::StopAsked { by: actor("ana"), standing: approver() });
    world.give(Event::TrafficRead { shares: Some(shares(50)), detail: "half".into() });
    let undo = Event::UndoAsked { by: actor("ana"), standing: approver(), reason: Some("because".into()) };
    world.give(undo);
    assert!(world.refused.last().unwrap().2.to_string().contains("router instances differed"));
}
