//! Forms as modals, and what was filled in (docs.slack.dev, Modals; Input block).

use std::collections::BTreeMap;

use lastgood_core::card::{Form, Input};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chat::legible::{cut, length, one_line};

/// Names our forms among an app's views.
const CALLBACK: &str = "lastgood_form";
/// The element of every input block.
const VALUE: &str = "value";
const TITLE: usize = 24;
const LABEL: usize = 2_000;
const HINT: usize = 150;
const OPTION: usize = 75;
const OPTION_VALUE: usize = 150;
const OPTIONS: usize = 100;
const INPUTS: usize = 50;
const METADATA: usize = 3_000;
const TYPED: usize = 3_000;

/// What a form carries along.
#[derive(Serialize, Deserialize)]
struct Carried {
    action: String,
    context: String,
}

pub(in crate::chat::slack) fn modal(action: &str, form: &Form, context: &str) -> Value {
    let carried =
        |context: &str| json!(Carried { action: action.to_owned(), context: context.to_owned() }).to_string();
    let full = carried(context);
    // Where it was asked for only decides where an answer is shown: the action matters more.
    let metadata = if length(&full) <= METADATA { full } else { carried("") };
    json!({
        "type": "modal",
        "callback_id": CALLBACK,
        "title": plain(&form.title, TITLE),
        "submit": plain(&form.submit, TITLE),
        "close": plain("Cancel", TITLE),
        "private_metadata": metadata,
        "blocks": form.inputs.iter().take(INPUTS).map(input).collect::<Vec<_>>(),
    })
}

fn plain(text: &str, most: usize) -> Value {
    let text = one_line(text);
    let text = if text.trim().is_empty() { "…" } else { &text };
    json!({ "type": "plain_text", "text": cut(text, most), "emoji": false })
}

fn input(input: &Input) -> Value {
    let mut element = if input.options.is_empty() {
        json!({ "type": "plain_text_input", "action_id": VALUE, "multiline": true, "max_length": TYPED })
    } else {
        let options: Vec<_> = input
            .options
            .iter()
            .filter(|(value, _)| !value.is_empty() && length(value) <= OPTION_VALUE)
            .take(OPTIONS)
            .map(|(value, label)| json!({ "text": plain(label, OPTION), "value": value }))
            .collect();
        json!({ "type": "static_select", "action_id": VALUE, "options": options })
    };
    if !input.hint.trim().is_empty() {
        element["placeholder"] = plain(&input.hint, HINT);
    }
    json!({
        "type": "input",
        "block_id": input.id,
        "label": plain(&input.label, LABEL),
        "optional": !input.required,
        "element": element,
    })
}

/// Action, context and values of a submitted form; none when it is not one of ours.
pub(in crate::chat::slack) fn read_form(view: &Value) -> Option<(String, String, BTreeMap<String, String>)> {
    if view.get("callback_id")?.as_str()? != CALLBACK {
        return None;
    }
    let carried: Carried = serde_json::from_str(view.get("private_metadata")?.as_str()?).ok()?;
    let values = view.pointer("/state/values").and_then(Value::as_object);
    let filled = |element: &Value| {
        let typed = element.get("value").and_then(Value::as_str);
        typed.or_else(|| element.pointer("/selected_option/value")?.as_str()).unwrap_or_default().to_owned()
    };
    let inputs = values
        .into_iter()
        .flatten()
        .filter_map(|(id, element)| Some((id.clone(), filled(element.get(VALUE)?))))
        .collect();
    Some((carried.action, carried.context, inputs))
}
