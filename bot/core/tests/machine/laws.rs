//! What must hold of every history, recomputed from its events and not from what the state says of itself.

use std::collections::BTreeMap;

use lastgood_core::{
    Digest, Shares,
    inventory::live::near,
    rollback::{
        Approval, Change, Effect, End, Event, Fetched, Kind, Phase, Preflighted, Refusal, Rollback, Sent,
        ShiftReading, Timer, TrafficNow,
    },
    verdict::{Quality, judge},
};

use crate::world::{Taken, World, awaited};

/// Nobody is left waiting for something that will not come.
pub fn of_the_moment(world: &World) {
    let state = &world.state;
    let firing = state.alert_firing();
    match &state.phase {
        Phase::Ended { .. } => assert!(state.ended_at.is_some()),
        Phase::Proposed { .. } => {
            assert!(world.timers.contains_key(&Timer::Expiry), "a proposal for ever");
            let someone = !state.pages.is_empty() || state.policy.pagers == 0;
            assert!(!firing || someone || world.timers.contains_key(&Timer::Answer), "unanswered, unheard");
        }
        Phase::Escalated { .. } => {
            let quiet = !firing && state.approved_at.is_none();
            assert!(quiet || state.policy.pagers == 0 || !state.pages.is_empty(), "escalated in silence");
        }
        working => {
            let kinds = awaited(working);
            assert!(
                world.pending.iter().any(|e| kinds.contains(e.kind())),
                "{} waits for nothing",
                working.word()
            );
        }
    }
}

pub fn of_the_whole(world: &World) {
    let mut history = History::default();
    for (index, taken) in world.log.iter().enumerate() {
        ends_once(taken);
        old_buttons_never_count(taken);
        votes_are_enough(taken);
        stopped_means_stopped(&mut history, taken);
        marks_follow_traffic(&mut history, taken);
        nothing_moves_unprepared(&mut history, taken);
        if matches!(taken.step.state.phase, Phase::Ended { .. }) && !ended(&taken.before) {
            pages_are_resolved(taken);
        }
        if taken.before.phase.word() == "observing" && has_recovered(&taken.step.state) {
            recovery_was_seen(&world.log[..=index]);
        }
        stability_was_confirmed(taken);
        nothing_ends_while_it_fires(taken);
    }
    late_outcomes_are_stale(world);
}

/// What laws that look back have to remember.
#[derive(Default)]
struct History {
    stopped: bool,
    fetched: bool,
    ready: bool,
    before: Option<Shares>,
    applied: bool,
    marks: BTreeMap<Digest, Option<bool>>,
}

fn ended(state: &Rollback) -> bool {
    matches!(state.phase, Phase::Ended { .. })
}

fn ends_once(taken: &Taken) {
    let (Phase::Ended { end: before }, now) = (&taken.before.phase, &taken.step.state.phase) else { return };
    let Phase::Ended { end } = now else { panic!("{} after its end", now.word()) };
    assert!(before == end || matches!(end, End::Undone { .. }), "two ends: {before:?}, {end:?}");
    for request in &taken.step.effects {
        assert!(
            matches!(request.effect, Effect::ResolvePage { .. }),
            "an ended run asks {:?}",
            request.effect
        );
    }
}

fn old_buttons_never_count(taken: &Taken) {
    if let Event::Approved { revision, standing, .. }
    | Event::Rejected { revision, standing, .. }
    | Event::Chosen { revision, standing, .. } = &taken.event
    {
        assert_eq!(*revision, taken.before.revision, "an old button counted");
        assert!(standing.approver, "anybody's click counted");
    }
}

/// Looks only at what led to the decision: enough different people, or a reason for being alone, or the service's policy.
fn votes_are_enough(taken: &Taken) {
    let (before, now) = (&taken.before, &taken.step.state);
    if !matches!(now.phase, Phase::Deciding) || matches!(before.phase, Phase::Deciding) {
        return;
    }
    let policy = &now.policy;
    match &taken.event {
        Event::Surveyed { .. } => {
            let resolved = before.alert.as_ref().is_some_and(|alert| !alert.firing);
            assert!(policy.approval == Approval::None && !resolved, "approved by nobody");
            let proposal = now.proposal.as_ref().unwrap();
            assert!(proposal.caveats.is_empty() && proposal.doubt.is_none() && now.kind == Kind::Back);
            assert!(now.parent.is_none(), "a run that another one led to, and no person");
        }
        Event::Approved { standing, .. } if standing.break_glass.is_some() => {
            assert!(now.reasons.last().unwrap().contains("broke the glass"));
        }
        Event::Approved { .. } => {
            let ids: std::collections::BTreeSet<_> = now.approvals.iter().map(|actor| &actor.id).collect();
            assert_eq!(ids.len(), now.approvals.len(), "one person, two votes");
            assert!(ids.len() >= policy.approvals.max(1) as usize, "too few votes");
            let own = now.by.as_ref().is_some_and(|by| ids.contains(&by.id));
            assert!(policy.requester_may_approve || !own, "the requester's vote counted");
        }
        Event::RetryAsked { by, standing } => {
            let commands = before.commander.as_ref().is_some_and(|commander| commander.id == by.id);
            assert!(standing.approver || standing.commander || commands, "anybody's retry counted");
            assert!(before.approved_at.is_some(), "a retry of what was never approved");
        }
        other => panic!("{} decided", other.kind()),
    }
}

fn stopped_means_stopped(history: &mut History, taken: &Taken) {
    let person = matches!(
        taken.event,
        Event::RetryAsked { .. }
            | Event::NextAsked { .. }
            | Event::UndoAsked { .. }
            | Event::HandedOver { .. }
            | Event::OverrideUnreachable { .. }
            | Event::Chosen { .. }
    );
    if matches!(taken.event, Event::StopAsked { .. }) {
        history.stopped = true;
    } else if person {
        history.stopped = false;
    }
    for request in taken.step.effects.iter().filter(|_| history.stopped) {
        let harmless = request.effect.is_paging() || request.effect == Effect::ReadTraffic;
        assert!(harmless, "{} after stop", request.effect.kind());
    }
}

fn marks_follow_traffic(history: &mut History, taken: &Taken) {
    let now = &taken.step.state;
    for change in &taken.step.changes {
        match change {
            Change::MarkUnstable { artifact, provisional, .. } => {
                assert!(now.kind == Kind::Back, "an undo blames nobody");
                history.marks.insert(artifact.digest.clone(), Some(*provisional));
            }
            Change::LiftMark { digest } => {
                assert!(!now.moved, "lifted although traffic had moved");
                history.marks.insert(digest.clone(), None);
            }
            _ => {}
        }
    }
    let (Phase::Ended { end }, false) = (&now.phase, ended(&taken.before)) else { return };
    let failing = now.failing().map(|failing| &failing.artifact.digest);
    if let (End::Recovered, Kind::Back, Some(digest)) = (end, &now.kind, failing) {
        assert_eq!(history.marks.get(digest), Some(&Some(false)), "recovered, and not marked for good");
    } else if now.moved {
        // Where what fails is not known (any more), there is nothing to mark.
        let lifted = failing.is_some() && history.marks.values().any(Option::is_none);
        assert!(!lifted || history.marks.values().any(Option::is_some), "moved, and the mark is gone");
    } else {
        assert!(history.marks.values().all(Option::is_none), "nothing moved, and a mark is left");
    }
}

fn nothing_moves_unprepared(history: &mut History, taken: &Taken) {
    let (before, now) = (&taken.before, &taken.step.state);
    match &taken.event {
        Event::Fetched { fetched: Fetched::Present { .. } | Fetched::Warned { .. } } => {
            history.fetched = true
        }
        Event::PreflightDone { preflight: Preflighted::Ready { .. } | Preflighted::AlreadyThere } => {
            history.ready = true;
        }
        _ => {}
    }
    let entered = before.phase.word() != now.phase.word();
    match now.phase {
        // A new proposal or a new decision has to be prepared anew.
        Phase::Surveying | Phase::Proposed { .. } | Phase::Deciding if entered => {
            (history.fetched, history.ready) = (false, false);
            if matches!(now.phase, Phase::Surveying) {
                let shifting = ["shifting", "holding", "observing", "confirming", "stopping"];
                assert!(
                    !shifting.contains(&before.phase.word()),
                    "another proposal in the middle of a shift"
                );
                if !now.moved {
                    (history.applied, history.before) = (false, None);
                }
            }
        }
        Phase::Preflight if entered => history.ready = false,
        _ => {}
    }
    for request in &taken.step.effects {
        if let Effect::Apply { to, digest, .. } = &request.effect {
            assert!(history.fetched && history.ready, "shifts unprepared");
            assert!(now.before.is_some() && now.approved_at.is_some() && now.moved);
            assert_eq!(Some(digest), now.target().map(|target| &target.digest));
            assert!(to.values().map(|share| u32::from(*share)).sum::<u32>() == 100, "shifts to {to:?}");
            steps_lead_onward(taken, to);
            history.applied = true;
            let kept = history.before.get_or_insert_with(|| now.before.clone().unwrap());
            assert_eq!(Some(&*kept), now.before.as_ref(), "the way back was overwritten");
        }
    }
    if history.applied {
        assert_eq!(history.before, now.before, "the way back was overwritten");
        let unmoved = matches!(&taken.event, Event::TrafficRead { shares: Some(s), .. } if Some(s) == now.before.as_ref());
        assert!(now.moved || !before.moved || unmoved, "moved, and forgotten");
    }
}

/// No step goes back on the way, none is taken on a doubt, and what another hand moved is left to a person.
fn steps_lead_onward(taken: &Taken, leg: &Shares) {
    let (before, now) = (&taken.before, &taken.step.state);
    let goal = now.goal().unwrap().routing();
    let away = |from: &Shares, pool: &str| {
        let share = |of: &Shares| of.get(pool).copied().unwrap_or(0);
        share(from).abs_diff(share(goal))
    };
    let known = now.shares.as_ref().filter(|s| s.values().map(|v| u32::from(*v)).sum::<u32>() == 100);
    for pool in leg.keys().filter(|_| known.is_some()) {
        assert!(away(leg, pool) <= away(known.unwrap(), pool), "{pool}: a step back to {leg:?}");
    }
    match &taken.event {
        Event::Watched { observation, traffic } => {
            assert!(observation.probes.iter().all(|probe| probe.healthy), "a step on a doubt");
            assert_eq!(*traffic, TrafficNow::AsExpected);
        }
        Event::ShiftRead { reading: ShiftReading::NotSettled { shares, .. } } => {
            assert!(
                matches!(&before.phase, Phase::Shifting { sent: Sent::Open | Sent::Unknown, .. })
                    && before.shares.as_ref().is_some_and(|last| near(last, shares)),
                "fights for {leg:?}"
            );
        }
        _ => {}
    }
}

fn has_recovered(state: &Rollback) -> bool {
    matches!(state.phase, Phase::Confirming { .. } | Phase::Ended { end: End::Recovered })
}

/// A run ends well only after its bake, by a good look of that moment, with the alert over.
fn stability_was_confirmed(taken: &Taken) {
    let now = &taken.step.state;
    if now.phase != (Phase::Ended { end: End::Recovered }) || ended(&taken.before) {
        return;
    }
    let Event::Observed { observation, traffic: TrafficNow::AsExpected } = &taken.event else {
        panic!("{} ended it well", taken.event.kind());
    };
    let (since, recovered_at) = match taken.before.phase {
        Phase::Confirming { since, recovered_at, .. } => (since, recovered_at),
        Phase::Observing { since, .. } => (since, taken.at),
        ref other => panic!("recovered while {}", other.word()),
    };
    assert_eq!(judge(observation, since), Quality::Good);
    assert!(taken.at - recovered_at >= now.policy.bake, "the bake was cut short");
    assert!(!now.alert_holds());
}

/// Silence is no answer to an alert: only a person's word is.
fn nothing_ends_while_it_fires(taken: &Taken) {
    let person = matches!(
        taken.event,
        Event::Rejected { .. }
            | Event::StopAsked { .. }
            | Event::NextAsked { .. }
            | Event::UndoAsked { .. }
            | Event::HandedOver { .. }
            | Event::SuccessorAsked { .. }
    );
    if ended(&taken.step.state) && !ended(&taken.before) && !person {
        assert!(!taken.step.state.alert_holds(), "{} ended it while the alert fires", taken.event.kind());
    }
}

/// Whatever is under way never answers, and nobody does anything: time alone calls a person, or ends the run.
pub fn time_leads_somewhere(world: &World) {
    let mut alone = World { log: vec![], refused: vec![], ..world.fork() };
    alone.pending.clear();
    let calls = |state: &Rollback| state.pages.len();
    let before = calls(&alone.state);
    for _ in 0..50 {
        let escalated = matches!(alone.state.phase, Phase::Escalated { .. });
        let called = calls(&alone.state) > before || (alone.state.policy.pagers == 0 && escalated);
        if ended(&alone.state) || called {
            return;
        }
        assert!(!alone.timers.is_empty(), "{} waits for ever", alone.state.phase.word());
        alone.fire_next();
        alone.pending.clear();
    }
    panic!("{} goes round and round, and nobody is called", alone.state.phase.word());
}

fn pages_are_resolved(taken: &Taken) {
    for page in &taken.step.state.pages {
        let resolve = Effect::ResolvePage { escalation: page.first(), target: page.target };
        assert!(taken.step.effects.iter().any(|r| r.effect == resolve), "page {} rings on", page.escalation);
    }
}

/// The last N looks since the shift was verified were good, by the verdict's own rule and not by the state's count.
fn recovery_was_seen(log: &[Taken]) {
    let start = log
        .iter()
        .rposition(|taken| {
            taken.before.phase.word() != "observing" && taken.step.state.phase.word() == "observing"
        })
        .unwrap();
    let verified = log[..=start].iter().any(|taken| {
        matches!(&taken.event, Event::ShiftRead { reading: ShiftReading::Settled { shares, .. } }
            if taken.step.state.phase.word() == "observing" && taken.step.state.is_there(shares))
    });
    assert!(verified, "recovered without a verified shift");
    let mut row = 0;
    for taken in &log[start + 1..] {
        let Event::Observed { observation, traffic } = &taken.event else { continue };
        assert!(!matches!(traffic, TrafficNow::Elsewhere { .. }));
        match judge(observation, log[start].at) {
            Quality::Good if *traffic == TrafficNow::AsExpected => row += 1,
            Quality::TooEarly => {}
            _ => row = 0,
        }
    }
    assert!(row >= log[0].before.policy.good_in_a_row.max(1), "recovered after {row} good looks");
}

/// An outcome or a timer that its phase has left behind changes nothing, and is no answer to anybody.
fn late_outcomes_are_stale(world: &World) {
    let effect = |event: &Event| match event {
        Event::Surveyed { .. } => Some("survey"),
        Event::DecisionRead { .. } => Some("reread"),
        Event::Fetched { .. } => Some("fetch"),
        Event::PreflightDone { .. } => Some("preflight"),
        Event::Applied { .. } => Some("apply"),
        Event::ShiftRead { .. } => Some("read_shift"),
        Event::Watched { .. } => Some("watch"),
        Event::Observed { .. } => Some("observe"),
        Event::TrafficRead { .. } => Some("read_traffic"),
        _ => None,
    };
    for taken in &world.log {
        if let Some(kind) = effect(&taken.event) {
            assert!(
                awaited(&taken.before.phase).contains(kind),
                "{kind} while {}",
                taken.before.phase.word()
            );
        }
    }
    for (state, event, refusal) in &world.refused {
        let outcome =
            effect(event).is_some() || matches!(event, Event::TimerFired { .. } | Event::Paged { .. });
        if outcome {
            assert!(matches!(refusal, Refusal::Stale(_)), "{} in {}", event.kind(), state.phase.word());
        }
    }
}
