//! What Slack refuses of blocks and views (docs.slack.dev, Block Kit reference). The first broken rule is told, as Slack tells
//! it.

use std::collections::BTreeSet;

use serde_json::Value;

type Rule = Result<(), String>;

fn units(value: &Value) -> usize {
    value.as_str().unwrap_or_default().encode_utf16().count()
}

fn text(at: &str, value: &Value, most: usize) -> Rule {
    match units(value) {
        0 => Err(format!("[ERROR] must be more than 0 characters [json-pointer:{at}]")),
        length if length > most => {
            Err(format!("[ERROR] must be less than {} characters [json-pointer:{at}]", most + 1))
        }
        _ => Ok(()),
    }
}

fn plain(at: &str, value: &Value, most: usize) -> Rule {
    if value["type"] != "plain_text" {
        return Err(format!("[ERROR] must be a plain_text object [json-pointer:{at}]"));
    }
    text(&format!("{at}/text"), &value["text"], most)
}

fn list<'a>(at: &str, value: &'a Value, most: usize) -> Result<&'a [Value], String> {
    let items =
        value.as_array().ok_or_else(|| format!("[ERROR] must provide an array [json-pointer:{at}]"))?;
    if items.is_empty() || items.len() > most {
        return Err(format!(
            "[ERROR] must provide 1 to {most} items, not {} [json-pointer:{at}]",
            items.len()
        ));
    }
    Ok(items)
}

pub fn blocks(value: &Value, most: usize, inputs: bool) -> Rule {
    let mut actions = BTreeSet::new();
    for (number, block) in list("/blocks", value, most)?.iter().enumerate() {
        let at = format!("/blocks/{number}");
        if !block["block_id"].is_null() {
            text(&format!("{at}/block_id"), &block["block_id"], 255)?;
        }
        match block["type"].as_str().unwrap_or_default() {
            "header" => plain(&format!("{at}/text"), &block["text"], 150)?,
            "section" => section(&at, block)?,
            "rich_text" => rich(&at, block)?,
            "divider" => {}
            "context" => drop(list(&format!("{at}/elements"), &block["elements"], 10)?),
            "actions" => {
                for element in list(&format!("{at}/elements"), &block["elements"], 25)? {
                    button(&format!("{at}/elements"), element, &mut actions)?;
                }
            }
            "input" if inputs => input(&at, block)?,
            other => return Err(format!("[ERROR] unsupported type: {other} [json-pointer:{at}/type]")),
        }
    }
    Ok(())
}

fn section(at: &str, block: &Value) -> Rule {
    if !block["text"].is_null() {
        text(&format!("{at}/text"), &block["text"]["text"], 3000)?;
    }
    if !block["fields"].is_null() {
        for field in list(&format!("{at}/fields"), &block["fields"], 10)? {
            text(&format!("{at}/fields"), &field["text"], 2000)?;
        }
    }
    Ok(())
}

fn rich(at: &str, block: &Value) -> Rule {
    for section in list(&format!("{at}/elements"), &block["elements"], 100)? {
        let kind = section["type"].as_str().unwrap_or_default();
        if kind != "rich_text_section" {
            return Err(format!("[ERROR] unsupported type: {kind} [json-pointer:{at}/elements]"));
        }
        for piece in section["elements"].as_array().into_iter().flatten() {
            let at = format!("{at}/elements/elements");
            match piece["type"].as_str().unwrap_or_default() {
                "text" => text(&at, &piece["text"], 12_000)?,
                "user" => text(&at, &piece["user_id"], 20)?,
                "link" => {
                    text(&at, &piece["url"], 3000)?;
                    if !piece["url"].as_str().is_some_and(|url| url.contains("://")) {
                        return Err(format!("[ERROR] invalid url [json-pointer:{at}]"));
                    }
                }
                "date" => {
                    let whole = piece["timestamp"].is_i64() || piece["timestamp"].is_u64();
                    let format = piece["format"].as_str().is_some_and(|format| format.contains('{'));
                    if !whole || !format {
                        return Err(format!("[ERROR] invalid date [json-pointer:{at}]"));
                    }
                }
                other => return Err(format!("[ERROR] unsupported type: {other} [json-pointer:{at}]")),
            }
        }
    }
    Ok(())
}

fn button<'a>(at: &str, element: &'a Value, actions: &mut BTreeSet<&'a str>) -> Rule {
    if element["type"] != "button" {
        return Err(format!("[ERROR] unsupported type: {} [json-pointer:{at}]", element["type"]));
    }
    plain(at, &element["text"], 75)?;
    text(at, &element["action_id"], 255)?;
    if !actions.insert(element["action_id"].as_str().unwrap_or_default()) {
        return Err(format!("[ERROR] `action_id` already exists [json-pointer:{at}]"));
    }
    if !element["value"].is_null() {
        text(at, &element["value"], 2000)?;
    }
    match element["style"].as_str() {
        None | Some("primary" | "danger") => Ok(()),
        Some(other) => Err(format!("[ERROR] invalid style: {other} [json-pointer:{at}]")),
    }
}

fn input(at: &str, block: &Value) -> Rule {
    plain(&format!("{at}/label"), &block["label"], 2000)?;
    let element = &block["element"];
    if !element["placeholder"].is_null() {
        plain(at, &element["placeholder"], 150)?;
    }
    match element["type"].as_str().unwrap_or_default() {
        "plain_text_input" => Ok(()),
        "static_select" => {
            for option in list(&format!("{at}/element/options"), &element["options"], 100)? {
                plain(at, &option["text"], 75)?;
                text(at, &option["value"], 150)?;
            }
            Ok(())
        }
        other => Err(format!("[ERROR] unsupported type: {other} [json-pointer:{at}/element]")),
    }
}

pub fn view(view: &Value) -> Rule {
    match view["type"].as_str().unwrap_or_default() {
        "home" => blocks(&view["blocks"], 100, false),
        "modal" => {
            plain("/view/title", &view["title"], 24)?;
            plain("/view/submit", &view["submit"], 24)?;
            if !view["close"].is_null() {
                plain("/view/close", &view["close"], 24)?;
            }
            if units(&view["private_metadata"]) > 3000 {
                return Err(
                    "[ERROR] must be less than 3001 characters [json-pointer:/view/private_metadata]".into(),
                );
            }
            text("/view/callback_id", &view["callback_id"], 255)?;
            blocks(&view["blocks"], 100, true)
        }
        other => Err(format!("[ERROR] unsupported type: {other} [json-pointer:/view/type]")),
    }
}

/// Names as documented, values that are text only, at most 16 KB.
pub fn metadata(metadata: &Value) -> Result<(), &'static str> {
    if metadata.is_null() {
        return Ok(());
    }
    if !metadata["event_type"].is_string() || !metadata["event_payload"].is_object() {
        return Err("invalid_metadata_format");
    }
    if metadata.to_string().len() > 16_000 { Err("metadata_too_large") } else { Ok(()) }
}
