//! What real platforms refuse. Where Slack and Discord differ the smaller limit holds, for a card goes to either.

use std::collections::BTreeSet;

use lastgood_core::card::{Card, Form, Line, plain};

/// A rule that is broken, in words.
type Rule = Result<(), String>;

fn at_most(what: &str, text: &str, limit: usize) -> Rule {
    match text.chars().count() {
        length if length > limit => {
            Err(format!("{what} has {length} characters, more than {limit}: {text:?}"))
        }
        _ => Ok(()),
    }
}

fn given(what: &str, text: &str, limit: usize) -> Rule {
    if text.trim().is_empty() {
        return Err(format!("{what} is empty"));
    }
    at_most(what, text, limit)
}

fn few(what: &str, count: usize, limit: usize) -> Rule {
    if count > limit { Err(format!("{count} {what}, more than {limit}")) } else { Ok(()) }
}

fn distinct<'a>(what: &str, ids: impl Iterator<Item = &'a str>) -> Rule {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(format!("{what} {id:?} is there twice"));
        }
    }
    Ok(())
}

/// # Errors
/// The first limit that the card breaks.
pub fn card_limits(card: &Card) -> Rule {
    given("the title", &card.title, 150)?; // Slack: header block; Discord: 256
    let text: Vec<_> = card.text.iter().map(|line| plain(line)).collect();
    at_most("the text", &text.join("\n"), 3000)?; // Slack: section block; Discord: 4096
    few("fields", card.fields.len(), 25)?; // Discord
    for field in &card.fields {
        given("a field's name", &field.name, 256)?; // Discord
        given("a field's value", &plain(&field.value), 1024)?; // Discord; Slack: 2000
    }
    few("buttons", card.buttons.len(), 25)?; // Discord: 5 rows of 5; Slack: 25 in a block
    distinct("button action", card.buttons.iter().map(|button| button.action.as_str()))?; // both
    for button in &card.buttons {
        given("a button's action", &button.action, 100)?; // Discord; Slack: 255
        given("a button's label", &button.label, 75)?; // Slack; Discord: 80
        button.form.as_ref().map_or(Ok(()), form_limits)?;
    }
    if let Some(picture) = &card.picture {
        given("a picture's file name", &picture.file_name, 255)?;
        given("a picture's description", &picture.alt, 1024)?; // Discord; Slack: 2000
        if picture.bytes.is_empty() {
            return Err("the picture has no bytes".to_owned()); // Slack
        }
    }
    links(card.text.iter().chain(card.fields.iter().map(|field| &field.value)))
}

/// Both platforms refuse, or show as text, a link that is no address.
fn links<'a>(mut lines: impl Iterator<Item = &'a Line>) -> Rule {
    use lastgood_core::card::Span::Link;
    let web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    lines.try_for_each(|line| {
        line.iter().try_for_each(|span| match span {
            Link { url, .. } if !web(url) => Err(format!("not a link: {url:?}")),
            Link { text, .. } => given("a link's text", text, 3000),
            _ => Ok(()),
        })
    })
}

/// # Errors
/// The first limit that the form breaks.
pub fn form_limits(form: &Form) -> Rule {
    given("a form's title", &form.title, 24)?; // Slack; Discord: 45
    given("a form's submit label", &form.submit, 24)?; // Slack
    if form.inputs.is_empty() {
        return Err("a form has no inputs".to_owned()); // Discord
    }
    few("inputs in a form", form.inputs.len(), 5)?; // Discord
    distinct("input", form.inputs.iter().map(|input| input.id.as_str()))?;
    for input in &form.inputs {
        given("an input's id", &input.id, 100)?; // Discord; Slack: 255
        given("an input's label", &input.label, 45)?; // Discord; Slack: 2000
        at_most("an input's hint", &input.hint, 100)?; // Discord; Slack: 150
        few("options of an input", input.options.len(), 25)?; // Discord; Slack: 100
        distinct("option", input.options.iter().map(|(value, _)| value.as_str()))?;
        for (value, label) in &input.options {
            given("an option's value", value, 100)?; // Discord; Slack: 150
            given("an option's label", label, 75)?; // Slack; Discord: 100
        }
    }
    Ok(())
}
