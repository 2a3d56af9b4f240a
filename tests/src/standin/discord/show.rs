//! What people see, as text.

use serde_json::Value;

use super::{
    Discord,
    messages::{Message, Shown},
    state::{Channel, State},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Markdown as it reads: escapes are gone, and so is emphasis; times read the same in every run.
fn read(markup: &str) -> String {
    let mut out = String::new();
    let mut chars = markup.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '`' => {}
            '*' if chars.peek() == Some(&'*') => drop(chars.next()),
            '<' if chars.peek() == Some(&'t') => {
                let inside: String = chars.by_ref().take_while(|c| *c != '>').collect();
                out.push_str(if inside.ends_with(":R") { "<time>" } else { &inside });
            }
            c => out.push(c),
        }
    }
    out
}

pub fn shown(shown: &Shown) -> String {
    let mut lines = Vec::new();
    if !shown.content.is_empty() {
        lines.push(read(&shown.content));
    }
    for embed in shown.embeds.as_array().into_iter().flatten() {
        lines.push(format!("# {}", text(&embed["title"])));
        if let Some(description) = embed["description"].as_str() {
            lines.push(read(description));
        }
        for field in embed["fields"].as_array().into_iter().flatten() {
            lines.push(format!("{}: {}", read(text(&field["name"])), read(text(&field["value"]))));
        }
        if let Some(picture) = embed["image"]["url"].as_str() {
            lines.push(format!("(picture {picture})"));
        }
    }
    for row in shown.components.as_array().into_iter().flatten() {
        let buttons = row["components"].as_array().into_iter().flatten().map(button);
        lines.push(buttons.collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

fn button(button: &Value) -> String {
    let style = match button["style"].as_u64() {
        Some(1) => "!",
        Some(4) => "!!",
        _ => "",
    };
    format!("[{}{style}]", text(&button["label"]))
}

impl Message {
    pub fn text(&self) -> String {
        shown(self.now())
    }

    /// An outcome, told in the room and not in its thread.
    pub fn is_announcement(&self) -> bool {
        self.now().content.starts_with("<#")
    }

    pub fn says(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// By its label, as the message is now.
    pub fn has_button(&self, label: &str) -> bool {
        self.now().buttons().iter().any(|(of, _)| of == label)
    }
}

/// A thread as people find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    pub id: String,
    pub name: String,
    pub archived: bool,
    pub locked: bool,
}

impl Discord {
    /// The thread below a message, or the one that it is in.
    pub fn thread_of(&self, message: &Message) -> Option<Thread> {
        let state = self.state();
        let is = |of: &&Channel| of.is_thread() && (of.id == message.id || of.id == message.channel);
        let found = state.channels.iter().find(is)?;
        Some(Thread {
            id: found.id.clone(),
            name: found.name.clone(),
            archived: found.archived,
            locked: found.locked,
        })
    }

    /// A message and the thread below it, or the whole thread that it is in. People's ids and digests are as they are: a
    /// snapshot filters them.
    pub fn transcript(&self, root: &Message) -> String {
        let thread = self.thread_of(root).map(|thread| thread.id);
        let state = self.state();
        let here = |of: &&Message| {
            !of.deleted
                && (Some(&of.channel) == thread.as_ref()
                    || Some(&of.id) == thread.as_ref()
                    || of.id == root.id)
        };
        let draw = |message: &Message| {
            let inside = Some(&message.channel) == thread.as_ref();
            let who = if message.ours { String::new() } else { format!("{}: ", message.name) };
            let text = format!("{who}{}", message.text());
            let lines = text.lines().map(|line| format!("{}{line}", if inside { "    " } else { "" }));
            lines.map(|line| line.trim_end().to_owned() + "\n").collect::<String>()
        };
        state.messages.iter().filter(here).map(draw).collect::<Vec<_>>().join("\n")
    }

    /// The newest message of the bot that says this, its outcomes in the room aside.
    pub async fn reads(&self, text: &str) -> Message {
        self.until(text, |state| {
            let mut ours = state.messages.iter().filter(|message| message.ours && !message.deleted);
            ours.rfind(|message| !message.is_announcement() && message.says(text)).cloned()
        })
        .await
    }

    /// The first message of another program.
    pub async fn theirs(&self, program: &str) -> Message {
        self.until(program, |state| state.messages.iter().find(|message| message.name == program).cloned())
            .await
    }

    /// The newest message that offers this button.
    pub async fn offers(&self, label: &str) -> Message {
        self.until(&format!("[{label}]"), |state| {
            let mut there = state.messages.iter().filter(|message| !message.deleted);
            there.rfind(|message| message.has_button(label)).cloned()
        })
        .await
    }

    /// Waits until this message has no such button (any more).
    pub async fn loses(&self, message: &Message, label: &str) -> Message {
        self.until(&format!("no [{label}]"), |state| {
            let now = state.message(&message.channel, &message.id)?;
            (!now.has_button(label)).then(|| now.clone())
        })
        .await
    }

    /// A message as it is now.
    pub fn now(&self, message: &Message) -> Message {
        self.state().message(&message.channel, &message.id).expect("a message that is there").clone()
    }

    /// Every message of the bot, also deleted ones.
    pub fn ours(&self) -> Vec<Message> {
        self.state().messages.iter().filter(|message| message.ours).cloned().collect()
    }

    /// For a test that gives up.
    pub fn everything(&self) -> String {
        everything(&self.state())
    }
}

fn everything(state: &State) -> String {
    let mut all = String::new();
    for message in &state.messages {
        all += &format!("--- {} in {}\n{}\n", message.id, message.channel, message.text());
    }
    for one in state.interactions.values() {
        all += &format!(
            "--- interaction of {}: first {:?}\n",
            one.user,
            one.first.as_ref().map(|of| &of["type"])
        );
        for answer in one.original.iter().chain(&one.private) {
            all += &format!("--- only {}\n{}\n", one.user, shown(&Shown::of(answer)));
        }
    }
    format!("{all}refused: {:#?}\ncalls: {:?}", state.refused, state.calls)
}
