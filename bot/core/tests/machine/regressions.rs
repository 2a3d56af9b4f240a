//! What was wrong once, each as the shortest story that shows it.

use lastgood_core::{
    RollbackId,
    inventory::target::Target,
    rollback::{
        Applied, Approval, Decision, Effect, End, Event, Fetched, Kind, Opening, Phase, Policy, Preflighted,
        Refusal, Rollback, ShiftReading, Standing, Surveyed, Timer, Why,
    },
};

use crate::{
    kit::*,
    story::{Story, approve, ready},
};

fn released(letter: char) -> Event {
    let phase = lastgood_core::inventory::Phase::Live;
    Event::ReleaseRecorded { artifact: artifact(letter), phase, by: None, pool: None }
}

fn unreachable(instance: &str) -> Event {
    let instances = vec![instance.to_owned()];
    Event::PreflightDone { preflight: Preflighted::Unreachable { instances, detail: "timed out".into() } }
}

fn page_failed(state: &Rollback) -> Event {
    let page = state.pages.last().unwrap();
    Event::Paged { escalation: page.escalation, target: page.target, failed: Some("503".into()) }
}

#[test]
fn a_retry_never_shifts_what_nobody_approved() {
    let story = Story::start()
        .proposed()
        .approved("ana")
        .decided(Decision::Unchanged)
        .then(released('e'))
        .then(Event::Surveyed { found: Surveyed::RouterUnreadable { detail: "refused".into() } })
        .retried();
    assert_eq!(asked(&story.last), ["survey"], "the approval was for an older proposal");
}

#[test]
fn votes_do_not_survive_a_new_look() {
    let unreadable = Decision::RouterUnreadable { detail: "refused".into() };
    let story = Story::start().proposed().approved("ana").decided(unreadable).retried().proposed();
    assert!(story.state.approvals.is_empty());
    assert_eq!(story.approved("ana").state.phase, Phase::Deciding, "ana may approve the new one");
}

#[test]
fn a_retry_before_anything_moved_reads_and_fetches_again() {
    let missing = Event::Fetched { fetched: Fetched::Missing { detail: "404".into() } };
    let story =
        Story::start().proposed().approved("ana").decided(Decision::Unchanged).then(missing).retried();
    assert_eq!(asked(&story.last), ["reread"]);
    assert_eq!(asked(&story.decided(Decision::Unchanged).last), ["fetch"]);
}

#[test]
fn a_release_in_the_middle_of_finishing_a_shift_is_not_fought_and_lifts_no_mark() {
    let unknown = Event::ShiftRead { reading: ShiftReading::Unreadable { detail: "gone".into() } };
    let story = Story::start().shifting().then(unknown).retried().then(released('e'));
    assert!(matches!(story.why(), Why::AnotherRelease { .. }));
    assert!(story.state.marked && story.state.moved);
}

#[test]
fn a_resolved_alert_or_another_run_never_approves_itself() {
    let opened = Opening { policy: Policy { approval: Approval::None, ..policy() }, ..opening(policy()) };
    assert_eq!(Story::of(&opened).proposed().state.phase, Phase::Deciding);
    let resolved = Story::of(&opened).then(Event::AlertResolved).proposed();
    assert!(matches!(resolved.state.phase, Phase::Proposed { .. }));
    let linked = Story::of(&Opening { parent: Some(RollbackId(41)), ..opened.clone() }).proposed();
    assert!(matches!(linked.state.phase, Phase::Proposed { .. }), "a relapse needs a decision");
    let changed = Decision::Changed { what: "traffic moved".into() };
    let circling = Story::of(&opened).proposed().decided(changed).proposed();
    assert!(matches!(circling.state.phase, Phase::Proposed { .. }), "one round is enough without anybody");
}

#[test]
fn a_pause_stops_what_has_not_begun_to_move_and_nothing_else() {
    let opened = Opening { policy: Policy { approval: Approval::None, ..policy() }, ..opening(policy()) };
    let pause = || Event::ClickRequired { why: "automatic rollbacks are paused by ana".into() };
    let reading = Story::of(&opened).then(pause()).proposed();
    assert!(matches!(reading.state.phase, Phase::Proposed { .. }), "before the proposal");
    assert_eq!(reading.state.policy.click_needed.as_deref(), Some("automatic rollbacks are paused by ana"));
    let decided = Story::of(&opened).proposed().decided(Decision::Unchanged);
    assert!(decided.state.marked);
    let decided = decided.then(pause());
    assert!(matches!(decided.state.phase, Phase::Surveying) && !decided.state.marked, "after the decision");
    assert!(matches!(decided.proposed().state.phase, Phase::Proposed { .. }));
    let present = Event::Fetched { fetched: Fetched::Present { detail: String::new() } };
    let moving =
        Story::of(&opened).proposed().decided(Decision::Unchanged).then(present).then(ready("green"));
    assert!(matches!(moving.state.phase, Phase::Shifting { .. }));
    assert!(moving.state.is_automatic());
    assert!(matches!(moving.refuses(pause()), Refusal::Stale(_)), "half way is no place to stay");
    let gone = Event::Fetched { fetched: Fetched::Missing { detail: "gone".into() } };
    let stuck = Story::of(&opened).proposed().decided(Decision::Unchanged).then(gone);
    assert!(!stuck.state.is_automatic());
    let again = stuck.then(pause()).retried().proposed();
    assert!(matches!(again.state.phase, Phase::Proposed { .. }), "what is looked at again waits, too");
    let clicked = Story::of(&opened).proposed().decided(Decision::Changed { what: "traffic".into() });
    let clicked = clicked.proposed();
    let approved = approve(&clicked.state, "ana", approver(), false, None);
    let clicked = clicked.then(approved);
    assert!(matches!(clicked.refuses(pause()), Refusal::Stale(_)), "somebody clicked");
}

#[test]
fn only_a_rejected_run_is_told_that_its_alert_fires_on() {
    let repeated = || Event::AlertRepeated { title: "error rate".into() };
    let rejected = Story::start().proposed();
    let reject =
        Event::Rejected { by: actor("ana"), standing: approver(), revision: 1, reason: Some("no".into()) };
    let rejected = rejected.then(reject);
    let (phase, at) = (rejected.state.phase.clone(), rejected.state.ended_at);
    let told = rejected.then(repeated());
    assert_eq!((&told.state.phase, told.state.ended_at), (&phase, at), "the decision stands");
    assert_eq!(told.state.reminded_at, Some(START + MIN));
    assert!(told.last.effects.is_empty() && told.last.changes.is_empty());
    assert!(matches!(Story::start().proposed().refuses(repeated()), Refusal::Stale(_)));
}

#[test]
fn a_blank_reason_is_none() {
    let mut cautious = survey();
    cautious.drift = vec!["green was never recorded".into()];
    let story = Story::start().then(Event::Surveyed { found: found(cautious) });
    let blank = approve(&story.state, "ana", approver(), false, Some("  "));
    assert_eq!(story.then(blank).state.phase, Phase::Proposed { confirming: true });
    let story = Story::start().proposed();
    let glass = Standing { break_glass: Some(" ".into()), ..approver() };
    let refusal = story.refuses(approve(&story.state, "ana", glass, false, None));
    assert!(matches!(refusal, Refusal::NeedsReason(_)));
}

#[test]
fn who_voted_already_may_still_break_the_glass() {
    let two = Story::of(&opening(Policy { approvals: 2, ..policy() })).proposed().approved("ana");
    let glass = Standing { break_glass: Some("nobody else is awake".into()), ..approver() };
    let event = approve(&two.state, "ana", glass, false, None);
    let story = two.then(event);
    assert_eq!((story.state.phase, story.state.approvals.len()), (Phase::Deciding, 1));
}

#[test]
fn one_more_click_has_all_the_time_of_a_proposal_and_is_waited_for() {
    let detail = "timed out".to_owned();
    let story = Story::start().proposed().approved("ana").decided(Decision::FailingUnreadable { detail });
    assert!(story.arms(Timer::Expiry) && story.arms(Timer::Answer));
    let expires = story.state.proposal.as_ref().unwrap().expires_at;
    assert_eq!(expires, START + MIN + policy().expires_after);
}

#[test]
fn an_alert_that_comes_later_is_waited_on_or_pages() {
    let fired = || Event::AlertFired { title: "error rate".into(), since: None, heard: false, more: 0 };
    let asked_for = Opening { alert: None, by: Some(actor("ana")), ..opening(policy()) };
    assert!(Story::of(&asked_for).proposed().then(fired()).arms(Timer::Answer));
    let none = Story::of(&asked_for).then(Event::Surveyed { found: found(nothing_found()) });
    assert!(none.last.effects.is_empty(), "the person who asked reads the answer");
    let alerted = none.then(fired());
    assert_eq!(asked(&alerted.last), ["survey"], "as if the alert had opened it");
    assert!(alerted.arms(Timer::Answer));
}

#[test]
fn choosing_another_target_keeps_what_is_odd_about_the_world() {
    let mut cautious = survey();
    cautious.drift = vec!["green was never recorded".into()];
    let story = Story::start().then(Event::Surveyed { found: found(cautious) }).then(choose('c'));
    let caveats = &story.state.proposal.as_ref().unwrap().caveats;
    assert_eq!(caveats.len(), 2, "the drift, and that it is marked: {caveats:?}");
}

fn choose(letter: char) -> Event {
    Event::Chosen { by: actor("ana"), standing: approver(), revision: 1, digest: digest(letter) }
}

#[test]
fn without_a_candidate_there_is_no_target_until_somebody_chooses_one_that_serves() {
    let mut none = nothing_found();
    let made = Target::made(&artifact('c'), "cccccccccccc", &live("green"));
    none.choice.candidates[1].pools.clear();
    none.choice.candidates[1].target = Some(made.clone());
    none.choice.candidates[0].target = None;
    let story = Story::start().then(Event::Surveyed { found: found(none) });
    assert_eq!(story.state.target(), None, "the gate must not let the failing one pass as a target");
    assert!(matches!(story.refuses(choose('a')), Refusal::Illegal(_)), "nothing serves it");
    let chosen = story.then(choose('c'));
    assert_eq!(chosen.state.goal(), Some(&made), "with the routing of its own");
}

#[test]
fn the_same_routing_with_other_bytes_is_not_there_yet() {
    let mut rolling = survey();
    let green = Target::made(&artifact('a'), "green", &rolling.live);
    rolling.choice.candidates[0].target = Some(green);
    let story = Story::start().then(Event::Surveyed { found: found(rolling) });
    assert!(matches!(story.state.phase, Phase::Proposed { .. }));
}

#[test]
fn settled_somewhere_else_is_not_believed() {
    let elsewhere = Event::ShiftRead { reading: crate::kit::settled(to("green")) };
    assert!(matches!(Story::start().shifting().then(elsewhere).why(), Why::ShiftFailed { .. }));
}

#[test]
fn every_instance_that_was_left_out_stays_out() {
    let skip =
        || Event::OverrideUnreachable { by: actor("ana"), standing: approver(), reason: "drained".into() };
    let before = Story::start()
        .proposed()
        .approved("ana")
        .decided(Decision::Unchanged)
        .then(Event::Fetched { fetched: Fetched::Present { detail: String::new() } });
    let story = before.then(unreachable("lb1")).then(skip()).then(unreachable("lb2")).then(skip());
    let Effect::Preflight { without, .. } = &story.last.effects[0].effect else { panic!() };
    assert_eq!(without, &["lb1", "lb2"]);
}

#[test]
fn a_move_that_came_through_after_all_is_proven_and_not_called_somebody_elses() {
    let read = Event::TrafficRead { shares: Some(to("green")), detail: "green 100 %".into() };
    let stop = Event::StopAsked { by: actor("ana"), standing: approver() };
    let story = Story::start().shifting().then(stop).then(read).retried();
    let story = story.decided(Decision::AlreadyThere);
    assert_eq!(asked(&story.last), ["fetch"]);
}

#[test]
fn a_stopped_run_whose_traffic_cannot_be_read_is_still_a_stopped_one() {
    let stop = Event::StopAsked { by: actor("ana"), standing: approver() };
    let stuck = Event::EffectStuck { effect: "read_traffic".into(), detail: "no answer".into() };
    let story = Story::start().shifting().then(stop).then(stuck);
    assert_eq!(asked(&story.last), ["page"]);
    let done = story.then(Event::HandedOver { by: actor("bo"), standing: approver() });
    assert_eq!(done.state.phase, Phase::Ended { end: End::Stopped { by: actor("ana") } });
}

#[test]
fn a_cancelled_effect_that_gets_stuck_stops_nobody() {
    let story = Story::start().proposed();
    let stuck = Event::EffectStuck { effect: "survey".into(), detail: "no answer".into() };
    assert!(matches!(story.refuses(stuck), Refusal::Stale(_)));
}

#[test]
fn failing_pagers_are_tried_once_round_and_again_when_time_is_up() {
    let two = Policy { pagers: 2, ..policy() };
    let mut story = Story::of(&opening(two)).then(Event::PageAsked { by: actor("ana") });
    for (expected, target) in [(&["page"][..], 1), (&[][..], 1)] {
        let failed = page_failed(&story.state);
        story = story.then(failed);
        assert_eq!(
            (asked(&story.last).as_slice(), story.state.pages.last().unwrap().target),
            (expected, target)
        );
    }
    let again = story.then(Event::TimerFired { timer: Timer::Ack });
    assert_eq!(asked(&again.last), ["page"], "the outage may be over");
    let failed = page_failed(&again.state);
    let again = again.then(failed);
    let failed = page_failed(&again.state);
    let asks = again.then(failed).then(Event::PageAsked { by: actor("bo") });
    assert_eq!(asked(&asks.last), ["page"], "what was never delivered does not ring");
}

#[test]
fn a_new_reason_rings_however_often_the_last_one_did_in_vain() {
    let mut story = Story::start().proposed().then(Event::TimerFired { timer: Timer::Answer });
    for _ in 0..30 {
        story = story.then(Event::TimerFired { timer: Timer::Ack });
    }
    assert!(story.last.effects.is_empty(), "calls in vain are bounded");
    assert!(story.state.warnings.iter().any(|w| w.contains("nobody answered")), "and that is said");
    let expired = story.then(Event::TimerFired { timer: Timer::Expiry });
    assert_eq!(asked(&expired.last), ["page"]);
}

#[test]
fn a_page_that_cannot_be_run_is_a_pager_that_failed() {
    let two = Policy { pagers: 2, ..policy() };
    let stuck = Event::EffectStuck { effect: "page".into(), detail: "not configured".into() };
    let story = Story::of(&opening(two)).then(Event::PageAsked { by: actor("ana") }).then(stuck);
    assert_eq!(asked(&story.last), ["page"]);
}

#[test]
fn an_undo_of_unknown_bytes_goes_to_what_the_pool_holds() {
    let kind = Kind::Undo { of: RollbackId(41), to: to("blue"), artifact: None, contents: [].into() };
    let story = Story::of(&Opening { kind, ..opening(policy()) }).proposed();
    assert_eq!(story.state.target().map(|target| &target.digest), Some(&digest('a')));
}

#[test]
fn only_what_moved_can_be_undone() {
    let rejected = Story::start().proposed();
    let reject = Event::Rejected { by: actor("ana"), standing: approver(), revision: 1, reason: None };
    let rejected = rejected.then(reject);
    assert!(matches!(rejected.refuses(Event::Undone { by: RollbackId(43) }), Refusal::Stale(_)));
}

#[test]
fn a_failed_apply_is_read_back_once_and_not_repeated() {
    let failed = Event::Applied { applied: Applied::Failed { detail: "permission denied".into() } };
    let reading =
        ShiftReading::NotSettled { shares: to("green"), detail: "nothing moved".into(), pending: false };
    let story = Story::start().shifting().then(failed);
    assert_eq!(asked(&story.last), ["read_shift"]);
    assert!(matches!(story.then(Event::ShiftRead { reading }).why(), Why::ShiftFailed { .. }));
}
