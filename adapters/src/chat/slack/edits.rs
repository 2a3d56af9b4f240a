//! Edits of cards: Slack takes some 50 a minute from an app in a workspace (docs.slack.dev, Rate limits, tier 3). Keeping to
//! that beforehand means that an edit after a decision does not wait for Slack's patience to come back.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::Fault;

/// One edit becomes possible again after this long.
const EVERY: Duration = Duration::from_millis(1_200);
/// Edits at once, after a quiet time.
const BURST: u32 = 20;

/// A bucket that refills steadily.
pub(super) struct Edits(Mutex<Bucket>);

struct Bucket {
    /// When it is full again.
    full_at: Instant,
}

impl Edits {
    pub fn new() -> Self {
        Self(Mutex::new(Bucket { full_at: Instant::now() }))
    }

    /// # Errors
    /// `RateLimited`, with how long until the next.
    pub fn take(&self, now: Instant) -> Result<(), Fault> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = bucket.full_at.max(now) + EVERY;
        let most = now + EVERY * BURST;
        if full_at > most {
            let after = full_at - most;
            return Err(Fault::RateLimited {
                after: Some(after),
                detail: "cards are edited as often as Slack takes it".to_owned(),
            });
        }
        bucket.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_fifty_a_minute() {
        let edits = Edits::new();
        let mut now = Instant::now();
        assert_eq!((0..30).filter(|_| edits.take(now).is_ok()).count(), 20);
        let Err(Fault::RateLimited { after: Some(after), .. }) = edits.take(now) else { panic!() };
        now += after;
        assert!(edits.take(now).is_ok());
        assert!(edits.take(now).is_err());
        let mut taken = 0;
        for _ in 0..600 {
            now += Duration::from_millis(100);
            taken += usize::from(edits.take(now).is_ok());
        }
        assert_eq!(taken, 50);
    }
}
