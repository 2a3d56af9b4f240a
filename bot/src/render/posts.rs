//! Replies in the thread: one for each thing worth remembering. The root card shows how things stand; these say how it
//! came to that, for the people who come later and for the root cause analysis.

use lastgood_core::{
    Actor,
    card::{Card, Colour},
    rollback::{Applied, Decision, Event, Fetched, Phase, Preflighted, Rollback, ShiftReading, Timer},
    verdict::Observation,
    words::spell,
};

use super::{
    Post, View, alerts, confirming, ended, escalated, health, opened, paging, proposal, waiting,
    words::{failing, fit, foreign, going_to, people, routing, strong, target_name, traffic, version, who},
};

/// What to say in the thread of an event that led from `before` to `after`.
pub fn posts(before: Option<&Rollback>, event: &Event, after: &Rollback, view: &View) -> Vec<Post> {
    let view = &View { rollback: after, ..*view };
    let cards = match before {
        None => match event {
            Event::Opened(opening) => vec![opened::post(view, opening)],
            _ => vec![],
        },
        Some(before) => {
            let mut cards: Vec<_> = of_event(before, event, view).into_iter().collect();
            cards.extend(of_phase(before, event, view));
            cards
        }
    };
    let outcome = is_outcome(before, event, after);
    let count = cards.len();
    let posts = cards.into_iter().enumerate();
    posts.map(|(n, card)| Post { card: fit(card), broadcast: n + 1 == count && outcome }).collect()
}

/// The last card of such an event is what the room hears.
fn is_outcome(before: Option<&Rollback>, event: &Event, after: &Rollback) -> bool {
    if let (None, Event::Opened(opening)) = (before, event) {
        // The thread may be far up by now.
        return opening.previous_end.is_some();
    }
    let changed = before.is_none_or(|before| before.phase != after.phase);
    changed
        && match &after.phase {
            // Another run goes on in the same thread, and will have an outcome.
            Phase::Ended { .. } => !matches!(
                event,
                Event::NextAsked { .. } | Event::UndoAsked { .. } | Event::SuccessorAsked { .. }
            ),
            Phase::Confirming { .. } => {
                before.is_some_and(|before| before.phase.word() != after.phase.word())
            }
            _ => escalated::is_outcome(after),
        }
}

pub(super) fn note(run: &Rollback, colour: Colour, text: &str) -> Card {
    Card::new(colour, format!("{}: {text}", run.id))
}

/// What the new phase is worth a card for.
fn of_phase(before: &Rollback, event: &Event, view: &View) -> Option<Card> {
    let run = view.rollback;
    if std::mem::discriminant(&before.phase) == std::mem::discriminant(&run.phase)
        && !matches!(run.phase, Phase::Escalated { .. } | Phase::Ended { .. })
    {
        return None;
    }
    if before.phase == run.phase {
        return None;
    }
    match &run.phase {
        Phase::Proposed { .. } | Phase::Deciding if matches!(event, Event::Surveyed { .. }) => {
            proposal::post(view)
        }
        Phase::Fetching => Some(approved(view, event)),
        Phase::Shifting { .. } if matches!(before.phase, Phase::Holding { .. }) => Some(step(run)),
        Phase::Shifting { .. } => Some(shifting(run)),
        Phase::Holding { .. } => Some(held(run)),
        Phase::Observing { .. } if matches!(event, Event::ShiftRead { .. }) => Some(shifted(run)),
        Phase::Confirming { .. } => Some(confirming::post(view)),
        Phase::Escalated { why } => Some(escalated::post(view, why)),
        Phase::Ended { end } => Some(ended::post(view, end)),
        _ => None,
    }
}

fn approved(view: &View, event: &Event) -> Card {
    let run = view.rollback;
    let faster = matches!(event, Event::DecisionRead { decision: Decision::AlreadyThere });
    let mut card = note(run, Colour::Working, &format!("going to {}", target_name(run))).line(match faster {
        true => {
            "All traffic is there already: somebody else was faster. It is checked and watched all the same."
        }
        false => "Nothing has changed since the proposal.",
    });
    if proposal::nobody_asked(run) {
        card = card.line(line![strong("Nobody was asked: "), "approval = none."]);
    } else {
        let mut line = line!["Approved by "];
        line.extend(people(&run.approvals));
        line.push(".".into());
        card = card.line(line);
    }
    if run.marked {
        card = card.line(line![
            failing(run),
            " is marked unstable for now",
            if view.gate_refuses { "; the gate refuses it." } else { "." }
        ]);
    }
    if let Some(incident) = view.incident.filter(|incident| incident.root_cause.is_none()) {
        card = card.line(format!("{} is open; it closes only with a root cause.", incident.id));
    }
    match &run.commander {
        Some(commander) => card.line(line!["In command: ", who(commander), "."]),
        None => card,
    }
}

/// A step that was read back.
fn held(run: &Rollback) -> Card {
    let mut line = line!["Traffic: "];
    line.extend(traffic(run));
    let pace = &run.policy.pace;
    note(run, Colour::Working, "a step is done").line(line).line(match pace.watch {
        true => format!("The next one comes in {}, if the target is well.", spell(pace.every)),
        false => format!("The next one comes in {}.", spell(pace.every)),
    })
}

fn step(run: &Rollback) -> Card {
    let Phase::Shifting { leg, .. } = &run.phase else { return shifting(run) };
    let card = note(run, Colour::Working, "the next step");
    match leg {
        Some(leg) => {
            let mut line = line!["To "];
            line.extend(routing(run, leg));
            card.line(line)
        }
        None => card.line(line!["All traffic to ", going_to(run), "."]),
    }
}

fn shifting(run: &Rollback) -> Card {
    let mut card = note(run, Colour::Working, "preflight passed, moving traffic");
    // Not where it began: after a stop in the middle, traffic is elsewhere.
    if let Some(now) = run.shares.as_ref().or(run.before.as_ref()) {
        let mut line = line!["From "];
        line.extend(routing(run, now));
        line.extend([" to ".into(), going_to(run), ".".into()]);
        card = card.line(line);
    }
    if let Phase::Shifting { leg: Some(leg), .. } = &run.phase {
        let mut line = line!["In steps; the first one to "];
        line.extend(routing(run, leg));
        line.push(".".into());
        card = card.line(line);
    }
    if !run.without.is_empty() {
        card = card.line(line!["Without ", foreign(&run.without.join(", ")), "."]);
    }
    for warning in run.warnings.iter().rev().take(4).rev() {
        card = card.line(line!["Warning: ", foreign(warning)]);
    }
    card
}

fn shifted(run: &Rollback) -> Card {
    let mut line = line!["Read back: "];
    line.extend(super::words::traffic(run));
    line.push(".".into());
    note(run, Colour::Working, &format!("traffic is on {}", target_name(run))).line(line).line(format!(
        "Recovered means {} good checks in a row within {}.",
        run.policy.good_in_a_row.max(1),
        spell(run.policy.recover_within)
    ))
}

/// What is worth a card whatever phase follows: first what people did.
fn of_event(before: &Rollback, event: &Event, view: &View) -> Option<Card> {
    let run = view.rollback;
    match event {
        Event::Approved { by, .. } => voted(before, run, by),
        Event::Chosen { by, .. } => Some(proposal::chosen(view, by)),
        Event::ProposeAnyway { by, .. } => {
            Some(by_person(run, by, "proposed anyway", "proposes the rollback all the same."))
        }
        Event::StopAsked { by, .. } if run.active() => Some(by_person(
            run,
            by,
            "stopping",
            "stopped it. No further step is taken; reading where traffic is now.",
        )),
        Event::RetryAsked { by, .. } => Some(retried(run, by)),
        Event::OverrideUnreachable { by, reason, .. } => Some(
            note(run, Colour::Warning, "going on without unreachable instances")
                .line(line![who(by), " goes on without ", foreign(&run.without.join(", "))])
                .line(line!["Reason: ", foreign(reason)]),
        ),
        Event::UndoAsked { by, reason, .. } => {
            let card = by_person(
                run,
                by,
                "undo asked for",
                "asked to undo it; a run of its own puts that to the vote.",
            );
            Some(match reason {
                Some(reason) => card.line(line!["Reason: ", foreign(reason)]),
                None => card,
            })
        }
        _ => of_surroundings(before, event, view),
    }
}

/// Pagers, clocks, alerts and pipelines.
fn of_surroundings(before: &Rollback, event: &Event, view: &View) -> Option<Card> {
    let run = view.rollback;
    match event {
        Event::Acknowledged { by } => Some(paging::acknowledged(run, by)),
        Event::CommanderSet { by, commander, .. } => {
            Some(note(run, Colour::Neutral, "a new incident commander").line(line![
                who(commander),
                " is in command, said ",
                who(by),
                "."
            ]))
        }
        Event::Paged { escalation, .. } => paging::paged(view, *escalation),
        Event::TimerFired { timer } => timer_fired(before, view, *timer),
        Event::Observed { observation, .. } => {
            confirming::waits(before, run).or_else(|| turned(before, run, observation))
        }
        Event::AlertFired { title, more, .. } => alerts::fires(before, run, title, *more),
        Event::AlertRepeated { title } => Some(alerts::fires_on(run, title)),
        Event::AlertResolved if before.alert_firing() => Some(resolved(run)),
        Event::ReleaseRecorded { artifact, by, .. } => released(before, run, artifact, by.as_deref()),
        Event::EffectStuck { effect, detail } if before.phase == run.phase => {
            Some(note(run, Colour::Bad, "a step can't be run").line(line![
                foreign(effect),
                ": ",
                foreign(detail)
            ]))
        }
        _ => of_outcome(run, event),
    }
}

/// Outcomes of effects that are more than their phase.
fn of_outcome(run: &Rollback, event: &Event) -> Option<Card> {
    match event {
        Event::DecisionRead { decision: Decision::Changed { what } } => Some(
            note(run, Colour::Warning, "the proposal is void: something changed meanwhile")
                .line(line![foreign(what)])
                .line("A new proposal follows; it needs new approvals."),
        ),
        Event::DecisionRead { decision: Decision::FailingUnreadable { detail } }
            if matches!(run.phase, Phase::Proposed { .. }) =>
        {
            Some(
                note(run, Colour::Warning, "one more click is needed")
                    .line(line!["What fails can't be read now: ", foreign(detail)])
                    .line("It may have changed or not; whoever approves now says that it doesn't matter."),
            )
        }
        Event::Fetched { fetched: Fetched::Warned { detail } } => {
            Some(note(run, Colour::Warning, "a warning from the registry").line(line![foreign(detail)]))
        }
        Event::PreflightDone { preflight: Preflighted::AlreadyThere } if run.active() => {
            Some(note(run, Colour::Neutral, "traffic is on the target already").line("Reading it back."))
        }
        Event::Applied { applied: Applied::Failed { detail } } => Some(
            note(run, Colour::Warning, "the router refused the shift")
                .line(line![foreign(detail)])
                .line("Reading where traffic is now."),
        ),
        Event::Applied { applied: Applied::Conflict { detail } } => Some(
            note(run, Colour::Warning, "traffic is not where it was read: nothing more is written")
                .line(line![foreign(detail)])
                .line("Reading where traffic is now."),
        ),
        Event::Applied { applied: Applied::Unknown { detail } } => Some(
            note(run, Colour::Warning, "the router gave no answer")
                .line(line![foreign(detail)])
                .line("It may have moved or not: reading where traffic is now."),
        ),
        Event::ShiftRead { reading: ShiftReading::NotSettled { detail, .. } } => match run.phase {
            Phase::Shifting { applies, .. } => Some(
                note(run, Colour::Warning, &format!("not there yet, try {applies}"))
                    .line(line![foreign(detail)]),
            ),
            _ => None,
        },
        _ => None,
    }
}

fn by_person(run: &Rollback, by: &Actor, title: &str, did: &str) -> Card {
    note(run, Colour::Neutral, title).line(line![who(by), " ", did])
}

fn voted(before: &Rollback, run: &Rollback, by: &Actor) -> Option<Card> {
    if run.approvals.len() == before.approvals.len() {
        let caveats = run.proposal.iter().flat_map(|proposal| &proposal.caveats);
        let card = note(run, Colour::Warning, "one more click is needed")
            .line(line![who(by), " wants to approve. Whoever confirms says that this is known:"]);
        return Some(caveats.take(6).fold(card, |card, c| card.line(line!["• ", foreign(&c.text)])));
    }
    let missing =
        usize::try_from(run.policy.approvals).unwrap_or(usize::MAX).saturating_sub(run.approvals.len());
    let votes = format!("approved, {} of {}", run.approvals.len(), run.policy.approvals.max(1));
    let mut card = note(run, Colour::Neutral, &votes).line(line![who(by), " approved ", going_to(run), "."]);
    for reason in run.reasons.iter().skip(before.reasons.len()) {
        card = card.line(line!["Reason: ", foreign(reason)]);
    }
    Some(match (&run.phase, missing) {
        (Phase::Deciding, _) => card.line("Reading once more that nothing has changed, then it goes."),
        (_, 1) => card.line("1 more approval is needed, from somebody else."),
        (_, n) => card.line(format!("{n} more approvals are needed, from others.")),
    })
}

fn retried(run: &Rollback, by: &Actor) -> Card {
    let did = match &run.phase {
        Phase::Observing { .. } => "has health watched once more.",
        Phase::Surveying => "asked to look again.",
        _ => "asked to try again: preflight first, then the shift.",
    };
    by_person(run, by, "once more", did)
}

fn timer_fired(before: &Rollback, view: &View, timer: Timer) -> Option<Card> {
    let run = view.rollback;
    match timer {
        Timer::Ack => paging::unacknowledged(view, before),
        Timer::Answer if run.policy.pagers == 0 && run.alert_firing() => Some(
            note(run, Colour::Bad, "nobody decided yet, and nobody can be paged")
                .line(format!("The alert has been firing for {}.", spell(run.policy.answer_within)))
                .line("The service has no pager configured. Call somebody yourself."),
        ),
        Timer::Act => waiting::reminder(before, run),
        Timer::Idle if run.active() => Some(waiting::nobody(run)),
        Timer::Shift if before.phase != run.phase && !matches!(run.phase, Phase::Escalated { .. }) => Some(
            note(run, Colour::Warning, "the shift takes too long")
                .line(format!("Longer than {}. One more look decides.", spell(run.policy.shift_within))),
        ),
        _ => None,
    }
}

/// The first bad and the first good check; the others only move the root card.
fn turned(before: &Rollback, run: &Rollback, seen: &Observation) -> Option<Card> {
    if let (Phase::Confirming { bad: 0, .. }, Phase::Confirming { bad: 1, since, .. }) =
        (&before.phase, &run.phase)
    {
        let card = note(run, Colour::Warning, "a bad check after the recovery; one more would be a relapse");
        return Some(card.line(health::sentence(seen, *since)));
    }
    let (Phase::Observing { series: old, .. }, Phase::Observing { series: new, since, .. }) =
        (&before.phase, &run.phase)
    else {
        return None;
    };
    let card = if new.bad == 1 && old.bad == 0 {
        note(run, Colour::Warning, "first bad check after the shift")
    } else if new.good == 1 && old.good == 0 {
        note(run, Colour::Good, "first good check after the shift")
    } else {
        return None;
    };
    Some(card.line(health::sentence(seen, *since)))
}

fn resolved(run: &Rollback) -> Card {
    let card = note(run, Colour::Neutral, "the alert has resolved");
    match &run.phase {
        Phase::Proposed { .. } | Phase::Surveying => card.line(
            "The proposal stays until somebody decides: traffic may merely have stopped. Nothing approves itself.",
        ),
        Phase::Escalated { .. } => card.line("The run still needs a decision."),
        Phase::Confirming { .. } => card.line("The service goes on being watched until it is known to be stable."),
        _ => card.line("The rollback goes on; only its own checks decide whether it recovered."),
    }
}

fn released(
    before: &Rollback,
    run: &Rollback,
    artifact: &lastgood_core::Artifact,
    by: Option<&str>,
) -> Option<Card> {
    let own = before.target().is_some_and(|target| target.digest == artifact.digest);
    let said_below = before.phase != run.phase && matches!(run.phase, Phase::Escalated { .. });
    if own || said_below {
        return None;
    }
    let mut line = line![version(artifact), " was recorded as deployed"];
    line.extend(by.iter().flat_map(|by| [" by ".into(), foreign(by)]));
    line.push(".".into());
    let card = note(run, Colour::Warning, "a release was recorded meanwhile").line(line);
    Some(match run.phase {
        Phase::Surveying => card.line("The proposal is void; a new one follows and needs new approvals."),
        _ => card,
    })
}
