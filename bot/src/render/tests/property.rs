//! Buttons and the state machine agree, in every state that random events lead to.

use lastgood_core::{
    rollback::{
        Applied, Decision, End, Event, Fetched, Phase, Preflighted, Rollback, ShiftReading, Surveyed, Timer,
        TrafficNow, Why, step,
    },
    verdict::Observation,
};
use proptest::prelude::*;

use super::world::*;
use crate::render::{
    action::{Action, Verb, chosen, input},
    root,
};

/// What pressing a button means to the state machine, its form filled in. None: not the state machine's business.
fn pressed(run: &Rollback, verb: Verb, reason: Option<String>, candidate: Option<&str>) -> Option<Event> {
    // Somebody who has neither asked nor voted.
    let (by, standing, revision) = (actor("zoe"), approver(), run.revision);
    Some(match verb {
        Verb::Approve => Event::Approved { by, standing, revision, confirmed: false, reason },
        Verb::ApproveAnyway => Event::Approved { by, standing, revision, confirmed: true, reason },
        Verb::Reject => Event::Rejected { by, standing, revision, reason },
        Verb::Choose => {
            let digest = chosen(run.proposal.as_ref()?, candidate?)?;
            Event::Chosen { by, standing, revision, digest }
        }
        Verb::ProposeAnyway => Event::ProposeAnyway { by, standing },
        Verb::PageCommander => Event::PageAsked { by },
        Verb::Acknowledge => Event::Acknowledged { by },
        Verb::Stop => Event::StopAsked { by, standing },
        Verb::Retry => Event::RetryAsked { by, standing },
        Verb::Override => Event::OverrideUnreachable { by, standing, reason: reason? },
        Verb::Next => Event::NextAsked { by, standing },
        Verb::Undo => Event::UndoAsked { by, standing, reason },
        Verb::HandOver => Event::HandedOver { by, standing },
        Verb::CloseIncident | Verb::Resume | Verb::ResumeAnyway => return None,
    })
}

/// Accepted by the state machine, and still no button. Each has its reason here.
fn left_out(run: &Rollback, verb: Verb) -> bool {
    match verb {
        // Rejecting says the same, with a reason.
        Verb::Stop => matches!(run.phase, Phase::Proposed { .. }),
        // An undo goes back to where it came from; another version is a rollback of its own.
        Verb::Choose => matches!(run.kind, lastgood_core::rollback::Kind::Undo { .. }),
        // There is none that this would be the next of; "look again" does the same.
        Verb::Next => matches!(run.phase, Phase::Escalated { why: Why::NoCandidate { .. } }),
        // Nobody is called any more.
        Verb::Acknowledge => matches!(run.phase, Phase::Ended { .. }),
        // One of them is shown, whichever fits.
        Verb::Approve | Verb::ApproveAnyway => true,
        _ => false,
    }
}

fn agree(talk: &Talk) -> Result<(), TestCaseError> {
    let run = &talk.run;
    let around = Around::default();
    let card = root(&talk.view(&around));
    super::limits::within_limits(&card);
    let mut offered = Vec::new();
    for button in &card.buttons {
        let action: Action = button.action.parse().unwrap();
        offered.push(action.verb);
        let inputs = || button.form.iter().flat_map(|form| &form.inputs);
        let reason = inputs().any(|i| i.id == input::REASON).then(|| "because".to_owned());
        let options = inputs().find(|i| i.id == input::CANDIDATE).map(|i| i.options.clone());
        for (value, _) in options.unwrap_or_else(|| vec![(String::new(), String::new())]) {
            let Some(event) = pressed(run, action.verb, reason.clone(), Some(&value)) else {
                prop_assert_eq!(action.verb, Verb::CloseIncident);
                continue;
            };
            let taken = step(run, &event, talk.at);
            prop_assert!(taken.is_ok(), "{} in {:?}: {:?}", button.label, run.phase, taken.err());
        }
    }
    for verb in Verb::ALL {
        for candidate in [digest('b'), digest('e')] {
            let value = candidate.as_str();
            if run.target().is_some_and(|target| target.digest == candidate) && verb == Verb::Choose {
                continue;
            }
            let Some(event) = pressed(run, verb, Some("because".into()), Some(value)) else { continue };
            let takes = step(run, &event, talk.at).is_ok() && !left_out(run, verb);
            prop_assert!(!takes || offered.contains(&verb), "{verb:?} is not offered in {:?}", run.phase);
        }
    }
    let approvable = step(run, &pressed(run, Verb::ApproveAnyway, Some("x".into()), None).unwrap(), talk.at);
    let offers = offered.contains(&Verb::Approve) || offered.contains(&Verb::ApproveAnyway);
    prop_assert_eq!(approvable.is_ok(), offers, "approval in {:?}", run.phase);
    Ok(())
}

/// One of everything that can happen.
fn happening(n: u8, run: &Rollback) -> Event {
    let half = || [("blue".to_owned(), 40), ("green".to_owned(), 60)].into();
    let detail = || "detail".to_owned();
    let button = usize::from(n) % Verb::ALL.len();
    match n {
        0..=3 => found(survey()),
        4 => {
            let mut survey = survey();
            survey.drift = vec!["drift".into()];
            found(survey)
        }
        5 => {
            let mut survey = survey();
            survey.doubt = Some("old".into());
            found(survey)
        }
        6 => {
            let mut survey = survey();
            survey.choice.chosen = None;
            found(survey)
        }
        7 => {
            let mut survey = survey();
            for candidate in &mut survey.choice.candidates {
                candidate.irreversible = Some(("v2.5.0".into(), "drops a column".into()));
            }
            found(survey)
        }
        8 => Event::Surveyed { found: Surveyed::RouterUnreadable { detail: detail() } },
        9..=12 => unchanged(),
        13 => Event::DecisionRead { decision: Decision::FailingUnreadable { detail: detail() } },
        14 => Event::DecisionRead { decision: Decision::Changed { what: detail() } },
        15..=18 => present(),
        19 => Event::Fetched { fetched: Fetched::Missing { detail: detail() } },
        20..=24 => ready(),
        25 => Event::PreflightDone {
            preflight: Preflighted::Unreachable { instances: vec!["two".into()], detail: detail() },
        },
        26 => Event::PreflightDone { preflight: Preflighted::Refused { reasons: vec![detail()] } },
        27..=29 => accepted(),
        30 => Event::Applied { applied: Applied::Failed { detail: detail() } },
        31..=34 => settled(),
        35 => Event::ShiftRead {
            reading: ShiftReading::NotSettled { shares: half(), detail: detail(), pending: false },
        },
        36 => Event::ShiftRead { reading: ShiftReading::Unreadable { detail: detail() } },
        37..=39 => seen(Some(0.001), i64::MAX, true),
        40 => seen(None, i64::MAX, true),
        41 => Event::Observed {
            observation: Observation::default(),
            traffic: TrafficNow::Elsewhere { shares: half(), detail: detail() },
        },
        42 => Event::TrafficRead { shares: Some(half()), detail: detail() },
        43 => Event::TrafficRead { shares: Some(to("green")), detail: detail() },
        44..=48 => Event::TimerFired { timer: Timer::ALL[usize::from(n - 44)] },
        49 => Event::Paged { escalation: 1, target: 0, failed: None },
        50 => Event::Paged { escalation: 1, target: 0, failed: Some(detail()) },
        51 => Event::AlertResolved,
        52 => Event::EffectStuck { effect: "survey".into(), detail: detail() },
        53 => Event::ReleaseRecorded {
            artifact: artifact("v2.6.0", 'f'),
            phase: Default::default(),
            by: None,
            pool: None,
        },
        54 => Event::AlertFired { title: "again".into(), since: None, heard: false, more: 0 },
        55 => Event::SuccessorAsked { by: actor("zoe") },
        56..=59 => Event::TimerFired { timer: Timer::ALL[usize::from(n - 51)] },
        _ => pressed(run, Verb::ALL[button], Some("because".into()), Some(digest('b').as_str()))
            .unwrap_or(Event::AlertResolved),
    }
}

/// What usually comes next, so that walks get far.
fn onwards(run: &Rollback) -> Event {
    match run.phase {
        Phase::Surveying => found(survey()),
        Phase::Proposed { .. } => confirm("zoe", run.revision),
        Phase::Deciding => unchanged(),
        Phase::Fetching => present(),
        Phase::Preflight => ready(),
        Phase::Shifting { .. } => settled(),
        Phase::Observing { .. } | Phase::Confirming { .. } => seen(Some(0.001), i64::MAX, true),
        _ => Event::AlertResolved,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_button_is_taken_and_whatever_is_taken_has_a_button(
        walk in proptest::collection::vec((any::<bool>(), 0u8..80), 0..25),
        approvals in 1u32..3,
        pagers in 0u32..3,
        undo in proptest::bool::weighted(0.15),
    ) {
        let mut opening = opening();
        opening.policy.approvals = approvals;
        opening.policy.pagers = pagers;
        opening.policy.bake = 20_000;
        if undo {
            opening.kind = lastgood_core::rollback::Kind::Undo {
                of: lastgood_core::RollbackId(41),
                to: to("blue"),
                artifact: Some(artifact("v2.4.1", 'b')),
                contents: Default::default(),
            };
        }
        let mut talk = Talk::new(opening);
        agree(&talk)?;
        for (on, n) in walk {
            let mut event = if on { onwards(&talk.run) } else { happening(n, &talk.run) };
            if let Event::Approved { by, .. } = &mut event {
                // The one who presses buttons in the check must not have voted before.
                *by = actor(&format!("voter {}", talk.run.approvals.len()));
            }
            if talk.try_take(&event).is_ok() {
                agree(&talk)?;
            }
        }
        if let Phase::Ended { end: End::Rejected { .. } } = &talk.run.phase {
            prop_assert!(!talk.run.moved);
        }
    }
}
