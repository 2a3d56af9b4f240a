//! Cards as Block Kit (docs.slack.dev, Block Kit reference). Text goes into `rich_text` blocks: every piece says what it is, so
//! that text from an alert or a person is text whatever it holds, and can neither ping, link nor press. What is too long is
//! cut so that people can read it, and is never an error of Slack's.

mod form;
mod rich;

use lastgood_core::card::{Button, Card, Span, Style};
use serde_json::{Value, json};

use crate::chat::legible::{cut, one_line, symbol};
pub(in crate::chat::slack) use form::{modal, read_form};

/// Characters of a header block.
const TITLE: usize = 150;
/// Characters of all lines, and of all fields: Slack's limit for a text, though it publishes none for rich text.
const TEXT: usize = 3_000;
/// Characters of the text that notifications show: escaped, at most five times as many, and Slack takes 4,000.
const NOTIFICATION: usize = 700;
/// Characters of a button.
const LABEL: usize = 75;
/// Buttons of a row: more wrap on a phone anyhow.
const ROW: usize = 5;
/// Slack takes 25 of them in a block; so do cards.
const BUTTONS: usize = 25;
/// Characters of an `action_id`.
const ACTION: usize = 255;

/// A message's blocks.
pub(in crate::chat::slack) fn blocks(card: &Card) -> Value {
    let mut blocks = Vec::new();
    let title = one_line(&format!("{} {}", symbol(card.colour), card.title));
    blocks.push(json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&title, TITLE), "emoji": false },
    }));
    blocks.extend(rich::block(&card.text, TEXT));
    let fields: Vec<Vec<Span>> = card
        .fields
        .iter()
        .map(|field| {
            let mut line = vec![Span::Strong(format!("{}: ", one_line(&field.name)))];
            line.extend(field.value.iter().cloned());
            line
        })
        .collect();
    blocks.extend(rich::block(&fields, TEXT));
    blocks.extend(rows(&card.buttons));
    Value::Array(blocks)
}

/// What notifications and screen readers get. It is `mrkdwn`, so everything that means something there is escaped.
pub(in crate::chat::slack) fn notification(card: &Card) -> String {
    let mut text = format!("{} {}", symbol(card.colour), one_line(&card.title));
    for line in &card.text {
        let line: String = line.iter().map(rich::spoken).collect();
        text.push('\n');
        text.push_str(&line);
    }
    // Before escaping: cut in the middle, an entity is no entity.
    cut(&text, NOTIFICATION).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The bot's own page.
pub(in crate::chat::slack) fn home(card: &Card) -> Value {
    json!({ "type": "home", "blocks": blocks(card) })
}

/// Whether this is one person's id.
pub(in crate::chat::slack) fn is_user(id: &str) -> bool {
    rich::user(&format!("slack:{id}")).is_some()
}

fn rows(buttons: &[Button]) -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    let drawn: Vec<Value> = buttons
        .iter()
        .filter(|button| button.action.len() <= ACTION && seen.insert(button.action.as_str()))
        .take(BUTTONS)
        .map(button)
        .collect();
    drawn.chunks(ROW).map(|row| json!({ "type": "actions", "elements": row })).collect()
}

fn button(button: &Button) -> Value {
    let label = one_line(&button.label);
    let label = if label.trim().is_empty() { "…".to_owned() } else { cut(&label, LABEL) };
    let mut drawn = json!({
        "type": "button",
        "action_id": button.action,
        "value": button.action,
        "text": { "type": "plain_text", "text": label, "emoji": false },
    });
    let style = match button.style {
        Style::Plain => return drawn,
        Style::Primary => "primary",
        Style::Danger => "danger",
    };
    drawn["style"] = style.into();
    drawn
}

#[cfg(test)]
mod tests;
