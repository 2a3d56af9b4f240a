//! Chat in a terminal: for the demo, and for a rollback by command line while chat is down. The same port as Slack and
//! Discord, so the same cards, buttons and forms; who acts is the user of the operating system.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lastgood_core::{
    Actor,
    card::{Button, Card, Colour},
};
use tokio::sync::watch;

use super::{Abilities, Answer, Chat, Inbox, Incoming, MessageRef, NotTaken, Outgoing, What};
use crate::{Check, Fault};

mod board;
mod draw;
mod host;
pub mod keys;
mod prompt;
mod screen;
mod text;

use board::Board;
pub use board::{Now, Size};
use keys::{Key, Keys};
use prompt::{Prompt, Step};
use screen::Screen;

/// What a terminal is made of, so that a test can bring its own.
pub struct Setup {
    pub out: Box<dyn Write + Send>,
    /// None: nobody can press anything here.
    pub keys: Option<Box<dyn Keys>>,
    /// Whether what was written can be drawn again (standard output is a terminal).
    pub live: bool,
    pub colour: bool,
    pub size: Size,
    /// Seconds that the reader's clock is ahead of UTC.
    pub offset: i32,
    /// The operating system's user.
    pub user: String,
    /// Differs from process to process: deliveries and messages are named after it.
    pub nonce: String,
    pub now: Now,
}

/// The `Chat` port on a terminal. "Once" is true as far as this process goes: nobody can look what an earlier one wrote.
pub struct Terminal {
    board: Mutex<Board>,
    interactive: bool,
    keys: Mutex<Option<Box<dyn Keys>>>,
    actor: Actor,
    nonce: String,
    deliveries: AtomicU64,
    ended: watch::Sender<bool>,
}

impl Terminal {
    pub fn new(setup: Setup) -> Self {
        let screen = Screen::new(setup.out, setup.live, setup.colour);
        let interactive = setup.keys.is_some();
        let board = Board::new(screen, interactive, setup.size, setup.offset, setup.now, setup.nonce.clone());
        Self {
            board: Mutex::new(board),
            interactive,
            keys: Mutex::new(setup.keys),
            actor: Actor::new(format!("os:{}", setup.user), setup.user),
            nonce: setup.nonce,
            deliveries: AtomicU64::new(0),
            ended: watch::Sender::new(false),
        }
    }

    /// The process's own terminal. While `listen` runs it takes single keys from it, when standard input and output are
    /// one; lines written past this adapter meanwhile would disturb the drawing.
    pub fn stdio(now: Now) -> Self {
        Self::new(host::setup(now))
    }

    /// Who acts at this terminal.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whether a person can press keys here: where not, somebody else has to decide.
    pub fn interactive(&self) -> bool {
        self.interactive
    }

    /// All buttons that can be pressed now, the newest card's first.
    pub fn offered(&self) -> watch::Receiver<Vec<Button>> {
        self.board().offered()
    }

    /// Waits until the person wants to end: Ctrl-C, SIGINT or SIGTERM while `listen` runs, or `close`.
    pub async fn ended(&self) {
        // An error would mean that this terminal is gone, which `&self` rules out.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Writes the last state of all cards and gives the terminal back. What is sent later is appended.
    pub fn close(&self) {
        self.ended.send_replace(true);
        drop(self.keys.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Before writing: only a terminal that was given back begins a line where it should.
        keys::restore();
        self.draw(Board::settle);
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drawing that no caller waits for: when the terminal is gone, so is whom to tell.
    fn draw(&self, drawing: impl FnOnce(&mut Board) -> io::Result<()>) {
        if let Err(error) = drawing(&mut self.board()) {
            tracing::debug!(%error, "the terminal can't be written");
        }
    }

    async fn serve(&self, keys: &mut dyn Keys, inbox: &dyn Inbox) {
        while let Some(key) = self.next(keys).await {
            match key {
                Key::Interrupt => return,
                Key::Resized => self.draw(Board::redraw),
                Key::Char('/') => self.command(keys, inbox).await,
                Key::Char(key) => {
                    let pressed = self.board().button(key);
                    if let Some((room, button)) = pressed {
                        self.press(keys, inbox, room, button).await;
                    }
                }
                Key::Enter | Key::Backspace | Key::Clear | Key::Escape => {}
            }
        }
        // No more keys; cards are shown for as long as there are any.
        self.ended().await;
    }

    /// The next key, or an interruption once the end was asked for.
    async fn next(&self, keys: &mut dyn Keys) -> Option<Key> {
        tokio::select! {
            biased;
            () = self.ended() => Some(Key::Interrupt),
            key = keys.next() => key,
        }
    }

    async fn press(&self, keys: &mut dyn Keys, inbox: &dyn Inbox, room: String, button: Button) {
        let inputs = match button.form {
            None => BTreeMap::new(),
            Some(form) => match self.ask(keys, Prompt::new(form)).await {
                Some(inputs) => inputs,
                None => return,
            },
        };
        self.draw(|board| board.note(&button.label));
        self.hand_in(keys, inbox, room, What::Press { action: button.action, inputs }).await;
    }

    async fn command(&self, keys: &mut dyn Keys, inbox: &dyn Inbox) {
        let Some(inputs) = self.ask(keys, Prompt::command()).await else { return };
        let text = inputs.into_values().next().unwrap_or_default();
        let text = text.trim_start_matches('/').trim().to_owned();
        self.draw(|board| board.note(&format!("/{text}")));
        let room = self.board().room();
        self.hand_in(keys, inbox, room, What::Command { text }).await;
    }

    /// Hands in what was done, and whatever is asked in return.
    async fn hand_in(&self, keys: &mut dyn Keys, inbox: &dyn Inbox, room: String, mut what: What) {
        loop {
            let incoming = Incoming {
                delivery: self.delivery(),
                actor: self.actor.clone(),
                room: room.clone(),
                thread: None,
                what: what.clone(),
            };
            let (action, form) = match self.taken(keys, inbox, incoming).await {
                Ok(Answer::Done) => return,
                Ok(Answer::Private(card)) => return self.draw(|board| board.whisper(&card)),
                Ok(Answer::Ask { action, form }) => (action, form),
                Err(error) => {
                    let card = Card::new(Colour::Bad, "That was not taken").line(error.0.as_str());
                    return self.draw(|board| board.whisper(&card));
                }
            };
            let Some(more) = self.ask(keys, Prompt::new(form)).await else { return };
            let mut inputs = match what {
                What::Press { inputs, .. } => inputs,
                _ => BTreeMap::new(),
            };
            inputs.extend(more);
            what = What::Press { action, inputs };
        }
    }

    /// Waits for the answer. What is typed meanwhile is dropped, since it was meant for what the screen no longer shows;
    /// only the wish to end is kept.
    async fn taken(
        &self,
        keys: &mut dyn Keys,
        inbox: &dyn Inbox,
        incoming: Incoming,
    ) -> Result<Answer, NotTaken> {
        let mut taking = inbox.take(incoming);
        loop {
            tokio::select! {
                biased;
                answer = &mut taking => return answer,
                key = keys.next() => match key {
                    Some(Key::Interrupt) => drop(self.ended.send_replace(true)),
                    Some(_) => {}
                    None => return taking.await,
                },
            }
        }
    }

    /// Puts a form to the person; none when they thought better of it.
    async fn ask(&self, keys: &mut dyn Keys, prompt: Prompt) -> Option<BTreeMap<String, String>> {
        if prompt.is_empty() {
            return Some(BTreeMap::new());
        }
        self.draw(|board| board.ask(Some(prompt)));
        loop {
            let key = self.next(keys).await.unwrap_or(Key::Escape);
            match self.board().key(key) {
                Ok(Step::Asking) => {}
                Ok(Step::Submitted(inputs)) => return Some(inputs),
                Ok(Step::Cancelled) | Err(_) => break,
            }
        }
        self.draw(|board| board.note("cancelled"));
        None
    }

    /// Unique for each thing that is done: a terminal never delivers twice.
    fn delivery(&self) -> String {
        format!("terminal-{}-{}", self.nonce, self.deliveries.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.close();
    }
}

/// Nothing that is tried again would be seen by anybody.
fn gone(error: &io::Error) -> Fault {
    Fault::Invalid(format!("the terminal can't be written: {error}"))
}

#[async_trait]
impl Chat for Terminal {
    fn abilities(&self) -> Abilities {
        Abilities { finds: false, edits: true, pace: Duration::ZERO }
    }

    async fn post(&self, message: &Outgoing) -> Result<MessageRef, Fault> {
        let sent = self.board().post(message).map_err(|error| gone(&error))?;
        sent.ok_or_else(|| Fault::NotFound("the thread's root is not in this terminal".to_owned()))
    }

    async fn update(&self, at: &MessageRef, card: &Card) -> Result<(), Fault> {
        match self.board().update(at, card).map_err(|error| gone(&error))? {
            true => Ok(()),
            false => Err(Fault::NotFound(format!("message {} is not in this terminal", at.0))),
        }
    }

    async fn find(&self, _message: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        Err(Fault::Invalid("a terminal can't be searched".to_owned()))
    }

    /// `ana` and `os:ana` are the user, `@sre` is a group of the operating system.
    async fn belongs(&self, actor: &Actor, group: &str) -> Result<bool, Fault> {
        let Some(user) = actor.id.strip_prefix("os:") else { return Ok(false) };
        match group.strip_prefix('@') {
            None => Ok(group.strip_prefix("os:").unwrap_or(group) == user),
            Some(group) => Ok(host::groups(user).await?.iter().any(|of| of == group)),
        }
    }

    /// Returns when the person wants to end, or the terminal was closed.
    async fn listen(&self, inbox: Arc<dyn Inbox>) {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).take();
        let serving = async {
            match keys {
                Some(mut keys) => self.serve(&mut *keys, &*inbox).await,
                None => self.ended().await,
            }
        };
        let signals = async {
            host::signalled().await;
            // What is being handed in is finished first.
            self.ended.send_replace(true);
            std::future::pending().await
        };
        tokio::select! {
            () = serving => {}
            () = signals => {}
        }
        self.close();
    }

    async fn check(&self, _rooms: &[String]) -> Vec<Check> {
        vec![Check::good("terminal", format!("you act as {}", self.actor.id))]
    }
}

#[cfg(test)]
mod tests;
