//! Answers on standard output. Whoever stops reading early (`| head`) has what they wanted.

use std::io::{self, Write as _};

use serde::Serialize;

use super::Fault;

/// Writes a text and a line feed.
///
/// # Errors
/// When standard output can't be written to, and not because its reader left.
pub fn say(text: impl AsRef<str>) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.as_ref().trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Fault::new(format!("standard output can't be written to: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Says something beside the answer, on standard error.
pub fn note(text: &str) {
    // Whoever closed standard error does not want to know.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// For programs.
///
/// # Errors
/// As `say`.
pub fn json(value: &impl Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Fault::new(error.to_string()))?;
    say(text)
}

/// Columns as wide as their widest cell, for people. The last one is not padded.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(width);
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, widest) in cells.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', widest.saturating_sub(width(cell)) + 2));
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(head)];
    lines.extend(rows.iter().map(|row| line(std::array::from_fn(|at| row[at].as_str()))));
    lines.join("\n")
}

/// Foreign text can't move the cursor or start a new line.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let rows = [["a".to_owned(), "x".to_owned()], ["längst".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "WHAT"], &rows), "NAME    WHAT\na       x\nlängst");
    }

    #[test]
    fn foreign_text_commands_no_terminal() {
        assert_eq!(plain("a\u{1b}[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
    }
}
