//! Rooms and people as the configuration names them: `platform:rest`.

use std::fmt;

use serde::Deserialize;

/// Chat platforms that this program can talk on.
pub const CHATS: &[&str] = &["terminal", "slack", "discord"];
/// The platform of operating-system users.
pub const OS: &str = "os";

/// Not `platform:rest`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misnamed {
    #[error("expected platform:room, like \"slack:#incidents\" or \"terminal:\"")]
    Room,
    #[error("expected platform:person, like \"slack:U024BE7LH\", \"slack:@sre-oncall\" or \"os:ana\"")]
    Who,
}

/// Where a service's threads go: `slack:#incidents`, `terminal:`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Room {
    pub platform: String,
    /// As the platform names it; empty where a platform has one room only.
    pub name: String,
}

impl TryFrom<String> for Room {
    type Error = Misnamed;

    fn try_from(text: String) -> Result<Self, Misnamed> {
        let (platform, name) = text.split_once(':').ok_or(Misnamed::Room)?;
        if platform.is_empty() || text.chars().any(char::is_whitespace) {
            return Err(Misnamed::Room);
        }
        Ok(Self { platform: platform.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.name)
    }
}

/// A person, or a group of them: `slack:U024BE7LH`, `slack:@sre-oncall`, `os:ana`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Who {
    pub platform: String,
    /// As the platform names it; a group keeps its `@`.
    pub name: String,
}

impl Who {
    pub fn os(user: &str) -> Self {
        Self { platform: OS.to_owned(), name: user.to_owned() }
    }

    /// Its membership has to be asked; anything else is one person.
    pub fn is_group(&self) -> bool {
        self.name.starts_with('@')
    }
}

impl TryFrom<String> for Who {
    type Error = Misnamed;

    fn try_from(text: String) -> Result<Self, Misnamed> {
        let (platform, name) = text.split_once(':').ok_or(Misnamed::Who)?;
        let name = name.trim();
        if platform.is_empty() || name.is_empty() || name == "@" || platform.chars().any(char::is_whitespace)
        {
            return Err(Misnamed::Who);
        }
        Ok(Self { platform: platform.to_owned(), name: name.to_owned() })
    }
}

/// The same text as an actor's id has.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.name)
    }
}
