//! An incident closes only when its root cause is known.

use serde::{Deserialize, Serialize};

/// Why an incident can't be closed like this; the text says what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotClosed {
    #[error("an incident closes only with its root cause: say in a sentence what caused it")]
    NoRootCause,
    #[error("{0:?} is not a root cause: say in a sentence what caused it (at least {MIN_LETTERS} letters)")]
    TooShort(String),
    #[error("it was closed before, with the root cause {0:?}")]
    Closed(String),
    #[error("its rollback is still running: it closes when that has ended")]
    Running,
}

/// Fewer letters than this are an excuse ("n/a", "fixed", "."), not a cause.
pub const MIN_LETTERS: usize = 10;

/// What a person says when closing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    pub root_cause: String,
    /// The investigation found that the release was innocent: its mark is lifted.
    pub not_the_release: bool,
}

/// Checks a closing against what is known of the incident.
///
/// # Errors
/// When there is no root cause in it, or the incident is not one that can be closed now.
pub fn close(said: &Closing, closed_with: Option<&str>, running: bool) -> Result<Closing, NotClosed> {
    if let Some(cause) = closed_with {
        return Err(NotClosed::Closed(cause.to_owned()));
    }
    let cause = said.root_cause.trim();
    if cause.is_empty() {
        return Err(NotClosed::NoRootCause);
    }
    if cause.chars().filter(|c| c.is_alphanumeric()).count() < MIN_LETTERS {
        return Err(NotClosed::TooShort(cause.to_owned()));
    }
    if running {
        return Err(NotClosed::Running);
    }
    Ok(Closing { root_cause: cause.to_owned(), not_the_release: said.not_the_release })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Closing {
        Closing { root_cause: text.into(), not_the_release: false }
    }

    #[test]
    fn only_a_root_cause_closes() {
        assert_eq!(close(&said("  "), None, false), Err(NotClosed::NoRootCause));
        assert_eq!(close(&said("n/a"), None, false), Err(NotClosed::TooShort("n/a".into())));
        assert_eq!(
            close(&said("..............."), None, false),
            Err(NotClosed::TooShort("...............".into()))
        );
        let good = said(" The connection pool was halved by mistake. ");
        assert_eq!(
            close(&good, None, false).unwrap().root_cause,
            "The connection pool was halved by mistake."
        );
        assert_eq!(close(&good, Some("x"), false), Err(NotClosed::Closed("x".into())));
        assert_eq!(close(&good, None, true), Err(NotClosed::Running));
    }
}
