//! YAML (and JSON, which is a part of it) with every value's place in the text.

use std::ops::Range;

use saphyr_parser::{Event, Parser, Span};

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Bytes of the text; for a scalar with its quotes.
    pub at: Range<usize>,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// `*name`: what it stands for is written somewhere else, and is not changed through it.
    Alias,
}

/// Deeper than any router's configuration; text from outside must not use up the stack.
const DEEPEST: usize = 64;

impl Node {
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// A path of keys.
    pub fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// This and everything in it.
    pub fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Self)) {
        see(self);
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.visit(see)),
            Value::Map(entries) => entries.iter().for_each(|(_, node)| node.visit(see)),
            Value::Scalar(_) | Value::Alias => {}
        }
    }
}

/// The first document of a text.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn parse(text: &str) -> Result<Node, String> {
    // The parser counts characters.
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut reader = Reader { parser: Parser::new_from_str(text), bytes };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Err("the file is empty".to_owned()),
            (event, span) => return reader.node(event, &span, 0),
        }
    }
}

struct Reader<'a, I: saphyr_parser::Input> {
    parser: Parser<'a, I>,
    bytes: Vec<usize>,
}

impl<'a, I: saphyr_parser::Input> Reader<'a, I> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
            None => Err("the file ends in the middle".to_owned()),
        }
    }

    fn place(&self, span: &Span) -> Range<usize> {
        let byte = |index: usize| self.bytes.get(index).or(self.bytes.last()).copied().unwrap_or(0);
        byte(span.start.index())..byte(span.end.index())
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, String> {
        if depth > DEEPEST {
            return Err(format!("line {}: nested too deeply", span.start.line()));
        }
        let at = self.place(span);
        let value = match event {
            Event::Scalar(text, ..) => Value::Scalar(text.into_owned()),
            Event::Alias(_) => Value::Alias,
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Map(self.map(depth)?),
            other => return Err(format!("line {}: unexpected {other:?}", span.start.line())),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(String, Node)>, String> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if let Event::MappingEnd = event {
                return Ok(entries);
            }
            let key = self.node(event, &span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            entries.push((key.text().unwrap_or_default().to_owned(), value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::edit, *};

    #[test]
    fn a_value_is_changed_where_it_stands() {
        let text =
            "# für später\nservices:\n- {name: blue, weight: 100} # live\n- name: \"green\"\n  weight: '0'\n";
        let file = parse(text).unwrap();
        let services = file.get("services").unwrap().items();
        let weight = |at: usize| services[at].get("weight").unwrap();
        assert_eq!((weight(0).text(), weight(1).text()), (Some("100"), Some("0")));
        let changes = vec![(weight(1).at.clone(), "100".to_owned()), (weight(0).at.clone(), "0".to_owned())];
        let edited = edit(text, changes);
        let expected =
            "# für später\nservices:\n- {name: blue, weight: 0} # live\n- name: \"green\"\n  weight: 100\n";
        assert_eq!(edited, expected);
    }

    #[test]
    fn json_is_read_too_and_garbage_says_where_it_is() {
        let file = parse(r#"{"a": {"b": [1, {"c": "x"}]}}"#).unwrap();
        assert_eq!(file.find(&["a", "b"]).unwrap().items()[1].get("c").unwrap().text(), Some("x"));
        assert!(parse("a: [").unwrap_err().contains("line"));
        assert_eq!(parse("").unwrap_err(), "the file is empty");
        assert!(parse(&"[".repeat(5_000)).is_err());
        assert!(parse(&"- ".repeat(5_000)).is_err());
    }
}
