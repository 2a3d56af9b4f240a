//! The metrics port on the switch's own counters.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lastgood_adapters::{
    Check, Fault,
    metrics::{Metrics, Sample},
};
use lastgood_core::{At, Millis};

use super::Counts;

/// How far a reading looks back, in milliseconds.
pub const WINDOW: Millis = 2_000;

pub struct SwitchMetrics {
    counts: Arc<Counts>,
}

impl SwitchMetrics {
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        Self { counts }
    }
}

#[async_trait]
impl Metrics for SwitchMetrics {
    fn window(&self) -> Duration {
        Duration::from_millis(WINDOW.unsigned_abs())
    }

    async fn error_rate(&self, at: At) -> Result<Option<Sample>, Fault> {
        let seen = self.counts.between(at - WINDOW, at);
        Ok(seen.rate().map(|rate| Sample { rate, requests: Some(seen.requests) }))
    }

    async fn check(&self, now: At) -> Vec<Check> {
        let seen = self.counts.between(now - WINDOW, now);
        vec![Check::good(
            "error rate at the switch",
            format!("{:.0} requests in the last 2 s", seen.requests),
        )]
    }
}
