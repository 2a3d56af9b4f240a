//! Splits a matcher into names, operators and values. Quoted text follows Go's string literals
//! (<https://go.dev/ref/spec#String_literals>), as Alertmanager's does.

use std::{iter::Peekable, str::Chars};

use super::Operator;

/// Why a matcher can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("no condition: write one like service=\"checkout\"")]
    Empty,
    #[error("a label's name is empty")]
    NoName,
    #[error("expected {expected}, found {found}")]
    Expected { expected: &'static str, found: String },
    #[error("{0}")]
    Brace(&'static str),
    #[error("the closing quote is missing")]
    Quote,
    #[error("unknown escape \\{0} in quotes; a backslash itself is written \\\\")]
    Escape(String),
    #[error("escaped bytes are not UTF-8")]
    NotUtf8,
    #[error("{0:?} has a meaning of its own here: put the text in double quotes")]
    Reserved(char),
    #[error("bad regular expression {pattern:?}: {reason}")]
    Regex { pattern: String, reason: String },
}

impl Malformed {
    pub(super) fn expected(expected: &'static str, found: Option<&Token>) -> Self {
        let found = match found {
            None => "the end".to_owned(),
            Some(Token::Open) => "{".to_owned(),
            Some(Token::Close) => "}".to_owned(),
            Some(Token::Comma) => "a comma".to_owned(),
            Some(Token::Operator(operator)) => operator.to_string(),
            Some(Token::Text(text)) => format!("{text:?}"),
        };
        Self::Expected { expected, found }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Comma,
    Operator(Operator),
    /// A bare or a quoted text, escapes resolved.
    Text(String),
}

pub(super) struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    peeked: Option<Token>,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { chars: text.chars().peekable(), peeked: None }
    }

    pub fn peek(&mut self) -> Result<Option<Token>, Malformed> {
        if self.peeked.is_none() {
            self.peeked = self.scan()?;
        }
        Ok(self.peeked.clone())
    }

    pub fn next(&mut self) -> Result<Option<Token>, Malformed> {
        match self.peeked.take() {
            Some(token) => Ok(Some(token)),
            None => self.scan(),
        }
    }

    /// Goes past the token if it is the next one.
    pub fn take(&mut self, wanted: &Token) -> Result<bool, Malformed> {
        let found = self.peek()?.as_ref() == Some(wanted);
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn scan(&mut self) -> Result<Option<Token>, Malformed> {
        while self.chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(&first) = self.chars.peek() else { return Ok(None) };
        if !reserved(first) {
            return Ok(Some(Token::Text(self.bare())));
        }
        self.chars.next();
        let token = match first {
            '{' => Token::Open,
            '}' => Token::Close,
            ',' => Token::Comma,
            '"' => Token::Text(self.quoted()?),
            '=' if self.chars.next_if_eq(&'~').is_some() => Token::Operator(Operator::Matches),
            '=' => Token::Operator(Operator::Equal),
            '!' if self.chars.next_if_eq(&'=').is_some() => Token::Operator(Operator::NotEqual),
            '!' if self.chars.next_if_eq(&'~').is_some() => Token::Operator(Operator::MatchesNot),
            other => return Err(Malformed::Reserved(other)),
        };
        Ok(Some(token))
    }

    fn bare(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| !reserved(*c)) {
            text.push(c);
        }
        text
    }

    /// After the opening quote.
    fn quoted(&mut self) -> Result<String, Malformed> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4];
        loop {
            match self.chars.next() {
                None | Some('\n') => return Err(Malformed::Quote),
                Some('"') => return String::from_utf8(bytes).map_err(|_| Malformed::NotUtf8),
                Some('\\') => self.escape(&mut bytes)?,
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
            }
        }
    }

    /// After the backslash.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        let Some(c) = self.chars.next() else { return Err(Malformed::Quote) };
        let byte = match c {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            '"' => b'"',
            'x' => self.byte(String::from(c), 2, 16)?,
            '0'..='7' => self.byte(String::from(c), 2, 8)?,
            'u' => return self.code_point(c, 4, bytes),
            'U' => return self.code_point(c, 8, bytes),
            other => return Err(Malformed::Escape(other.to_string())),
        };
        bytes.push(byte);
        Ok(())
    }

    /// A byte's value from `count` more digits. An octal escape's first digit is a digit already.
    fn byte(&mut self, seen: String, count: usize, radix: u32) -> Result<u8, Malformed> {
        let prefix = if radix == 8 { seen.clone() } else { String::new() };
        let digits = self.digits(&seen, count, radix)?;
        u8::from_str_radix(&format!("{prefix}{digits}"), radix).map_err(|_| Malformed::Escape(seen + &digits))
    }

    fn code_point(&mut self, letter: char, count: usize, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        let seen = letter.to_string();
        let digits = self.digits(&seen, count, 16)?;
        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
        let code = code.ok_or_else(|| Malformed::Escape(seen + &digits))?;
        bytes.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn digits(&mut self, seen: &str, count: usize, radix: u32) -> Result<String, Malformed> {
        let mut digits = String::new();
        for _ in 0..count {
            match self.chars.next_if(|c| c.is_digit(radix)) {
                Some(digit) => digits.push(digit),
                None => return Err(Malformed::Escape(format!("{seen}{digits}"))),
            }
        }
        Ok(digits)
    }
}

/// What a bare text can't hold.
fn reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}
