//! What goes over the wire.

use serde::{Deserialize, Serialize};

use crate::{Fault, traffic::Move};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Observe,
    Preflight,
    Apply,
    Progress,
}

impl Operation {
    pub fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Preflight => "preflight",
            Self::Apply => "apply",
            Self::Progress => "progress",
        }
    }

    /// An answer that never came leaves a question unanswered, and a change unknown.
    pub fn lost(self, why: String) -> Fault {
        match self {
            Self::Apply => Fault::Unknown(why),
            _ => Fault::Unavailable(why),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Request<'a> {
    pub version: u32,
    pub operation: Operation,
    pub service: &'a str,
    pub pools: &'a [String],
    /// In every operation but `observe`.
    #[serde(rename = "move", skip_serializing_if = "Option::is_none")]
    pub wanted: Option<&'a Move>,
}

/// What a shifter says when it can't or won't.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Complaint {
    pub error: Kind,
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    NotFound,
    Denied,
    RateLimited,
    /// Surely nothing was changed.
    Unavailable,
    /// Something may have been changed.
    Unknown,
    Invalid,
    /// Traffic is not where `move.from` says.
    Conflict,
}

impl Kind {
    pub fn fault(self, detail: String, retry_after_s: Option<u64>) -> Fault {
        match self {
            Self::NotFound => Fault::NotFound(detail),
            Self::Denied => Fault::Denied(detail),
            Self::RateLimited => {
                Fault::RateLimited { after: retry_after_s.map(std::time::Duration::from_secs), detail }
            }
            Self::Unavailable => Fault::Unavailable(detail),
            Self::Unknown => Fault::Unknown(detail),
            Self::Invalid => Fault::Invalid(detail),
            Self::Conflict => Fault::Conflict(detail),
        }
    }
}

impl Complaint {
    pub fn fault(&self, who: &str) -> Fault {
        self.error.fault(format!("{who}: {}", self.detail), self.retry_after_s)
    }
}
