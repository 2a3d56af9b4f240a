//! What a button says when it is pressed: which run, which proposal it was drawn for, and what is wanted. It is all that
//! a platform keeps of a button; everything else is looked up when the click comes.

use std::{fmt, str::FromStr};

use lastgood_core::{Digest, RollbackId, rollback::Proposal};

/// Names of form inputs, as the answer of a form gives them back.
pub mod input {
    /// Free text, wherever a reason is asked for.
    pub const REASON: &str = "reason";
    /// The value of [`super::option_value`].
    pub const CANDIDATE: &str = "candidate";
    pub const ROOT_CAUSE: &str = "root_cause";
    /// `yes` or `no`.
    pub const WAS_RELEASE: &str = "was_release";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Approve,
    /// Approve, told of the caveats.
    ApproveAnyway,
    Reject,
    Choose,
    ProposeAnyway,
    PageCommander,
    Acknowledge,
    Stop,
    Retry,
    Override,
    Next,
    Undo,
    HandOver,
    CloseIncident,
    /// Let those go on who stand still for the run.
    Resume,
    /// The same, told of what that does.
    ResumeAnyway,
}

impl Verb {
    pub const ALL: [Self; 16] = [
        Self::Approve,
        Self::ApproveAnyway,
        Self::Reject,
        Self::Choose,
        Self::ProposeAnyway,
        Self::PageCommander,
        Self::Acknowledge,
        Self::Stop,
        Self::Retry,
        Self::Override,
        Self::Next,
        Self::Undo,
        Self::HandOver,
        Self::CloseIncident,
        Self::Resume,
        Self::ResumeAnyway,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::ApproveAnyway => "approve-anyway",
            Self::Reject => "reject",
            Self::Choose => "choose",
            Self::ProposeAnyway => "propose-anyway",
            Self::PageCommander => "page",
            Self::Acknowledge => "acknowledge",
            Self::Stop => "stop",
            Self::Retry => "retry",
            Self::Override => "override",
            Self::Next => "next",
            Self::Undo => "undo",
            Self::HandOver => "hand-over",
            Self::CloseIncident => "close-incident",
            Self::Resume => "resume",
            Self::ResumeAnyway => "resume-anyway",
        }
    }
}

/// Not an action of this build: foreign, mutilated, or from another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that button is none of lastgood's")]
pub struct NotAnAction;

impl FromStr for Verb {
    type Err = NotAnAction;
    fn from_str(text: &str) -> Result<Self, NotAnAction> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text).ok_or(NotAnAction)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Action {
    pub rollback: RollbackId,
    /// The proposal's, when the button was drawn.
    pub revision: u32,
    pub verb: Verb,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rb{}.{}.{}", self.rollback.0, self.revision, self.verb.as_str())
    }
}

impl FromStr for Action {
    type Err = NotAnAction;
    /// Takes only what [`fmt::Display`] writes, to the letter.
    fn from_str(text: &str) -> Result<Self, NotAnAction> {
        let rest = text.strip_prefix("rb").ok_or(NotAnAction)?;
        let (rollback, rest) = rest.split_once('.').ok_or(NotAnAction)?;
        let (revision, verb) = rest.split_once('.').ok_or(NotAnAction)?;
        let action = Self {
            rollback: RollbackId(rollback.parse().map_err(|_| NotAnAction)?),
            revision: revision.parse().map_err(|_| NotAnAction)?,
            verb: verb.parse()?,
        };
        if action.to_string() == text { Ok(action) } else { Err(NotAnAction) }
    }
}

/// How a form names a candidate. Discord takes 100 characters for an option's value, and a sha512 digest is longer.
pub fn option_value(digest: &Digest) -> String {
    let text = digest.as_str();
    text.get(..100).unwrap_or(text).to_owned()
}

/// The candidate that a form's answer means.
pub fn chosen(proposal: &Proposal, value: &str) -> Option<Digest> {
    proposal.candidates.iter().map(|c| &c.artifact.digest).find(|d| option_value(d) == value).cloned()
}
