//! Cards as embeds and components (Message Resource; Component Reference). What is too long is cut so that people can read it,
//! and is never an error of Discord's.

mod form;
mod markdown;

use std::collections::BTreeSet;

use lastgood_core::card::{Button, Card, Colour, Span, Style};
use serde_json::{Value, json};

use crate::chat::legible::{cut, length, one_line, symbol};

pub(super) use form::{filled, modal, submitted};

const TITLE: usize = 256;
const DESCRIPTION: usize = 4_000;
const FIELDS: usize = 25;
const FIELD_NAME: usize = 256;
const FIELD_VALUE: usize = 1_024;
/// Characters of all texts of an embed; Discord takes 6,000, and counts the footer.
const ALL: usize = 5_900;
const LABEL: usize = 80;
const ROW: usize = 5;
const ROWS: usize = 5;
const CUSTOM_ID: usize = 100;
/// Characters of a thread's name.
const THREAD: usize = 100;

/// A button whose press opens a form: Discord shows a form only at once, so that must be known before anything is asked.
const OPENS: char = '?';
/// Marks our messages among all others; whatever has it is never taken for an alert.
pub(super) const SIGNATURE: &str = "lastgood";

/// Seen by one person only.
pub(super) const EPHEMERAL: u64 = 1 << 6;

/// A message's content; with a nonce, one that can be found again by it.
pub(super) fn content(card: &Card, nonce: Option<&str>) -> Value {
    let mut body = json!({
        "content": "",
        "embeds": [embed(card, nonce)],
        "components": rows(&card.buttons),
        "allowed_mentions": { "parse": [] },
    });
    // Only what stands outside of an embed reaches anybody. Who is named where nothing is wrong did it themselves, and would be
    // woken for nothing.
    let people: BTreeSet<&str> = card.text.iter().flatten().filter_map(mentioned).collect();
    if !people.is_empty() && matches!(card.colour, Colour::Warning | Colour::Bad) {
        let pings: Vec<_> = people.iter().take(50).map(|id| format!("<@{id}>")).collect();
        body["content"] = pings.join(" ").into();
        body["allowed_mentions"] =
            json!({ "parse": [], "users": people.iter().take(50).collect::<Vec<_>>() });
    }
    body
}

/// Whom this is about.
fn mentioned(span: &Span) -> Option<&str> {
    match span {
        Span::Mention(actor) => markdown::user(&actor.id),
        _ => None,
    }
}

/// As one person gets it in answer: no pings, no marks.
pub(super) fn private(card: &Card) -> Value {
    json!({
        "content": "",
        "embeds": [embed(card, None)],
        "components": rows(&card.buttons),
        "allowed_mentions": { "parse": [] },
    })
}

/// As everybody sees it again, where it pings nobody.
pub(super) fn announcement(card: &Card, nonce: &str) -> Value {
    json!({ "embeds": [embed(card, Some(nonce))], "allowed_mentions": { "parse": [] } })
}

/// Finds a message again.
pub(super) fn signature(nonce: &str) -> String {
    format!("{SIGNATURE} · {nonce}")
}

/// A thread's name.
pub(super) fn thread_name(title: &str) -> String {
    let title = one_line(title);
    if title.trim().is_empty() { SIGNATURE.to_owned() } else { cut(title.trim(), THREAD) }
}

fn embed(card: &Card, nonce: Option<&str>) -> Value {
    let title = cut(&one_line(&format!("{} {}", symbol(card.colour), card.title)), TITLE);
    let mut left = ALL - length(&title);
    let text = markdown::text(&card.text, DESCRIPTION.min(left));
    left -= length(&text);
    let mut fields = Vec::new();
    for field in card.fields.iter().take(FIELDS) {
        let name = cut(&markdown::escape(&one_line(&field.name)), FIELD_NAME);
        let value = markdown::text(std::slice::from_ref(&field.value), FIELD_VALUE);
        let value = if value.trim().is_empty() { "–".to_owned() } else { value };
        let name = if name.trim().is_empty() { "–".to_owned() } else { name };
        let takes = length(&name) + length(&value);
        if takes > left {
            break;
        }
        left -= takes;
        fields.push(json!({ "name": name, "value": value, "inline": length(&value) <= 40 }));
    }
    let mut embed = json!({
        "title": title,
        "color": colour(card.colour),
        "fields": fields,
        "footer": { "text": nonce.map_or_else(|| SIGNATURE.to_owned(), signature) },
    });
    if !text.is_empty() {
        embed["description"] = text.into();
    }
    if let Some(picture) = card.picture.as_ref().filter(|_| nonce.is_some()) {
        embed["image"] = json!({ "url": format!("attachment://{}", picture.file_name) });
    }
    embed
}

fn colour(colour: Colour) -> u32 {
    match colour {
        Colour::Neutral => 0x99_AA_B5,
        Colour::Good => 0x2E_CC_71,
        Colour::Warning => 0xE6_7E_22,
        Colour::Bad => 0xE7_4C_3C,
        Colour::Working => 0x34_98_DB,
    }
}

fn rows(buttons: &[Button]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let drawn: Vec<_> = buttons
        .iter()
        .filter(|button| button.action.len() < CUSTOM_ID && seen.insert(button.action.as_str()))
        .take(ROW * ROWS)
        .map(button)
        .collect();
    drawn.chunks(ROW).map(|row| json!({ "type": 1, "components": row })).collect()
}

fn button(button: &Button) -> Value {
    let style = match button.style {
        Style::Primary => 1,
        Style::Plain => 2,
        Style::Danger => 4,
    };
    let label = one_line(&button.label);
    let label = if label.trim().is_empty() { "…".to_owned() } else { cut(&label, LABEL) };
    let opens = if button.form.is_some() { OPENS.to_string() } else { String::new() };
    json!({ "type": 2, "style": style, "label": label, "custom_id": format!("{opens}{}", button.action) })
}

/// A pressed button's action, and whether it may open a form.
pub(super) fn pressed(custom_id: &str) -> (&str, bool) {
    custom_id.strip_prefix(OPENS).map_or((custom_id, false), |action| (action, true))
}

#[cfg(test)]
mod tests;
