//! Which alerts belong to a service: Alertmanager's matchers, as people already write them there, with the same meaning.
//! The syntax is its "UTF-8 matchers" (<https://prometheus.io/docs/alerting/latest/configuration/#matcher>), the one that
//! newer versions take in strict mode.

use std::{collections::BTreeMap, fmt};

use regex::Regex;
use serde::Deserialize;

mod lexer;

pub use lexer::Malformed;
use lexer::{Lexer, Token};

/// Label names and values of an alert.
pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Matches,
    MatchesNot,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
        })
    }
}

/// One condition on one label: `service="checkout"`.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub name: String,
    pub operator: Operator,
    pub value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// # Errors
    /// When the value is no regular expression and has to be one.
    pub fn new(
        name: impl Into<String>,
        operator: Operator,
        value: impl Into<String>,
    ) -> Result<Self, Malformed> {
        let value = value.into();
        let regex = match operator {
            Operator::Equal | Operator::NotEqual => None,
            Operator::Matches | Operator::MatchesNot => Some(anchored(&value)?),
        };
        Ok(Self { name: name.into(), operator, value, regex })
    }

    /// A label that is missing counts as one that is empty.
    pub fn matches(&self, labels: &Labels) -> bool {
        let label = labels.get(&self.name).map_or("", String::as_str);
        let same = self.regex.as_ref().map_or_else(|| label == self.value, |regex| regex.is_match(label));
        match self.operator {
            Operator::Equal | Operator::Matches => same,
            Operator::NotEqual | Operator::MatchesNot => !same,
        }
    }
}

/// The whole value must match.
fn anchored(pattern: &str) -> Result<Regex, Malformed> {
    let malformed = |error: &regex::Error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Malformed::Regex { pattern: pattern.to_owned(), reason }
    };
    // By itself first: `a)|(b` would be well-formed inside the parentheses of the anchored one, and mean something else.
    Regex::new(pattern).map_err(|error| malformed(&error))?;
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| malformed(&error))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !self.name.is_empty() && self.name.chars().all(plain) {
            f.write_str(&self.name)?;
        } else {
            quoted(f, &self.name)?;
        }
        write!(f, "{}", self.operator)?;
        quoted(f, &self.value)
    }
}

/// In double quotes, with the escapes that the parser reads.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// Conditions that must all hold: `service="checkout"`, or `{service="checkout", severity=~"page|critical"}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Matchers(pub Vec<Matcher>);

impl Matchers {
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }
}

impl TryFrom<String> for Matchers {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl std::str::FromStr for Matchers {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut lexer = Lexer::new(text);
        let braces = lexer.take(&Token::Open)?;
        let mut matchers = Vec::new();
        loop {
            if matchers.is_empty() && !braces && lexer.peek()?.is_none() {
                return Err(Malformed::Empty);
            }
            matchers.push(matcher(&mut lexer)?);
            let comma = lexer.take(&Token::Comma)?;
            let last = match lexer.peek()? {
                None | Some(Token::Close) => true,
                Some(_) if comma => false,
                Some(token) => return Err(Malformed::expected("a comma or the end", Some(&token))),
            };
            if last {
                break;
            }
        }
        match (lexer.take(&Token::Close)?, braces) {
            (true, false) => return Err(Malformed::Brace("there is a closing brace and no opening one")),
            (false, true) => return Err(Malformed::Brace("the closing brace is missing")),
            _ => {}
        }
        match lexer.peek()? {
            None => Ok(Self(matchers)),
            Some(token) => Err(Malformed::expected("the end", Some(&token))),
        }
    }
}

fn matcher(lexer: &mut Lexer<'_>) -> Result<Matcher, Malformed> {
    let name = match lexer.next()? {
        Some(Token::Text(name)) if name.is_empty() => return Err(Malformed::NoName),
        Some(Token::Text(name)) => name,
        other => return Err(Malformed::expected("a label's name", other.as_ref())),
    };
    let operator = match lexer.next()? {
        Some(Token::Operator(operator)) => operator,
        other => return Err(Malformed::expected("one of =, !=, =~, !~", other.as_ref())),
    };
    match lexer.next()? {
        Some(Token::Text(value)) => Matcher::new(name, operator, value),
        other => Err(Malformed::expected("a value (an empty one is written \"\")", other.as_ref())),
    }
}

#[cfg(test)]
mod tests;
