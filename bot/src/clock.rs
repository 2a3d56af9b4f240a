//! The only place that asks what time it is.

use std::sync::Arc;

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

/// A time as RFC 3339, in UTC, to the second.
pub fn rfc3339(at: At) -> String {
    jiff::Timestamp::from_millisecond(at / 1000 * 1000).map_or_else(|_| at.to_string(), |t| t.to_string())
}

/// Reads RFC 3339, or milliseconds since 1970.
pub fn parse(text: &str) -> Option<At> {
    text.parse::<jiff::Timestamp>().map(|t| t.as_millisecond()).ok().or_else(|| text.parse().ok())
}
