//! `[chats.discord]`: the token, the server, and which way Discord delivers.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Deserialize;
use serenity::{interactions_endpoint::Verifier, model::id::GuildId};

use crate::{
    Secret,
    client::{BuildError, limit},
    duration::Span,
    secret::Source,
};

/// One call, unless configured otherwise.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bot's.
    pub token: Source,
    /// The server's id: the bot answers nowhere else.
    pub guild: String,
    #[serde(default)]
    pub mode: Mode,
    /// For HTTP: what Discord's signatures are checked with.
    pub public_key: Option<String>,
    /// Hears alerts in rooms, and mentions. Discord wants the message content intent switched on for it.
    #[serde(default)]
    pub reads_messages: bool,
    #[serde(default)]
    pub commands: Scope,
    /// For one call; 10 s unless given.
    pub timeout: Option<Span>,
    /// Connect there for `discord.com`: a gateway of one's own network.
    pub connect_to: Option<SocketAddr>,
    /// PEM file of another certificate authority, for that.
    pub ca: Option<PathBuf>,
}

/// How Discord delivers what people do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Over a connection that the bot opens.
    #[default]
    Gateway,
    /// By requests to the bot's own server.
    Http,
}

/// Where commands are registered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// In the one server, where they show at once.
    #[default]
    Guild,
    /// For the application, wherever it is installed.
    Global,
}

/// A configuration that was checked, with its secrets.
pub(super) struct Settings {
    pub token: Secret,
    pub guild: GuildId,
    /// For HTTP only.
    pub verifier: Option<Verifier>,
    pub reads_messages: bool,
    pub commands: Scope,
    pub limit: Duration,
    pub connect_to: Option<SocketAddr>,
    /// PEM.
    pub ca: Option<Vec<u8>>,
}

impl Config {
    pub(super) fn read(&self) -> Result<Settings, BuildError> {
        let why = "a server's id is a number: in Discord's settings switch on \"Developer Mode\", then \"Copy Server ID\"";
        let guild = super::id(&self.guild).ok_or_else(|| BuildError::invalid("guild", why))?;
        let verifier = match self.mode {
            Mode::Gateway => None,
            Mode::Http => Some(self.verifier()?),
        };
        let ca = match &self.ca {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                BuildError::invalid("ca", format!("{} can't be read: {error}", path.display()))
            })?),
        };
        Ok(Settings {
            token: self.token()?,
            guild: GuildId::new(guild),
            verifier,
            reads_messages: self.reads_messages,
            commands: self.commands,
            limit: limit(self.timeout, LIMIT)?,
            connect_to: self.connect_to,
            ca,
        })
    }

    /// Three parts with full stops in between; nothing else that Discord hands out looks like it.
    fn token(&self) -> Result<Secret, BuildError> {
        let token = BuildError::read("token", &self.token)?;
        let parts: Vec<_> = token.reveal().split('.').collect();
        let allowed = |part: &&str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '='))
        };
        if parts.len() == 3 && parts.iter().all(allowed) {
            return Ok(token);
        }
        let why = format!(
            "{} holds something else; needed is the bot's token, from \"Bot\", \"Reset Token\"",
            self.token
        );
        Err(BuildError::invalid("token", why))
    }

    fn verifier(&self) -> Result<Verifier, BuildError> {
        let missing = || {
            let why = "missing: without it nobody could tell Discord's requests from others \
                       (\"General Information\", \"Public Key\")";
            BuildError::invalid("public_key", why)
        };
        let key = self.public_key.as_ref().ok_or_else(missing)?;
        let wrong =
            || BuildError::invalid("public_key", "not a public key: 64 hexadecimal digits are expected");
        let mut bytes = [0; 32];
        if key.len() != 64 || !key.is_ascii() {
            return Err(wrong());
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&key[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Verifier::try_new(bytes).map_err(|_| wrong())
    }

    /// What is read when it is built.
    pub fn secrets(&self) -> Vec<(&'static str, &Source)> {
        vec![("token", &self.token)]
    }
}
