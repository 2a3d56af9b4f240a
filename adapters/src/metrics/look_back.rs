//! How far a PromQL query looks back, read from its text. A reading right after a shift still counts requests from before
//! it: only when the whole range lies after the shift does it say anything about the new version.
//!
//! This is no PromQL parser. It follows parentheses, and adds up what is written behind an expression: a range `[30s]`, a
//! subquery `[1h:5m]`, `offset 5m`; a subquery's own range adds to those inside it. What it does not understand is an
//! error, never "no range". Grammar: the Prometheus documentation, Querying / Basics.

use std::{iter::Peekable, str::CharIndices, time::Duration};

/// Why the look-back of a query can't be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    #[error("{0:?} is not closed")]
    Unclosed(char),
    #[error("a closing {0:?} too many")]
    Closed(char),
    #[error("{0:?} is no length of time: write 30s, 5m, 1h30m")]
    Length(String),
    #[error("a negative offset looks into the future")]
    Future,
    #[error("@ pins the query to a fixed time: it would say nothing about now")]
    Pinned,
}

/// The longest way back from the evaluation time that any part of `query` looks. Zero without ranges and offsets (an
/// instant selector's staleness, up to 5 min on the server, is not counted).
///
/// # Errors
/// When it can't be told for certain.
pub fn look_back(query: &str) -> Result<Duration, Unclear> {
    let mut reader = Reader { query, chars: query.char_indices().peekable() };
    reader.expression(None)
}

struct Reader<'a> {
    query: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Reader<'a> {
    /// Reads until `until` closes it. `last` is the expression just read, which ranges and offsets behind it add to.
    fn expression(&mut self, until: Option<char>) -> Result<Duration, Unclear> {
        let (mut longest, mut last) = (Duration::ZERO, Duration::ZERO);
        while let Some((at, c)) = self.chars.next() {
            match c {
                ')' if until == Some(')') => return Ok(longest.max(last)),
                ')' | ']' | '}' => return Err(Unclear::Closed(c)),
                '#' => self.comment(),
                '"' | '\'' | '`' => self.string(c)?,
                '{' => self.matchers()?,
                '@' => return Err(Unclear::Pinned),
                '[' => last = last.saturating_add(self.range()?),
                '(' => {
                    longest = longest.max(last);
                    last = self.expression(Some(')'))?;
                }
                c if c.is_whitespace() => {}
                c if c.is_alphanumeric() || matches!(c, '_' | ':' | '.') => {
                    let word = self.word(at);
                    if word.eq_ignore_ascii_case("offset") {
                        last = last.saturating_add(self.offset()?);
                    } else {
                        longest = longest.max(last);
                        last = Duration::ZERO;
                    }
                }
                _ => {
                    longest = longest.max(last);
                    last = Duration::ZERO;
                }
            }
        }
        match until {
            Some(_) => Err(Unclear::Unclosed('(')),
            None => Ok(longest.max(last)),
        }
    }

    fn comment(&mut self) {
        while self.chars.next().is_some_and(|(_, c)| c != '\n') {}
    }

    /// Skips a string. Back-quoted ones know no escapes.
    fn string(&mut self, quote: char) -> Result<(), Unclear> {
        while let Some((_, c)) = self.chars.next() {
            if c == quote {
                return Ok(());
            }
            if c == '\\' && quote != '`' {
                self.chars.next();
            }
        }
        Err(Unclear::Unclosed(quote))
    }

    /// Skips `{…}`, in which strings may hold braces.
    fn matchers(&mut self) -> Result<(), Unclear> {
        while let Some((_, c)) = self.chars.next() {
            match c {
                '}' => return Ok(()),
                '"' | '\'' | '`' => self.string(c)?,
                '#' => self.comment(),
                _ => {}
            }
        }
        Err(Unclear::Unclosed('{'))
    }

    /// The rest of a word (or number) that starts at `from`.
    fn word(&mut self, from: usize) -> &'a str {
        let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
        while self.chars.next_if(|(_, c)| part(*c)).is_some() {}
        let to = self.chars.peek().map_or(self.query.len(), |(at, _)| *at);
        self.query.get(from..to).unwrap_or_default()
    }

    /// `[5m]`, `[1h:5m]`, `[1h:]`: the length before the colon. The step only says how often, not how far.
    fn range(&mut self) -> Result<Duration, Unclear> {
        let from = self.chars.peek().map_or(self.query.len(), |(at, _)| *at);
        let to = loop {
            match self.chars.next() {
                Some((at, ']')) => break at,
                Some(_) => {}
                None => return Err(Unclear::Unclosed('[')),
            }
        };
        let inside = self.query.get(from..to).unwrap_or_default();
        let (range, step) = inside.split_once(':').unwrap_or((inside, ""));
        if !step.trim().is_empty() {
            length(step.trim())?;
        }
        length(range.trim())
    }

    /// What follows the word `offset`. Elsewhere (`by (offset)`) no length follows, and it is a name like any other.
    fn offset(&mut self) -> Result<Duration, Unclear> {
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        match self.chars.peek().copied() {
            Some((_, '-')) => Err(Unclear::Future),
            Some((at, c)) if c.is_ascii_digit() => {
                let word = self.word(at);
                length(word)
            }
            Some((_, '+' | '(')) => Err(Unclear::Length("offset".to_owned())),
            _ => Ok(Duration::ZERO),
        }
    }
}

/// `1h30m`, `90s`, `250ms`; a bare number is seconds (since Prometheus 3).
fn length(text: &str) -> Result<Duration, Unclear> {
    let unclear = || Unclear::Length(text.chars().take(40).collect());
    if let Ok(seconds) = text.parse::<f64>() {
        let seconds = Duration::try_from_secs_f64(seconds).map_err(|_| unclear())?;
        return if seconds.is_zero() { Err(unclear()) } else { Ok(seconds) };
    }
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(unclear)?;
        let (number, behind) = rest.split_at(digits);
        let unit_end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_end);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return Err(unclear()),
        };
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis));
        sum = part.and_then(|part| sum.checked_add(part)).ok_or_else(unclear)?;
        rest = next;
    }
    if sum == 0 { Err(unclear()) } else { Ok(Duration::from_millis(sum)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_subqueries_and_offsets_add_up_where_they_nest() {
        for (query, seconds) in [
            ("up", 0),
            ("sum(increase(http_requests_total{code=~\"5..\"}[30s]))", 30),
            ("rate(a[1m]) / rate(b[5m])", 300),
            ("rate(a[1m] offset 10m)", 660),
            ("rate(a[1m] OFFSET 10m) + rate(b[2m])", 660),
            ("max_over_time(rate(a[1m])[1h:5m])", 3_660),
            ("max_over_time(rate(a[1m] offset 1m)[1h:] offset 2m)", 60 + 60 + 3_600 + 120),
            ("max_over_time((rate(a[1m]) or rate(b[5m]))[10m:30s])", 900),
            ("rate(a[1h30m])", 5_400),
            ("rate(a[90])", 90),
            ("sum by (offset) (rate(a[1m]))", 60),
            ("a offset 1d", 86_400),
            ("avg_over_time(job:errors:rate5m[2m])", 120),
            ("sum(rate(a[1m])) by (code)", 60),
        ] {
            assert_eq!(look_back(query), Ok(Duration::from_secs(seconds)), "{query}");
        }
        assert_eq!(look_back("rate(a[1500ms])"), Ok(Duration::from_millis(1_500)));
    }

    #[test]
    fn text_in_strings_and_comments_is_not_read() {
        for (query, seconds) in [
            (r#"rate(a{path="/x[9h]",b='}[9h]'}[30s])"#, 30),
            (r#"label_replace(rate(a[30s]), "x", "\"[9h]", "y", `\`)"#, 30),
            ("rate(a[30s]) # offset 9h [9h] )\n + rate(b[1m])", 60),
            ("rate({\"http.requests # [9h]\"}[30s])", 30),
        ] {
            assert_eq!(look_back(query), Ok(Duration::from_secs(seconds)), "{query}");
        }
    }

    #[test]
    fn what_is_unclear_is_an_error_and_never_no_range() {
        for query in [
            "rate(a[])",
            "rate(a[5])[",
            "rate(a[5x])",
            "rate(a[$__range])",
            "rate(a[5m)",
            "rate(a[5m]",
            "rate(a[5m]))",
            "a{b=\"c}",
            "rate(a[5m] offset -1m)",
            "rate(a[5m] @ 1609746000)",
            "rate(a[5m] offset (1m))",
            "rate(a[0s])",
            "rate(a[99999999999999999y])",
        ] {
            assert!(look_back(query).is_err(), "{query}");
        }
    }
}
