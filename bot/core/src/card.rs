//! A chat message without a platform. Slack, Discord and the terminal each draw it their own way; none of them may know
//! what a rollback is, and nothing that makes cards may know where they are shown.

use serde::{Deserialize, Serialize};

/// Text is plain: whoever draws it escapes it, so that text from an alert can't ping, link or forge anything. What is
/// *meant* as a mention, a time or a link has a variant of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    Text(String),
    Strong(String),
    Code(String),
    Mention(crate::Actor),
    /// Milliseconds since 1970; drawn in the reader's own time zone where the platform can.
    Time(i64),
    Link {
        text: String,
        url: String,
    },
}

impl From<&str> for Span {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Span {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One paragraph.
pub type Line = Vec<Span>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    #[default]
    Neutral,
    Good,
    Warning,
    Bad,
    Working,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub value: Line,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    #[default]
    Plain,
    Primary,
    Danger,
}

/// One input of a form (a modal in Slack and Discord, a prompt in a terminal).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub id: String,
    pub label: String,
    pub hint: String,
    pub required: bool,
    /// Empty: free text. Otherwise one of these (value, label).
    pub options: Vec<(String, String)>,
}

/// What a button asks for before it does anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// At most 24 characters (Slack's limit for a modal's title).
    pub title: String,
    pub submit: String,
    pub inputs: Vec<Input>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Opaque to the platform, at most 100 characters (Discord's limit): names the action and the revision it was drawn
    /// for, so that an old button can be told from a current one. State lives in the database.
    pub action: String,
    pub label: String,
    pub style: Style,
    /// A key for terminals.
    pub key: char,
    pub form: Option<Form>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    pub file_name: String,
    pub media_type: String,
    /// What it shows, for who can't see it.
    pub alt: String,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub title: String,
    pub colour: Colour,
    pub text: Vec<Line>,
    pub fields: Vec<Field>,
    pub buttons: Vec<Button>,
    pub picture: Option<Picture>,
}

impl Card {
    pub fn new(colour: Colour, title: impl Into<String>) -> Self {
        Self { title: title.into(), colour, ..Self::default() }
    }

    #[must_use]
    pub fn line(mut self, line: impl Into<Spans>) -> Self {
        self.text.push(line.into().0);
        self
    }

    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Spans>) -> Self {
        self.fields.push(Field { name: name.into(), value: value.into().0 });
        self
    }

    #[must_use]
    pub fn button(mut self, button: Button) -> Self {
        self.buttons.push(button);
        self
    }

    /// The card in plain text, for logs, pages, notifications and snapshots of a conversation.
    pub fn plain(&self) -> String {
        let mut out = self.title.clone();
        for line in &self.text {
            out.push('\n');
            out.push_str(&plain(line));
        }
        for field in &self.fields {
            out.push_str(&format!("\n{}: {}", field.name, plain(&field.value)));
        }
        out
    }
}

/// Lets builders take a string, a span or a list of spans.
pub struct Spans(pub Line);

impl From<Line> for Spans {
    fn from(line: Line) -> Self {
        Self(line)
    }
}

impl<T: Into<Span>> From<T> for Spans {
    fn from(one: T) -> Self {
        Self(vec![one.into()])
    }
}

/// A line without any markup.
pub fn plain(line: &[Span]) -> String {
    line.iter()
        .map(|span| match span {
            Span::Text(text) | Span::Strong(text) | Span::Code(text) => text.clone(),
            Span::Mention(actor) => format!("@{}", actor.name),
            Span::Time(at) => format!("t{at}"),
            Span::Link { text, url } => format!("{text} ({url})"),
        })
        .collect()
}
