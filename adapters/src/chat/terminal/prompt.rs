//! A form in a terminal: one question after the other. What is typed is edited here and drawn with everything else, so
//! that a card that changes meanwhile doesn't tear the line apart.

use std::collections::BTreeMap;

use lastgood_core::card::{Form, Input};

use super::{
    keys::Key,
    text::{Paint, Row, cells, wrap},
};

/// What a key did to the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Asking,
    Submitted(BTreeMap<String, String>),
    Cancelled,
}

/// A form being filled in.
#[derive(Debug, Clone)]
pub struct Prompt {
    form: Form,
    /// The input asked for now.
    at: usize,
    typed: String,
    complaint: String,
    values: BTreeMap<String, String>,
}

impl Prompt {
    pub fn new(form: Form) -> Self {
        Self { form, at: 0, typed: String::new(), complaint: String::new(), values: BTreeMap::new() }
    }

    /// One free line, for a command.
    pub fn command() -> Self {
        Self::new(Form {
            title: "Command".into(),
            submit: "Run".into(),
            inputs: vec![Input {
                id: "command".into(),
                label: "/".into(),
                hint: "help lists them".into(),
                required: true,
                options: Vec::new(),
            }],
        })
    }

    pub fn key(&mut self, key: Key) -> Step {
        match key {
            Key::Escape | Key::Interrupt => return Step::Cancelled,
            Key::Char(c) => self.typed.push(c),
            Key::Backspace => drop(self.typed.pop()),
            Key::Clear => self.typed.clear(),
            Key::Enter => self.enter(),
            Key::Resized => {}
        }
        match self.form.inputs.get(self.at) {
            Some(_) => Step::Asking,
            None => Step::Submitted(std::mem::take(&mut self.values)),
        }
    }

    fn enter(&mut self) {
        let Some(input) = self.form.inputs.get(self.at) else { return };
        match value(input, self.typed.trim()) {
            Ok(Some(value)) => drop(self.values.insert(input.id.clone(), value)),
            Ok(None) => {}
            Err(complaint) => {
                self.complaint = complaint;
                self.typed.clear();
                return;
            }
        }
        self.at += 1;
        self.typed.clear();
        self.complaint.clear();
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.form.inputs.is_empty()
    }

    /// Tells one question (and a repetition with a complaint) from the next.
    pub fn question(&self) -> (usize, String) {
        (self.at, self.complaint.clone())
    }

    /// The question that is open.
    pub fn rows(&self, width: usize) -> Vec<Row> {
        let Some(input) = self.form.inputs.get(self.at) else { return Vec::new() };
        let count = match self.form.inputs.len() {
            1 => String::new(),
            all => format!(" ({} of {all})", self.at + 1),
        };
        let mut rows = wrap(&cells(&format!("{}{count}", self.form.title), Paint::Strong), width);
        let mut note = |text: &str, paint| {
            if !text.is_empty() {
                rows.extend(wrap(&cells(text, paint), width));
            }
        };
        for (number, (_, label)) in input.options.iter().enumerate() {
            note(&format!("  {}  {label}", number + 1), Paint::Plain);
        }
        note(&input.hint, Paint::Dim);
        note(&self.complaint, Paint::Strong);
        let optional = if input.required { "" } else { " (optional)" };
        let asked = cells(&format!("{}{optional} › ", input.label), Paint::Strong);
        rows.extend(wrap(&[asked, cells(&format!("{}▏", self.typed), Paint::Plain)].concat(), width));
        let keys = format!("Enter: {} · Esc: cancel", self.submit());
        rows.extend(wrap(&cells(&keys, Paint::Dim), width));
        rows
    }

    /// What Enter does now.
    fn submit(&self) -> &str {
        if self.at + 1 < self.form.inputs.len() { "next" } else { &self.form.submit }
    }
}

/// What was typed as the input's value: none when it was left out and may be.
fn value(input: &Input, typed: &str) -> Result<Option<String>, String> {
    if typed.is_empty() {
        return if input.required { Err("This is needed.".into()) } else { Ok(None) };
    }
    if input.options.is_empty() {
        return Ok(Some(typed.to_owned()));
    }
    let by_number = typed.parse::<usize>().ok().and_then(|n| input.options.get(n.checked_sub(1)?));
    let same = |text: &str| text.eq_ignore_ascii_case(typed);
    let by_name = || input.options.iter().find(|(value, label)| same(value) || same(label));
    match by_number.or_else(by_name) {
        Some((value, _)) => Ok(Some(value.clone())),
        None => Err(format!("Choose 1 to {}.", input.options.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(prompt: &mut Prompt, text: &str) -> Step {
        text.chars().fold(Step::Asking, |_, c| prompt.key(if c == '\n' { Key::Enter } else { Key::Char(c) }))
    }

    fn form() -> Form {
        let input = |id: &str, required, options: &[(&str, &str)]| Input {
            id: id.into(),
            label: id.into(),
            hint: String::new(),
            required,
            options: options.iter().map(|(value, label)| ((*value).into(), (*label).into())).collect(),
        };
        Form {
            title: "Close".into(),
            submit: "Close".into(),
            inputs: vec![
                input("cause", true, &[]),
                input("kind", true, &[("release", "The release"), ("other", "Not the release")]),
                input("link", false, &[]),
            ],
        }
    }

    #[test]
    fn a_form_is_asked_line_by_line() {
        let mut prompt = Prompt::new(form());
        assert_eq!(typed(&mut prompt, "\n"), Step::Asking);
        assert_eq!(prompt.complaint, "This is needed.");
        assert_eq!(typed(&mut prompt, " a leak \n7\n2\n"), Step::Asking);
        let values = [("cause", "a leak"), ("kind", "other")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(typed(&mut prompt, "\n"), Step::Submitted(values.into()));
    }

    #[test]
    fn escape_sends_nothing() {
        let mut prompt = Prompt::new(form());
        assert_eq!(typed(&mut prompt, "half an ans"), Step::Asking);
        assert_eq!(prompt.key(Key::Escape), Step::Cancelled);
    }
}
