//! One value of the tree as a serde deserializer.

use std::fmt;

use serde::de::{self, IntoDeserializer, Unexpected, Visitor};

use super::{
    Node, Value,
    access::{Entries, Items, Tagged},
    collect::Context,
};
use crate::config::problem::{Path, did_you_mean};

/// A field of this name is read from the same table as the struct that it belongs to.
pub const SAME_TABLE: &str = "*";
/// The key that says which variant of an enum of sections a table is.
pub const KIND: &str = "kind";

/// The first mistake of a pass.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// Filled in by the innermost table or list on the way out.
    pub at: Option<Path>,
}

#[derive(Debug)]
pub enum Kind {
    Missing {
        key: &'static str,
        advice: Option<String>,
    },
    Wrong {
        what: String,
        advice: Option<String>,
    },
    /// A missing key's stand-in could not be made: the table around it is left out.
    NoStandIn,
}

impl Error {
    pub fn wrong(what: impl Into<String>, advice: Option<String>) -> Self {
        Self { kind: Kind::Wrong { what: what.into(), advice }, at: None }
    }

    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.at.get_or_insert_with(|| path.clone());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Missing { key, .. } => write!(f, "missing key {key:?}"),
            Kind::Wrong { what, .. } => f.write_str(what),
            Kind::NoStandIn => f.write_str("missing"),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::wrong(text.to_string(), None)
    }

    fn missing_field(key: &'static str) -> Self {
        Self { kind: Kind::Missing { key, advice: None }, at: None }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // serde would quote the value, which may be a misplaced secret.
        let found = match found {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
            Unexpected::Float(_) => "a floating point number",
            Unexpected::Str(_) | Unexpected::Char(_) => "a string",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a table",
            _ => "something else",
        };
        Self::wrong(format!("expected {}, found {found}", for_people(&expected.to_string())), None)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(format!("expected {}", for_people(&expected.to_string())), None)
    }

    fn unknown_variant(found: &str, allowed: &'static [&'static str]) -> Self {
        let advice = did_you_mean(found, allowed.iter().copied());
        Self::wrong(format!("not one of {}", listed(allowed)), advice)
    }
}

/// serde names Rust's types.
fn for_people(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "a nonzero u32" => "a positive whole number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other if other.starts_with("enum ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

pub fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// A value on its way into a type.
#[derive(Clone)]
pub struct Reader<'a> {
    pub node: &'a Node,
    pub path: Path,
    /// The path as a pattern, see `Shapes`.
    pub shape: String,
    pub context: &'a Context,
    /// Keys of this table that somebody else reads.
    pub claimed: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub fn root(node: &'a Node, context: &'a Context) -> Self {
        Self { node, path: Path::default(), shape: String::new(), context, claimed: Vec::new() }
    }

    pub fn shape_of(&self, key: &str) -> String {
        if self.shape.is_empty() { key.to_owned() } else { format!("{}.{key}", self.shape) }
    }

    pub fn know(&self, key: &str) {
        let shape = self.shape_of(key);
        let mut shapes = self.context.shapes.borrow_mut();
        if self.node.keys().any(|present| present == key) {
            shapes.present.insert(shape.clone());
        }
        shapes.known.insert(shape);
    }

    /// Notes the table's keys that neither `fields` nor anybody who shares the table knows.
    fn report_unknown(&self, fields: &[&'static str]) {
        let Value::Table(entries) = &self.node.value else { return };
        let known: Vec<_> =
            fields.iter().chain(&self.claimed).copied().filter(|key| *key != SAME_TABLE).collect();
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let free = known.iter().copied().filter(|key| !self.node.keys().any(|present| present == *key));
            let advice = did_you_mean(&entry.key, free).or_else(|| {
                let few = (1..=8).contains(&known.len());
                few.then(|| format!("known here: {}", listed(&known)))
            });
            let unknown = (entry.key_span.start, advice);
            self.context.unknown.borrow_mut().insert(self.path.then(entry.key.as_str()), unknown);
        }
    }

    fn expected<V: Visitor<'a>>(&self, visitor: &V) -> Error {
        let wanted = for_people(&(visitor as &dyn de::Expected).to_string());
        Error::wrong(format!("expected {wanted}, found {}", self.node.value.kind()), None)
    }
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Datetime => Err(self.expected(&visitor)),
            Value::Array(items) => visitor.visit_seq(Items::new(&self, items)),
            Value::Table(entries) => visitor.visit_map(Entries::all(&self, entries)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Table(entries) = &self.node.value else { return Err(self.expected(&visitor)) };
        fields.iter().filter(|key| **key != SAME_TABLE).for_each(|key| self.know(key));
        if !fields.contains(&SAME_TABLE) {
            self.report_unknown(fields);
        }
        visitor.visit_map(Entries::fields(&self, entries, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let entries = match &self.node.value {
            Value::String(text) => return visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Table(entries) => entries,
            _ => return Err(self.expected(&visitor)),
        };
        self.know(KIND);
        let Some(entry) = entries.iter().find(|entry| entry.key == KIND) else {
            let kind = if self.context.absent.contains(&(self.path.clone(), KIND)) {
                Kind::NoStandIn
            } else {
                Kind::Missing { key: KIND, advice: Some(format!("one of {}", listed(variants))) }
            };
            return Err(Error { kind, at: Some(self.path) });
        };
        let at = self.path.then(KIND);
        if self.context.excluded.contains(&at) {
            return Err(Error { kind: Kind::NoStandIn, at: Some(self.path) });
        }
        let Value::String(kind) = &entry.node.value else {
            let what = format!("expected a string, found {}", entry.node.value.kind());
            return Err(Error::wrong(what, Some(format!("one of {}", listed(variants)))).at(&at));
        };
        if !variants.contains(&kind.as_str()) {
            return Err(<Error as de::Error>::unknown_variant(kind, variants).at(&at));
        }
        visitor.visit_enum(Tagged { kind, table: self })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}
