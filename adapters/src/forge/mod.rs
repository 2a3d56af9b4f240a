//! Where a repository is changed by proposal: a branch with one changed file, and a request that people merge. Never merges.

mod config;
mod github;
mod gitlab;

use async_trait::async_trait;

pub use self::config::Config;
use crate::Fault;

/// A text file of the branch that is deployed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub text: String,
    /// What identifies this content there; a change is bound to it.
    pub revision: String,
}

/// A change of that file, to be proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of the proposal: the same for every repetition.
    pub branch: String,
    pub title: String,
    pub body: String,
    pub text: String,
    /// Of the file that was changed.
    pub revision: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Merged,
    /// Somebody decided against it.
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// For people.
    pub url: String,
    pub state: State,
}

/// Forge port: one file of one repository. Every call is bounded by the configured time limit.
#[async_trait]
pub trait Forge: Send + Sync {
    /// How people name the file: `github.com/shop/deploy apps/checkout.yaml`.
    fn name(&self) -> String;

    /// The file as it is on the branch that is deployed from. Changes nothing.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Unavailable`, `RateLimited`, `Invalid` as the forge says.
    async fn file(&self) -> Result<File, Fault>;

    /// The proposal that was made from this branch, if there is one. Changes nothing.
    ///
    /// # Errors
    /// As `file`.
    async fn proposal(&self, branch: &str) -> Result<Option<Proposal>, Fault>;

    /// Makes the branch, its one commit, and the request; what is there already is left as it is, so that it may be called again.
    ///
    /// # Errors
    /// As `file`; `Conflict` when the file was changed since it was read, `Unknown` when a part of it may have been done.
    async fn propose(&self, change: &Change) -> Result<Proposal, Fault>;
}
