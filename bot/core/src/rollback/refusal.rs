//! Why an event was not taken. Whoever caused it gets this text.

/// Not an error of the program: the answer to a click or an outcome that comes too late, or from the wrong person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state does not take this event (any more).
    #[error("{0}")]
    Illegal(String),
    /// The person may not; says what would be needed.
    #[error("{0}")]
    NotAllowed(String),
    /// The click was on an older proposal.
    #[error("{0}")]
    Old(String),
    /// It needs a typed reason.
    #[error("{0}")]
    NeedsReason(String),
    /// An outcome that the state no longer awaits: recorded, and no more.
    #[error("stale outcome: {0}")]
    Stale(String),
}
