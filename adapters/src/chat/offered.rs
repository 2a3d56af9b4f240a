//! Commands as platforms with typed commands offer them, and what people are shown while they fill one in.

use std::collections::BTreeMap;

use lastgood_core::Actor;

/// A command of a group: `rollback`, `propose`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    pub group: &'static str,
    pub name: &'static str,
    pub help: &'static str,
    pub arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub name: &'static str,
    pub help: &'static str,
    pub needed: bool,
    pub kind: Typed,
}

/// How an argument is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    Text,
    /// Text, for which the inbox has suggestions.
    Suggested,
    OneOf(&'static [&'static str]),
    /// Yes or no; given as its own name when it is yes.
    Flag,
    /// Somebody: `@platform:id`.
    Person,
}

/// What is being filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    pub actor: Actor,
    /// As in [`super::Incoming`].
    pub room: String,
    pub group: String,
    pub command: String,
    pub argument: String,
    /// So far.
    pub typed: String,
    /// The other arguments, as far as they are filled in.
    pub given: BTreeMap<String, String>,
}

/// What a suggestion puts in, and what it is shown as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub value: String,
    pub label: String,
}
