//! A service that has recovered, while it is watched until it is known to be stable.

use lastgood_core::{
    card::{Card, Colour, Line, Span},
    rollback::{Phase, Rollback},
    words::spell,
};

use super::{
    View, health,
    words::{failing, foreign, going_to, is_undo, place, strong, traffic},
};

/// The root card: that it is well comes first, and until when it is watched.
pub fn card(mut card: Card, view: &View) -> Card {
    let run = view.rollback;
    let Phase::Confirming { since, last, overdue, unreadable, waits_for_alert, .. } = &run.phase else {
        return card;
    };
    card = card.line(line![strong("The service has recovered"), " on ", going_to(run), "."]);
    card = card.line(until(run));
    if *overdue && !waits_for_alert {
        card = card.line("Time is up: one more look decides.");
    }
    if let Some(detail) = unreadable {
        card = card.line(line![
            strong("The router can't be read now"),
            ", so good checks don't count: ",
            foreign(detail)
        ]);
    }
    card = card.line(provisional(run)).field("Traffic now", traffic(run));
    health::measured(card, view, last, *since)
}

/// In the thread and in the room: what everybody waited for.
pub fn post(view: &View) -> Card {
    let run = view.rollback;
    let title = format!("{} · {}: recovered on {}", run.id, place(view), super::words::target_name(run));
    let mut card = Card::new(Colour::Good, title)
        .line(line![strong("The service has recovered"), ": ", good(run), "."])
        .line(until(run));
    if let Some((_, seen)) = view.observed.last() {
        let mut line = line!["Last check: "];
        line.extend(health::sentence(seen, lastgood_core::At::MIN));
        card = card.line(line);
    }
    card.line(provisional(run))
}

fn good(run: &Rollback) -> String {
    match run.policy.good_in_a_row.max(1) {
        1 => "the check was good".to_owned(),
        n => format!("{n} good checks in a row"),
    }
}

fn until(run: &Rollback) -> Line {
    let Phase::Confirming { until, waits_for_alert, .. } = run.phase else { return Line::new() };
    if waits_for_alert {
        return line![
            strong("It stays open until the alert ends"),
            format!(
                ": its checks are good, and a person is called if the alert still fires {} after the watch.",
                spell(run.policy.alert_clears_within)
            )
        ];
    }
    line!["It is watched until ", Span::Time(until), "; if it turns bad again, a person is called."]
}

fn provisional(run: &Rollback) -> Line {
    match (run.marked && !is_undo(run), run.pages.is_empty()) {
        (true, true) => line![failing(run), " is marked unstable for now, and for good when that ends well."],
        (true, false) => {
            line![
                failing(run),
                " is marked unstable for now; for good when that ends well, and the page ends with it."
            ]
        }
        (false, true) => line!["Nothing has to be done now."],
        (false, false) => line!["The page ends when that ends well."],
    }
}

/// Said once: the watch was good, and only the alert keeps the run open.
pub fn waits(before: &Rollback, run: &Rollback) -> Option<Card> {
    let waiting = |run: &Rollback| matches!(run.phase, Phase::Confirming { waits_for_alert: true, .. });
    if !waiting(run) || waiting(before) {
        return None;
    }
    let title = format!("{}: stable by all checks, but the alert still fires", run.id);
    Some(
        Card::new(Colour::Warning, title)
            .line("Alerts that measure a long time end late, so this may be nothing.")
            .line(until(run)),
    )
}
