//! What the machine may believe, and for how long: each rule as the shortest story in which it matters.

use lastgood_core::{
    At, Digest, RollbackId,
    inventory::live::Running,
    rollback::{
        Alerting, Approval, Change, Decision, Effect, End, Event, Fetched, Kind, Linked, Opening, Phase,
        Policy, Preflighted, Refusal, ShiftReading, Timer, TrafficNow, Why,
    },
    verdict::Baseline,
};

use crate::{
    kit::*,
    story::{Story, approve, ready},
};

fn runs(pool: &str, letter: char) -> std::collections::BTreeMap<String, Running> {
    let mut pools = live("green").pools;
    pools.insert(pool.to_owned(), Running::Seen { digest: digest(letter) });
    pools
}

fn marks(story: &Story) -> Vec<(Digest, bool)> {
    let mark = |change: &Change| match change {
        Change::MarkUnstable { artifact, provisional, .. } => Some((artifact.digest.clone(), *provisional)),
        _ => None,
    };
    story.last.changes.iter().filter_map(mark).collect()
}

fn fetched(story: Story) -> Story {
    story
        .proposed()
        .approved("ana")
        .decided(Decision::Unchanged)
        .then(Event::Fetched { fetched: Fetched::Present { detail: String::new() } })
}

fn alert_fired(since: Option<At>) -> Event {
    Event::AlertFired { title: "error rate".into(), since, heard: false, more: 0 }
}

fn acknowledged() -> Event {
    Event::Acknowledged { by: actor("ana") }
}

// A target carries its own routing and its own bytes.

#[test]
fn other_bytes_in_the_targets_pool_void_the_vote_before_the_first_change() {
    let other = Preflighted::Ready { before: to("green"), warnings: vec![], pools: runs("blue", 'f') };
    let story = fetched(Story::start()).then(Event::PreflightDone { preflight: other });
    assert_eq!(asked(&story.last), ["survey"]);
    assert!(story.state.approvals.is_empty() && !story.state.moved);
    assert!(story.state.superseded.as_ref().unwrap().contains("blue runs ffffffffffff now"));
}

#[test]
fn a_retry_after_somebody_deployed_into_the_targets_pool_needs_a_new_vote() {
    let unreadable = Event::ShiftRead { reading: ShiftReading::Unreadable { detail: "gone".into() } };
    let other = Preflighted::Ready { before: to("green"), warnings: vec![], pools: runs("blue", 'f') };
    let story = Story::start().shifting().then(unreadable).retried();
    let way_back = story.state.before.clone();
    let story = story.then(Event::PreflightDone { preflight: other });
    assert!(matches!(story.why(), Why::OtherBytes { .. }), "{:?}", story.state.phase);
    let again = story.retried();
    assert_eq!(asked(&again.last), ["survey"]);
    assert!(again.state.approvals.is_empty() && again.state.approved_at.is_none());
    assert!(again.state.moved && again.state.before == way_back, "what moved is not forgotten");
}

#[test]
fn other_bytes_right_after_the_change_are_not_the_target() {
    let reading = ShiftReading::Settled { shares: to("blue"), warnings: vec![], pools: runs("blue", 'f') };
    let story = Story::start().shifting().then(Event::ShiftRead { reading });
    assert!(matches!(story.why(), Why::OtherBytes { .. }));
    let recorded = story.last.changes.iter().any(|change| matches!(change, Change::RecordRelease { .. }));
    assert!(!recorded, "nothing is recorded that was not verified");
    // A pool of which nobody can tell is no difference: the vote was on it.
    let mut pools = runs("blue", 'a');
    pools.insert("blue".into(), Running::Unknown { why: "timed out".into() });
    let reading = ShiftReading::Settled { shares: to("blue"), warnings: vec![], pools };
    let story = Story::start().shifting().then(Event::ShiftRead { reading });
    assert!(matches!(story.state.phase, Phase::Observing { .. }));
}

#[test]
fn an_undo_leads_only_to_the_bytes_that_were_there() {
    let done = Story::start().recovered();
    let undo =
        Event::UndoAsked { by: actor("ana"), standing: approver(), reason: Some("it broke more".into()) };
    let asked_for = done.then(undo);
    let linked = asked_for.last.changes.iter().find_map(|change| match change {
        Change::OpenLinked { linked: Linked::Undo { to, artifact, contents } } => Some(Kind::Undo {
            of: RollbackId(42),
            to: to.clone(),
            artifact: artifact.clone(),
            contents: contents.clone(),
        }),
        _ => None,
    });
    let opening = Opening { kind: linked.unwrap(), ..opening(policy()) };
    let mut there = survey();
    there.live = live("blue");
    let story = Story::of(&opening).then(Event::Surveyed { found: found(there.clone()) });
    assert_eq!(story.state.target(), Some(&artifact('b')));
    assert_eq!(story.state.goal().unwrap().routing(), &to("green"));
    there.live.pools = runs("green", 'f');
    let gone = Story::of(&opening).then(Event::Surveyed { found: found(there) });
    assert!(
        matches!(gone.why(), Why::NoCandidate { detail } if detail.contains("green runs ffffffffffff now"))
    );
}

#[test]
fn an_undo_is_not_for_ever() {
    let done = Story::start()
        .recovered()
        .after(11)
        .fires(Timer::Confirm)
        .then(Event::AlertResolved)
        .looks(true, Some(0.0));
    assert_eq!(done.state.phase, Phase::Ended { end: End::Recovered });
    let undo = || Event::UndoAsked { by: actor("ana"), standing: approver(), reason: Some("because".into()) };
    let late = done.after(25 * 60);
    assert!(late.refuses(undo()).to_string().contains("too long for an undo"));
    assert!(matches!(
        Story { at: late.at - 2 * 60 * MIN, ..late }.then(undo()).state.phase,
        Phase::Ended { .. }
    ));
}

#[test]
fn a_canary_that_goes_on_between_card_and_click_voids_no_vote() {
    let mut canary = survey();
    canary.live.shares = [("blue".into(), 75), ("green".into(), 25)].into();
    let story = Story::start().then(Event::Surveyed { found: found(canary) }).approved("ana");
    let story = story.decided(Decision::Unchanged);
    let story = story.then(Event::Fetched { fetched: Fetched::Present { detail: String::new() } });
    let next = [("blue".to_owned(), 50), ("green".to_owned(), 50)].into();
    let ready = Preflighted::Ready { before: next, warnings: vec![], pools: live("green").pools };
    let story = story.then(Event::PreflightDone { preflight: ready });
    assert_eq!(asked(&story.last), ["apply"]);
}

#[test]
fn somebody_who_was_faster_leaves_the_watching_to_the_run() {
    let story = Story::start().proposed().approved("ana").decided(Decision::AlreadyThere);
    assert_eq!((asked(&story.last), marks(&story)), (vec!["fetch"], vec![(digest('b'), true)]));
    let story = story.then(Event::Fetched { fetched: Fetched::Present { detail: String::new() } });
    let story = story.then(Event::PreflightDone { preflight: Preflighted::AlreadyThere });
    assert_eq!(story.state.before, Some(to("green")), "the way back is what was found and voted on");
    let story = story.then(Event::ShiftRead { reading: settled(to("blue")) });
    assert!(matches!(story.state.phase, Phase::Observing { .. }) && story.state.incident);
}

// Nothing ends in quiet while its alert fires.

#[test]
fn recovery_is_confirmed_before_the_run_ends() {
    let story = Story::start().recovered();
    let Phase::Confirming { until, .. } = story.state.phase else { panic!("{:?}", story.state.phase) };
    assert_eq!(until, story.at + policy().bake);
    assert!(marks(&story).is_empty(), "the mark stays provisional");
    assert!(!asked(&story.last).contains(&"resolve_page"), "pages stay open");
    let story = story.then(Event::AlertResolved).after(10).fires(Timer::Confirm);
    assert_eq!(asked(&story.last), ["observe"], "a fresh look decides");
    let story = story.looks(true, Some(0.0));
    assert_eq!(story.state.phase, Phase::Ended { end: End::Recovered });
    assert_eq!(marks(&story), [(digest('b'), false)]);
}

#[test]
fn a_relapse_takes_two_bad_looks_and_calls_a_person() {
    let once = Story::start().recovered().looks(true, Some(0.4));
    assert_eq!(asked(&once.last), ["observe"]);
    let hiccup = once.looks(true, Some(0.0)).looks(true, Some(0.4));
    assert!(matches!(hiccup.state.phase, Phase::Confirming { bad: 1, .. }), "not in a row");
    let relapsed = hiccup.looks(true, Some(0.4));
    assert!(matches!(relapsed.why(), Why::Relapsed { detail } if detail.contains("40.0 %")));
    assert_eq!(asked(&relapsed.last), ["page"]);
    assert_eq!(asked(&relapsed.retried().last), ["observe"], "watched again");
}

#[test]
fn an_alert_that_began_after_the_recovery_is_a_relapse_and_late_news_is_none() {
    let late = Story::start().recovered().after(1).then(alert_fired(Some(START)));
    assert!(matches!(late.state.phase, Phase::Confirming { .. }));
    let new = late.then(alert_fired(None));
    assert!(matches!(new.why(), Why::Relapsed { .. }));
}

#[test]
fn an_alert_that_fires_on_keeps_the_run_open_and_calls_in_the_end() {
    let story = Story::start().recovered().after(10).fires(Timer::Confirm).looks(true, Some(0.0));
    assert!(matches!(story.state.phase, Phase::Confirming { waits_for_alert: true, .. }));
    assert!(story.arms(Timer::Confirm));
    let over = story.then(Event::AlertResolved);
    assert_eq!(asked(&over.last), ["observe"]);
    assert_eq!(over.looks(true, Some(0.0)).state.phase, Phase::Ended { end: End::Recovered });
    let story = Story::start().recovered().after(10).fires(Timer::Confirm).looks(true, Some(0.0));
    let late = story.after(30).fires(Timer::Confirm);
    assert!(matches!(late.why(), Why::AlertStillFiring { .. }));
    assert_eq!(asked(&late.last), ["page"]);
}

#[test]
fn health_checks_alone_are_no_recovery_while_the_alert_fires() {
    let seen = |story: &Story| {
        let Phase::Observing { since, .. } = story.state.phase else { panic!("{:?}", story.state.phase) };
        let observation = lastgood_core::verdict::Observation { metrics: vec![], ..look(true, None, since) };
        Event::Observed { observation, traffic: TrafficNow::AsExpected }
    };
    let mut story = Story::start().observing();
    for _ in 0..10 {
        let event = seen(&story);
        story = story.then(event);
    }
    let late = story.fires(Timer::Recover);
    assert!(
        matches!(late.why(), Why::AlertStillFiring { detail } if detail.contains("no metric is configured"))
    );
    let watching = late.retried();
    let event = seen(&watching);
    let story = watching.then(Event::AlertResolved).then(event.clone()).then(event.clone()).then(event);
    assert!(matches!(story.state.phase, Phase::Confirming { .. }));
}

#[test]
fn silence_at_the_end_of_the_bake_is_no_good_end() {
    let mut story = Story::start().recovered().then(Event::AlertResolved).after(10).fires(Timer::Confirm);
    for _ in 0..2 {
        story = story.looks(true, None);
        assert_eq!(asked(&story.last), ["observe"]);
    }
    assert!(matches!(story.looks(true, None).why(), Why::NotRecovered { .. }));
    // Neither good nor bad in a row, on and on.
    let mut story = Story::start().recovered().then(Event::AlertResolved).after(10).fires(Timer::Confirm);
    for _ in 0..10 {
        story = story.looks(true, None).looks(false, None);
    }
    assert!(matches!(story.after(5).fires(Timer::Confirm).why(), Why::NotRecovered { .. }));
}

#[test]
fn what_another_hand_does_while_stability_is_confirmed_is_seen() {
    let elsewhere = || {
        let traffic = TrafficNow::Elsewhere { shares: to("green"), detail: "by argocd".into() };
        Event::Observed { observation: look(true, Some(0.0), START), traffic }
    };
    let story = Story::start().recovered().then(elsewhere());
    assert!(matches!(story.why(), Why::MovedByAnotherHand { .. }));
    // A release that says so is no riddle: it pages only while the alert fires.
    let release = || Event::ReleaseRecorded {
        artifact: artifact('e'),
        phase: lastgood_core::inventory::Phase::Live,
        by: Some("ci".into()),
        pool: None,
    };
    assert!(matches!(Story::start().recovered().then(release()).why(), Why::AnotherRelease { .. }));
    let fixed = Story::start().recovered().then(Event::AlertResolved).then(release());
    assert!(
        matches!(&fixed.state.phase, Phase::Ended { end: End::Superseded { reason } } if reason.contains("v-e"))
    );
    assert!(marks(&fixed).is_empty() && fixed.state.marked, "the mark stays as it was");
}

#[test]
fn another_rollback_may_begin_while_stability_is_confirmed() {
    let asked_for = || Event::SuccessorAsked { by: actor("bo") };
    assert!(matches!(Story::start().observing().refuses(asked_for()), Refusal::Illegal(_)));
    let story = Story::start().recovered().then(asked_for());
    assert!(matches!(story.state.phase, Phase::Ended { end: End::Superseded { .. } }));
    let stop = Event::StopAsked { by: actor("bo"), standing: approver() };
    let stopped = Story::start().recovered().then(stop);
    assert_eq!(stopped.state.phase, Phase::Ended { end: End::Stopped { by: actor("bo") } });
}

// Every state that is no end has a timer.

#[test]
fn whoever_acknowledged_and_did_nothing_is_asked_and_then_called() {
    let unreadable = Decision::RouterUnreadable { detail: "refused".into() };
    let story = Story::start().proposed().approved("ana").decided(unreadable).then(acknowledged());
    assert!(story.arms(Timer::Act));
    let asked_again = story.after(30).fires(Timer::Act);
    assert!(
        asked_again.state.reminded && asked(&asked_again.last).is_empty() && asked_again.arms(Timer::Act)
    );
    let called = asked_again.after(30).fires(Timer::Act);
    assert_eq!(asked(&called.last), ["page"]);
    assert!(called.state.pages.last().unwrap().why.contains("nothing was done for 60 min"));
}

#[test]
fn a_new_alert_on_a_run_that_was_acknowledged_and_forgotten_rings() {
    let missing = Event::Fetched { fetched: Fetched::Missing { detail: "404".into() } };
    let story = Story::start().proposed().approved("ana").decided(Decision::Unchanged).then(missing);
    let again = story.then(alert_fired(None));
    assert!(asked(&again.last).is_empty(), "it rings already");
    let forgotten = again.then(acknowledged()).after(3 * 24 * 60);
    let rings = forgotten.then(alert_fired(None));
    assert_eq!(asked(&rings.last), ["page"]);
    assert!(rings.state.pages.last().unwrap().why.contains("a new alert fires: error rate"));
    assert_eq!(asked(&rings.retried().last), ["survey"], "what was approved then is not shifted now");
}

#[test]
fn a_run_that_waits_quietly_looks_again_when_an_alert_comes() {
    let asked_for = Opening { alert: None, by: Some(actor("ana")), ..opening(policy()) };
    let quiet = Story::of(&asked_for).then(Event::Surveyed { found: found(nothing_found()) });
    assert!(quiet.state.pages.is_empty());
    let story = quiet.after(60).then(alert_fired(None));
    assert_eq!(asked(&story.last), ["survey"]);
    assert!(story.arms(Timer::Answer));
}

#[test]
fn nobody_for_hours_is_the_end_once_the_alert_is_over_and_a_call_before() {
    let unreadable = || Decision::RouterUnreadable { detail: "refused".into() };
    let story = Story::start().proposed().approved("ana").decided(unreadable()).then(acknowledged());
    let called = story.after(4 * 60).fires(Timer::Idle);
    assert_eq!(asked(&called.last), ["page"]);
    assert!(called.arms(Timer::Idle));
    let over = called.then(Event::AlertResolved).after(4 * 60).fires(Timer::Idle);
    assert_eq!(over.state.phase, Phase::Ended { end: End::Unattended });
}

#[test]
fn a_step_that_never_answers_is_asked_for_once_more_and_then_a_person_is() {
    let story = Story::start().proposed().approved("ana");
    assert!(story.arms(Timer::Step));
    let again = story.after(1).fires(Timer::Step);
    assert_eq!(asked(&again.last), ["reread"]);
    assert!(again.arms(Timer::Step));
    let stuck = again.after(1).fires(Timer::Step);
    assert!(matches!(stuck.why(), Why::Stuck { effect, .. } if effect == "reread"));
    assert_eq!(asked(&stuck.last), ["page"]);
}

#[test]
fn the_last_look_may_be_lost_too() {
    let story = Story::start().observing().after(60).fires(Timer::Recover);
    assert!(story.arms(Timer::Recover) && asked(&story.last) == ["observe"]);
    assert!(matches!(story.after(1).fires(Timer::Recover).why(), Why::NotRecovered { .. }));
    let story = Story::start().shifting().after(60).fires(Timer::Shift);
    assert!(story.arms(Timer::Shift) && asked(&story.last) == ["read_shift"]);
    assert!(matches!(story.after(1).fires(Timer::Shift).why(), Why::OutcomeUnknown { .. }));
}

// Alerts and baselines are evidence with limits.

#[test]
fn what_a_pipeline_tells_late_of_the_runs_own_artifacts_is_no_other_release() {
    let own = |letter, pool: Option<&str>| Event::ReleaseRecorded {
        artifact: artifact(letter),
        phase: lastgood_core::inventory::Phase::Live,
        by: None,
        pool: pool.map(str::to_owned),
    };
    for story in [|| Story::start().proposed(), || Story::start().shifting(), || Story::start().observing()] {
        for late in [own('b', None), own('b', Some("green")), own('b', Some("red")), own('a', Some("blue"))] {
            let before = story();
            let phase = before.state.phase.clone();
            assert_eq!(before.then(late).state.phase, phase);
        }
    }
    let into_target = Story::start().observing().then(own('b', Some("blue")));
    assert!(
        matches!(into_target.why(), Why::AnotherRelease { .. }),
        "the failing bytes where traffic is now"
    );
}

#[test]
fn what_was_normal_is_read_once_and_handed_on_and_doubted_when_it_was_bad() {
    let baseline = |rate| Baseline { metric: "errors".into(), at: START - 10 * MIN, rate };
    let mut first = survey();
    first.baselines = vec![baseline(Some(0.002))];
    let mut later = survey();
    later.baselines = vec![baseline(Some(0.4))];
    let story = Story::start().then(Event::Surveyed { found: found(first) }).approved("ana");
    let changed = Decision::Changed { what: "traffic moved".into() };
    let story = story.decided(changed).then(Event::Surveyed { found: found(later.clone()) });
    assert_eq!(story.state.baselines, [baseline(Some(0.002))]);
    assert!(story.state.proposal.as_ref().unwrap().caveats.is_empty());
    let handed_on = Opening { baselines: story.state.baselines.clone(), ..opening(policy()) };
    let next = Story::of(&handed_on).then(Event::Surveyed { found: found(later.clone()) });
    assert_eq!(next.state.baselines, [baseline(Some(0.002))]);
    let bad = Story::start().then(Event::Surveyed { found: found(later) });
    let caveats = &bad.state.proposal.as_ref().unwrap().caveats;
    assert!(caveats[0].text.contains("40 % before the trouble"), "{caveats:?}");
    let one_click = approve(&bad.state, "ana", approver(), false, None);
    assert_eq!(bad.then(one_click).state.phase, Phase::Proposed { confirming: true });
}

#[test]
fn nothing_to_shift_is_no_end_while_the_alert_fires() {
    let mut there = survey();
    there.live = live("blue");
    let firing = Story::start().then(Event::Surveyed { found: found(there.clone()) });
    assert!(matches!(firing.why(), Why::NoCandidate { detail } if detail.contains("already")));
    assert_eq!(asked(&firing.last), ["page"]);
    let quiet = Story::of(&Opening { alert: None, ..opening(policy()) });
    let quiet = quiet.then(Event::Surveyed { found: found(there) });
    assert!(matches!(quiet.state.phase, Phase::Ended { end: End::Superseded { .. } }));
}

#[test]
fn without_a_bake_the_run_ends_with_its_recovery_but_not_before_its_alert() {
    let at_once = Opening { policy: Policy { bake: 0, ..policy() }, ..opening(policy()) };
    let story = Story::of(&at_once).then(Event::AlertResolved).recovered();
    assert_eq!(story.state.phase, Phase::Ended { end: End::Recovered });
    let firing = Story::of(&at_once).recovered();
    assert!(matches!(firing.state.phase, Phase::Confirming { waits_for_alert: true, .. }));
    let ready = ready("green");
    assert!(matches!(firing.refuses(ready), Refusal::Stale(_)));
    assert!(firing.last.effects.iter().any(|request| matches!(request.effect, Effect::Observe { .. })));
}

#[test]
fn what_a_second_vote_chose_is_fetched_before_anything_moves_again() {
    let reading = ShiftReading::Settled { shares: to("blue"), warnings: vec![], pools: runs("blue", 'f') };
    let voted_again = Story::start()
        .shifting()
        .then(Event::ShiftRead { reading })
        .retried()
        .proposed()
        .approved("ana")
        .decided(Decision::Unchanged);
    let missing = Event::Fetched { fetched: Fetched::Missing { detail: "404".into() } };
    let retried = voted_again.then(missing).retried();
    assert_eq!(asked(&retried.last), ["fetch"]);
}

#[test]
fn an_undo_after_a_hotfix_leads_to_the_hotfix_and_not_to_the_suspect() {
    // c was deployed against b, the suspect, and runs in green.
    let mut hotfix = survey();
    hotfix.live.pools.insert("green".into(), Running::Seen { digest: digest('c') });
    let pools = hotfix.live.pools.clone();
    let ready = Preflighted::Ready { before: to("green"), warnings: vec![], pools };
    let story = Story::start()
        .then(Event::Surveyed { found: found(hotfix) })
        .approved("ana")
        .decided(Decision::Unchanged)
        .then(Event::Fetched { fetched: Fetched::Present { detail: String::new() } })
        .then(Event::PreflightDone { preflight: ready })
        .then(Event::ShiftRead { reading: settled(to("blue")) })
        .then(Event::StopAsked { by: actor("ana"), standing: approver() })
        .then(Event::TrafficRead { shares: Some(to("blue")), detail: "blue 100 %".into() })
        .then(Event::UndoAsked {
            by: actor("ana"),
            standing: approver(),
            reason: Some("b was innocent".into()),
        });
    let undo = story.last.changes.iter().find_map(|change| match change {
        Change::OpenLinked { linked: Linked::Undo { artifact, .. } } => artifact.clone(),
        _ => None,
    });
    assert_eq!(undo, Some(artifact('c')));
}

#[test]
fn an_alert_after_the_last_one_was_over_is_about_what_was_live_then() {
    let story = Story::start().proposed().then(Event::AlertResolved);
    let since = story.at + MIN;
    let alert = story.after(2).then(alert_fired(Some(since))).state.alert.unwrap();
    assert_eq!(alert.since, since);
    let joined = Story::start().proposed().then(alert_fired(Some(START + MIN))).state.alert.unwrap();
    assert_eq!(joined.since, START, "of several the first");
}

#[test]
fn what_is_looked_at_once_more_moves_nothing_without_a_click() {
    let automatic = Policy { approval: Approval::None, ..policy() };
    let asked_for = Opening { alert: None, ..opening(automatic) };
    let quiet = Story::of(&asked_for).then(Event::Surveyed { found: found(nothing_found()) });
    let again = quiet.then(alert_fired(None)).proposed();
    assert!(matches!(again.state.phase, Phase::Proposed { .. }), "{:?}", again.state.phase);
    assert!(again.state.policy.click_needed.is_some());
}

#[test]
fn an_alert_that_was_all_that_was_wrong_and_ends_has_the_service_watched_again() {
    let story = Story::start().recovered().after(10).fires(Timer::Confirm).looks(true, Some(0.0));
    let late = story.after(30).fires(Timer::Confirm);
    let over = late.then(Event::AlertResolved);
    assert!(matches!(over.state.phase, Phase::Observing { .. }));
    assert!(!asked(&over.last).contains(&"resolve_page"), "the page stays open until it is known");
}

#[test]
fn who_came_is_not_called_again_once_the_alert_is_over() {
    let unreadable = Decision::RouterUnreadable { detail: "refused".into() };
    let story = Story::start().proposed().approved("ana").decided(unreadable).then(acknowledged());
    let reminded = story.then(Event::AlertResolved).after(30).fires(Timer::Act);
    assert!(reminded.state.reminded && !reminded.arms(Timer::Act));
    let over = reminded.after(4 * 60).fires(Timer::Idle);
    assert_eq!(over.state.phase, Phase::Ended { end: End::Unattended });
}

#[test]
fn a_new_alert_calls_once_more_when_all_calls_were_in_vain() {
    let unreadable = Decision::RouterUnreadable { detail: "refused".into() };
    let mut story = Story::start().proposed().approved("ana").decided(unreadable);
    for _ in 0..30 {
        story = story.fires(Timer::Ack);
    }
    assert!(asked(&story.last).is_empty() && !story.state.is_ringing());
    assert_eq!(asked(&story.then(alert_fired(None)).last), ["page"]);
}

#[test]
fn an_alert_that_was_only_heard_holds_no_run_open() {
    let heard = Opening {
        alert: Some(Alerting { title: "error rate".into(), since: START, firing: true, heard: true }),
        ..opening(policy())
    };
    let story = Story::of(&heard).recovered().after(10).fires(Timer::Confirm).looks(true, Some(0.0));
    assert_eq!(story.state.phase, Phase::Ended { end: End::Recovered });
}

#[test]
fn what_a_second_vote_leaves_behind_can_be_undone() {
    let reading = ShiftReading::Settled { shares: to("blue"), warnings: vec![], pools: runs("blue", 'f') };
    let again = Story::start().shifting().then(Event::ShiftRead { reading }).retried().proposed();
    let reject = Event::Rejected {
        by: actor("ana"),
        standing: approver(),
        revision: again.state.revision,
        reason: None,
    };
    let rejected = again.then(reject);
    let undo = Event::UndoAsked { by: actor("ana"), standing: approver(), reason: Some("back".into()) };
    assert!(rejected.then(undo).last.changes.iter().any(|c| matches!(c, Change::OpenLinked { .. })));
}
