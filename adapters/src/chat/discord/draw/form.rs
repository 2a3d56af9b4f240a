//! Forms as modals, and what was filled in (Component Reference, Label, Text Input, String Select).

use std::collections::BTreeMap;

use lastgood_core::card::{Form, Input};
use serde_json::{Value, json};

use crate::chat::{
    json::{list, text},
    legible::{cut, one_line},
};

const TITLE: usize = 45;
const LABEL: usize = 45;
const HINT: usize = 100;
const OPTION: usize = 100;
const OPTIONS: usize = 25;
const INPUTS: usize = 5;
const TYPED: usize = 4_000;
const NAME: usize = 100;

const LABELLED: u8 = 18;
const SELECT: u8 = 3;
const TEXT_INPUT: u8 = 4;
const PARAGRAPH: u8 = 2;

/// Between an action and the message that it is about.
const ABOUT: char = '@';

/// The data of a modal's callback. Which form it is stands in its id, and which message it is about where Discord does not say
/// so when it is submitted; everything else is in the database.
pub(in crate::chat::discord) fn modal(action: &str, about: Option<&str>, form: &Form) -> Value {
    json!({
        "custom_id": about.map_or_else(|| action.to_owned(), |about| format!("{action}{ABOUT}{about}")),
        "title": shown(&form.title, TITLE),
        "components": form.inputs.iter().take(INPUTS).map(input).collect::<Vec<_>>(),
    })
}

fn shown(text: &str, most: usize) -> String {
    let text = one_line(text);
    if text.trim().is_empty() { "…".to_owned() } else { cut(&text, most) }
}

fn input(input: &Input) -> Value {
    let mut component = json!({ "custom_id": input.id, "required": input.required });
    let hint = Some(shown(&input.hint, HINT)).filter(|_| !input.hint.trim().is_empty());
    if input.options.is_empty() {
        component["type"] = TEXT_INPUT.into();
        component["style"] = PARAGRAPH.into();
        component["max_length"] = TYPED.into();
    } else {
        let fits = |(value, _): &&(String, String)| !value.is_empty() && value.chars().count() <= NAME;
        let options: Vec<_> = input
            .options
            .iter()
            .filter(fits)
            .take(OPTIONS)
            .map(|(value, label)| json!({ "value": value, "label": shown(label, OPTION) }))
            .collect();
        component["type"] = SELECT.into();
        component["options"] = options.into();
    }
    if let Some(hint) = hint {
        component["placeholder"] = hint.into();
    }
    json!({ "type": LABELLED, "label": shown(&input.label, LABEL), "component": component })
}

/// A submitted form's action, and the message that it is about.
pub(in crate::chat::discord) fn submitted(custom_id: &str) -> (&str, Option<&str>) {
    custom_id.split_once(ABOUT).map_or((custom_id, None), |(action, about)| (action, Some(about)))
}

/// Values of a submitted form.
pub(in crate::chat::discord) fn filled(data: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for part in list(data, "components") {
        // Also rows, as forms were before labels.
        for component in part.get("component").into_iter().chain(list(part, "components")) {
            let chosen = list(component, "values").first().and_then(Value::as_str);
            let value = chosen.unwrap_or_else(|| text(component, "/value"));
            all.insert(text(component, "/custom_id").to_owned(), value.to_owned());
        }
    }
    all
}
