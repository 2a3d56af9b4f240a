//! Error rates from a monitoring system.

use std::time::Duration;

use async_trait::async_trait;
use lastgood_core::At;

use crate::{Check, Fault};

pub mod look_back;
pub mod prometheus;

/// One reading over the query's whole window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Errors per request, 0 to 1.
    pub rate: f64,
    /// Requests in the window, where the query gives them.
    pub requests: Option<f64>,
}

#[async_trait]
pub trait Metrics: Send + Sync {
    /// The longest range the query looks back over: a reading at `t` says something about `t - window .. t`.
    fn window(&self) -> Duration;

    /// Reads the error rate as of `at` (milliseconds since 1970). `None`: no traffic, no series, NaN: never "no errors".
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, `Invalid` (the query is wrong), `RateLimited`.
    async fn error_rate(&self, at: At) -> Result<Option<Sample>, Fault>;

    /// Connection, and whether the queries parse and return anything, for `lastgood check`.
    async fn check(&self, now: At) -> Vec<Check>;
}
