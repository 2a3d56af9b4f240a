//! What people see, as text.

use serde_json::Value;

use super::{Slack, messages::Message};

/// Blocks as they read; or the text, where there are none.
pub fn content(content: &Value) -> String {
    match content["blocks"].as_array() {
        Some(blocks) => blocks.iter().map(block).collect::<Vec<_>>().join("\n"),
        None => content["text"].as_str().unwrap_or_default().to_owned(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn block(block: &Value) -> String {
    match text(&block["type"]) {
        "header" => format!("# {}", text(&block["text"]["text"])),
        "rich_text" => {
            let sections = block["elements"].as_array().into_iter().flatten();
            let pieces = sections.flat_map(|section| section["elements"].as_array().into_iter().flatten());
            pieces.map(piece).collect()
        }
        "actions" => {
            let buttons = block["elements"].as_array().into_iter().flatten();
            buttons.map(button).collect::<Vec<_>>().join(" ")
        }
        "input" => format!("{}: ____", text(&block["label"]["text"])),
        other => format!("({other})"),
    }
}

fn piece(piece: &Value) -> String {
    match text(&piece["type"]) {
        "user" => format!("<{}>", text(&piece["user_id"])),
        "link" => format!("[{}]({})", text(&piece["text"]), text(&piece["url"])),
        "date" => "<time>".to_owned(),
        _ => text(&piece["text"]).to_owned(),
    }
}

fn button(button: &Value) -> String {
    let style = match button["style"].as_str() {
        Some("primary") => "!",
        Some("danger") => "!!",
        _ => "",
    };
    format!("[{}{style}]", text(&button["text"]["text"]))
}

impl Message {
    pub fn text(&self) -> String {
        let now = self.now();
        let mut text = content(&serde_json::json!({ "blocks": now.blocks, "text": now.text }));
        for attachment in self.attachments.as_array().into_iter().flatten() {
            text += self::text(&attachment["title"]);
        }
        if self.broadcast {
            text = format!("(also in the channel) {text}");
        }
        text
    }

    pub fn says(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// By its label, as the message is now.
    pub fn has_button(&self, label: &str) -> bool {
        self.now().buttons().iter().any(|(of, _, _)| of == label)
    }
}

impl Slack {
    /// Every message of a thread that is still there, root first.
    pub fn thread(&self, root: &Message) -> Vec<Message> {
        let state = self.state();
        let of = |message: &&Message| message.channel == root.channel && message.root() == root.root();
        state.messages.iter().filter(of).filter(|message| !message.deleted).cloned().collect()
    }

    /// A thread as text, replies moved in. People's ids and digests are as they are: a snapshot filters them.
    pub fn transcript(&self, root: &Message) -> String {
        let draw = |message: &Message| {
            let inside = message.thread_ts.is_some();
            let who = if message.ours { String::new() } else { format!("{}: ", message.name) };
            let text = format!("{who}{}", message.text());
            let lines = text.lines().map(|line| format!("{}{line}", if inside { "    " } else { "" }));
            lines.map(|line| line.trim_end().to_owned() + "\n").collect::<String>()
        };
        self.thread(root).iter().map(draw).collect::<Vec<_>>().join("\n")
    }

    /// The newest message of the bot that says this.
    pub async fn reads(&self, text: &str) -> Message {
        self.until(text, |state| {
            let mut ours = state.messages.iter().filter(|message| message.ours && !message.deleted);
            ours.rfind(|message| message.says(text)).cloned()
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
            let now = state.message(&message.channel, &message.ts)?;
            (!now.has_button(label)).then(|| now.clone())
        })
        .await
    }

    /// Every message of the bot, also deleted ones.
    pub fn ours(&self) -> Vec<Message> {
        self.state().messages.iter().filter(|message| message.ours).cloned().collect()
    }

    /// For a test that gives up.
    pub fn everything(&self) -> String {
        let state = self.state();
        let mut all = String::new();
        for message in &state.messages {
            all += &format!(
                "--- {} {} {:?}\n{}\n",
                message.channel,
                message.ts,
                message.thread_ts,
                message.text()
            );
        }
        for one in &state.ephemerals {
            all += &format!("--- only {} in {}\n{}\n", one.user, one.channel, content(&one.content));
        }
        for one in state.interactions.values() {
            for answer in &one.private {
                all += &format!("--- only {} in {}\n{}\n", one.user, one.channel, content(answer));
            }
        }
        format!("{all}refused: {:#?}\ncalls: {:?}", state.refused, state.calls)
    }
}
