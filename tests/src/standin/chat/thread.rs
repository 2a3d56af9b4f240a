//! What people see: messages with their history, threads, and a thread as text.

use lastgood_adapters::chat::MessageRef;
use lastgood_core::card::{Button, Card, Colour, Style};

use super::{PATIENCE, Platform};

#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub at: MessageRef,
    pub room: String,
    pub thread: Option<MessageRef>,
    pub nonce: String,
    pub broadcast: bool,
    /// As posted first, then as it was after each edit that changed something.
    pub revisions: Vec<Card>,
    pub deleted: bool,
}

impl Message {
    /// As it is now.
    pub fn card(&self) -> &Card {
        self.revisions.last().expect("a message is posted with a card")
    }

    /// By its action or its label, as the message is now.
    pub fn button(&self, button: &str) -> Option<&Button> {
        on(self.card(), button)
    }

    /// Whether its text, title and fields included, has this in it.
    pub fn says(&self, text: &str) -> bool {
        self.card().plain().contains(text)
    }
}

/// A button by its action or its label.
pub(super) fn on<'a>(card: &'a Card, button: &str) -> Option<&'a Button> {
    card.buttons.iter().find(|one| one.action == button || one.label == button)
}

/// A root message and what was said under it. Deleted messages are kept, marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    pub root: Message,
    pub replies: Vec<Message>,
}

impl Thread {
    /// Everything that is still there, root first.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        std::iter::once(&self.root).chain(&self.replies).filter(|message| !message.deleted)
    }

    /// The newest message that says this.
    pub fn saying(&self, text: &str) -> Option<&Message> {
        self.messages().filter(|message| message.says(text)).last()
    }

    /// The newest message that offers this button now, by action or label.
    pub fn offering(&self, button: &str) -> Option<&Message> {
        self.messages().filter(|message| message.button(button).is_some()).last()
    }

    /// The thread as text: a title, lines, fields and buttons a message, replies moved in. Times, ports and digests are
    /// as they are: a snapshot filters them.
    pub fn transcript(&self) -> String {
        let replies = self.replies.iter().map(|reply| {
            let text = draw(reply);
            text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect::<String>()
        });
        std::iter::once(draw(&self.root)).chain(replies).collect::<Vec<_>>().join("\n")
    }
}

fn draw(message: &Message) -> String {
    let card = message.card();
    let edits = message.revisions.len() - 1;
    let mut marks = match card.colour {
        Colour::Neutral => String::new(),
        colour => format!("{} ", format!("[{colour:?}]").to_lowercase()),
    };
    if message.deleted {
        marks += "(deleted) ";
    }
    let mut text = card.plain();
    let title = text.find('\n').unwrap_or(text.len());
    if edits > 0 {
        text.insert_str(title, &format!(" (edited {edits} ×)"));
    }
    if message.broadcast {
        text.insert_str(title, " (also in the room)");
    }
    if let Some(picture) = &card.picture {
        text += &format!("\n(picture {}: {})", picture.file_name, picture.alt);
    }
    if !card.buttons.is_empty() {
        let buttons: Vec<_> = card.buttons.iter().map(draw_button).collect();
        text += &format!("\n{}", buttons.join(" "));
    }
    format!("{marks}{text}\n")
}

/// `[Roll back!]` is primary, `[Undo!!]` dangerous; `…` asks for more first.
fn draw_button(button: &Button) -> String {
    let more = if button.form.is_some() { "…" } else { "" };
    let style = match button.style {
        Style::Plain => "",
        Style::Primary => "!",
        Style::Danger => "!!",
    };
    format!("[{}{more}{style}]", button.label)
}

impl Platform {
    /// Every thread of every room, oldest first.
    pub fn threads(&self) -> Vec<Thread> {
        let state = self.state();
        let roots = state.messages.iter().filter(|message| message.thread.is_none());
        roots
            .map(|root| Thread {
                root: root.clone(),
                replies: state
                    .messages
                    .iter()
                    .filter(|reply| reply.thread.as_ref() == Some(&root.at))
                    .cloned()
                    .collect(),
            })
            .collect()
    }

    /// The room's newest thread whose root is still there.
    pub fn thread(&self, room: &str) -> Thread {
        let mut threads = self.threads().into_iter().rev();
        threads
            .find(|thread| thread.root.room == room && !thread.root.deleted)
            .unwrap_or_else(|| panic!("{room} has no thread; all of {}:\n{}", self.name, self.everything()))
    }

    /// The room as text: its threads one after the other.
    pub fn transcript(&self, room: &str) -> String {
        let threads = self.threads();
        let here = threads.iter().filter(|thread| thread.root.room == room);
        here.map(Thread::transcript).collect::<Vec<_>>().join("\n")
    }

    fn everything(&self) -> String {
        let rooms = self.state().rooms.clone();
        rooms.iter().map(|room| format!("{room}\n\n{}\n", self.transcript(room))).collect()
    }

    /// The first thread, newest first, for which this holds, as soon as there is one.
    pub async fn wait_for(&self, what: &str, mut holds: impl FnMut(&Thread) -> bool) -> Thread {
        self.wait_until(what, |threads| threads.iter().rev().find(|thread| holds(thread)).cloned()).await
    }

    /// What the threads give, as soon as they give something. Panics with what people see when that takes too long.
    pub async fn wait_until<T>(&self, what: &str, mut look: impl FnMut(&[Thread]) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let seen = async {
            loop {
                changed.borrow_and_update();
                if let Some(seen) = look(&self.threads()) {
                    return seen;
                }
                changed.changed().await.expect("the platform is there");
            }
        };
        match tokio::time::timeout(PATIENCE, seen).await {
            Ok(seen) => seen,
            Err(_) => panic!("waited {PATIENCE:?} in vain for {what}; people see:\n{}", self.everything()),
        }
    }
}
