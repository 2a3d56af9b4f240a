//! What alerts that fire on say in the thread, and why a click is needed where none is asked for.

use insta::assert_snapshot;
use lastgood_core::{
    RollbackId,
    rollback::{Approval, Event},
};

use super::world::*;

fn rejected() -> Event {
    Event::Rejected { by: actor("ben"), standing: approver(), revision: 1, reason: None }
}

#[test]
fn a_rejected_run_whose_alert_fires_on() {
    let mut opening = opening();
    opening.commander = Some(actor("ana"));
    let repeated = || Event::AlertRepeated { title: "CheckoutErrorRate is above 5 %".into() };
    let talk = Talk::new(opening).all([found(survey()), rejected()]).later(40 * MIN).take(repeated()).look();
    assert_snapshot!(talk.said);
}

#[test]
fn an_alert_that_fires_on_after_a_runs_end() {
    let mut opening = opening();
    (opening.parent, opening.previous_end) = (Some(RollbackId(41)), Some(opening.at - 45 * MIN));
    let said = Talk::new(opening).look().said;
    assert!(said.contains("(also in the room)"), "the thread may be far up by now: {said}");
    assert_snapshot!(said);
}

#[test]
fn a_pause_asks_for_a_click() {
    let mut opening = opening();
    opening.policy.approval = Approval::None;
    let why = "shifting without a click is paused by ana since 2026-01-31T08:00:00Z: the *network* flaps";
    let paused = Event::ClickRequired { why: why.into() };
    let more = Event::AlertFired { title: "Latency".into(), since: None, heard: false, more: 11 };
    let talk =
        Talk::new(opening).take(paused).take(found(survey())).look().all([Event::AlertResolved, more]).look();
    assert_snapshot!(talk.said);
}
