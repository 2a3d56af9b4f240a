//! Lines as one `rich_text` block.

use lastgood_core::card::{Line, Span};
use serde_json::{Value, json};

use crate::chat::legible::{cut, length, lines, one_line, web};

/// Pieces of one block; no card of ours comes near.
const PIECES: usize = 400;

/// None for nothing: Slack takes no empty block.
pub(super) fn block(text: &[Line], most: usize) -> Option<Value> {
    let mut pieces = Pieces { left: most, drawn: Vec::new(), full: false };
    for (number, line) in text.iter().enumerate() {
        if number > 0 {
            pieces.text("\n", None);
        }
        line.iter().for_each(|span| pieces.span(span));
    }
    if pieces.full {
        pieces.drawn.push(json!({ "type": "text", "text": "…" }));
    }
    // Only line feeds: nothing to read.
    let blank =
        |piece: &Value| piece["type"] == "text" && piece["text"].as_str().is_none_or(|t| t.trim().is_empty());
    if pieces.drawn.iter().all(blank) {
        return None;
    }
    let section = json!({ "type": "rich_text_section", "elements": pieces.drawn });
    Some(json!({ "type": "rich_text", "elements": [section] }))
}

struct Pieces {
    left: usize,
    drawn: Vec<Value>,
    /// Something did not fit: nothing more is drawn, for what comes after a gap can mean something else.
    full: bool,
}

impl Pieces {
    fn text(&mut self, text: &str, style: Option<&str>) {
        let Some(text) = self.room(&lines(text)) else { return };
        let piece = match style {
            Some(style) => json!({ "type": "text", "text": text, "style": { style: true } }),
            None => json!({ "type": "text", "text": text }),
        };
        self.drawn.push(piece);
    }

    /// As much of it as there is room for.
    fn room(&mut self, text: &str) -> Option<String> {
        if self.full || text.is_empty() {
            return None;
        }
        if self.drawn.len() >= PIECES || self.left == 0 {
            self.full = true;
            return None;
        }
        let fits = length(text) <= self.left;
        // The ellipsis is added at the end, once.
        let kept =
            if fits { text.to_owned() } else { cut(text, self.left).trim_end_matches('…').to_owned() };
        self.left = self.left.saturating_sub(length(text));
        self.full = !fits;
        (!kept.is_empty()).then_some(kept)
    }

    fn span(&mut self, span: &Span) {
        match span {
            Span::Text(text) => self.text(text, None),
            Span::Strong(text) => self.text(text, Some("bold")),
            Span::Code(text) => self.text(text, Some("code")),
            Span::Mention(actor) => match user(&actor.id) {
                Some(id) => {
                    if self.room("@someone").is_some() {
                        self.drawn.push(json!({ "type": "user", "user_id": id }));
                    }
                }
                None => self.text(&format!("@{}", actor.name), None),
            },
            Span::Time(at) => {
                if self.room("today at 12:34:56").is_some() {
                    self.drawn.push(json!({
                        "type": "date",
                        "timestamp": at.div_euclid(1_000),
                        "format": "{date_short_pretty} {time_secs}",
                        "fallback": utc(*at),
                    }));
                }
            }
            Span::Link { text, url } if web(url) => {
                let text = one_line(text);
                let shown = if text.trim().is_empty() { url } else { &text };
                if let Some(text) = self.room(shown) {
                    self.drawn.push(json!({ "type": "link", "url": url, "text": text }));
                }
            }
            Span::Link { text, url } => self.text(&format!("{text} ({url})"), None),
        }
    }
}

/// A person in Slack, as opposed to a group, or somebody elsewhere.
pub(super) fn user(id: &str) -> Option<&str> {
    let id = id.strip_prefix("slack:")?;
    let good = id.starts_with(['U', 'W']) && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    good.then_some(id)
}

/// As it is read out, or shown on a locked phone.
pub(super) fn spoken(span: &Span) -> String {
    match span {
        Span::Text(text) | Span::Strong(text) | Span::Code(text) | Span::Link { text, .. } => lines(text),
        Span::Mention(actor) => format!("@{}", actor.name),
        Span::Time(at) => utc(*at),
    }
}

/// For readers that know no dates: hours and minutes are enough next to the message's own time.
fn utc(at: i64) -> String {
    let seconds = at.div_euclid(1_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
