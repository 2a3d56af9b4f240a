//! What can go wrong with the outside world, told apart by what a caller does about it.

use std::time::Duration;

/// Every variant's text says what happened, to what; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What was asked for is not there. Asking again gives the same answer.
    #[error("not found: {0}")]
    NotFound(String),
    /// Credentials are missing, wrong or not enough. A person has to change something.
    #[error("denied: {0}")]
    Denied(String),
    /// Ask again after the delay, if the other side gave one.
    #[error("rate limited: {detail}")]
    RateLimited { after: Option<Duration>, detail: String },
    /// It could not be reached, or said that it can't answer now; nothing was changed. Ask again with backoff.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The request went out and no answer came: it may have taken effect. Read back before deciding anything.
    #[error("unknown outcome: {0}")]
    Unknown(String),
    /// It was changed by another hand since it was read; nothing was written over that. Look again, and let a person decide.
    #[error("changed by another hand: {0}")]
    Conflict(String),
    /// The other side refuses this request, or it makes no sense: asking again gives the same answer.
    #[error("refused: {0}")]
    Invalid(String),
}

impl Fault {
    /// Whether the same request can succeed later without a person changing anything.
    pub fn passes(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable(_) | Self::Unknown(_))
    }
}
