//! Plain HTTP questions to the service itself: is it healthy, and which version runs in a pool?

use async_trait::async_trait;
use lastgood_core::Digest;

use crate::Fault;

pub mod http;

/// A health endpoint.
#[async_trait]
pub trait Health: Send + Sync {
    /// What is asked, for people.
    fn name(&self) -> &str;

    /// Asks once, without retries: the machine counts. `Ok(detail)` when healthy, for example `200 in 12 ms`.
    ///
    /// # Errors
    /// `Invalid` when the service answers that it is not healthy, `Unavailable` when it does not answer in time.
    async fn probe(&self) -> Result<String, Fault>;
}

/// A pool's version endpoint.
#[async_trait]
pub trait Version: Send + Sync {
    /// # Errors
    /// `Unavailable` when it does not answer, `Invalid` when the answer holds no digest where it should be.
    async fn running(&self) -> Result<Digest, Fault>;
}
