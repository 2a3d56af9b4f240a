//! The root card: the one card per thread that always shows how things stand.

use lastgood_core::{
    Shares,
    card::{Card, Colour, Line, Span},
    rollback::{End, Kind, Phase, Rollback},
    verdict,
    words::spell,
};

use super::{
    View, buttons, confirming, ended, escalated, health, paging, proposal,
    spark::bar,
    words::{
        cut, failing, fit, foreign, going_to, is_undo, link, place, routing, strong, target_name, traffic,
        who,
    },
};

/// Warnings and reasons shown, the newest ones.
const SHOWN: usize = 4;
const LINKS: usize = 6;

/// How things stand now, and what can be done about it.
pub fn root(view: &View) -> Card {
    let run = view.rollback;
    let card = Card::new(colour(run), title(view));
    let card = match &run.phase {
        Phase::Surveying => surveying(card, view),
        Phase::Proposed { confirming } => proposal::card(card, view, *confirming),
        Phase::Deciding | Phase::Fetching | Phase::Preflight => on_its_way(card, view),
        Phase::Shifting { applies, overdue, leg, .. } => {
            shifting(card, view, *applies, *overdue, leg.as_ref())
        }
        Phase::Holding { last, bad, .. } => holding(card, run, last, *bad),
        Phase::Observing { .. } => health::watching(card, view).line(stop_hint()),
        Phase::Confirming { .. } => confirming::card(card, view),
        Phase::Stopping { by, .. } => stopping(card, run, by),
        Phase::Escalated { why } => escalated::card(card, view, why),
        Phase::Ended { end } => ended::card(card, view, end),
    };
    let mut card = around(versions(card, run), view);
    card.buttons = buttons::of(view);
    fit(card)
}

fn colour(run: &Rollback) -> Colour {
    match &run.phase {
        Phase::Proposed { .. } => Colour::Warning,
        Phase::Escalated { .. } => Colour::Bad,
        Phase::Confirming { .. } => Colour::Good,
        Phase::Ended { end } => ended::colour(end),
        _ => Colour::Working,
    }
}

fn title(view: &View) -> String {
    let run = view.rollback;
    let (place, target) = (place(view), target_name(run));
    let what = match &run.phase {
        Phase::Surveying if is_undo(run) => "reading what is live before the undo".to_owned(),
        Phase::Surveying => "looking for the last stable version".to_owned(),
        Phase::Proposed { .. } => match (&run.kind, run.proposal.as_ref().and_then(|p| p.doubt.as_ref())) {
            (Kind::Undo { of, .. }, _) => format!("undo {of}, back to {target}?"),
            (_, Some(_)) => "an alert, and maybe not the release".to_owned(),
            _ => format!("roll back to {target}?"),
        },
        Phase::Deciding => format!("decided for {target}, checking once more"),
        Phase::Fetching | Phase::Preflight => format!("approved, preparing {target}"),
        Phase::Shifting { .. } => format!("moving traffic to {target}"),
        Phase::Holding { .. } => format!("part of the traffic is on {target}"),
        Phase::Observing { .. } => format!("traffic is on {target}, watching health"),
        Phase::Confirming { .. } => format!("recovered on {target}, confirming that it is stable"),
        Phase::Stopping { .. } => "stopped, reading where traffic is".to_owned(),
        Phase::Escalated { why } => escalated::title(run, why),
        Phase::Ended { end } => ended::title(run, end),
    };
    format!("{} · {place}: {what}", run.id)
}

fn surveying(mut card: Card, view: &View) -> Card {
    let run = view.rollback;
    if let Some(reason) = &run.superseded {
        card = card.line(line!["The last proposal is void: ", foreign(reason)]);
    }
    if let Some(wanted) = &run.wanted {
        card = card.line(line!["Asked for: ", Span::Code(cut(wanted, 80))]);
    }
    card.line("Reading the router, the pools and the inventory. Nothing moves without a decision.")
        .field("Traffic now", traffic(run))
}

fn on_its_way(mut card: Card, view: &View) -> Card {
    let run = view.rollback;
    card = card.line(steps(run));
    card = card.line(match run.phase {
        Phase::Deciding => line!["Decided. Reading once more that nothing has changed since the proposal."],
        Phase::Fetching => line!["Asking the registry for ", going_to(run), "."],
        _ => line!["Checking that ", going_to(run), " is alive and can take the traffic."],
    });
    card = card.line(line!["No traffic has moved yet. ", "“Stop” leaves everything as it is."]);
    card.field("Traffic now", traffic(run))
}

fn shifting(mut card: Card, view: &View, applies: u32, overdue: bool, leg: Option<&Shares>) -> Card {
    let run = view.rollback;
    card = card.line(steps(run));
    let mut line = line!["Moving traffic to ", going_to(run)];
    if let Some(progress) = view.progress {
        line.extend([": ".into(), strong(cut(progress, 120))]);
    }
    line.push(".".into());
    if applies > 1 {
        line.push(format!(" Try {applies}.").into());
    }
    card = card.line(line);
    if overdue {
        let within = spell(run.policy.shift_within);
        card = card.line(format!("It takes longer than {within}. One more look decides."));
    }
    card = card.line(stop_hint());
    card = match &run.before {
        Some(before) => card.field("Before", routing(run, before)),
        None => card.field("Before", traffic(run)),
    };
    match (leg, run.goal()) {
        (Some(leg), _) => card.field("This step", routing_wanted(run, leg)),
        (None, Some(target)) => card.field("Wanted", routing_wanted(run, target.routing())),
        (None, None) => card,
    }
}

/// Between two steps of a shift.
fn holding(card: Card, run: &Rollback, last: &lastgood_core::verdict::Observation, bad: u32) -> Card {
    let pace = &run.policy.pace;
    let every = spell(pace.every);
    let mut card = card.line(steps(run));
    card = card.line(match pace.watch {
        true => line![
            "Moving to ",
            going_to(run),
            format!(
                " in steps. The next one comes {every} after this one, if it is well under what it has now."
            )
        ],
        false => line!["Moving to ", going_to(run), format!(" in steps, {every} apart.")],
    });
    if let (true, Some(trouble)) = (bad > 0, verdict::trouble(last)) {
        card = card.line(line![strong("Looks bad: "), foreign(&trouble), ". Looking once more."]);
    }
    card = card.line(stop_hint()).field("Traffic now", traffic(run));
    match &run.before {
        Some(before) => card.field("Before", routing(run, before)),
        None => card,
    }
}

fn routing_wanted(run: &Rollback, to: &Shares) -> Line {
    let mut line = Line::new();
    for (pool, share) in to.iter().filter(|(_, share)| **share > 0) {
        line.push(Span::Code(bar(*share, 10)));
        line.push(Span::Text(format!(" {} {share} % ", cut(pool, 40))));
    }
    line.extend(["on ".into(), going_to(run)]);
    line
}

fn stop_hint() -> Line {
    line!["“Stop” takes no further step, leaves traffic where it is, and pages."]
}

fn stopping(card: Card, run: &Rollback, by: &lastgood_core::Actor) -> Card {
    card.line(line![who(by), " stopped it. No further step is taken; reading where traffic is now."])
        .field("Last read", traffic(run))
}

/// The way, with the present step in bold.
fn steps(run: &Rollback) -> Line {
    let all = ["checking", "fetching", "preflight", "shifting", "watching"];
    let now = match run.phase {
        Phase::Deciding => 0,
        Phase::Fetching => 1,
        Phase::Preflight => 2,
        Phase::Shifting { .. } | Phase::Holding { .. } => 3,
        _ => 4,
    };
    let mut line = Line::new();
    for (index, word) in all.into_iter().enumerate() {
        if index > 0 {
            line.push(" › ".into());
        }
        line.push(match index.cmp(&now) {
            std::cmp::Ordering::Less => format!("{word} ✓").into(),
            std::cmp::Ordering::Equal => strong(word),
            std::cmp::Ordering::Greater => word.into(),
        });
    }
    line
}

/// From what to what; a proposal says it at more length itself.
fn versions(card: Card, run: &Rollback) -> Card {
    let decided = !matches!(run.phase, Phase::Surveying | Phase::Proposed { .. });
    if !decided || super::words::target(run).is_none() {
        return card;
    }
    let name = if run.approved_at.is_none() && !run.active() { "Was proposed" } else { "Versions" };
    let card = card.field(name, line![failing(run), " → ", going_to(run)]);
    if run.approved_at.is_none() && run.approvals.is_empty() && !proposal::nobody_asked(run) {
        return card;
    }
    card.field("Approved", proposal::approvals(run))
}

/// What is shown in every state.
fn around(mut card: Card, view: &View) -> Card {
    let run = view.rollback;
    if let Some(alert) = &run.alert {
        card = card.field("Alert", alert_line(view, alert));
    }
    if let Some(by) = &run.by {
        let mut line = line![who(by)];
        line.extend(run.reason.iter().flat_map(|reason| [": ".into(), foreign(reason)]));
        card = card.field("Asked for by", line);
    }
    if let Some(line) = paging::summary(view) {
        card = card.field("Paging", line);
    }
    if let Some(commander) = &run.commander {
        card = card.field("Commander", line![who(commander)]);
    }
    if let Some(incident) = view.incident {
        card = card.field("Incident", incident_line(incident));
    }
    if let Some(line) = super::truce::field(view) {
        card = card.field("GitOps", line);
    }
    for warning in last(&run.warnings).filter(|_| !matches!(run.phase, Phase::Ended { end: End::Recovered }))
    {
        card = card.field("Warning", line![foreign(warning)]);
    }
    for reason in last(&run.reasons) {
        card = card.field("Reason given", line![foreign(reason)]);
    }
    match links(view) {
        line if line.is_empty() => card,
        line => card.field("From the alert", line),
    }
}

fn last(texts: &[String]) -> impl Iterator<Item = &String> {
    texts.iter().skip(texts.len().saturating_sub(SHOWN))
}

fn alert_line(view: &View, alert: &lastgood_core::rollback::Alerting) -> Line {
    let mut line = line![
        Span::Text(cut(&alert.title, 150)),
        if alert.firing { ", firing since " } else { ", resolved; it began " },
        Span::Time(alert.since)
    ];
    if view.alerts > 1 {
        line.push(format!(", came {} times", view.alerts).into());
    }
    line
}

fn incident_line(incident: super::Incident) -> Line {
    match incident.root_cause {
        None => line![format!("{} is open; it closes only with a root cause", incident.id)],
        Some(cause) => line![format!("{} is closed. Root cause: ", incident.id), foreign(cause)],
    }
}

/// Runbook, dashboards, summary: whatever came with the alert.
pub fn links(view: &View) -> Line {
    let mut line = Line::new();
    for (name, value) in view.annotations.iter().take(LINKS) {
        if !line.is_empty() {
            line.push(" · ".into());
        }
        line.push(link(name.trim_end_matches("_url"), &cut(value, 2_000)));
    }
    line
}
