//! Keys, one at a time. A terminal hands over whole lines unless it is asked not to; asking must be undone however the
//! program ends, or the person is left with a shell that shows nothing they type.

use std::{
    io::IsTerminal,
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Enter,
    Backspace,
    /// Clears what was typed (Ctrl-U).
    Clear,
    Escape,
    /// Ctrl-C or Ctrl-D: the person wants to end.
    Interrupt,
    /// Not a key: the terminal has another size now.
    Resized,
}

/// Where keys come from.
#[async_trait]
pub trait Keys: Send {
    /// The next key; none when there will be no more. May be dropped while it waits.
    async fn next(&mut self) -> Option<Key>;
}

/// Keys that are sent by a program.
#[async_trait]
impl Keys for mpsc::UnboundedReceiver<Key> {
    async fn next(&mut self) -> Option<Key> {
        self.recv().await
    }
}

/// How long the reading thread may take to see that nobody wants keys any more.
const LOOK_UP_EVERY: Duration = Duration::from_millis(100);

/// Keys from the process's own terminal. It is taken with the first key that is waited for, not before: until then the
/// signals that would have to give it back are not listened to.
pub struct Typed {
    reading: Option<Reading>,
}

struct Reading {
    keys: mpsc::UnboundedReceiver<Key>,
    stop: Arc<AtomicBool>,
}

impl Typed {
    /// None when standard input is not a terminal.
    pub fn new() -> Option<Self> {
        std::io::stdin().is_terminal().then_some(Self { reading: None })
    }
}

impl Reading {
    /// None when the terminal refuses to hand over single keys.
    fn begin() -> Option<Self> {
        restore_on_panic();
        crossterm::terminal::enable_raw_mode().ok()?;
        let (sender, keys) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // A thread of its own: waiting for a key blocks.
        let reading = std::thread::Builder::new().name("keys".into()).spawn(move || read(&sender, &stopped));
        if reading.is_err() {
            restore();
            return None;
        }
        Some(Self { keys, stop })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        restore();
    }
}

#[async_trait]
impl Keys for Typed {
    async fn next(&mut self) -> Option<Key> {
        if self.reading.is_none() {
            self.reading = Reading::begin();
        }
        self.reading.as_mut()?.keys.recv().await
    }
}

/// Gives the terminal back. Does nothing when it was not taken.
pub fn restore() {
    // There is nobody to tell when this fails: the terminal is gone.
    let _ = crossterm::terminal::disable_raw_mode();
}

fn restore_on_panic() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}

fn read(sender: &mpsc::UnboundedSender<Key>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let key = match event::poll(LOOK_UP_EVERY) {
            Ok(false) => continue,
            Ok(true) => event::read().map(|event| key(&event)),
            Err(error) => Err(error),
        };
        match key {
            Ok(Some(key)) if sender.send(key).is_err() => return,
            Ok(_) => {}
            // The terminal is gone: no more keys.
            Err(_) => return,
        }
    }
}

fn key(event: &Event) -> Option<Key> {
    let key = match event {
        Event::Resize(..) => return Some(Key::Resized),
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => Some(Key::Interrupt),
        KeyCode::Char('u') if control => Some(Key::Clear),
        KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => None,
        KeyCode::Char(c) => Some(Key::Char(c)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Esc => Some(Key::Escape),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_mean_what_people_expect() {
        let pressed = |code, modifiers| key(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(pressed(KeyCode::Char('a'), KeyModifiers::NONE), Some(Key::Char('a')));
        assert_eq!(pressed(KeyCode::Char('A'), KeyModifiers::SHIFT), Some(Key::Char('A')));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(pressed(KeyCode::Char('x'), KeyModifiers::CONTROL), None);
        assert_eq!(pressed(KeyCode::F(1), KeyModifiers::NONE), None);
        assert_eq!(key(&Event::Resize(80, 24)), Some(Key::Resized));
    }
}
