//! Slack's `mrkdwn`, read: entities become characters, and what is in angle brackets becomes what a person sees
//! (docs.slack.dev, Formatting message text, Retrieved messages).

/// A link found in a text.
pub(super) type Link = (String, String);

/// What a bracketed reference stands for.
enum Reference<'a> {
    User(&'a str),
    Link {
        url: &'a str,
        label: &'a str,
    },
    /// Rooms, groups, dates, `@here`: as they are shown.
    Shown(String),
}

/// Plain text, and the links in it. Users become `@slack:ID`, as commands name them.
pub(super) fn plain(markup: &str) -> (String, Vec<Link>) {
    let (mut out, mut links) = (String::with_capacity(markup.len()), Vec::new());
    let mut rest = markup;
    while let Some(open) = rest.find('<') {
        let (before, from) = rest.split_at(open);
        out.push_str(&unescape(before));
        let Some(close) = from.find('>') else {
            rest = from;
            break;
        };
        match reference(&from[1..close]) {
            Reference::User(id) => out.push_str(&format!("@slack:{id}")),
            Reference::Shown(text) => out.push_str(&text),
            Reference::Link { url, label } => {
                let (url, label) = (unescape(url), unescape(label));
                out.push_str(&label);
                links.push((label, url));
            }
        }
        rest = &from[close + 1..];
    }
    out.push_str(&unescape(rest));
    (out, links)
}

fn reference(inner: &str) -> Reference<'_> {
    let (target, label) =
        inner.split_once('|').map_or((inner, None), |(target, label)| (target, Some(label)));
    let shown = |sign: &str, otherwise: &str| {
        Reference::Shown(format!("{sign}{}", unescape(label.unwrap_or(otherwise)).trim_start_matches(sign)))
    };
    if let Some(id) = target.strip_prefix('@') {
        return Reference::User(id);
    }
    if let Some(id) = target.strip_prefix('#') {
        return shown("#", id);
    }
    if let Some(special) = target.strip_prefix('!') {
        let name = special.split('^').next().unwrap_or_default();
        return match name {
            // `<!date^1700000000^{time}|fallback>`: only the fallback is text.
            "date" => Reference::Shown(unescape(label.unwrap_or_default())),
            "subteam" => shown("@", "group"),
            _ => shown("@", name),
        };
    }
    Reference::Link { url: target, label: label.unwrap_or_else(|| target.trim_start_matches("mailto:")) }
}

fn unescape(text: &str) -> String {
    // `&amp;` last, or `&amp;lt;` would become a bracket.
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_reads_as_people_see_it() {
        for (markup, text) in [
            ("rollback checkout", "rollback checkout"),
            ("a &lt;b&gt; &amp; &amp;lt;c", "a <b> & &lt;c"),
            ("commander <@U024BE7LH|ana> now", "commander @slack:U024BE7LH now"),
            ("<@U1>", "@slack:U1"),
            ("<#C1|incidents> and <#C2>", "#incidents and #C2"),
            ("<!here> <!subteam^S1|@sre> <!subteam^S2>", "@here @sre @group"),
            ("<!date^1700000000^{time}|12:00>", "12:00"),
            ("see <https://rb/x?a=1&amp;b=2|Runbook>", "see Runbook"),
            ("<https://rb/x>", "https://rb/x"),
            ("<mailto:a@b.c|a@b.c>", "a@b.c"),
            ("1 < 2", "1 < 2"),
            ("unfinished <http", "unfinished <http"),
            ("", ""),
        ] {
            assert_eq!(plain(markup).0, text, "{markup}");
        }
    }

    #[test]
    fn links_are_kept_whole() {
        let (_, links) = plain("<https://rb/x?a=1&amp;b=2|Run &amp; book> <http://y>");
        let expected = [("Run & book", "https://rb/x?a=1&b=2"), ("http://y", "http://y")];
        assert_eq!(links, expected.map(|(text, url)| (text.to_owned(), url.to_owned())));
    }
}
