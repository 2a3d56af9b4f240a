//! Who is called, by which page, and what an acknowledgement does to it.

use lastgood_core::rollback::{Effect, End, Event, Phase, Policy, Rollback, Step, Timer, Why, open, step};

use crate::kit::*;

/// A run that was opened, and what its last event asked for.
struct Run {
    state: Rollback,
    last: Step,
}

impl Run {
    /// Two pagers, and nobody answered: the first call is made.
    fn rings() -> Self {
        let last = open(&opening(Policy { pagers: 2, ..policy() }));
        let run = Self { state: last.state.clone(), last };
        run.then(Event::Surveyed { found: found(survey()) }).then(Event::TimerFired { timer: Timer::Answer })
    }

    fn then(mut self, event: Event) -> Self {
        self.last = step(&self.state, &event, START + MIN).unwrap();
        self.state = self.last.state.clone();
        self
    }

    fn nobody_came(self) -> Self {
        self.then(Event::TimerFired { timer: Timer::Ack })
    }

    fn acknowledged(self) -> Self {
        self.then(Event::Acknowledged { by: actor("bo") })
    }

    /// What the last event asks of pagers.
    fn asked(&self) -> Vec<Effect> {
        self.last.effects.iter().map(|request| request.effect.clone()).filter(Effect::is_paging).collect()
    }

    /// The number of the first call for the reason of each call.
    fn firsts(&self) -> Vec<(u32, u32)> {
        self.state.pages.iter().map(|page| (page.escalation, page.first())).collect()
    }
}

fn acknowledge(escalation: u32, target: u32) -> Effect {
    Effect::AcknowledgePage { escalation, target }
}

fn resolve(escalation: u32, target: u32) -> Effect {
    Effect::ResolvePage { escalation, target }
}

#[test]
fn a_repeated_call_is_the_same_page_and_a_new_reason_another_one() {
    let run = Run::rings().nobody_came().nobody_came();
    assert_eq!(run.firsts(), [(1, 1), (2, 1), (3, 1)]);
    let targets: Vec<_> = run.state.pages.iter().map(|page| page.target).collect();
    assert_eq!(targets, [0, 0, 1], "twice, then the next pager");
    let run = run.then(Event::TimerFired { timer: Timer::Expiry });
    assert!(matches!(run.state.phase, Phase::Escalated { why: Why::Expired }));
    assert_eq!(run.firsts().last(), Some(&(4, 4)));
    let ended = run.then(Event::HandedOver { by: actor("ana"), standing: approver() });
    assert!(matches!(ended.state.phase, Phase::Ended { end: End::HandedOver { .. } }));
    assert_eq!(ended.asked(), [resolve(1, 0), resolve(1, 1), resolve(4, 0)], "each page once");
}

#[test]
fn whoever_comes_stops_every_call_of_the_run() {
    let run = Run::rings().nobody_came().nobody_came().then(Event::TimerFired { timer: Timer::Expiry });
    let run = run.acknowledged();
    assert_eq!(run.asked(), [acknowledge(1, 0), acknowledge(1, 1), acknowledge(4, 0)]);
    assert!(run.state.pages.iter().all(|page| page.acknowledged.is_some()));
    assert_eq!(run.state.commander, Some(actor("bo")));
    step(&run.state, &Event::Acknowledged { by: actor("ana") }, START + MIN).unwrap_err();
    // Nobody is called again; a new reason rings.
    let later = run.nobody_came();
    assert_eq!((later.asked(), later.state.pages.len()), (vec![], 4));
    let asked = later.then(Event::PageAsked { by: actor("eve") });
    assert_eq!(asked.firsts().last(), Some(&(5, 5)));
    let again = asked.acknowledged();
    assert_eq!(again.asked(), [acknowledge(5, 0)], "what was acknowledged is told once");
}

#[test]
fn a_call_that_was_under_way_when_somebody_came_is_acknowledged_after_it() {
    for failed in [None, Some("no answer".to_owned())] {
        let run = Run::rings().acknowledged().then(Event::Paged { escalation: 1, target: 0, failed });
        assert_eq!(run.asked(), [acknowledge(1, 0)]);
        assert_eq!(run.state.pages.len(), 1, "nobody else is called");
    }
}

#[test]
fn a_call_that_was_under_way_at_the_end_is_resolved_after_it() {
    // A failed call may have rung: its answer was lost.
    for failed in [None, Some("no answer".to_owned())] {
        let rejected = Event::Rejected { by: actor("ana"), standing: approver(), revision: 1, reason: None };
        let run = Run::rings().then(rejected).then(Event::Paged { escalation: 1, target: 0, failed });
        assert_eq!(run.asked(), [resolve(1, 0)]);
    }
}

#[test]
fn a_call_of_an_earlier_build_is_a_page_of_its_own() {
    let run = Run::rings().nobody_came();
    let mut json = serde_json::to_value(&run.state).unwrap();
    for page in json["pages"].as_array_mut().unwrap() {
        page.as_object_mut().unwrap().remove("first");
    }
    let state: Rollback = serde_json::from_value(json).unwrap();
    let firsts: Vec<_> = state.pages.iter().map(lastgood_core::rollback::Page::first).collect();
    assert_eq!(firsts, [1, 2]);
}
