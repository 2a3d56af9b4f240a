//! Alerts that other programs tell in a chat room. Their messages are made for people and changed by people: they are
//! recognised by who sends them and by what such a message always has, and what is not recognised is no alert. Nothing here
//! asks anybody anything.

mod alertmanager;
mod datadog;
mod grafana;
mod matching;
mod message;
mod pagerduty;
mod pattern;
mod sentry;
mod subject;
mod told;

use lastgood_adapters::chat::Posted;
use lastgood_core::At;

use super::{
    alertmanager::{Status, fingerprint},
    matcher::Labels,
};
pub use matching::{Hears, concerned, mentioned};
use message::Message;
pub use pattern::{Malformed, Pattern};

/// Whose way of telling alerts it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Also everything that tells alerts as it does.
    Alertmanager,
    Grafana,
    PagerDuty,
    Datadog,
    Sentry,
    /// Found by a configured expression.
    Pattern,
}

impl Sender {
    pub fn word(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Grafana => "grafana",
            Self::PagerDuty => "pagerduty",
            Self::Datadog => "datadog",
            Self::Sentry => "sentry",
            Self::Pattern => "message",
        }
    }
}

/// An alert as a message tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub sender: Sender,
    pub status: Status,
    /// What stays the same from firing to resolved: the platform's own id of it where there is one, else its name. Never a
    /// count, which changes.
    pub identity: String,
    /// The first line that people read.
    pub title: String,
    /// Everything that it may be called elsewhere, the likeliest first.
    pub names: Vec<String>,
    /// Those that the message tells with their names; of several alerts in one message what they have in common.
    pub labels: Labels,
    /// What the message says the service is: values of fields made for that.
    pub named: Vec<String>,
    /// Everything that a service's name can be searched in.
    pub words: String,
    /// Links and texts for the thread, by name.
    pub annotations: Vec<(String, String)>,
    /// When the message was sent: none of the senders says more in every case.
    pub starts_at: At,
    /// It says `lastgood=ignore`.
    pub ignore: bool,
}

impl Heard {
    /// Identifies the alert among all that are told in this room, whatever the message's count or text says meanwhile.
    pub fn fingerprint(&self, room: &str) -> String {
        let parts = [("identity", self.identity.as_str()), ("room", room), ("sender", self.sender.word())];
        let labels = parts.into_iter().map(|(name, value)| (name.to_owned(), value.to_lowercase())).collect();
        format!("chat-{}", fingerprint(&labels))
    }
}

type Reader = fn(&Message<'_>) -> Option<Heard>;

/// By what the sender's name has in it.
const BY_NAME: [(&str, Reader); 5] = [
    ("grafana", grafana::read),
    ("pagerduty", pagerduty::read),
    ("datadog", datadog::read),
    ("sentry", sentry::read),
    ("alertmanager", alertmanager::read),
];

/// Under whatever name: by what the message looks like. An alert of Alertmanager may link to all the others.
const BY_SHAPE: [Reader; 5] =
    [grafana::read, alertmanager::read, pagerduty::read, datadog::read, sentry::read];

/// The alert that a message tells; none when it tells none that is known.
pub fn hear(posted: &Posted) -> Option<Heard> {
    if ours(posted) {
        return None;
    }
    let message = Message::of(posted);
    let sender = posted.sender.to_lowercase();
    let named = BY_NAME.iter().filter(|(name, _)| sender.contains(name)).map(|(_, reader)| reader);
    named.chain(&BY_SHAPE).find_map(|read| read(&message))
}

/// The adapter leaves out what this bot's own account posts. Another installation has another account, and goes by the
/// program's name: its cards name alerts and services, and two bots must not answer each other.
pub fn ours(posted: &Posted) -> bool {
    posted.sender.trim().to_lowercase().split(|c: char| !c.is_alphanumeric()).next() == Some("lastgood")
}

#[cfg(test)]
mod tests;
