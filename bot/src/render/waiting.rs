//! A run that waits for a person who does not come back to it.

use lastgood_core::{
    card::{Card, Colour},
    rollback::Rollback,
    words::spell,
};

use super::words::{strong, who};

/// Somebody acknowledged, and did nothing since.
pub fn reminder(before: &Rollback, run: &Rollback) -> Option<Card> {
    if !run.reminded || before.reminded {
        return None;
    }
    let within = spell(run.policy.act_within);
    let card = Card::new(Colour::Warning, format!("{}: still waits for a decision", run.id));
    let card = match &run.commander {
        Some(commander) => card.line(line![
            who(commander),
            format!(", you are in command, and nothing was done for {within}. What shall it be?")
        ]),
        None => card.line(line![format!("Nothing was done for {within}. Who decides?")]),
    };
    Some(card.line(format!(
        "The choices are on the card at the top of the thread. In {within} somebody is called."
    )))
}

/// Nobody did anything for hours, and the alert fires.
pub fn nobody(run: &Rollback) -> Card {
    let card =
        Card::new(Colour::Bad, format!("{}: the alert still fires, and nobody acted for hours", run.id));
    match run.policy.pagers {
        0 => card.line(line![
            strong("Nobody can be called: "),
            "the service has no pager configured. Call somebody yourself."
        ]),
        _ => card.line("Calling again. The choices are on the card at the top of the thread."),
    }
}
