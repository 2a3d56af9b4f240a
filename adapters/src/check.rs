//! What `lastgood check` says of one connection or permission.

/// One line of `lastgood check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was asked: `registry registry.example.com/shop/checkout: pull`.
    pub what: String,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It works; the text says what was seen.
    Good(String),
    /// It works, but an engineer would want to know.
    Warning { seen: String, advice: String },
    /// It does not work; the advice says what to do.
    Bad { seen: String, advice: String },
}

impl Check {
    pub fn good(what: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Good(seen.into()) }
    }

    pub fn warning(what: impl Into<String>, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Warning { seen: seen.into(), advice: advice.into() } }
    }

    pub fn bad(what: impl Into<String>, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Bad { seen: seen.into(), advice: advice.into() } }
    }
}
