//! All outgoing text of a rollback: committed events and states become cards. Pure, so that a card can be drawn again at
//! any time, and written for somebody who was just woken up: what is known, what happens now, what they can do.
//!
//! There is one root card per thread, updated in place, and it alone carries buttons: a button on an older message could
//! mean something else by the time it is pressed. Replies in the thread are the record of what happened.

/// A [`lastgood_core::card::Line`] from strings and spans.
macro_rules! line {
    ($($part:expr),* $(,)?) => { vec![$(lastgood_core::card::Span::from($part)),*] };
}

pub mod action;
mod alerts;
mod buttons;
mod confirming;
mod ended;
mod escalated;
mod health;
mod listed;
mod opened;
mod paging;
mod posts;
mod proposal;
mod root;
pub mod spark;
mod together;
mod truce;
mod waiting;
mod words;

use crate::store::truces::Truce;
use lastgood_core::{
    Actor, At, IncidentId, RollbackId,
    card::{Card, Colour},
    rollback::Rollback,
    verdict::Observation,
};

pub use alerts::{Alerts, alerts};
pub use listed::{Listed, history, home, incident, incidents, status};
pub use posts::posts;
pub use root::root;
pub use together::together;
pub use truce::truce;

/// The incident that a run belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident<'a> {
    pub id: IncidentId,
    /// What it was closed with; none while it is open.
    pub root_cause: Option<&'a str>,
}

/// A run with what is known around it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub rollback: &'a Rollback,
    pub environment: &'a str,
    pub incident: Option<Incident<'a>>,
    /// How often the alert came.
    pub alerts: u32,
    /// How far the shift is: `62 % on blue`.
    pub progress: Option<&'a str>,
    /// Oldest first.
    pub observed: &'a [(At, Observation)],
    /// Names of the configured pagers, in order.
    pub pagers: &'a [String],
    /// What came with the alert: its summary, `runbook_url`, links to dashboards.
    pub annotations: &'a [(String, String)],
    /// Recent releases of services that this one depends on, in words.
    pub dependencies: &'a [String],
    /// Whether the gate refuses the failing artifact now.
    pub gate_refuses: bool,
    pub truce: Option<&'a Truce>,
}

/// A reply in the thread.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    pub card: Card,
    /// An outcome: it goes into the room as well.
    pub broadcast: bool,
}

/// An incident was closed by somebody: no event of a rollback, but worth remembering in its thread.
pub fn incident_closed(incident: Incident, by: &Actor, not_the_release: bool) -> Post {
    let mut card = Card::new(Colour::Good, format!("{} is closed", incident.id));
    if let Some(cause) = incident.root_cause {
        card = card.line(line![words::strong("Root cause: "), words::foreign(cause)]);
    }
    card = card.line(match not_the_release {
        true => line!["It was not the release: its mark was lifted."],
        false => line!["It was the release: it stays marked unstable."],
    });
    Post { card: words::fit(card.line(line!["Closed by ", words::who(by), "."])), broadcast: true }
}

/// The private answer to a click or a command that changed nothing.
pub fn refusal(text: &str) -> Card {
    words::fit(Card::new(Colour::Warning, "Nothing was changed").line(words::foreign(text)))
}

/// In the thread: something that a person did could not be worked off, and was told to them.
pub fn given_up(what: &str, by: &Actor, run: Option<RollbackId>, tries: i64) -> Card {
    let whose = run.map(|run| format!("{run}: ")).unwrap_or_default();
    let card = Card::new(Colour::Warning, format!("{whose}something was not carried out"));
    words::fit(card.line(line![
        words::foreign(what),
        ", which ",
        words::who(by),
        format!(" asked for, failed {tries} times, and lastgood gave it up: nothing came of it. Press or say it again.")
    ]))
}

/// A private answer.
pub fn answer(title: &str, text: &str) -> Card {
    let mut card = Card::new(Colour::Neutral, title);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        // As it is: an answer may be aligned by hand.
        card = card.line(line);
    }
    words::fit(card)
}

#[cfg(test)]
mod tests;
