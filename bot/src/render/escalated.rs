//! When it needs a person: what happened, where traffic is now, and what each button would do about it.

use lastgood_core::{
    Shares,
    card::{Card, Colour, Line},
    rollback::{Phase, Rollback, Why},
    verdict::Verdict,
    words::spell,
};

use super::{
    View,
    action::{Action, Verb},
    buttons, health, paging, proposal,
    words::{
        cut, failing, failing_name, foreign, going_to, is_undo, name, routing, strong, target_name, traffic,
        version, who,
    },
};

/// What is wrong, short enough for a title.
pub fn title(run: &Rollback, why: &Why) -> String {
    let target = target_name(run);
    match why {
        Why::NoCandidate { .. } => "no version to go back to".to_owned(),
        Why::Expired => "the alert fires, and nobody decided".to_owned(),
        Why::RouterUnreadable { .. } => "the router can't be read".to_owned(),
        Why::ArtifactMissing { .. } => format!("{target} can't be fetched"),
        Why::PreflightRefused { .. } => format!("{target} is not fit to take the traffic"),
        Why::InstancesUnreachable { instances, .. } => match instances.len() {
            1 => "a router instance can't be reached".to_owned(),
            n => format!("{n} router instances can't be reached"),
        },
        Why::ShiftFailed { .. } => "the shift failed, traffic is where it was".to_owned(),
        Why::PartlyShifted { .. } => "traffic is only partly shifted".to_owned(),
        Why::OutcomeUnknown { .. } => "it is not known where traffic is".to_owned(),
        Why::TargetBad { .. } => format!("{target} is not well itself, the shift stopped"),
        Why::NotRecovered { verdict: Verdict::NoData } => {
            format!("on {target}, and no data to tell whether it recovered")
        }
        Why::NotRecovered { .. } => format!("on {target}, and not recovered"),
        Why::Relapsed { .. } => format!("on {target}, recovered, and bad again"),
        Why::AlertStillFiring { .. } => format!("healthy on {target}, and the alert still fires"),
        Why::OtherBytes { .. } => format!("other bytes than {target} where traffic goes"),
        Why::MovedByAnotherHand { .. } => "traffic was moved by another hand".to_owned(),
        Why::AnotherRelease { artifact, .. } => format!("{} was deployed meanwhile", name(artifact)),
        Why::Stopped { by, .. } => format!("stopped by {}", cut(&by.name, 40)),
        Why::Stuck { .. } => "lastgood itself is stuck".to_owned(),
    }
}

/// The root card of an escalated run.
pub fn card(card: Card, view: &View, why: &Why) -> Card {
    let mut card = body(card, view, why);
    card = card.line(line![strong("You can:")]);
    for button in buttons::of(view) {
        let Ok(action) = button.action.parse::<Action>() else { continue };
        if let Some(purpose) = purpose(view.rollback, why, action.verb) {
            let mut line = line!["• ", strong(button.label), ": "];
            line.extend(purpose);
            card = card.line(line);
        }
    }
    if let Why::NotRecovered { .. } | Why::Relapsed { .. } | Why::AlertStillFiring { .. } = why {
        card = health::evidence(card, view);
    }
    card
}

/// The record of it in the thread.
pub fn post(view: &View, why: &Why) -> Card {
    let run = view.rollback;
    let card = Card::new(Colour::Bad, format!("{}: {}", run.id, title(run, why)));
    let mut card = body(card, view, why);
    let of_health =
        matches!(why, Why::NotRecovered { .. } | Why::Relapsed { .. } | Why::AlertStillFiring { .. });
    if let (true, Some((_, seen))) = (of_health, view.observed.last()) {
        let mut line = line!["Last check: "];
        line.extend(health::sentence(seen, lastgood_core::At::MIN));
        card = card.line(line);
    }
    if let Some(incident) = view.incident.filter(|incident| incident.root_cause.is_none()) {
        card = card.line(format!("{} is open; it closes only with a root cause.", incident.id));
    }
    card.line("The choices are on the card at the top of the thread.")
}

fn body(mut card: Card, view: &View, why: &Why) -> Card {
    let run = view.rollback;
    card = card.line(happened(run, why));
    let mut now = line![strong("Traffic: ")];
    now.extend(where_now(run, why));
    card = card.line(now);
    if let Why::NoCandidate { .. } = why {
        card = proposal::possible(proposal::skipped(card, run), run);
    }
    if let Some(text) = paging::nobody(run) {
        card = card.line(text);
    }
    card
}

fn happened(run: &Rollback, why: &Why) -> Line {
    let within = spell(run.policy.recover_within);
    match why {
        Why::NoCandidate { detail } => line![strong("No version to go back to: "), foreign(detail)],
        Why::Expired => line![
            strong("Nobody decided before the proposal expired"),
            ", and the alert is still firing. What it was based on is too old to act on."
        ],
        Why::RouterUnreadable { detail } => {
            line![strong("What routes traffic can't be read"), ", so nothing is moved: ", foreign(detail)]
        }
        Why::ArtifactMissing { detail } => {
            line![going_to(run), " ", strong("can't be fetched: "), foreign(detail)]
        }
        Why::PreflightRefused { reasons } => {
            line![strong("Preflight refused the shift: "), foreign(&reasons.join("; "))]
        }
        Why::InstancesUnreachable { instances, detail } => line![
            strong("Can't be reached: "),
            foreign(&instances.join(", ")),
            ". What they route would stay behind. ",
            foreign(detail)
        ],
        Why::ShiftFailed { detail } => {
            line![strong("The shift failed; traffic was read and is where it was. "), foreign(detail)]
        }
        Why::PartlyShifted { detail, .. } => {
            line![strong("Traffic is only partly on "), going_to(run), ": ", foreign(detail)]
        }
        Why::OutcomeUnknown { detail } => {
            line![strong("Traffic was asked to move, and it can't be read back: "), foreign(detail)]
        }
        Why::TargetBad { detail, .. } => line![
            strong("The target itself is not well"),
            ", so no more traffic is moved to ",
            going_to(run),
            ": ",
            foreign(detail)
        ],
        Why::NotRecovered { verdict: Verdict::NoData } => line![
            strong("No data: "),
            "traffic is on ",
            going_to(run),
            format!(", and after {within} nothing tells whether the service is healthy.")
        ],
        Why::NotRecovered { .. } => line![
            strong("Not recovered: "),
            "traffic is on ",
            going_to(run),
            format!(", and after {within} the service is still not healthy. It may not be the release.")
        ],
        Why::Relapsed { detail } => {
            line![
                strong("A relapse: "),
                "the service had recovered on ",
                going_to(run),
                ", and ",
                foreign(detail)
            ]
        }
        Why::AlertStillFiring { detail } => line![
            strong("The alert does not end: "),
            foreign(detail),
            ". Either the checks miss what people suffer from, or the alert measures a long time: look at it, or end it."
        ],
        Why::OtherBytes { detail, .. } => line![
            strong("Nobody voted for what runs there: "),
            foreign(detail),
            ". Somebody deployed there after the vote; going on takes a new one."
        ],
        Why::MovedByAnotherHand { detail, .. } => line![
            strong("Somebody else moved traffic"),
            " during the rollback; that is not fought. ",
            foreign(detail)
        ],
        Why::AnotherRelease { artifact, by } => another_release(artifact, by.as_deref()),
        Why::Stopped { by, detail } => line![who(by), strong(" stopped the rollback. "), foreign(detail)],
        Why::Stuck { effect, detail } => line![
            strong("A step can't be run: "),
            foreign(effect),
            ": ",
            foreign(detail),
            ". This is lastgood's trouble, not the service's."
        ],
    }
}

fn another_release(artifact: &lastgood_core::Artifact, by: Option<&str>) -> Line {
    let mut line = line![version(artifact), strong(" was deployed in the middle of the rollback")];
    line.extend(by.iter().flat_map(|by| [" by ".into(), foreign(by)]));
    line.push("; that is not fought.".into());
    line
}

fn where_now(run: &Rollback, why: &Why) -> Line {
    let read = |shares: &Shares| routing(run, shares);
    match why {
        Why::PartlyShifted { shares, .. }
        | Why::MovedByAnotherHand { shares, .. }
        | Why::OtherBytes { shares, .. }
        | Why::TargetBad { shares, .. } => read(shares),
        Why::OutcomeUnknown { .. } => last_read(run, "not known"),
        Why::RouterUnreadable { .. } if !run.moved => last_read(run, "not readable; nothing was moved"),
        Why::RouterUnreadable { .. } => last_read(run, "not readable"),
        Why::Stuck { .. } | Why::AnotherRelease { .. } if run.moved => last_read(run, "not read again"),
        _ if !run.moved => {
            let mut line = line!["nothing was moved; "];
            line.extend(traffic(run));
            line
        }
        _ => traffic(run),
    }
}

fn last_read(run: &Rollback, now: &str) -> Line {
    let mut line = line![now];
    if let Some(shares) = &run.shares {
        line.push("; last read: ".into());
        line.extend(routing(run, shares));
    }
    line
}

/// What a button would do, said on the card before anybody has to find out.
fn purpose(run: &Rollback, why: &Why, verb: Verb) -> Option<Line> {
    Some(match verb {
        Verb::Retry => retry(run, why),
        Verb::Next => match buttons::next_candidate(run) {
            Some(_) => line!["ends this run and proposes that version, with a vote of its own."],
            None if run.target().is_none() => line!["ends this run and starts a new one."],
            None => line!["ends this run and looks again, without ", going_to(run), "."],
        },
        Verb::Undo => {
            let mut line = line!["asks to put traffic back as it was: "];
            line.extend(run.before.as_ref().map(|before| routing(run, before)).unwrap_or_default());
            line.push(match is_undo(run) {
                true => ". It needs a reason and a vote.".into(),
                false => {
                    format!(". It needs a reason and a vote; {} is what failed.", failing_name(run)).into()
                }
            });
            line
        }
        Verb::HandOver => line!["lastgood does nothing more; you take it from here by hand."],
        Verb::Override => line!["shifts on the reachable instances only. It needs a reason."],
        Verb::Choose => line!["proposes a version that was passed over, with a vote."],
        Verb::Acknowledge => line!["stops the calls and puts you in command."],
        Verb::PageCommander => line!["calls the incident commander."],
        _ => return None,
    })
}

fn retry(run: &Rollback, why: &Why) -> Line {
    match why {
        Why::OtherBytes { .. } => {
            line!["reads everything again and makes a new proposal, with a vote of its own."]
        }
        Why::NotRecovered { .. } | Why::Relapsed { .. } | Why::AlertStillFiring { .. } => {
            line![format!("gives it another {} on ", spell(run.policy.recover_within)), going_to(run), "."]
        }
        Why::Expired => line!["reads everything again and makes a new proposal."],
        _ if run.approved_at.is_none() || run.target().is_none() => {
            line!["reads router and inventory again and proposes what it finds."]
        }
        Why::Stopped { .. } | Why::MovedByAnotherHand { .. } | Why::AnotherRelease { .. } => {
            line!["goes on: preflight, then all traffic to ", going_to(run), "."]
        }
        Why::TargetBad { .. } => {
            line![
                "takes the next steps towards ",
                going_to(run),
                ", after preflight, and goes on watching it."
            ]
        }
        Why::PartlyShifted { .. } => line!["moves the rest to ", going_to(run), ", after preflight."],
        _ => {
            line!["runs preflight again, then moves traffic from ", failing(run), " to ", going_to(run), "."]
        }
    }
}

/// Whether the room has to hear of it as well: production is not what it was before the run.
pub fn is_outcome(run: &Rollback) -> bool {
    matches!(run.phase, Phase::Escalated { .. }) && run.moved
}
