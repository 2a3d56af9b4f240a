//! Lengths of time as people write them in the configuration: `350ms`, `5s`, `10m`, `24h`.

use std::{fmt, time::Duration};

use serde::Deserialize;

/// A length of time: a whole number and one unit, `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

/// Not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a length of time: write a whole number and a unit, like \"350ms\", \"5s\", \"10m\" or \"24h\"")]
pub struct NotASpan;

impl TryFrom<String> for Span {
    type Error = NotASpan;

    fn try_from(text: String) -> Result<Self, NotASpan> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NotASpan)?;
        let millis = match unit.trim_start() {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            _ => None,
        };
        // Times are stored as signed milliseconds: what does not fit there is no length of time.
        let millis = millis.filter(|millis| i64::try_from(*millis).is_ok());
        millis.map(|millis| Self(Duration::from_millis(millis))).ok_or(NotASpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0s"),
            millis if millis % 3_600_000 == 0 => write!(f, "{}h", millis / 3_600_000),
            millis if millis % 60_000 == 0 => write!(f, "{}m", millis / 60_000),
            millis if millis % 1_000 == 0 => write!(f, "{}s", millis / 1_000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_they_are_written() {
        for (text, millis, again) in [
            ("350ms", 350, "350ms"),
            ("5s", 5_000, "5s"),
            ("10m", 600_000, "10m"),
            ("24h", 86_400_000, "24h"),
            ("90s", 90_000, "90s"),
            ("120 s", 120_000, "2m"),
            ("0s", 0, "0s"),
        ] {
            let span = Span::try_from(text.to_owned()).unwrap();
            assert_eq!((span.0.as_millis(), span.to_string().as_str()), (millis, again), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "1.5h",
            "5S",
            "1h30m",
            "5 sec",
            "99999999999999999999h",
            "5000000000000000h",
        ] {
            assert_eq!(Span::try_from(text.to_owned()), Err(NotASpan), "{text}");
        }
    }
}
