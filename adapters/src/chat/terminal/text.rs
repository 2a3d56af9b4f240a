//! Text for a terminal: foreign characters made harmless, lines broken where they must be, colours put on last. An alert
//! can hold anything; written to a terminal as it is, it could move the cursor, rename the window or paint buttons that
//! are not there.

use lastgood_core::card::{Colour, Style};
use unicode_width::UnicodeWidthChar;

/// What a character is, before anybody decides how that looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Paint {
    #[default]
    Plain,
    Strong,
    Code,
    Mention,
    Link,
    Dim,
    Bar(Colour),
    Title(Colour),
    Key(Style),
}

pub type Cell = (char, Paint);
/// One line as it will be on the screen; never holds a control character.
pub type Row = Vec<Cell>;

/// Characters that may be drawn, and line feeds. Everything that a terminal would act on, or that makes text read
/// differently from what it is (direction overrides, invisible characters), is spelled out instead.
pub fn cells(text: &str, paint: Paint) -> Row {
    let mut row = Row::new();
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' => row.push(('\n', paint)),
            '\t' => row.push((' ', paint)),
            c if c.is_control() => row.extend(format!("\\x{:02x}", u32::from(c)).chars().map(|c| (c, paint))),
            c if misleads(c) => row.extend(c.escape_unicode().map(|c| (c, paint))),
            c => row.push((c, paint)),
        }
    }
    row
}

/// Formatting characters of Unicode that change how their neighbours read (see "Trojan Source", CVE-2021-42574), and
/// those that can't be seen at all.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that a row takes.
pub fn columns(row: &[Cell]) -> usize {
    row.iter().map(|(c, _)| wide(*c)).sum()
}

/// The sign that makes its neighbour an emoji takes no column itself but may make the neighbour wider; better to leave a
/// column free than to draw past the end of a line.
fn wide(c: char) -> usize {
    if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) }
}

/// Breaks at spaces where it can and inside words where it must; line feeds always break. Never returns nothing.
pub fn wrap(row: &[Cell], width: usize) -> Vec<Row> {
    let width = width.max(1);
    let mut rows = Vec::new();
    for paragraph in row.split(|(c, _)| *c == '\n') {
        wrap_paragraph(paragraph, width, &mut rows);
    }
    rows
}

fn wrap_paragraph(paragraph: &[Cell], width: usize, rows: &mut Vec<Row>) {
    let before = rows.len();
    let mut row = Row::new();
    for token in paragraph.chunk_by(|a, b| (a.0 == ' ') == (b.0 == ' ')) {
        if columns(&row) + columns(token) <= width {
            row.extend_from_slice(token);
            continue;
        }
        let space = token.first().is_some_and(|(c, _)| *c == ' ');
        if !row.is_empty() {
            rows.push(trimmed(std::mem::take(&mut row)));
        }
        if !space {
            break_word(token, width, &mut row, rows);
        }
    }
    if !row.is_empty() || rows.len() == before {
        rows.push(trimmed(row));
    }
}

fn break_word(word: &[Cell], width: usize, row: &mut Row, rows: &mut Vec<Row>) {
    let mut used = 0;
    for cell in word {
        let wide = wide(cell.0);
        if used + wide > width && used > 0 {
            rows.push(std::mem::take(row));
            used = 0;
        }
        row.push(*cell);
        used += wide;
    }
}

fn trimmed(mut row: Row) -> Row {
    while row.last().is_some_and(|(c, _)| *c == ' ') {
        row.pop();
    }
    row
}

/// The row as bytes for a terminal: with colours, or as nothing but its characters.
pub fn ansi(row: &[Cell], colour: bool) -> String {
    let mut out = String::with_capacity(row.len() + 16);
    for run in row.chunk_by(|a, b| a.1 == b.1) {
        let code = run.first().filter(|_| colour).map_or("", |(_, paint)| sgr(*paint));
        if !code.is_empty() {
            out.push_str("\u{1b}[");
            out.push_str(code);
            out.push('m');
        }
        out.extend(run.iter().map(|(c, _)| *c));
        if !code.is_empty() {
            out.push_str("\u{1b}[0m");
        }
    }
    out
}

/// Select Graphic Rendition (ECMA-48, 8.3.117), with the sixteen colours that every terminal maps to its own theme.
fn sgr(paint: Paint) -> &'static str {
    match paint {
        Paint::Plain => "",
        Paint::Strong => "1",
        Paint::Code => "36",
        Paint::Mention => "1;35",
        Paint::Link => "4",
        Paint::Dim => "2",
        Paint::Bar(Colour::Neutral) => "90",
        Paint::Bar(Colour::Good) => "32",
        Paint::Bar(Colour::Warning) => "33",
        Paint::Bar(Colour::Bad) => "31",
        Paint::Bar(Colour::Working) => "94",
        Paint::Title(Colour::Neutral) | Paint::Key(Style::Plain) => "1",
        Paint::Title(Colour::Good) | Paint::Key(Style::Primary) => "1;32",
        Paint::Title(Colour::Warning) => "1;33",
        Paint::Title(Colour::Bad) | Paint::Key(Style::Danger) => "1;31",
        Paint::Title(Colour::Working) => "1;94",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, width: usize) -> Vec<String> {
        wrap(&cells(text, Paint::Plain), width).iter().map(|row| ansi(row, false)).collect()
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_inside() {
        assert_eq!(wrapped("the new version fails", 10), ["the new", "version", "fails"]);
        assert_eq!(wrapped("sha256:0123456789 gone", 8), ["sha256:0", "12345678", "9 gone"]);
        assert_eq!(wrapped("a\n\nb", 8), ["a", "", "b"]);
        assert_eq!(wrapped("", 8), [""]);
        assert_eq!(wrapped("exactly8 x", 8), ["exactly8", "x"]);
        assert_eq!(wrapped("日本語のサービス", 6), ["日本語", "のサー", "ビス"]);
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31mred\r\u{8}\u{7f}\u{202e}evil\u{200b}\u{2028}";
        let drawn = wrapped(hostile, 200).join("\n");
        assert_eq!(drawn, r"\x1b]0;owned\x07\x1b[2J\x9b31mred\x0d\x08\x7f\u{202e}evil\u{200b}\u{2028}");
        assert!(!drawn.chars().any(char::is_control));
    }
}
