//! Which cards there are, which of them still change, and what therefore has to be written. A card that has buttons or is
//! at work stays at the bottom, where its newest revision is drawn in place; when it comes to rest it joins what scrolls.

use std::{collections::BTreeMap, io, sync::Arc};

use lastgood_core::{
    At,
    card::{Button, Card, Colour},
};
use tokio::sync::watch;

use super::{
    draw::{Look, Pieces, Place, changes, pieces, whole},
    keys::Key,
    prompt::{Prompt, Step},
    screen::Screen,
    text::{Paint, Row, cells, columns, wrap},
};
use crate::chat::{MessageRef, Outgoing};

/// What time it is, in milliseconds since 1970.
pub type Now = Arc<dyn Fn() -> At + Send + Sync>;
/// Columns and lines of the terminal.
pub type Size = Box<dyn Fn() -> (usize, usize) + Send + Sync>;

/// Without a terminal, a card in which only its text changes is written at most this often.
const QUIET: i64 = 1_000;
/// Posts stand under their root.
const INDENT: usize = 2;

struct Message {
    at: MessageRef,
    nonce: String,
    room: String,
    in_thread: bool,
    card: Card,
    when: At,
    /// As it was last written where it can't be changed any more.
    shown: Option<Shown>,
}

struct Shown {
    pieces: Pieces,
    buttons: Vec<Button>,
    at: At,
}

impl Message {
    /// A root that is at work, or anything that asks to be pressed. A reply is a record: it takes its place and stays.
    fn changing(&self) -> bool {
        !self.card.buttons.is_empty() || (self.card.colour == Colour::Working && !self.in_thread)
    }
}

pub struct Board {
    screen: Screen,
    /// Whether anybody can press keys here.
    interactive: bool,
    size: Size,
    offset: i32,
    now: Now,
    nonce: String,
    messages: Vec<Message>,
    prompt: Option<Prompt>,
    /// The question that was last written, without a terminal.
    asked: Option<(usize, String)>,
    room: Option<String>,
    offered: watch::Sender<Vec<Button>>,
}

impl Board {
    pub fn new(screen: Screen, interactive: bool, size: Size, offset: i32, now: Now, nonce: String) -> Self {
        Self {
            screen,
            interactive,
            size,
            offset,
            now,
            nonce,
            messages: Vec::new(),
            prompt: None,
            asked: None,
            room: None,
            offered: watch::Sender::default(),
        }
    }

    pub fn offered(&self) -> watch::Receiver<Vec<Button>> {
        self.offered.subscribe()
    }

    /// Shows a new message; none when the thread's root is not of this terminal.
    pub fn post(&mut self, message: &Outgoing) -> io::Result<Option<MessageRef>> {
        if let Some(sent) = self.messages.iter().find(|sent| sent.nonce == message.nonce) {
            return Ok(Some(sent.at.clone()));
        }
        if message.thread.as_ref().is_some_and(|root| self.place_of(root).is_none()) {
            return Ok(None);
        }
        let mut finished = self.overdue();
        if self.room.as_ref() != Some(&message.room) {
            finished.extend(self.room_line(&message.room));
            self.room = Some(message.room.clone());
        }
        let at = MessageRef(format!("{}-{}", self.nonce, self.messages.len() + 1));
        self.messages.push(Message {
            at: at.clone(),
            nonce: message.nonce.clone(),
            room: message.room.clone(),
            in_thread: message.thread.is_some(),
            card: message.card.clone(),
            when: (self.now)(),
            shown: None,
        });
        let last = self.messages.len() - 1;
        if !self.at_bottom(last) {
            finished.extend(self.finish(last));
        }
        self.draw(&finished)?;
        Ok(Some(at))
    }

    /// Shows a message's new card; false when there is no such message.
    pub fn update(&mut self, at: &MessageRef, card: &Card) -> io::Result<bool> {
        let Some(place) = self.place_of(at) else { return Ok(false) };
        let now = (self.now)();
        let Some(message) = self.messages.get_mut(place) else { return Ok(false) };
        if message.card == *card {
            return Ok(true);
        }
        let rested = self.screen.live() && !message.changing();
        message.card = card.clone();
        message.when = now;
        let finished = if self.at_bottom(place) {
            Vec::new()
        } else if self.screen.live() && !rested {
            // It was drawn at the bottom until now: what scrolled away of it is an older state.
            self.finish(place)
        } else {
            self.finish_changes(place, false)
        };
        self.draw(&finished)?;
        Ok(true)
    }

    /// Shows something to the one person at this terminal; it is no message and is never changed.
    pub fn whisper(&mut self, card: &Card) -> io::Result<()> {
        let look = self.look();
        let drawn = pieces(card, &[], &look, INDENT);
        let mut rows = whole(&drawn, Place { indent: INDENT, at: (self.now)() }, &look);
        for (_, paint) in rows.iter_mut().flatten() {
            *paint = Paint::Dim;
        }
        self.draw(&rows)
    }

    /// One dim line: what the person just did.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        let said = cells(&format!("{}› {}", " ".repeat(INDENT), text.replace('\n', " ")), Paint::Dim);
        self.draw(&wrap(&said, self.look().room()))
    }

    pub fn redraw(&mut self) -> io::Result<()> {
        self.draw(&[])
    }

    /// Opens a form, or closes it.
    pub fn ask(&mut self, prompt: Option<Prompt>) -> io::Result<()> {
        self.prompt = prompt;
        self.asked = None;
        self.draw(&[])
    }

    /// Hands a key to the open form.
    pub fn key(&mut self, key: Key) -> io::Result<Step> {
        let Some(prompt) = &mut self.prompt else { return Ok(Step::Cancelled) };
        let step = prompt.key(key);
        if step != Step::Asking {
            self.prompt = None;
        }
        self.draw(&[])?;
        Ok(step)
    }

    /// The button that a key presses, with its room: of the newest card that has one.
    pub fn button(&self, key: char) -> Option<(String, Button)> {
        let keys = self.keys();
        let lower = key.to_ascii_lowercase();
        let ((message, button), _) =
            keys.iter().find(|(_, assigned)| assigned.to_ascii_lowercase() == lower)?;
        let message = self.messages.get(*message)?;
        Some((message.room.clone(), message.card.buttons.get(*button)?.clone()))
    }

    /// Where a command is said: the room of the last message.
    pub fn room(&self) -> String {
        self.room.clone().unwrap_or_else(|| "terminal".to_owned())
    }

    /// Writes the last state of everything that was still changing, and draws nothing in place from then on.
    pub fn settle(&mut self) -> io::Result<()> {
        self.prompt = None;
        let bottom: Vec<_> = (0..self.messages.len()).filter(|place| self.at_bottom(*place)).collect();
        let size = (self.size)();
        self.screen.settle(size)?;
        let mut finished: Vec<_> = bottom.into_iter().flat_map(|place| self.finish(place)).collect();
        finished.extend(self.overdue());
        self.draw(&finished)
    }

    fn look(&self) -> Look {
        Look { columns: (self.size)().0, offset: self.offset, now: (self.now)() }
    }

    fn place_of(&self, at: &MessageRef) -> Option<usize> {
        self.messages.iter().position(|message| message.at == *at)
    }

    fn at_bottom(&self, place: usize) -> bool {
        self.screen.live() && self.messages.get(place).is_some_and(Message::changing)
    }

    fn room_line(&self, room: &str) -> Vec<Row> {
        let room = room.replace('\n', " ");
        let width = self.look().room();
        let mut rows = vec![Row::new()];
        rows.extend(wrap(&cells(&format!("── {room} "), Paint::Dim), width));
        if let Some(last) = rows.last_mut() {
            let rule = format!(" {}", "─".repeat(width.saturating_sub(columns(last) + 1)));
            last.extend(cells(&rule, Paint::Dim));
        }
        rows
    }

    fn pieces_of(&self, place: usize) -> Option<(Pieces, Place)> {
        let message = self.messages.get(place)?;
        let keys = self.keys();
        let of = |button| keys.get(&(place, button)).copied();
        let keys: Vec<_> = (0..message.card.buttons.len()).map(of).collect();
        let indent = if message.in_thread { INDENT } else { 0 };
        Some((pieces(&message.card, &keys, &self.look(), indent), Place { indent, at: message.when }))
    }

    /// Rows of the whole card, to stay.
    fn finish(&mut self, place: usize) -> Vec<Row> {
        let Some((pieces, at)) = self.pieces_of(place) else { return Vec::new() };
        let mut rows = vec![Row::new()];
        rows.extend(whole(&pieces, at, &self.look()));
        self.remember(place, pieces);
        rows
    }

    /// Rows of what is new in a card that was written before, to stay. Where only its text changes, as it does while
    /// something is under way, not every change is worth a line; what is left out comes with the next.
    fn finish_changes(&mut self, place: usize, all: bool) -> Vec<Row> {
        let Some((pieces, at)) = self.pieces_of(place) else { return Vec::new() };
        let Some(message) = self.messages.get(place) else { return Vec::new() };
        let Some(shown) = &message.shown else { return self.finish(place) };
        let before = &shown.pieces;
        let quiet = before.title == pieces.title
            && before.colour == pieces.colour
            && shown.buttons == message.card.buttons;
        if before == &pieces || (quiet && !all && (self.now)() - shown.at < QUIET) {
            return Vec::new();
        }
        let rows = changes(before, &pieces, at, &self.look());
        self.remember(place, pieces);
        rows
    }

    fn remember(&mut self, place: usize, pieces: Pieces) {
        let at = (self.now)();
        if let Some(message) = self.messages.get_mut(place) {
            message.shown = Some(Shown { pieces, buttons: message.card.buttons.clone(), at });
        }
    }

    /// Changes that were left out and would otherwise come after something newer.
    fn overdue(&mut self) -> Vec<Row> {
        if self.screen.live() {
            return Vec::new();
        }
        (0..self.messages.len()).flat_map(|place| self.finish_changes(place, true)).collect()
    }

    /// Keys of all buttons, by message and button. The newest card gets the keys that it wants; an older one takes what
    /// is left, so that every button that is shown can be pressed.
    fn keys(&self) -> BTreeMap<(usize, usize), char> {
        let mut keys = BTreeMap::new();
        // The slash begins a command.
        let mut taken = vec!['/'];
        for (place, message) in self.messages.iter().enumerate().rev() {
            if !self.interactive {
                // Only shown, never pressed: nothing to keep apart.
                taken.truncate(1);
            }
            for (number, button) in message.card.buttons.iter().enumerate() {
                let from_label = button.label.chars().filter(char::is_ascii_alphanumeric);
                let mut wanted = std::iter::once(button.key).chain(from_label).chain('1'..='9');
                let free = wanted.find(|key| {
                    key.is_ascii_graphic() && !taken.iter().any(|taken| taken.eq_ignore_ascii_case(key))
                });
                if let Some(key) = free {
                    taken.push(key);
                    keys.insert((place, number), key.to_ascii_lowercase());
                }
            }
        }
        keys
    }

    fn draw(&mut self, finished: &[Row]) -> io::Result<()> {
        let mut finished = finished.to_vec();
        let mut bottom = Vec::new();
        let look = self.look();
        for place in (0..self.messages.len()).filter(|place| self.at_bottom(*place)) {
            if let Some((pieces, at)) = self.pieces_of(place) {
                bottom.push(Row::new());
                bottom.extend(whole(&pieces, at, &look));
            }
        }
        if let Some(prompt) = &self.prompt {
            let question = prompt.question();
            if self.screen.live() {
                bottom.push(Row::new());
                bottom.extend(prompt.rows(look.room()));
            } else if self.asked.as_ref() != Some(&question) {
                finished.extend(prompt.rows(look.room()));
                self.asked = Some(question);
            }
        }
        if self.interactive && !bottom.is_empty() && self.prompt.is_none() {
            bottom.push(Row::new());
            bottom.push(cells("/ command · Ctrl-C ends", Paint::Dim));
        }
        let buttons = self.messages.iter().rev().flat_map(|message| message.card.buttons.clone()).collect();
        self.offered.send_if_modified(|offered| {
            *offered != buttons && {
                *offered = buttons;
                true
            }
        });
        self.screen.show(&finished, &bottom, (self.size)())
    }
}
