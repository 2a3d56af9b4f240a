//! The first reply of a thread: why there is a run at all.

use lastgood_core::{
    card::{Card, Colour, Span},
    rollback::{Kind, Opening},
    words::spell,
};

use super::{
    View, root,
    words::{cut, foreign, place, strong, who},
};

pub fn post(view: &View, opening: &Opening) -> Card {
    let id = opening.id;
    let title = match (&opening.kind, &opening.by, &opening.alert) {
        (Kind::Undo { of, .. }, ..) => format!("{id}: asked to undo {of}"),
        (_, Some(by), _) => format!("{id}: {} asks for a rollback", cut(&by.name, 40)),
        (_, None, Some(alert)) => format!("{id}: {}", cut(&alert.title, 120)),
        (_, None, None) => format!("{id} was opened"),
    };
    let mut card = Card::new(Colour::Working, title);
    if let Some(by) = &opening.by {
        let mut line = line![who(by)];
        match &opening.reason {
            Some(reason) => line.extend([": ".into(), foreign(reason)]),
            None => line.push(" gave no reason.".into()),
        }
        card = card.line(line);
    }
    if let Some(wanted) = &opening.wanted {
        card = card.line(line!["Wanted version: ", Span::Code(cut(wanted, 80))]);
    }
    if let (Some(parent), Kind::Back, None) = (opening.parent, &opening.kind, opening.previous_end) {
        card = card.line(format!("It follows {parent}; what was tried there is not tried again."));
    }
    if let (Some(ended_at), Some(parent)) = (opening.previous_end, opening.parent) {
        let ago = spell(opening.at.saturating_sub(ended_at));
        card = card.line(line![strong("The alert still fires"), format!(", {ago} after {parent} ended.")]);
    }
    if let Some(alert) = &opening.alert {
        let firing = if alert.firing { "firing since " } else { "began " };
        let mut line = match opening.by {
            // The title is the alert's already.
            None => line![],
            Some(_) => line![strong("Alert: "), Span::Text(cut(&alert.title, 200)), ", "],
        };
        line.extend([Span::Text(place(view)), ", ".into(), firing.into(), Span::Time(alert.since)]);
        card = card.line(line);
    }
    match root::links(view) {
        line if line.is_empty() => card,
        line => card.line(line),
    }
}
