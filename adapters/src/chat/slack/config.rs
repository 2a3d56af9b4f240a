//! `[chats.slack]`: tokens, and which way Slack delivers.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    Secret,
    client::{Address, BuildError, limit},
    duration::Span,
    secret::Source,
};

/// Slack's own address.
pub const URL: &str = "https://slack.com/api";
/// One call, unless configured otherwise.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Slack lets an app have ten, over all its replicas.
const SOCKETS: std::ops::RangeInclusive<usize> = 1..=10;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bot's, `xoxb-…`.
    pub token: Source,
    #[serde(default)]
    pub mode: Mode,
    /// For Socket Mode, `xapp-…`, with the scope `connections:write`.
    pub app_token: Option<Source>,
    /// For HTTP: what Slack signs its requests with.
    pub signing_secret: Option<Source>,
    /// Connections that this process holds; two unless given.
    pub sockets: Option<usize>,
    /// Another address of Slack's Web API.
    pub url: Option<Address>,
    /// For one call; 10 s unless given.
    pub timeout: Option<Span>,
}

/// How Slack delivers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Over sockets that the bot opens.
    #[default]
    Socket,
    /// By requests to the bot's own server.
    Http,
}

/// A configuration that was checked, with its secrets.
pub(super) struct Settings {
    pub token: Secret,
    pub delivered: Delivered,
    pub url: String,
    pub limit: Duration,
}

pub(super) enum Delivered {
    Socket { token: Secret, sockets: usize },
    Http { secret: Secret },
}

impl Config {
    pub(super) fn read(&self) -> Result<Settings, BuildError> {
        let token = self.token("token", &self.token, "xoxb-", "the bot token, from \"Install App\"")?;
        let delivered = match self.mode {
            Mode::Socket => self.socket()?,
            Mode::Http => self.http()?,
        };
        let url = self.url.as_ref().map_or_else(|| URL.to_owned(), ToString::to_string);
        Ok(Settings {
            token,
            delivered,
            url: url.trim_end_matches('/').to_owned(),
            limit: limit(self.timeout, LIMIT)?,
        })
    }

    fn socket(&self) -> Result<Delivered, BuildError> {
        let missing = || {
            let why = "missing: Socket Mode needs an app token (or set mode = \"http\" and signing_secret)";
            BuildError::invalid("app_token", why)
        };
        let source = self.app_token.as_ref().ok_or_else(missing)?;
        let what = "the app token, from \"Basic Information\", \"App-Level Tokens\"";
        let token = self.token("app_token", source, "xapp-", what)?;
        let sockets = self.sockets.unwrap_or(2);
        if !SOCKETS.contains(&sockets) {
            return Err(BuildError::invalid("sockets", "an app may have 1 to 10, over all its replicas"));
        }
        Ok(Delivered::Socket { token, sockets })
    }

    fn http(&self) -> Result<Delivered, BuildError> {
        let missing = || {
            let why = "missing: without it nobody could tell Slack's requests from others \
                       (\"Basic Information\", \"Signing Secret\")";
            BuildError::invalid("signing_secret", why)
        };
        let source = self.signing_secret.as_ref().ok_or_else(missing)?;
        Ok(Delivered::Http { secret: BuildError::read("signing_secret", source)? })
    }

    /// Tokens tell by their first letters what they are for.
    fn token(
        &self,
        key: &'static str,
        source: &Source,
        prefix: &str,
        what: &str,
    ) -> Result<Secret, BuildError> {
        let token = BuildError::read(key, source)?;
        if token.reveal().starts_with(prefix) {
            return Ok(token);
        }
        let found = match token.reveal().split('-').next() {
            Some("xoxb") => "a bot token (xoxb-…)",
            Some("xapp") => "an app token (xapp-…)",
            Some("xoxp") => "a user token (xoxp-…)",
            Some("xoxe" | "xoxe.xoxb" | "xoxe.xoxp") => {
                "a token that expires (xoxe…: switch token rotation off)"
            }
            _ => "something else",
        };
        Err(BuildError::invalid(key, format!("{source} holds {found}; needed is {what}: {prefix}…")))
    }

    /// What is read when it is built.
    pub fn secrets(&self) -> Vec<(&'static str, &Source)> {
        let mut all = vec![("token", &self.token)];
        match self.mode {
            Mode::Socket => all.extend(self.app_token.as_ref().map(|source| ("app_token", source))),
            Mode::Http => all.extend(self.signing_secret.as_ref().map(|source| ("signing_secret", source))),
        }
        all
    }
}
