//! What the switch saw, by time. Error rates are asked for the past as well (the baseline comes from before the failing
//! release), so counts are kept in short buckets; what lies before the world began is told, not measured: the old
//! version served well until the failing one went live.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use lastgood_core::{At, Millis};
use tokio::sync::watch;

use super::Now;

/// Length of a bucket in milliseconds.
const BUCKET: Millis = 100;
/// Buckets kept: half an hour.
const KEPT: usize = 18_000;
/// Requests per bucket in the told past; about what the clients send.
const TOLD_REQUESTS: f64 = 6.0;
/// The error rate that the told past had while the old version was live.
pub const TOLD_GOOD: f64 = 0.002;
/// And since the failing one is.
pub const TOLD_BAD: f64 = 0.3;

/// Requests and errors in some stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    pub requests: f64,
    pub errors: f64,
}

impl Seen {
    /// None without any request.
    pub fn rate(self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.errors / self.requests)
    }

    fn add(&mut self, requests: f64, errors: f64) {
        self.requests += requests;
        self.errors += errors;
    }
}

struct Bucket {
    number: i64,
    seen: Seen,
}

pub struct Counts {
    now: Now,
    /// The first measured bucket.
    began: i64,
    /// When the failing release went live.
    live_at: At,
    buckets: Mutex<VecDeque<Bucket>>,
    requests: watch::Sender<u64>,
}

impl Counts {
    /// The failing release went live `live_ago` milliseconds before now.
    pub fn new(now: Now, live_ago: Millis) -> Self {
        let at = now();
        Self {
            now,
            began: at.div_euclid(BUCKET),
            live_at: at - live_ago,
            buckets: Mutex::default(),
            requests: watch::Sender::new(0),
        }
    }

    /// Counts a request by the time at which it was routed, so that nothing that went to the old side is ever taken for
    /// traffic after a shift.
    pub fn record(&self, at: At, failed: bool) {
        let number = at.div_euclid(BUCKET);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.back().is_none_or(|last| last.number < number) {
            buckets.push_back(Bucket { number, seen: Seen::default() });
            if buckets.len() > KEPT {
                buckets.pop_front();
            }
        }
        // A clock that was set back must not lose counts: without a bucket of their own they go to the newest.
        let own = buckets.iter().rposition(|bucket| bucket.number == number);
        let place = own.unwrap_or(buckets.len().saturating_sub(1));
        if let Some(bucket) = buckets.get_mut(place) {
            bucket.seen.add(1.0, f64::from(u8::from(failed)));
        }
        drop(buckets);
        self.requests.send_modify(|requests| *requests += 1);
    }

    pub fn now(&self) -> At {
        (self.now)()
    }

    /// Requests seen so far; changes with each.
    pub fn requests(&self) -> watch::Receiver<u64> {
        self.requests.subscribe()
    }

    /// What was measured (or is told) in the buckets that lie wholly between two times.
    pub fn between(&self, from: At, to: At) -> Seen {
        let (from, to) = ((from + BUCKET - 1).div_euclid(BUCKET), to.div_euclid(BUCKET));
        let mut seen = Seen::default();
        for number in from..to.min(self.began) {
            let rate = if number * BUCKET < self.live_at { TOLD_GOOD } else { TOLD_BAD };
            seen.add(TOLD_REQUESTS, TOLD_REQUESTS * rate);
        }
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for bucket in buckets.iter().filter(|bucket| (from..to).contains(&bucket.number)) {
            seen.add(bucket.seen.requests, bucket.seen.errors);
        }
        seen
    }

    /// What was measured in the last `length` milliseconds; nothing of it is told.
    pub fn measured(&self, length: Millis) -> Seen {
        let now = (self.now)();
        self.between((now - length).max(self.began * BUCKET), now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    use super::*;

    fn clocked() -> (Arc<AtomicI64>, Counts) {
        let time = Arc::new(AtomicI64::new(1_000_000));
        let hand = Arc::clone(&time);
        (time, Counts::new(Arc::new(move || hand.load(Ordering::Relaxed)), 60_000))
    }

    #[test]
    fn the_past_is_told_and_the_present_measured() {
        let (time, counts) = clocked();
        let before = counts.between(930_000, 932_000);
        assert_eq!(before.requests.round(), 120.0);
        assert!((before.rate().unwrap() - TOLD_GOOD).abs() < 1e-9);
        assert!((counts.between(990_000, 992_000).rate().unwrap() - TOLD_BAD).abs() < 1e-9);
        assert_eq!(counts.measured(2_000), Seen::default());

        for n in 0..10 {
            time.fetch_add(50, Ordering::Relaxed);
            counts.record(time.load(Ordering::Relaxed), n % 5 == 0);
        }
        time.fetch_add(100, Ordering::Relaxed);
        assert_eq!(counts.measured(2_000), Seen { requests: 10.0, errors: 2.0 });
    }

    #[test]
    fn a_silent_stretch_has_no_rate() {
        let (time, counts) = clocked();
        time.fetch_add(60_000, Ordering::Relaxed);
        assert_eq!(counts.between(1_010_000, 1_020_000).rate(), None);
    }

    #[test]
    fn a_stretch_never_reaches_back_before_its_beginning() {
        let (_, counts) = clocked();
        counts.record(1_000_040, true);
        counts.record(1_000_140, false);
        assert_eq!(counts.between(1_000_050, 1_000_250), Seen { requests: 1.0, errors: 0.0 });
    }

    #[test]
    fn a_clock_set_back_loses_nothing() {
        let (time, counts) = clocked();
        counts.record(1_000_000, false);
        time.fetch_sub(5_000, Ordering::Relaxed);
        counts.record(counts.now(), true);
        assert_eq!(counts.between(1_000_000, 1_001_000), Seen { requests: 2.0, errors: 1.0 });
    }
}
