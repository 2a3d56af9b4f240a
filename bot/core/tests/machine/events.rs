//! Every kind of event, in every flavour that matters to the answer: by the right person, by the wrong one, on an old
//! proposal, with and without a reason, with every outcome.

use lastgood_core::{
    inventory::Phase as ReleasePhase,
    rollback::{
        Applied, Decision, Event, Fetched, Preflighted, Rollback, ShiftReading, Standing, Surveyed, Timer,
        TrafficNow,
    },
};

use crate::kit::*;

/// Name (as in the table) and event. `state` gives the current revision and page number.
pub fn all(state: &Rollback) -> Vec<(String, Event)> {
    let mut list = outcomes(state);
    list.extend(voting(state));
    list.extend(charge());
    list.extend(surroundings());
    list
}

fn named(list: Vec<(&str, Event)>) -> Vec<(String, Event)> {
    list.into_iter().map(|(flavour, event)| (format!("{} {flavour}", event.kind()), event)).collect()
}

fn outcomes(state: &Rollback) -> Vec<(String, Event)> {
    let detail = || "because".to_owned();
    let since = match state.phase {
        lastgood_core::rollback::Phase::Observing { since, .. }
        | lastgood_core::rollback::Phase::Confirming { since, .. } => since,
        _ => START,
    };
    let (escalation, target) = state.pages.last().map_or((1, 0), |page| (page.escalation, page.target));
    let decided = |decision| Event::DecisionRead { decision };
    let shift = |reading| Event::ShiftRead { reading };
    let stuck = |effect: &str| Event::EffectStuck { effect: effect.into(), detail: "because".into() };
    let seen = |healthy, traffic| Event::Observed { observation: look(healthy, Some(0.0), since), traffic };
    let looked = |healthy, traffic| Event::Watched { observation: look(healthy, None, since), traffic };
    let mut list = named(vec![
        ("found", Event::Surveyed { found: found(survey()) }),
        ("no candidate", Event::Surveyed { found: found(nothing_found()) }),
        ("router unreadable", Event::Surveyed { found: Surveyed::RouterUnreadable { detail: detail() } }),
        ("unchanged", decided(Decision::Unchanged)),
        ("changed", decided(Decision::Changed { what: detail() })),
        ("already there", decided(Decision::AlreadyThere)),
        ("failing unreadable", decided(Decision::FailingUnreadable { detail: detail() })),
        ("router unreadable", decided(Decision::RouterUnreadable { detail: detail() })),
        ("present", Event::Fetched { fetched: Fetched::Present { detail: detail() } }),
        ("warned", Event::Fetched { fetched: Fetched::Warned { detail: detail() } }),
        ("missing", Event::Fetched { fetched: Fetched::Missing { detail: detail() } }),
    ]);
    let ready =
        Preflighted::Ready { before: to("green"), warnings: vec![detail()], pools: Default::default() };
    let unreachable = Preflighted::Unreachable { instances: vec!["lb2".into()], detail: detail() };
    list.extend(named(vec![
        ("ready", Event::PreflightDone { preflight: ready }),
        ("already there", Event::PreflightDone { preflight: Preflighted::AlreadyThere }),
        ("refused", Event::PreflightDone { preflight: Preflighted::Refused { reasons: vec![detail()] } }),
        ("unreachable", Event::PreflightDone { preflight: unreachable }),
        ("accepted", Event::Applied { applied: Applied::Accepted }),
        ("unknown", Event::Applied { applied: Applied::Unknown { detail: detail() } }),
        ("conflict", Event::Applied { applied: Applied::Conflict { detail: detail() } }),
        ("failed", Event::Applied { applied: Applied::Failed { detail: detail() } }),
        ("settled", shift(crate::kit::settled(to("blue")))),
        ("settled elsewhere", shift(crate::kit::settled(to("green")))),
        (
            "not settled",
            shift(ShiftReading::NotSettled { shares: to("green"), detail: detail(), pending: false }),
        ),
        ("unreadable", shift(ShiftReading::Unreadable { detail: detail() })),
        ("good", seen(true, TrafficNow::AsExpected)),
        ("bad", seen(false, TrafficNow::AsExpected)),
        ("elsewhere", seen(true, TrafficNow::Elsewhere { shares: to("green"), detail: detail() })),
        ("unreadable", seen(true, TrafficNow::Unreadable { detail: detail() })),
        ("good look between steps", looked(true, TrafficNow::AsExpected)),
        ("bad look between steps", looked(false, TrafficNow::AsExpected)),
        (
            "elsewhere between steps",
            looked(true, TrafficNow::Elsewhere { shares: to("green"), detail: detail() }),
        ),
        ("unreadable between steps", looked(true, TrafficNow::Unreadable { detail: detail() })),
        ("read", Event::TrafficRead { shares: Some(to("green")), detail: detail() }),
        ("unreadable", Event::TrafficRead { shares: None, detail: detail() }),
        ("rung", Event::Paged { escalation, target, failed: None }),
        ("failed", Event::Paged { escalation, target, failed: Some(detail()) }),
        ("unheard of", Event::Paged { escalation: 99, target: 7, failed: None }),
        ("survey", stuck("survey")),
        ("apply", stuck("apply")),
        ("page", stuck("page")),
        ("of an unknown kind", stuck("teleport")),
    ]));
    list
}

/// The vote.
fn voting(state: &Rollback) -> Vec<(String, Event)> {
    let revision = state.revision;
    let none = Standing::default;
    let approve = |standing, revision, confirmed, reason: Option<&str>| Event::Approved {
        by: actor("ana"),
        standing,
        revision,
        confirmed,
        reason: reason.map(str::to_owned),
    };
    let reject = |standing, revision| Event::Rejected { by: actor("ana"), standing, revision, reason: None };
    let choose = |standing, revision, letter| Event::Chosen {
        by: actor("ana"),
        standing,
        revision,
        digest: digest(letter),
    };
    let glass = |why: &str| Standing { break_glass: Some(why.into()), ..approver() };
    named(vec![
        ("by an approver", approve(approver(), revision, false, None)),
        ("by an approver, confirmed", approve(approver(), revision, true, None)),
        ("by an approver, with a reason", approve(approver(), revision, true, Some("I know why"))),
        ("by an approver, with a blank reason", approve(approver(), revision, false, Some("  "))),
        ("by an approver, old button", approve(approver(), revision.wrapping_sub(1), true, None)),
        ("by anybody", approve(none(), revision, true, None)),
        ("breaking the glass", approve(glass("alone at night"), revision, true, None)),
        ("breaking the glass, blank reason", approve(glass(" "), revision, true, None)),
        ("by an approver", reject(approver(), revision)),
        ("by an approver, old button", reject(approver(), revision.wrapping_sub(1))),
        ("by anybody", reject(none(), revision)),
        ("a skipped one", choose(approver(), revision, 'c')),
        ("an impossible one", choose(approver(), revision, 'd')),
        ("an unknown one", choose(approver(), revision, 'e')),
        ("old button", choose(approver(), revision.wrapping_sub(1), 'c')),
        ("by anybody", choose(none(), revision, 'c')),
    ])
}

/// What people do about a run that is under way or needs them.
fn charge() -> Vec<(String, Event)> {
    let mut list = vec![];
    for (who, standing) in [("by an approver", approver()), ("by anybody", Standing::default())] {
        let (by, s) = (actor("ana"), || standing.clone());
        list.extend(named(vec![
            (who, Event::ProposeAnyway { by: by.clone(), standing: s() }),
            (who, Event::StopAsked { by: by.clone(), standing: s() }),
            (who, Event::RetryAsked { by: by.clone(), standing: s() }),
            (who, Event::NextAsked { by: by.clone(), standing: s() }),
            (who, Event::HandedOver { by: by.clone(), standing: s() }),
            (who, Event::CommanderSet { by: by.clone(), standing: s(), commander: by.clone() }),
            (who, Event::OverrideUnreachable { by: by.clone(), standing: s(), reason: "drained".into() }),
            (who, Event::UndoAsked { by, standing: s(), reason: Some("it was not the release".into()) }),
        ]));
    }
    let by = actor("ana");
    list.extend(named(vec![
        ("blank reason", Event::UndoAsked { by: by.clone(), standing: approver(), reason: Some(" ".into()) }),
        (
            "blank reason",
            Event::OverrideUnreachable { by: by.clone(), standing: approver(), reason: " ".into() },
        ),
        ("", Event::PageAsked { by: by.clone() }),
        ("", Event::Acknowledged { by }),
    ]));
    list
}

fn surroundings() -> Vec<(String, Event)> {
    let release = |letter, pool: Option<&str>| Event::ReleaseRecorded {
        artifact: artifact(letter),
        phase: ReleasePhase::Live,
        by: None,
        pool: pool.map(str::to_owned),
    };
    let mut list = named(vec![
        ("again", Event::Opened(Box::new(opening(policy())))),
        (
            "begun before",
            Event::AlertFired { title: "error rate".into(), since: Some(START), heard: false, more: 0 },
        ),
        ("begun now", Event::AlertFired { title: "error rate".into(), since: None, heard: false, more: 2 }),
        ("", Event::AlertRepeated { title: "error rate".into() }),
        ("", Event::AlertResolved),
        ("", Event::ClickRequired { why: "automatic rollbacks are paused".into() }),
        ("of something else", release('e', None)),
        ("of the target", release('a', None)),
        ("of what fails", release('b', Some("green"))),
        ("of what fails, in the target's pool", release('b', Some("blue"))),
        ("", Event::SuccessorAsked { by: actor("ana") }),
        ("", Event::Undone { by: lastgood_core::RollbackId(43) }),
    ]);
    for timer in Timer::ALL {
        list.push((format!("timer_fired {}", timer.as_str()), Event::TimerFired { timer }));
    }
    list
}
