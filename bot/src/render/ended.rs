//! How a run ended: what is live now, what was marked, what is still open, who is in command.

use lastgood_core::{
    card::{Card, Colour, Line},
    rollback::{End, Phase, Rollback},
    words::spell,
};

use super::{
    View, health,
    words::{
        cut, failing, failing_name, foreign, is_undo, routing, strong, target_name, traffic, version, who,
    },
};

pub fn colour(end: &End) -> Colour {
    match end {
        End::Recovered => Colour::Good,
        End::Stopped { .. } | End::HandedOver { .. } | End::Unattended | End::Undone { .. } => {
            Colour::Warning
        }
        End::Rejected { .. } | End::Expired | End::Superseded { .. } => Colour::Neutral,
    }
}

pub fn title(run: &Rollback, end: &End) -> String {
    match end {
        End::Rejected { by, .. } => format!("rejected by {}", cut(&by.name, 40)),
        End::Expired => "expired without a decision".to_owned(),
        End::Superseded { .. } => "superseded".to_owned(),
        End::Stopped { by } => format!("stopped by {}", cut(&by.name, 40)),
        End::Recovered => format!("recovered on {}", target_name(run)),
        End::HandedOver { by } => format!("handed over to {}", cut(&by.name, 40)),
        End::Unattended => "handed over, since nobody acted".to_owned(),
        End::Undone { by } => format!("undone by {by}"),
    }
}

/// The root card of an ended run.
pub fn card(card: Card, view: &View, end: &End) -> Card {
    let card = body(card, view, end);
    match end {
        End::Recovered => health::evidence(card, view),
        _ => card,
    }
}

/// The outcome, in the thread and in the room.
pub fn post(view: &View, end: &End) -> Card {
    let run = view.rollback;
    let title = format!("{} · {}: {}", run.id, super::words::place(view), title(run, end));
    let mut card = body(Card::new(colour(end), title), view, end);
    if let (End::Recovered, Some((_, seen))) = (end, view.observed.last()) {
        let mut line = line!["Last check: "];
        line.extend(health::sentence(seen, lastgood_core::At::MIN));
        card = card.line(line);
    }
    if let Some(line) = open(view) {
        card = card.line(line);
    }
    match &run.commander {
        Some(commander) => card.line(line!["In command: ", who(commander), "."]),
        None => card,
    }
}

fn body(card: Card, view: &View, end: &End) -> Card {
    let run = view.rollback;
    let mut card = card.line(happened(run, end));
    card = card.line(live(run, end));
    if let Some(line) = mark(view) {
        card = card.line(line);
    }
    card
}

fn happened(run: &Rollback, end: &End) -> Line {
    match end {
        End::Rejected { by, reason } => {
            let mut line = line![who(by), " rejected it"];
            match reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty()) {
                Some(reason) => line.extend([": ".into(), foreign(reason)]),
                None => line.push("; no reason was given.".into()),
            }
            line
        }
        End::Expired => line!["Nobody decided in time. Ask again if it is still needed."],
        End::Superseded { reason } => line![foreign(reason)],
        End::Stopped { by } => line![who(by), " stopped it. lastgood does nothing more here."],
        End::Recovered if is_undo(run) => {
            line!["Traffic is as it was before, and healthy", watched(run), "."]
        }
        End::Recovered => {
            line![strong("The service has recovered and is stable"), watched(run), "."]
        }
        End::HandedOver { by } => {
            line![who(by), " took it over by hand. lastgood does nothing more here, and watches nothing."]
        }
        End::Unattended => line![
            "The alert is over and nobody acted for hours, so lastgood does nothing more here. What is live, and why, is for \
             the people of the service to look at."
        ],
        End::Undone { by } => line![format!("{by} put the routing back as it was before {}.", run.id)],
    }
}

/// How long it was watched after its recovery.
fn watched(run: &Rollback) -> String {
    match run.policy.bake {
        0 => String::new(),
        bake => format!(": watched for {} after its recovery", spell(bake)),
    }
}

fn live(run: &Rollback, end: &End) -> Line {
    let mut line = line![strong("Live now: ")];
    match (end, &run.before) {
        (End::Recovered, _) => line.extend(traffic(run)),
        (End::Undone { .. }, Some(before)) => line.extend(routing(run, before)),
        _ if !run.moved => {
            line.extend(unmoved(run));
        }
        _ => {
            line.extend(traffic(run));
            line.push(", as last read".into());
        }
    }
    line.push(".".into());
    line
}

fn unmoved(run: &Rollback) -> Line {
    let found_there = matches!(run.phase, Phase::Ended { end: End::Superseded { .. } });
    let mut line = match (&run.shares, run.failing()) {
        (Some(shares), _) if found_there && !run.is_there(shares) => {
            // It may have been superseded because somebody else moved traffic: what was read first is no answer.
            line!["not read again"]
        }
        (Some(shares), _) => routing(run, shares),
        (None, Some(failing)) => line![version(&failing.artifact)],
        (None, None) => line!["what was live before"],
    };
    line.push("; this run moved no traffic".into());
    line
}

/// What the gate says of the failing artifact.
fn mark(view: &View) -> Option<Line> {
    let run = view.rollback;
    if !run.marked {
        return (!run.moved && run.failing().is_some() && !is_undo(run)).then(|| match view.gate_refuses {
            true => {
                line![failing(run), " is not marked by this run; the gate refuses it for another reason."]
            }
            false if run.approved_at.is_some() => {
                line!["No traffic moved, so the mark on ", failing(run), " was lifted."]
            }
            false => line!["Nothing was marked."],
        });
    }
    let mut line = line![strong("Marked: "), failing(run), " is unstable."];
    line.push(match view.gate_refuses {
        true => " The gate refuses to deploy it again.".into(),
        false => {
            format!(" The gate does not refuse {} now: the mark was corrected.", failing_name(run)).into()
        }
    });
    Some(line)
}

fn open(view: &View) -> Option<Line> {
    let incident = view.incident?;
    Some(match incident.root_cause {
        None => line![strong(format!("{} stays open", incident.id)), ": it closes only with a root cause."],
        Some(cause) => line![format!("{} is closed. Root cause: ", incident.id), foreign(cause)],
    })
}
