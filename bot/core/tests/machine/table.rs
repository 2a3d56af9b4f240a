//! Every state with every event: what it leads to is written down in `table.txt`, for people to read and for this test to
//! compare. `UPDATE=1 cargo test -p lastgood-core` writes it anew.

use std::{collections::BTreeMap, fmt::Write};

use lastgood_core::{
    RollbackId,
    rollback::{
        Change, Decision, End, Event, Fetched, Pace, Phase, Policy, Preflighted, Refusal, Rollback, Step,
        Timer, TrafficNow, Why, open, step,
    },
    verdict::Verdict,
};

use crate::{events, kit::*};

fn go(state: &Rollback, event: Event) -> Rollback {
    step(state, &event, START + MIN).unwrap().state
}

/// The states of a run that goes well, in their order.
fn way() -> Vec<(String, Rollback)> {
    let surveying = open(&opening(Policy { approvals: 2, ..policy() })).state;
    let proposed = go(&surveying, Event::Surveyed { found: found(survey()) });
    let glass = lastgood_core::rollback::Standing { break_glass: Some("alone".into()), ..approver() };
    let approve =
        |standing| Event::Approved { by: actor("bo"), standing, revision: 1, confirmed: false, reason: None };
    let half = go(&proposed, approve(approver()));
    let deciding = go(&half, approve(glass));
    let fetching = go(&deciding, Event::DecisionRead { decision: Decision::Unchanged });
    let preflight = go(&fetching, Event::Fetched { fetched: Fetched::Present { detail: String::new() } });
    let ready = Preflighted::Ready { before: to("green"), warnings: vec![], pools: Default::default() };
    let shifting = go(&preflight, Event::PreflightDone { preflight: ready.clone() });
    let settled = crate::kit::settled(to("blue"));
    let in_steps =
        Policy { pace: Pace { steps: vec![10, 100], every: 0, watch: true }, ..preflight.policy.clone() };
    let first = go(
        &Rollback { policy: in_steps, ..preflight.clone() },
        Event::PreflightDone { preflight: ready.clone() },
    );
    let tenth = crate::kit::settled([("blue".into(), 10), ("green".into(), 90)].into());
    let holding = go(&first, Event::ShiftRead { reading: tenth });
    let observing = go(&shifting, Event::ShiftRead { reading: settled });
    let good = || Event::Observed {
        observation: look(true, Some(0.0), START + MIN),
        traffic: TrafficNow::AsExpected,
    };
    let confirming = go(&go(&go(&observing, good()), good()), good());
    let waiting = go(&go(&confirming, Event::TimerFired { timer: Timer::Confirm }), good());
    let stopping = go(&observing, Event::StopAsked { by: actor("bo"), standing: approver() });
    let mut doubted = survey();
    doubted.doubt = Some("it is three weeks old".into());
    let mut cautious = survey();
    cautious.drift = vec!["green was never recorded".into()];
    [
        ("surveying", surveying.clone()),
        ("proposed, with one vote of two", half),
        ("proposed, with a doubt", go(&surveying, Event::Surveyed { found: found(doubted) })),
        ("proposed, with a caveat", go(&surveying, Event::Surveyed { found: found(cautious) })),
        ("deciding", deciding),
        ("fetching", fetching),
        ("preflight", preflight),
        ("shifting", shifting),
        ("holding between two steps", holding),
        ("observing", observing),
        ("confirming", confirming),
        ("confirming, the alert still fires", waiting),
        ("stopping", stopping),
    ]
    .map(|(name, state)| (name.to_owned(), state))
    .into()
}

fn whys() -> Vec<(&'static str, Why)> {
    let detail = || "because".to_owned();
    vec![
        ("no candidate", Why::NoCandidate { detail: detail() }),
        ("expired", Why::Expired),
        ("router unreadable", Why::RouterUnreadable { detail: detail() }),
        ("artifact missing", Why::ArtifactMissing { detail: detail() }),
        ("preflight refused", Why::PreflightRefused { reasons: vec![detail()] }),
        (
            "instances unreachable",
            Why::InstancesUnreachable { instances: vec!["lb1".into()], detail: detail() },
        ),
        ("shift failed", Why::ShiftFailed { detail: detail() }),
        ("partly shifted", Why::PartlyShifted { shares: to("blue"), detail: detail() }),
        ("outcome unknown", Why::OutcomeUnknown { detail: detail() }),
        ("target bad", Why::TargetBad { shares: to("blue"), detail: detail() }),
        ("not recovered", Why::NotRecovered { verdict: Verdict::NotRecovered }),
        ("relapsed", Why::Relapsed { detail: detail() }),
        ("alert still firing", Why::AlertStillFiring { detail: detail() }),
        ("other bytes", Why::OtherBytes { shares: to("blue"), detail: detail() }),
        ("moved by another hand", Why::MovedByAnotherHand { shares: to("green"), detail: detail() }),
        ("another release", Why::AnotherRelease { artifact: artifact('e'), by: None }),
        ("stopped", Why::Stopped { by: actor("bo"), detail: detail() }),
        ("stuck", Why::Stuck { effect: "apply".into(), detail: detail() }),
    ]
}

fn ends() -> Vec<End> {
    vec![
        End::Rejected { by: actor("bo"), reason: None },
        End::Expired,
        End::Superseded { reason: "because".into() },
        End::Stopped { by: actor("bo") },
        End::Recovered,
        End::HandedOver { by: actor("bo") },
        End::Unattended,
        End::Undone { by: RollbackId(43) },
    ]
}

/// Every state that differs in what it takes.
fn states() -> Vec<(String, Rollback)> {
    let mut list = way();
    let [proposed, preflight, observing] = [1, 6, 9].map(|index| list[index].1.clone());
    let before_vote = ["no candidate", "expired"];
    let before_shift =
        ["router unreadable", "artifact missing", "preflight refused", "instances unreachable"];
    for (name, why) in whys() {
        let base = match name {
            _ if before_vote.contains(&name) => &proposed,
            _ if before_shift.contains(&name) => &preflight,
            _ => &observing,
        };
        let state = Rollback { phase: Phase::Escalated { why }, ..base.clone() };
        list.push((format!("escalated: {name}"), state));
    }
    for end in ends() {
        let quiet = matches!(end, End::Rejected { .. } | End::Expired | End::Superseded { .. });
        let base = if quiet { &proposed } else { &observing };
        let name = format!("ended: {}", end.word());
        list.push((name, Rollback { phase: Phase::Ended { end }, ended_at: Some(START), ..base.clone() }));
    }
    list
}

/// What came of it, in a few words.
fn outcome(state: &Rollback, taken: &Result<Step, Refusal>) -> String {
    let step = match taken {
        Ok(step) => step,
        Err(Refusal::Illegal(_)) => return "refused, not now".into(),
        Err(Refusal::NotAllowed(_)) => return "refused, not that person".into(),
        Err(Refusal::Old(_)) => return "refused, older proposal".into(),
        Err(Refusal::NeedsReason(_)) => return "refused, needs a reason".into(),
        Err(Refusal::Stale(_)) => return "recorded as stale".into(),
    };
    let mut text = match &step.state.phase {
        _ if step.state == *state && step.effects.is_empty() && step.changes.is_empty() => {
            return "taken, nothing changes".into();
        }
        phase if *phase == state.phase => "stays".to_owned(),
        Phase::Ended { end } => format!("→ ended: {}", end.word()),
        Phase::Escalated { why } => {
            let known =
                whys().into_iter().find(|(_, w)| std::mem::discriminant(w) == std::mem::discriminant(why));
            format!("→ escalated: {}", known.unwrap().0)
        }
        phase => format!("→ {}", phase.word()),
    };
    let linked = step.changes.iter().any(|change| matches!(change, Change::OpenLinked { .. }));
    let asks = asked(step).join(" and ");
    for (part, said) in
        [(!asks.is_empty(), format!(", asks {asks}")), (linked, ", opens a linked run".into())]
    {
        if part {
            text.push_str(&said);
        }
    }
    text
}

fn reads_well(state: &Rollback, name: &str, refusal: &Refusal) {
    let text = refusal.to_string();
    assert!(text.len() > 10 && text.contains(&state.id.to_string()), "{name}: {text:?} names no rollback");
    for ugly in ["  ", "..", " .", " ,", "{", "Some(", "None", "\n", "; ;"] {
        assert!(!text.contains(ugly), "{name}: {text:?} has {ugly:?}");
    }
    assert!(text.trim() == text && !text.ends_with(':'), "{name}: {text:?}");
}

#[test]
fn every_state_answers_every_event_as_written_down() {
    let mut table = String::from(
        "What every state of a rollback makes of every event. Written by a test; see table.rs.\n\
         Two approvals are needed here; `ana` acts, `bo` voted before her.\n",
    );
    for (name, state) in states() {
        let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (said, event) in events::all(&state) {
            let taken = step(&state, &event, START + 2 * MIN);
            if let Err(refusal) = &taken {
                reads_well(&state, &format!("{name} / {said}"), refusal);
            }
            rows.entry(outcome(&state, &taken)).or_default().push(said.trim().to_owned());
        }
        writeln!(table, "\n== {name}").unwrap();
        for (outcome, mut events) in rows {
            events.sort();
            writeln!(table, "{outcome}").unwrap();
            for event in events {
                writeln!(table, "    {event}").unwrap();
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/table.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let differs = kept.lines().zip(table.lines()).find(|(a, b)| a != b);
    assert!(kept == table, "table.txt differs (UPDATE=1 writes it anew), first at {differs:?}");
}
