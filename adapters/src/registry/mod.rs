//! Where artifacts come from. A rollback asks one question: do these exact bytes still exist?

use std::collections::BTreeSet;

use async_trait::async_trait;
use lastgood_core::Digest;

use crate::{Check, Fault};

mod manifest;
pub mod oci;

/// The manifest as the registry has it; its bytes were hashed here and are the digest that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub media_type: String,
    /// Bytes of the manifest.
    pub size: u64,
}

#[async_trait]
pub trait Registry: Send + Sync {
    /// Fetches the manifest by digest and verifies its bytes. Changes nothing; bounded by the adapter's time limit.
    ///
    /// # Errors
    /// `NotFound` when the registry answers that the digest is gone; `Denied`; `RateLimited`; `Unavailable`; `Invalid`
    /// when the bytes are not what the digest says.
    async fn find(&self, digest: &Digest) -> Result<Found, Fault>;

    /// The manifests that an image index (or Docker's manifest list) names, one for each platform: it and each of them are one
    /// artifact. Attestations are none of them. Empty for what is no index.
    ///
    /// # Errors
    /// As `find`; `Invalid` also when the index makes no sense.
    async fn manifests(&self, digest: &Digest) -> Result<BTreeSet<Digest>, Fault>;

    /// Connection and pull permission, for `lastgood check`.
    async fn check(&self) -> Vec<Check>;
}
