//! A program's message, without Slack's markup: text, blocks and attachments as neutral parts, every link kept.

use crate::chat::json::{list, some, text};
use lastgood_core::At;
use serde_json::Value;

use super::markup::plain;
use crate::chat::{MessageRef, Part, Posted};

/// More than any alert has; Slack itself takes 50 blocks and 100 attachments.
const MOST: usize = 100;

pub(super) fn posted(channel: &str, message: &Value) -> Posted {
    let ts = text(message, "/ts");
    let blocks = list(message, "blocks");
    let mut parts = Vec::new();
    let own = of_blocks(blocks);
    if own != Part::default() {
        parts.push(own);
    }
    parts.extend(list(message, "attachments").iter().take(MOST).map(of_attachment));
    let (body, links) = plain(text(message, "/text"));
    if let (false, true) = (links.is_empty(), blocks.is_empty()) {
        parts.insert(0, Part { links, ..Part::default() });
    }
    Posted {
        at: super::super::reference(channel, ts),
        sender: sender(message),
        sent_at: millis(ts),
        text: body,
        parts,
    }
}

fn sender(message: &Value) -> String {
    ["/bot_profile/name", "/username", "/bot_id", "/user"]
        .into_iter()
        .find_map(|at| some(message, at))
        .unwrap_or_default()
}

/// `1700000000.000100`: seconds since 1970, and a number that makes it unique in its room.
pub(super) fn millis(ts: &str) -> At {
    let (seconds, rest) = ts.split_once('.').unwrap_or((ts, ""));
    let millis: At = rest.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    seconds.parse::<At>().unwrap_or(0).saturating_mul(1_000).saturating_add(millis)
}

/// What is gathered from blocks.
#[derive(Default)]
struct Gathered {
    part: Part,
    lines: Vec<String>,
}

impl Gathered {
    fn line(&mut self, markup: &str) {
        let (line, links) = plain(markup);
        self.part.links.extend(links);
        if !line.trim().is_empty() {
            self.lines.push(line);
        }
    }

    /// `*Service:*\ncheckout`, as fields are mostly written.
    fn field(&mut self, markup: &str) {
        let (field, links) = plain(markup);
        self.part.links.extend(links);
        let split = field.split_once('\n').or_else(|| field.split_once(':'));
        match split {
            Some((name, value)) => {
                let name = name.trim().trim_matches(['*', '_', ':']).trim_end_matches(':');
                self.part
                    .fields
                    .push((name.to_owned(), value.trim().trim_start_matches('*').trim().to_owned()));
            }
            None => self.lines.push(field),
        }
    }

    fn button(&mut self, element: &Value) {
        if let Some(url) = some(element, "/url") {
            self.part.links.push((text(element, "/text/text").to_owned(), url));
        }
    }

    fn block(&mut self, block: &Value) {
        match text(block, "/type") {
            "header" if self.part.title.is_empty() => {
                text(block, "/text/text").clone_into(&mut self.part.title);
            }
            "header" => self.line(text(block, "/text/text")),
            "section" => {
                self.line(text(block, "/text/text"));
                for field in list(block, "fields") {
                    self.field(text(field, "/text"));
                }
                if let Some(accessory) = block.get("accessory") {
                    self.button(accessory);
                }
            }
            "context" => {
                for element in list(block, "elements") {
                    self.line(text(element, "/text"));
                }
            }
            "actions" => list(block, "elements").iter().for_each(|element| self.button(element)),
            "rich_text" => list(block, "elements").iter().for_each(|element| self.rich(element)),
            _ => {}
        }
    }

    /// Sections, quotes, preformatted text; and lists of sections.
    fn rich(&mut self, element: &Value) {
        if text(element, "/type") == "rich_text_list" {
            return list(element, "elements").iter().for_each(|section| self.rich(section));
        }
        let mut line = String::new();
        for piece in list(element, "elements") {
            match text(piece, "/type") {
                "link" => {
                    let url = text(piece, "/url");
                    let shown = some(piece, "/text").unwrap_or_else(|| url.to_owned());
                    line.push_str(&shown);
                    self.part.links.push((shown, url.to_owned()));
                }
                "user" => line.push_str(&format!("@slack:{}", text(piece, "/user_id"))),
                "emoji" => line.push_str(&format!(":{}:", text(piece, "/name"))),
                "broadcast" => line.push_str(&format!("@{}", text(piece, "/range"))),
                "date" => line.push_str(text(piece, "/fallback")),
                _ => line.push_str(text(piece, "/text")),
            }
        }
        self.lines.extend(line.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
    }
}

fn of_blocks(blocks: &[Value]) -> Part {
    let mut gathered = Gathered::default();
    blocks.iter().take(MOST).for_each(|block| gathered.block(block));
    Part { text: gathered.lines.join("\n"), ..gathered.part }
}

/// An attachment of the old kind, or one that holds blocks (docs.slack.dev, Secondary message attachments).
fn of_attachment(attachment: &Value) -> Part {
    let mut part = of_blocks(list(attachment, "blocks"));
    let mut lines: Vec<String> = part.text.lines().map(str::to_owned).collect();
    let mut read = |at: &str| {
        let (line, links) = plain(text(attachment, at));
        part.links.extend(links);
        line
    };
    let (title, pretext, body, footer) = (read("/title"), read("/pretext"), read("/text"), read("/footer"));
    lines.extend([pretext, body].into_iter().filter(|line| !line.trim().is_empty()));
    if !title.is_empty() {
        part.title = title;
    }
    if part.title.is_empty() && lines.is_empty() {
        lines.push(plain(text(attachment, "/fallback")).0);
    }
    for field in list(attachment, "fields") {
        let (value, links) = plain(text(field, "/value"));
        part.links.extend(links);
        part.fields.push((plain(text(field, "/title")).0, value));
    }
    for action in list(attachment, "actions") {
        if let Some(url) = some(action, "/url") {
            part.links.push((text(action, "/text").to_owned(), url));
        }
    }
    part.url = some(attachment, "/title_link").or(part.url);
    part.text = lines.join("\n");
    part.footer = footer;
    text(attachment, "/color").clone_into(&mut part.colour);
    part
}

/// The thread that an answer to this message goes into.
pub(super) fn thread_of(channel: &str, message: &Value) -> Option<MessageRef> {
    let ts = some(message, "/thread_ts").or_else(|| some(message, "/ts"))?;
    Some(super::super::reference(channel, &ts))
}

#[cfg(test)]
mod tests;
