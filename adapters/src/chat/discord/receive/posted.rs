//! A message without Discord's markup: text and embeds as neutral parts, every link kept.

use lastgood_core::At;
use serde_json::Value;

use crate::chat::{
    Part, Posted,
    discord::reference,
    json::{list, some, text},
};

/// Ids count milliseconds from the first of January 2015 on (Reference, Snowflakes).
const EPOCH: At = 1_420_070_400_000;
/// More than any alert has; Discord itself takes ten embeds.
const MOST: usize = 50;

pub(super) fn posted(channel: &str, message: &Value) -> Posted {
    let id = text(message, "/id");
    let (body, links) = plain(text(message, "/content"));
    let mut parts = Vec::new();
    let mut links = links;
    links.extend(buttons(message));
    if !links.is_empty() {
        parts.push(Part { links, ..Part::default() });
    }
    parts.extend(list(message, "embeds").iter().take(MOST).map(of_embed));
    let sender = ["/author/global_name", "/author/username", "/author/id"];
    Posted {
        at: reference(channel, id),
        sender: sender.iter().find_map(|at| some(message, at)).unwrap_or_default(),
        sent_at: sent_at(id),
        text: body,
        parts,
    }
}

/// When what has this id came to be.
pub(super) fn sent_at(id: &str) -> At {
    crate::chat::discord::id(id).and_then(|id| At::try_from(id >> 22).ok()).map_or(0, |since| since + EPOCH)
}

/// An id that whatever came to be then has at least.
pub(super) fn id_at(at: At) -> u64 {
    u64::try_from(at - EPOCH).unwrap_or_default() << 22
}

fn buttons(message: &Value) -> Vec<(String, String)> {
    let rows = list(message, "components").iter().take(MOST);
    let buttons = rows.flat_map(|row| list(row, "components"));
    buttons.filter_map(|button| Some((text(button, "/label").to_owned(), some(button, "/url")?))).collect()
}

fn of_embed(embed: &Value) -> Part {
    let (title, mut links) = plain(text(embed, "/title"));
    let mut read = |markup: &str| {
        let (shown, more) = plain(markup);
        links.extend(more);
        shown
    };
    let author = read(text(embed, "/author/name"));
    let description = read(text(embed, "/description"));
    let fields = list(embed, "fields").iter().take(MOST);
    let fields = fields.map(|field| (read(text(field, "/name")), read(text(field, "/value")))).collect();
    let lines = [author, description].into_iter().filter(|line| !line.trim().is_empty());
    Part {
        title,
        url: some(embed, "/url"),
        text: lines.collect::<Vec<_>>().join("\n"),
        fields,
        links,
        footer: text(embed, "/footer/text").to_owned(),
        colour: embed
            .get("color")
            .and_then(Value::as_u64)
            .map_or(String::new(), |colour| format!("#{colour:06x}")),
    }
}

/// Markdown as people see it, and the links in it. Somebody who is mentioned is `@discord:ID`.
pub(super) fn plain(markup: &str) -> (String, Vec<(String, String)>) {
    let (mut out, mut links) = (String::with_capacity(markup.len()), Vec::new());
    let mut rest = markup;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let next = after.chars().next();
                out.extend(next);
                rest = &after[next.map_or(0, char::len_utf8)..];
                continue;
            }
            '[' => {
                if let Some((label, url, after)) = link(after) {
                    let (label, _) = plain(label);
                    out.push_str(&label);
                    links.push((label, url.to_owned()));
                    rest = after;
                    continue;
                }
            }
            '<' => {
                if let Some((shown, after)) = reference_in(after) {
                    out.push_str(&shown);
                    rest = after;
                    continue;
                }
            }
            // Emphasis, code and spoilers; a single one of these is a character like others.
            '*' | '`' => {
                rest = after;
                continue;
            }
            '_' | '~' | '|' if after.starts_with(c) => {
                rest = &after[1..];
                continue;
            }
            _ => {}
        }
        out.push(c);
        rest = after;
    }
    (out, links)
}

/// `label](url)` and what follows.
fn link(after: &str) -> Option<(&str, &str, &str)> {
    let (label, rest) = after.split_once("](")?;
    let (target, rest) = rest.split_once(')')?;
    let url = target.split_whitespace().next()?.trim_start_matches('<').trim_end_matches('>');
    let web = url.starts_with("http://") || url.starts_with("https://");
    (web && !label.contains(['\n', '['])).then_some((label, url, rest))
}

/// `@1>`, `#1>`, `@&1>`, `:name:1>`, `t:1:R>`, `https://…>` and what follows.
fn reference_in(after: &str) -> Option<(String, &str)> {
    let (inner, rest) = after.split_once('>')?;
    if inner.is_empty() || inner.contains(char::is_whitespace) {
        return None;
    }
    let shown = if let Some(role) = inner.strip_prefix("@&") {
        format!("@{role}")
    } else if let Some(id) = inner.strip_prefix("@!").or_else(|| inner.strip_prefix('@')) {
        format!("@discord:{id}")
    } else if inner.starts_with('#') {
        inner.to_owned()
    } else if let Some(name) = inner.strip_prefix(':').or_else(|| inner.strip_prefix("a:")) {
        format!(":{}:", name.split(':').next().unwrap_or_default())
    } else if inner.starts_with("http") || inner.starts_with("t:") {
        inner.to_owned()
    } else {
        return None;
    };
    Some((shown, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_reads_as_people_see_it() {
        for (markup, shown) in [
            ("**[FIRING:1]** HighErrorRate", "[FIRING:1] HighErrorRate"),
            ("see [Runbook](https://rb/x \"t\") now", "see Runbook now"),
            ("`service` = checkout_eu", "service = checkout_eu"),
            ("commander <@80351110224678912> <@!2>", "commander @discord:80351110224678912 @discord:2"),
            ("<#3> <@&4> <:ok:5> <t:17:R> <https://x>", "#3 @4 :ok: t:17:R https://x"),
            (r"\*not\* \_it\_", "*not* _it_"),
            ("1 < 2 > 0, [x] (y) [a](b)", "1 < 2 > 0, [x] (y) [a](b)"),
            ("||secret|| ~~gone~~ __under__", "secret gone under"),
            ("unfinished [a](http", "unfinished [a](http"),
        ] {
            assert_eq!(plain(markup).0, shown, "{markup}");
        }
        let (_, links) = plain("[a](https://x/1) [b](javascript:x)");
        assert_eq!(links, [("a".to_owned(), "https://x/1".to_owned())]);
    }

    #[test]
    fn ids_tell_the_time() {
        // The documentation's own example.
        assert_eq!(sent_at("175928847299117063"), 1_462_015_105_796);
        assert_eq!(sent_at(&id_at(1_462_015_105_796).to_string()), 1_462_015_105_796);
    }
}
