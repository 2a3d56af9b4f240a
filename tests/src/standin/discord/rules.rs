//! What Discord refuses of a body, as 50035 with the path of what is wrong (Message Resource, Component Reference).

use std::collections::BTreeSet;

use serde_json::Value;

/// The first thing that is wrong.
pub type Judged = Result<(), String>;

fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

fn within(what: &str, value: &Value, least: usize, most: usize) -> Judged {
    let length = length(value);
    match (least..=most).contains(&length) {
        true => Ok(()),
        false => Err(format!("{what}: {length} characters, {least} to {most} are allowed")),
    }
}

fn list<'a>(value: &'a Value, what: &str, most: usize) -> Result<&'a [Value], String> {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    if list.len() > most { Err(format!("{what}: {} of at most {most}", list.len())) } else { Ok(list) }
}

/// A message that is posted, edited, or shown to one person.
pub fn message(body: &Value) -> Judged {
    within("content", &body["content"], 0, 2_000)?;
    let mut all = 0;
    for embed in list(&body["embeds"], "embeds", 10)? {
        all += self::embed(embed)?;
    }
    if all > 6_000 {
        return Err(format!("embeds: {all} characters of at most 6000"));
    }
    components(&body["components"])?;
    if let Some(nonce) = body.get("nonce") {
        within("nonce", nonce, 1, 25)?;
    }
    if body.get("allowed_mentions").is_none() {
        return Err("allowed_mentions: every message has to say whom it may ping".to_owned());
    }
    let empty = length(&body["content"]) == 0 && body["embeds"].as_array().is_none_or(Vec::is_empty);
    if empty { Err("50006: an empty message".to_owned()) } else { Ok(()) }
}

fn embed(embed: &Value) -> Result<usize, String> {
    within("embed.title", &embed["title"], 0, 256)?;
    within("embed.description", &embed["description"], 0, 4_096)?;
    within("embed.footer.text", &embed["footer"]["text"], 0, 2_048)?;
    let mut all = length(&embed["title"]) + length(&embed["description"]) + length(&embed["footer"]["text"]);
    for field in list(&embed["fields"], "embed.fields", 25)? {
        within("field.name", &field["name"], 1, 256)?;
        within("field.value", &field["value"], 1, 1_024)?;
        if field["value"].as_str().is_some_and(|value| value.trim().is_empty()) {
            return Err("field.value: blank".to_owned());
        }
        all += length(&field["name"]) + length(&field["value"]);
    }
    Ok(all)
}

fn components(rows: &Value) -> Judged {
    let mut seen = BTreeSet::new();
    for row in list(rows, "components", 5)? {
        let buttons = list(&row["components"], "row.components", 5)?;
        if row["type"] != 1 || buttons.is_empty() {
            return Err("components: rows with one to five components are expected".to_owned());
        }
        for button in buttons {
            within("button.label", &button["label"], 1, 80)?;
            within("button.custom_id", &button["custom_id"], 1, 100)?;
            if !seen.insert(button["custom_id"].to_string()) {
                return Err(format!("custom_id: {} twice", button["custom_id"]));
            }
        }
    }
    Ok(())
}

/// The first answer to an interaction.
pub fn callback(body: &Value) -> Judged {
    let data = &body["data"];
    match body["type"].as_u64() {
        Some(4) => message(data),
        Some(5 | 6) => Ok(()),
        Some(8) => {
            for choice in list(&data["choices"], "choices", 25)? {
                within("choice.name", &choice["name"], 1, 100)?;
                within("choice.value", &choice["value"], 1, 100)?;
            }
            Ok(())
        }
        Some(9) => modal(data),
        other => Err(format!("type: {other:?}")),
    }
}

fn modal(data: &Value) -> Judged {
    within("modal.title", &data["title"], 1, 45)?;
    within("modal.custom_id", &data["custom_id"], 1, 100)?;
    let labels = list(&data["components"], "modal.components", 5)?;
    if labels.is_empty() {
        return Err("modal.components: none".to_owned());
    }
    for label in labels {
        within("label.label", &label["label"], 1, 45)?;
        let component = &label["component"];
        within("component.custom_id", &component["custom_id"], 1, 100)?;
        within("component.placeholder", &component["placeholder"], 0, 100)?;
        match component["type"].as_u64() {
            Some(3) => {
                let options = list(&component["options"], "select.options", 25)?;
                if options.is_empty() {
                    return Err("select.options: none".to_owned());
                }
                for option in options {
                    within("option.label", &option["label"], 1, 100)?;
                    within("option.value", &option["value"], 1, 100)?;
                }
            }
            Some(4) => {}
            other => return Err(format!("component.type: {other:?}")),
        }
    }
    Ok(())
}

/// What is registered (Application Commands).
pub fn commands(body: &Value) -> Judged {
    for command in list(body, "commands", 100)? {
        within("command.name", &command["name"], 1, 32)?;
        if command["type"] == 3 {
            continue;
        }
        named(&command["name"])?;
        within("command.description", &command["description"], 1, 100)?;
        for sub in list(&command["options"], "command.options", 25)? {
            named(&sub["name"])?;
            within("sub.description", &sub["description"], 1, 100)?;
            let mut optional = false;
            for option in list(&sub["options"], "sub.options", 25)? {
                named(&option["name"])?;
                within("option.description", &option["description"], 1, 100)?;
                let required = option["required"] == true;
                if required && optional {
                    return Err(format!("{}: required options come first", option["name"]));
                }
                optional |= !required;
            }
        }
    }
    Ok(())
}

fn named(name: &Value) -> Judged {
    let text = name.as_str().unwrap_or_default();
    let good = |c: char| c == '-' || c == '_' || (c.is_alphanumeric() && !c.is_uppercase());
    within("name", name, 1, 32)?;
    if text.chars().all(good) { Ok(()) } else { Err(format!("name: {text:?}")) }
}
