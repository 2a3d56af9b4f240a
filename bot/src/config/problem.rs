//! What is wrong with a configuration, said so that an engineer can go straight to the place and fix it. Values are not
//! repeated in a problem: where a key is misplaced, the value may be a secret.

use std::{fmt, ops::Range};

/// Where in the file, counted from 1. Columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position of a byte offset in `text`.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }

    pub fn of_span(text: &str, span: &Range<usize>) -> Self {
        Self::of(text, span.start)
    }
}

/// One step from a table or an array to what is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A key's full path: `services.checkout.health.metrics[0].url`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Step>);

impl Path {
    #[must_use]
    pub fn then(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if nth > 0 {
                        f.write_str(".")?;
                    }
                    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if !key.is_empty() && key.chars().all(bare) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// One thing that is wrong: `lastgood.toml:14:3: services.checkout.trafic: unknown key; did you mean "traffic"?`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    pub file: String,
    pub at: Position,
    /// Empty when the file as a whole is meant.
    pub path: Path,
    pub what: String,
    /// What to do about it, or the nearest valid name.
    pub advice: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.at.line, self.at.column)?;
        if !self.path.0.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Something that works, but that an engineer would want to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Warning(pub Problem);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `did you mean "traffic"?`, when one of the names is near enough to be what was meant.
pub fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong.to_lowercase(), name), name))
        .filter(|(distance, name)| {
            *distance <= 1 + name.chars().count() / 4 && *distance < name.chars().count()
        })
        .min()?;
    Some(format!("did you mean {:?}?", near.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one_and_in_characters() {
        let text = "a = 1\nü = 2\n";
        assert_eq!(Position::of(text, 0), Position::START);
        assert_eq!(Position::of(text, 6), Position { line: 2, column: 1 });
        assert_eq!(Position::of(text, 9), Position { line: 2, column: 3 });
        assert_eq!(Position::of(text, 999), Position { line: 3, column: 1 });
    }

    #[test]
    fn paths_read_like_the_file() {
        let path = Path::default().then("services").then("check out").then("metrics").then(0).then("url");
        assert_eq!(path.to_string(), r#"services."check out".metrics[0].url"#);
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["traffic", "room", "rooms", "page"];
        assert_eq!(did_you_mean("trafic", names), Some("did you mean \"traffic\"?".into()));
        assert_eq!(did_you_mean("Traffic", names), Some("did you mean \"traffic\"?".into()));
        assert_eq!(did_you_mean("zzz", names), None);
    }
}
