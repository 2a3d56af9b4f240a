//! Secrets: named in the configuration, read once, never printed.

use std::{fmt, path::PathBuf};

use serde::Deserialize;

/// Where a secret comes from: `{ env = "NAME" }` or `{ file = "/run/secrets/x" }`. A secret can't be written into the
/// configuration itself.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a secret is { env = \"NAME\" } or { file = \"/path\" }")]
pub enum Source {
    Env(FromEnv),
    File(FromFile),
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromEnv {
    pub env: String,
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromFile {
    pub file: PathBuf,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(FromEnv { env }) => write!(f, "environment variable {env}"),
            Self::File(FromFile { file }) => write!(f, "file {}", file.display()),
        }
    }
}

/// Why a secret could not be had. Says where it should have come from, never what it holds.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    #[error("{0} is not set")]
    Unset(Source),
    #[error("{0} is empty")]
    Empty(Source),
    #[error("{0} can't be read: {1}")]
    Unreadable(Source, std::io::Error),
}

impl Source {
    /// Reads the secret. Surrounding white space goes, since files end in a line feed.
    ///
    /// # Errors
    /// When it is absent, unreadable or empty.
    pub fn read(&self) -> Result<Secret, Missing> {
        let text = match self {
            Self::Env(from) => std::env::var(&from.env).map_err(|_| Missing::Unset(self.clone()))?,
            Self::File(from) => std::fs::read_to_string(&from.file)
                .map_err(|error| Missing::Unreadable(self.clone(), error))?,
        };
        match text.trim() {
            "" => Err(Missing::Empty(self.clone())),
            text => Ok(Secret(text.to_owned())),
        }
    }
}

/// A secret's value. It has no `Display` and its `Debug` hides it; `reveal` is for the one place that sends it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
