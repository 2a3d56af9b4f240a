//! What every platform's drawing shares: texts made harmless and cut to the length that the platform takes.

use lastgood_core::card::Colour;

/// What stands for characters that no message needs and some clients choke on.
fn clean(c: char) -> char {
    if c.is_control() && c != '\n' { ' ' } else { c }
}

/// Characters that make a text read in another order than it is written.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As it is, without line feeds and control characters.
pub(super) fn one_line(text: &str) -> String {
    text.chars().filter(|c| !turns(*c)).map(|c| if c == '\n' { ' ' } else { clean(c) }).collect()
}

/// As it is, without control characters but line feeds.
pub(super) fn lines(text: &str) -> String {
    text.chars().filter(|c| !turns(*c)).map(clean).collect()
}

/// Slack counts as JavaScript does, in UTF-16 units; whoever counts characters counts no more.
pub(super) fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The text, or its beginning and an ellipsis.
pub(super) fn cut(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let kept: String = text
        .chars()
        .take_while(|c| {
            let fits = c.len_utf16() <= left;
            left = if fits { left - c.len_utf16() } else { 0 };
            fits
        })
        .collect();
    if most == 0 { String::new() } else { format!("{}…", kept.trim_end()) }
}

/// Characters of an address.
const URL: usize = 3_000;

/// Whether it can be a link: nothing but the web's own.
pub(super) fn web(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && length(url) <= URL
        && !url.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// The one thing that is seen before anything is read. Colours of attachments would be there too, but Slack folds those away.
pub(super) fn symbol(colour: Colour) -> char {
    match colour {
        Colour::Neutral => '⚪',
        Colour::Good => '🟢',
        Colour::Warning => '🟠',
        Colour::Bad => '🔴',
        Colour::Working => '🔵',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_says_so() {
        for (text, most, wanted) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("ab cd", 4, "ab…"),
            ("🔴🔴", 4, "🔴🔴"),
            ("🔴🔴🔴", 4, "🔴…"),
            ("abc", 0, ""),
            ("", 0, ""),
        ] {
            assert_eq!(cut(text, most), wanted, "{text} {most}");
            assert!(length(&cut(text, most)) <= most, "{text}");
        }
        assert_eq!(one_line("a\nb\0c\u{1b}"), "a b c ");
        assert_eq!(lines("a\nb\0"), "a\nb ");
        assert_eq!(lines("v2\u{202e}4.1"), "v24.1");
    }
}
