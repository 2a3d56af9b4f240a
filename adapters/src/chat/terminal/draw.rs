//! How a card looks in a terminal: a bar in its colour at the left, the title first, what changes in the middle, keys at
//! the end. Read at three in the morning, so every state has a sign as well as a colour.

use lastgood_core::{
    At,
    card::{Button, Card, Colour, Field, Span},
};

use super::text::{Cell, Paint, Row, cells, columns, wrap};

/// Wider lines are hard to read.
const WIDEST: usize = 100;
const NARROWEST: usize = 20;
/// From this width on, fields stand in two columns and the time at the right of the title.
const ROOMY: usize = 48;
const LABELS_AT_MOST: usize = 18;

/// What the drawing depends on besides the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub columns: usize,
    /// Seconds that the reader's clock is ahead of UTC.
    pub offset: i32,
    /// When it is drawn: a time of another day is told with its date.
    pub now: At,
}

impl Look {
    /// One column stays free: a character in the last one makes some terminals begin a new line.
    pub fn room(&self) -> usize {
        self.columns.saturating_sub(1).clamp(NARROWEST, WIDEST)
    }
}

/// A card's pieces, so that what changed can be told from what did not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pieces {
    pub colour: Colour,
    pub title: Vec<Row>,
    pub text: Vec<Vec<Row>>,
    pub fields: Vec<Vec<Row>>,
    pub buttons: Vec<Row>,
}

/// Where and when a card is shown.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub indent: usize,
    pub at: At,
}

/// Breaks a card into rows. `keys` are the keys of its buttons, in their order; a button without one can't be pressed.
pub fn pieces(card: &Card, keys: &[Option<char>], look: &Look, indent: usize) -> Pieces {
    let width = look.room().saturating_sub(indent + 2);
    let time = if roomy(width) { columns(&clock(0, look)) + 2 } else { 0 };
    let title = wrap(&cells(&card.title, Paint::Title(card.colour)), width.saturating_sub(time));
    let mut text: Vec<_> = card.text.iter().map(|line| wrap(&spans(line, look), width)).collect();
    if let Some(picture) = &card.picture {
        text.push(wrap(&cells(&format!("[picture: {}]", picture.alt), Paint::Dim), width));
    }
    let fields = fields(&card.fields, look, width);
    Pieces { colour: card.colour, title, text, fields, buttons: buttons(&card.buttons, keys, width) }
}

fn roomy(width: usize) -> bool {
    width + 2 >= ROOMY
}

/// All of it.
pub fn whole(pieces: &Pieces, place: Place, look: &Look) -> Vec<Row> {
    let mut rows = head(pieces, place, look);
    let blank = || barred(pieces.colour, place.indent, &[]);
    rows.extend(pieces.text.iter().flatten().map(|row| barred(pieces.colour, place.indent, row)));
    if !pieces.text.is_empty() && !pieces.fields.is_empty() {
        rows.push(blank());
    }
    rows.extend(pieces.fields.iter().flatten().map(|row| barred(pieces.colour, place.indent, row)));
    if !pieces.buttons.is_empty() {
        rows.push(blank());
        rows.extend(pieces.buttons.iter().map(|row| barred(pieces.colour, place.indent, row)));
    }
    rows
}

/// The title, and only what differs from what was shown before.
pub fn changes(before: &Pieces, now: &Pieces, place: Place, look: &Look) -> Vec<Row> {
    let mut rows = head(now, place, look);
    let fresh = now.text.iter().filter(|piece| !before.text.contains(piece));
    let fresh = fresh.chain(now.fields.iter().filter(|piece| !before.fields.contains(piece)));
    rows.extend(fresh.flatten().map(|row| barred(now.colour, place.indent, row)));
    if now.buttons != before.buttons {
        rows.extend(now.buttons.iter().map(|row| barred(now.colour, place.indent, row)));
    }
    rows
}

/// The title stands beside the sign of its colour, for who can't see the colour.
fn head(pieces: &Pieces, place: Place, look: &Look) -> Vec<Row> {
    let mut rows = Vec::new();
    for (number, title) in pieces.title.iter().enumerate() {
        let mut row = barred(pieces.colour, place.indent, title);
        if number == 0 {
            if let Some(bar) = row.get_mut(place.indent) {
                *bar = (sign(pieces.colour), Paint::Title(pieces.colour));
            }
            let time = clock(place.at, look);
            if roomy(look.room().saturating_sub(place.indent + 2)) {
                let gap = look.room().saturating_sub(columns(&row) + columns(&time));
                row.extend(cells(&" ".repeat(gap), Paint::Plain));
                row.extend(time);
            }
        }
        rows.push(row);
    }
    rows
}

fn sign(colour: Colour) -> char {
    match colour {
        Colour::Neutral => '○',
        Colour::Good => '✓',
        Colour::Warning => '▲',
        Colour::Bad => '✗',
        Colour::Working => '▶',
    }
}

fn barred(colour: Colour, indent: usize, row: &[Cell]) -> Row {
    let mut out = cells(&" ".repeat(indent), Paint::Plain);
    out.push(('┃', Paint::Bar(colour)));
    if !row.is_empty() {
        out.push((' ', Paint::Plain));
        out.extend_from_slice(row);
    }
    out
}

fn fields(fields: &[Field], look: &Look, width: usize) -> Vec<Vec<Row>> {
    let labels: Vec<_> =
        fields.iter().map(|field| cells(&field.name.replace('\n', " "), Paint::Dim)).collect();
    let widest = labels.iter().map(|label| columns(label)).max().unwrap_or(0).min(LABELS_AT_MOST);
    fields
        .iter()
        .zip(labels)
        .map(|(field, label)| {
            let value = spans(&field.value, look);
            if roomy(width) { beside(label, &value, widest + 2, width) } else { below(label, &value, width) }
        })
        .collect()
}

/// Label left, value right, further lines of the value under the first.
fn beside(label: Row, value: &[Cell], column: usize, width: usize) -> Vec<Row> {
    let mut rows = wrap(value, width.saturating_sub(column));
    let mut label = if columns(&label) + 2 > column {
        // Too long for its column: it gets a line of its own.
        rows.insert(0, Row::new());
        label
    } else {
        let gap = column - columns(&label);
        [label, cells(&" ".repeat(gap), Paint::Plain)].concat()
    };
    let indent = cells(&" ".repeat(column), Paint::Plain);
    let mut out = Vec::with_capacity(rows.len());
    for (number, row) in rows.into_iter().enumerate() {
        let start = if number == 0 { std::mem::take(&mut label) } else { indent.clone() };
        out.extend(wrap(&[start, row].concat(), width));
    }
    out
}

/// Where there is no room for columns: the label, and its value indented under it.
fn below(label: Row, value: &[Cell], width: usize) -> Vec<Row> {
    let mut rows = wrap(&label, width);
    let indent = cells("  ", Paint::Plain);
    rows.extend(wrap(value, width.saturating_sub(2)).into_iter().map(|row| [indent.clone(), row].concat()));
    rows
}

/// `[a] Approve   [r] Reject…`; the dots say that it will ask for something first.
fn buttons(buttons: &[Button], keys: &[Option<char>], width: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = Row::new();
    for (number, button) in buttons.iter().enumerate() {
        let mut drawn = Row::new();
        if let Some(key) = keys.get(number).copied().flatten() {
            drawn.extend(cells(&format!("[{key}] "), Paint::Key(button.style)));
        }
        let dots = if button.form.is_some() { "…" } else { "" };
        drawn.extend(cells(&format!("{}{dots}", button.label.replace('\n', " ")), Paint::Key(button.style)));
        if !row.is_empty() && columns(&row) + 3 + columns(&drawn) > width {
            rows.push(std::mem::take(&mut row));
        }
        if !row.is_empty() {
            row.extend(cells("   ", Paint::Plain));
        }
        row.extend(drawn);
        if columns(&row) > width {
            rows.extend(wrap(&std::mem::take(&mut row), width));
        }
    }
    if !row.is_empty() {
        rows.push(row);
    }
    rows
}

fn spans(line: &[Span], look: &Look) -> Row {
    line.iter()
        .flat_map(|span| match span {
            Span::Text(text) => cells(text, Paint::Plain),
            Span::Strong(text) => cells(text, Paint::Strong),
            Span::Code(text) => cells(text, Paint::Code),
            Span::Mention(actor) => cells(&format!("@{}", actor.name), Paint::Mention),
            Span::Time(at) => cells(&moment(*at, look), Paint::Plain),
            Span::Link { text, url } if text == url => cells(url, Paint::Link),
            Span::Link { text, url } => {
                [cells(text, Paint::Plain), cells(" ", Paint::Plain), cells(url, Paint::Link)].concat()
            }
        })
        .collect()
}

/// The time of day as the reader's clock shows it, or in UTC, saying so.
pub fn clock(at: At, look: &Look) -> Row {
    cells(&time_of_day(at, look), Paint::Dim)
}

fn time_of_day(at: At, look: &Look) -> String {
    let seconds = local_seconds(at, look).rem_euclid(86_400);
    let zone = if look.offset == 0 { " UTC" } else { "" };
    format!("{:02}:{:02}:{:02}{zone}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn local_seconds(at: At, look: &Look) -> i64 {
    at.div_euclid(1000).saturating_add(i64::from(look.offset))
}

/// A time in a sentence: with its date when that is not today's.
fn moment(at: At, look: &Look) -> String {
    let day = |at: At| local_seconds(at, look).div_euclid(86_400);
    let time = time_of_day(at, look);
    if day(at) == day(look.now) {
        return time;
    }
    let (year, month, day) = civil(day(at));
    format!("{year:04}-{month:02}-{day:02} {time}")
}

/// Days since 1970-01-01 as a date of the Gregorian calendar (the `civil_from_days` of Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
