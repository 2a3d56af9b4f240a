//! Lines as Discord's markdown (Message Formatting): every character that means something there is escaped, so that text from
//! an alert or a person is text whatever it holds. What may ping is said beside the text, in `allowed_mentions`.

use lastgood_core::card::{Line, Span};

use crate::chat::legible::{cut, length, lines, one_line, web};

/// Lines until they are `most` characters long; what does not fit whole is left out, and said so.
pub(super) fn text(paragraphs: &[Line], most: usize) -> String {
    let mut out = String::new();
    for (number, line) in paragraphs.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        for span in line {
            let drawn = span_of(span);
            if length(&out) + length(&drawn) < most {
                out.push_str(&drawn);
                continue;
            }
            // Markup that is cut in the middle would be something else: only plain text is.
            if let Span::Text(plain) = span {
                let room = most.saturating_sub(length(&out) + 1);
                out.push_str(&shortened(plain, room));
            }
            out.push('…');
            return cut(&out, most);
        }
    }
    out
}

/// As much of a text as fits when it is escaped.
fn shortened(plain: &str, room: usize) -> String {
    let mut kept = String::new();
    for c in lines(plain).chars() {
        let next = escape(c.encode_utf8(&mut [0; 4]));
        if length(&kept) + length(&next) > room {
            break;
        }
        kept.push_str(&next);
    }
    kept
}

fn span_of(span: &Span) -> String {
    match span {
        Span::Text(text) => escape(&lines(text)),
        Span::Strong(text) if text.trim().is_empty() => escape(&lines(text)),
        Span::Strong(text) => format!("**{}**", escape(&lines(text))),
        Span::Code(text) if text.trim().is_empty() => String::new(),
        // Nothing can be escaped in there.
        Span::Code(text) => format!("`{}`", one_line(text).replace('`', "'")),
        Span::Mention(actor) => match user(&actor.id) {
            Some(id) => format!("<@{id}>"),
            None => escape(&one_line(&format!("@{}", actor.name))),
        },
        Span::Time(at) => format!("<t:{}:R>", at.div_euclid(1_000)),
        Span::Link { text, url } if web(url) => {
            let text = one_line(text);
            let shown = if text.trim().is_empty() { url } else { &text };
            let url = url.replace('(', "%28").replace(')', "%29").replace('<', "%3C").replace('>', "%3E");
            format!("[{}]({url})", escape(shown))
        }
        Span::Link { text, url } => escape(&lines(&format!("{text} ({url})"))),
    }
}

/// Text that is nothing but text.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut line_begins = true;
    for c in text.chars() {
        let means = matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '(' | ')' | '@')
            || (line_begins && matches!(c, '#' | '-' | '+'));
        if means {
            out.push('\\');
        }
        out.push(c);
        line_begins = c == '\n' || (line_begins && c == ' ');
    }
    // A bare address would become a link; one that text from elsewhere brings along stays text.
    out.replace("://", ":\\//")
}

/// A person on Discord, as opposed to a role, or somebody elsewhere.
pub(super) fn user(id: &str) -> Option<&str> {
    id.strip_prefix("discord:").filter(|id| super::super::id(id).is_some())
}

#[cfg(test)]
mod tests {
    use lastgood_core::Actor;

    use super::*;

    #[test]
    fn text_is_text_whatever_it_holds() {
        for (from, drawn) in [
            ("v2.4.1 is live", "v2.4.1 is live"),
            ("*bold* _it_ ~~no~~ `x` ||s||", r"\*bold\* \_it\_ \~\~no\~\~ \`x\` \|\|s\|\|"),
            ("@everyone <@1> <#2> <@&3>", r"\@everyone \<\@1\> \<#2\> \<\@&3\>"),
            ("[pay](https://evil)", r"\[pay\]\(https:\//evil\)"),
            ("# big\n> quote\n- item 1-2", "\\# big\n\\> quote\n\\- item 1-2"),
            ("a\\b", r"a\\b"),
        ] {
            assert_eq!(text(&[vec![Span::Text(from.into())]], 4_096), drawn, "{from}");
        }
    }

    #[test]
    fn what_is_meant_is_drawn() {
        let line = vec![
            Span::Mention(Actor::new("discord:80351110224678912", "ana")),
            Span::Mention(Actor::new("slack:U1", "b*n")),
            Span::Time(1_700_000_000_123),
            Span::Link { text: "a]b".into(), url: "https://x/(1)".into() },
            Span::Link { text: "x".into(), url: "javascript:1".into() },
            Span::Code("a`b".into()),
            Span::Strong("v*1".into()),
        ];
        let drawn = text(&[line], 4_096);
        let expected = r"<@80351110224678912>\@b\*n<t:1700000000:R>[a\]b](https://x/%281%29)x \(javascript:1\)`a'b`**v\*1**";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn what_is_too_long_is_cut_between_pieces() {
        let line = vec![Span::Text("ab".into()), Span::Strong("c".repeat(20)), Span::Text("d".into())];
        assert_eq!(text(&[line], 10), "ab…");
        assert_eq!(text(&[vec![Span::Text("***********".into())]], 8), r"\*\*\*…");
    }
}
