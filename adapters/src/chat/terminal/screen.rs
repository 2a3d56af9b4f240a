//! What is on the screen: finished lines scroll away above, what still changes is drawn again and again at the bottom.

use std::io::{self, Write};

use super::text::{Paint, Row, ansi, cells, columns};

pub struct Screen {
    out: Box<dyn Write + Send>,
    /// Whether lines can be drawn again; otherwise everything is only ever appended.
    live: bool,
    colour: bool,
    /// Columns of each line that is drawn at the bottom now.
    bottom: Vec<usize>,
}

impl Screen {
    pub fn new(out: Box<dyn Write + Send>, live: bool, colour: bool) -> Self {
        Self { out, live, colour, bottom: Vec::new() }
    }

    pub fn live(&self) -> bool {
        self.live
    }

    /// From now on lines are only appended; what is at the bottom goes.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn settle(&mut self, size: (usize, usize)) -> io::Result<()> {
        if self.live {
            self.show(&[], &[], size)?;
            self.live = false;
        }
        Ok(())
    }

    /// Appends `finished` and draws `bottom` under it, in place of what was drawn there before. `size` is columns and
    /// lines of the terminal: only what fits can be drawn again, so the oldest lines of a long bottom are left out.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn show(&mut self, finished: &[Row], bottom: &[Row], size: (usize, usize)) -> io::Result<()> {
        let mut frame = String::new();
        let end = if self.live { "\r\n" } else { "\n" };
        if self.live {
            // Terminals that know synchronised updates show a frame at once; all others ignore the mode.
            frame.push_str("\u{1b}[?2026h");
            frame.push_str(&self.erase(size.0));
        }
        for row in finished {
            frame.push_str(&ansi(row, self.colour));
            frame.push_str(end);
        }
        if self.live {
            let bottom = fitting(bottom, size.1);
            for row in &bottom {
                frame.push_str(&ansi(row, self.colour));
                frame.push_str(end);
            }
            self.bottom = bottom.iter().map(|row| columns(row)).collect();
            frame.push_str("\u{1b}[?2026l");
        }
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }

    /// Goes back to where the bottom begins and clears from there. A terminal that became narrower has broken its lines.
    fn erase(&self, width: usize) -> String {
        let lines: usize = self.bottom.iter().map(|columns| columns.div_ceil(width.max(1)).max(1)).sum();
        if lines == 0 { "\r\u{1b}[J".to_owned() } else { format!("\r\u{1b}[{lines}A\u{1b}[J") }
    }
}

fn fitting(bottom: &[Row], lines: usize) -> Vec<Row> {
    let room = lines.saturating_sub(1).max(2);
    if bottom.len() <= room {
        return bottom.to_vec();
    }
    let hidden = bottom.len() - (room - 1);
    let mut rows = vec![cells(&format!("… {hidden} more lines above"), Paint::Dim)];
    rows.extend(bottom.iter().skip(hidden).cloned());
    rows
}
