//! Answers of a platform, remembered for a minute: who somebody is, who is in a group. A failure is never remembered.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::Fault;

/// Whoever leaves a group may act for this long.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

/// One answer, which everybody who asks meanwhile waits for.
type Slot<T> = Arc<Mutex<Option<(Instant, Result<T, Fault>)>>>;

pub(super) struct Cache<T>(Mutex<BTreeMap<String, Slot<T>>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Cache<T> {
    /// What is remembered, or else what is answered now. A failure is for those who waited for it, and not remembered.
    pub async fn get(&self, key: &str, ask: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.at(Instant::now(), key, ask).await
    }

    async fn at(
        &self,
        now: Instant,
        key: &str,
        ask: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let slot = {
            let mut slots = self.0.lock().await;
            if slots.len() > 10_000 {
                slots.clear();
            }
            slots.entry(key.to_owned()).or_default().clone()
        };
        let mut slot = slot.lock().await;
        match &*slot {
            Some((at, Ok(known))) if now.saturating_duration_since(*at) < REMEMBERED => {
                return Ok(known.clone());
            }
            Some((at, failed @ Err(_))) if *at > now => return failed.clone(),
            _ => {}
        }
        let answer = ask.await;
        // A failure as of its end: whoever came before that has waited for it.
        let at = if answer.is_ok() { now } else { Instant::now() };
        *slot = Some((at, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_are_remembered_for_a_minute_and_failures_not_at_all() {
        let cache = Cache::<u8>::default();
        let fails = || async { Err(Fault::Unavailable("x".into())) };
        let then = Instant::now() + REMEMBERED;
        assert!(cache.at(then, "a", fails()).await.is_err());
        assert_eq!(cache.at(then, "a", async { Ok(1) }).await, Ok(1));
        let later = then + REMEMBERED - Duration::from_secs(1);
        assert_eq!(cache.at(later, "a", async { Ok(2) }).await, Ok(1));
        let later = then + REMEMBERED;
        assert!(cache.at(later, "a", fails()).await.is_err(), "what is old is not used when nobody answers");
        assert_eq!(cache.at(later, "a", async { Ok(3) }).await, Ok(3));
    }
}
