//! Calling a person who is not looking at the chat.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Check, Fault};

pub mod pagerduty;
pub mod pagerduty_webhook;

/// What the pager shows. Foreign text in it is already cut to sensible lengths; adapters cut to their own limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Rollback and escalation number: the same call sent twice rings once.
    pub key: String,
    pub summary: String,
    /// What is affected: `checkout (production)`.
    pub source: String,
    pub component: String,
    /// Where to act, when there is an address.
    pub link: Option<String>,
    /// Name and value, in reading order: versions, what was tried, what is wrong.
    pub details: Vec<(String, String)>,
}

#[async_trait]
pub trait Pager: Send + Sync {
    /// Rings. Sending the same key again is safe: it stays one page.
    ///
    /// # Errors
    /// `Unknown` after a lost answer (send again), `RateLimited`, `Unavailable`, `Denied`, `Invalid`.
    async fn page(&self, call: &Call) -> Result<(), Fault>;

    /// Ends the page with this key. Resolving what is not open is no error.
    ///
    /// # Errors
    /// As `page`.
    async fn resolve(&self, key: &str) -> Result<(), Fault>;

    /// For `lastgood check`: what can be verified without ringing anybody.
    async fn check(&self) -> Vec<Check>;
}
