//! For programs that nobody here knows: a service's own regular expressions over a message's whole text.

use lastgood_adapters::chat::Posted;
use regex::Regex;
use serde::Deserialize;

use super::{Heard, Sender, message::Message};
use crate::inbound::alertmanager::Status;

/// The group that takes part in a match when the message tells the end of the alert.
const RESOLVED: &str = "resolved";
/// The group that names the alert, where one expression finds several.
const NAME: &str = "name";

/// `ALARM: .*checkout|(?P<resolved>OK: .*checkout)`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

/// No expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("not a regular expression: {0}")]
    Regex(String),
    #[error("it matches every message")]
    Everything,
}

impl TryFrom<String> for Pattern {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let regex = Regex::new(&text).map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Malformed::Regex(reason.to_owned())
        })?;
        // An empty part of it (`a|`) would make an alert of whatever any program says.
        if regex.is_match("") { Err(Malformed::Everything) } else { Ok(Self(regex)) }
    }
}

impl Pattern {
    /// The alert that this expression finds in a message.
    pub fn hear(&self, posted: &Posted) -> Option<Heard> {
        let message = Message::of(posted);
        let text = message.text();
        let found = self.0.captures(&text)?;
        let status = if found.name(RESOLVED).is_some() { Status::Resolved } else { Status::Firing };
        let name =
            found.name(NAME).map(|name| name.as_str().trim().to_owned()).filter(|name| !name.is_empty());
        let heading = message.headings.first().or(message.lines.first())?.clone();
        // Without a name, whatever one expression finds is one alert.
        let identity = name.clone().unwrap_or_else(|| self.0.as_str().to_owned());
        Some(message.heard(Sender::Pattern, status, identity, name.unwrap_or(heading)))
    }
}
