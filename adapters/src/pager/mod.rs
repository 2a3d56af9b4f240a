//! Calling a person who is not looking at the chat.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Check, Fault};

pub mod pagerduty;
mod pagerduty_rest;
pub mod pagerduty_webhook;

/// What the pager shows. Foreign text in it is already cut to sensible lengths; adapters cut to their own limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What the page is known by: the same key sent twice rings once.
    pub key: String,
    /// Shown with the summary, however long that is: what a pager tells of a page may lack the key. See [`tag_in`].
    #[serde(default)]
    pub tag: String,
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

    /// Tells that somebody came, so that nobody else is called for the page with this key. Acknowledging what is not open, or
    /// is acknowledged already, is no error.
    ///
    /// # Errors
    /// As `page`.
    async fn acknowledge(&self, key: &str) -> Result<(), Fault>;

    /// Ends the page with this key. Resolving what is not open is no error.
    ///
    /// # Errors
    /// As `page`.
    async fn resolve(&self, key: &str) -> Result<(), Fault>;

    /// The keys of everything that the pager has put into an incident of its own, by its id of that; none where it can't be
    /// asked.
    ///
    /// # Errors
    /// `NotFound` when there is no such incident, `RateLimited`, `Unavailable`, `Denied`, `Invalid`.
    async fn keys_of(&self, incident: &str) -> Result<Option<Vec<String>>, Fault> {
        let _ = incident;
        Ok(None)
    }

    /// For `lastgood check`: what can be verified without ringing anybody.
    async fn check(&self) -> Vec<Check>;
}

/// What begins a tag.
const TAG: &str = "lg-";
/// Letters and digits after it: 60 bits, which nobody guesses.
const TAG_LENGTH: usize = 12;
/// Without letters and digits that are taken for one another: it is read out on a telephone, too.
const ALPHABET: &[u8; 32] = b"023456789abcdefghjkmnpqrstuvwxyz";

/// A tag made of random bits, of which it uses 60: `lg-7f3k9q2x4mhd`.
pub fn tag(random: u64) -> String {
    let digits = (0..TAG_LENGTH).map(|n| {
        let index = usize::try_from(random >> (5 * n) & 31).unwrap_or_default();
        char::from(ALPHABET.get(index).copied().unwrap_or(b'2'))
    });
    TAG.chars().chain(digits).collect()
}

/// The tag in a text that a pager shows, `… [lg-7f3k9q2x4mhd]`; the last one, since the text before it is foreign.
pub fn tag_in(text: &str) -> Option<&str> {
    let (_, after) = text.rsplit_once("[lg-")?;
    let (tag, _) = after.split_once(']')?;
    let fits = tag.len() == TAG_LENGTH && tag.bytes().all(|byte| ALPHABET.contains(&byte));
    let start = text.len() - after.len() - TAG.len();
    if fits { text.get(start..start + TAG.len() + tag.len()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_where_it_was_put_and_nowhere_else() {
        let tag = tag(0x0123_4567_89ab_cdef);
        assert_eq!(tag.len(), TAG.len() + TAG_LENGTH);
        assert_eq!(tag_in(&format!("checkout: [lg-2222] is down [{tag}]")), Some(tag.as_str()));
        assert_eq!(tag_in(&format!("[#12] checkout [{tag}] (merged)")), Some(tag.as_str()));
        for other in [
            "",
            "checkout",
            "[lg-]",
            "[lg-7F3K9Q2X4MHD]",
            "[lg-7f3k9q2x4mhdx]",
            "lg-7f3k9q2x4mhd",
            "[lg-7f3k",
        ] {
            assert_eq!(tag_in(other), None, "{other}");
        }
    }

    #[test]
    fn other_bits_are_another_tag() {
        assert_ne!(tag(1), tag(2));
        assert_ne!(tag(1 << 59), tag(0));
    }
}
