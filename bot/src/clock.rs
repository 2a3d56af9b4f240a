//! The only place that asks what time it is.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use lastgood_core::At;

/// Wall-clock time in milliseconds since 1970-01-01 UTC.
pub trait Clock: Send + Sync {
    fn now(&self) -> At;
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> At {
        jiff::Timestamp::now().as_millisecond()
    }
}

/// The time of a database that several machines share, carried on between two readings by this machine's monotonic clock.
/// What this machine takes for the time counts only until the first reading.
pub struct Followed {
    own: SharedClock,
    read: RwLock<Option<(Instant, At)>>,
}

impl Followed {
    pub fn new(own: SharedClock) -> Self {
        Self { own, read: RwLock::new(None) }
    }

    /// Notes a reading. It was taken at some moment since `asked`; assumed is the middle.
    pub fn follow(&self, at: At, asked: Instant) {
        let middle = asked + asked.elapsed() / 2;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some((middle, at));
    }
}

impl Clock for Followed {
    fn now(&self) -> At {
        match *self.read.read().unwrap_or_else(PoisonError::into_inner) {
            Some((when, at)) => at + i64::try_from(when.elapsed().as_millis()).unwrap_or(i64::MAX),
            None => self.own.now(),
        }
    }
}

/// A time as RFC 3339, in UTC, to the second.
pub fn rfc3339(at: At) -> String {
    jiff::Timestamp::from_millisecond(at / 1000 * 1000).map_or_else(|_| at.to_string(), |t| t.to_string())
}

/// Reads RFC 3339, or milliseconds since 1970.
pub fn parse(text: &str) -> Option<At> {
    text.parse::<jiff::Timestamp>().map(|t| t.as_millisecond()).ok().or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(At);

    impl Clock for Fixed {
        fn now(&self) -> At {
            self.0
        }
    }

    #[test]
    fn the_database_counts_as_soon_as_it_was_asked_whatever_this_machine_believes() {
        let clock = Followed::new(Arc::new(Fixed(60_000)));
        assert_eq!(clock.now(), 60_000);
        clock.follow(1_000, Instant::now());
        assert!((1_000..2_000).contains(&clock.now()), "{}", clock.now());
        // Set back, and followed.
        clock.follow(500, Instant::now());
        assert!((500..1_000).contains(&clock.now()), "{}", clock.now());
    }
}
