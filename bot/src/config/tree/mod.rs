//! TOML with every value's place in the file, and a reader from it into types that reports *all* problems. `toml`'s own
//! deserializer stops at the first one, and serde's tagged enums and `flatten` lose the place and let unknown keys pass.
//! The valid keys come from the types themselves, by what serde's derive asks for, so they can't drift.
//!
//! Two shapes are read differently than by others:
//! - an enum of sections is a table whose `kind` says which variant the rest of the table is;
//! - a field named `*` is read from the same table as the struct it is in, and both share the table's keys.

mod access;
mod collect;
mod node;
mod placeholder;

use std::ops::Range;

use toml::de::{DeTable, DeValue};

pub use collect::{Reading, read};

use super::problem::{Path, Position, Problem, Step};

/// A value and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Bytes of the file.
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub node: Node,
}

impl Value {
    /// The type's name for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a floating point number",
            Self::Boolean(_) => "true or false",
            Self::Datetime => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A parsed file.
#[derive(Debug)]
pub struct Tree<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub root: Node,
}

impl<'a> Tree<'a> {
    /// # Errors
    /// Every syntax error. What the parser could make of the rest is not looked at: it would bring false problems.
    pub fn parse(text: &'a str, file: &'a str) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let syntax = |error: &toml::de::Error| Problem {
            file: file.to_owned(),
            at: error.span().map_or(Position::START, |span| Position::of_span(text, &span)),
            path: Path::default(),
            what: format!("not TOML: {}", error.message().replace('\n', ", ")),
            advice: None,
        };
        if !errors.is_empty() {
            return Err(errors.iter().map(syntax).collect());
        }
        let mut tree = Self { file, text, root: Node { span: 0..0, value: Value::Table(Vec::new()) } };
        let mut problems = Vec::new();
        let value = table_of(table.get_ref(), &mut |span| {
            problems.push(tree.problem_at(&span, "the number is too large", None));
        });
        tree.root.value = value;
        if problems.is_empty() { Ok(tree) } else { Err(problems) }
    }

    fn problem_at(&self, span: &Range<usize>, what: &str, advice: Option<String>) -> Problem {
        let at = Position::of_span(self.text, span);
        Problem { file: self.file.to_owned(), at, path: Path::default(), what: what.to_owned(), advice }
    }

    /// What is at a path.
    pub fn get(&self, path: &Path) -> Option<&Node> {
        path.0.iter().try_fold(&self.root, |node, step| Some(node.step(step)?.1))
    }

    /// Where a path is, or as much of it as exists: a key that is missing is at the table that it is missing in.
    /// A table is where its name is; anything else is where its value is.
    pub fn locate(&self, path: &Path) -> Position {
        let mut node = &self.root;
        let mut span = &(0..0);
        for step in &path.0 {
            let Some((key, next)) = node.step(step) else { break };
            span = match &next.value {
                Value::Table(_) => key,
                _ => &next.span,
            };
            node = next;
        }
        Position::of_span(self.text, span)
    }

    pub fn problem(&self, path: Path, what: impl Into<String>, advice: Option<String>) -> Problem {
        Problem { file: self.file.to_owned(), at: self.locate(&path), path, what: what.into(), advice }
    }
}

impl Node {
    fn step(&self, step: &Step) -> Option<(&Range<usize>, &Self)> {
        match (step, &self.value) {
            (Step::Key(key), Value::Table(entries)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| (&entry.key_span, &entry.node))
            }
            (Step::Index(index), Value::Array(items)) => items.get(*index).map(|node| (&node.span, node)),
            _ => None,
        }
    }

    /// The table's keys; none for anything else.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = match &self.value {
            Value::Table(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|entry| entry.key.as_str())
    }
}

fn table_of(table: &DeTable<'_>, too_large: &mut dyn FnMut(Range<usize>)) -> Value {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        key_span: key.span(),
        node: node_of(value.get_ref(), value.span(), too_large),
    });
    let mut entries: Vec<_> = entries.collect();
    // The parser sorts by name; people expect the order of the file.
    entries.sort_by_key(|entry| entry.key_span.start);
    Value::Table(entries)
}

fn node_of(value: &DeValue<'_>, span: Range<usize>, too_large: &mut dyn FnMut(Range<usize>)) -> Node {
    let value = match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            Value::Integer(parsed.unwrap_or_else(|_| {
                too_large(span.clone());
                0
            }))
        }
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| node_of(item.get_ref(), item.span(), too_large)).collect())
        }
        DeValue::Table(table) => table_of(table, too_large),
    };
    Node { span, value }
}
