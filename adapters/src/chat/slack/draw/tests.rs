use lastgood_core::{
    Actor,
    card::{Colour, Form, Input},
};

use super::*;

fn button(action: &str, label: &str, style: Style) -> Button {
    Button { action: action.into(), label: label.into(), style, key: 'a', form: None }
}

fn proposal() -> Card {
    Card::new(Colour::Bad, "RB-42 checkout: back to v2.4.0?")
        .line(vec![
            Span::Strong("v2.4.1".into()),
            " went live 6 min before this alert, at ".into(),
            Span::Time(1_800_000_000_000),
        ])
        .line(vec![
            Span::Mention(Actor::new("slack:U024BE7LH", "ana")),
            " and ".into(),
            Span::Mention(Actor::new("os:ben", "ben")),
            " may approve. ".into(),
            Span::Link { text: "Runbook".into(), url: "https://rb/x?a=1&b=2".into() },
        ])
        .field("Live", vec![Span::Code("v2.4.1".into()), " 100 % on blue".into()])
        .button(button("rb42.1.approve", "Roll back to v2.4.0", Style::Primary))
        .button(button("rb42.1.reject", "Reject", Style::Plain))
        .button(button("rb42.1.stop", "Stop", Style::Danger))
}

#[test]
fn a_card_as_blocks() {
    insta::assert_json_snapshot!(blocks(&proposal()));
    insta::assert_snapshot!(notification(&proposal()), @r"
    🔴 RB-42 checkout: back to v2.4.0?
    v2.4.1 went live 6 min before this alert, at 08:00:00 UTC
    @ana and @ben may approve. Runbook
    ");
}

fn ask() -> Form {
    let reason = Input {
        id: "reason".into(),
        label: "Why not?".into(),
        hint: "shown in the thread".into(),
        required: false,
        options: vec![],
    };
    let version = Input {
        id: "candidate".into(),
        label: "Version".into(),
        hint: String::new(),
        required: true,
        options: vec![("sha256:1".into(), "v1".into()), ("sha256:2".into(), "v2".into())],
    };
    Form { title: "Reject the rollback".into(), submit: "Reject".into(), inputs: vec![reason, version] }
}

#[test]
fn a_form_as_a_modal_and_back() {
    let mut view = modal("rb42.1.reject", &ask(), "somewhere");
    insta::assert_json_snapshot!(view);
    view["state"]["values"] = json!({
        "reason": { "value": { "type": "plain_text_input", "value": "not it" } },
        "candidate": { "value": { "type": "static_select", "selected_option": { "value": "sha256:2" } } },
    });
    let (action, context, inputs) = read_form(&view).unwrap();
    assert_eq!((action.as_str(), context.as_str()), ("rb42.1.reject", "somewhere"));
    assert_eq!(inputs["reason"], "not it");
    assert_eq!(inputs["candidate"], "sha256:2");
    // Left empty.
    view["state"]["values"]["reason"]["value"]["value"] = Value::Null;
    assert_eq!(read_form(&view).unwrap().2["reason"], "");
    assert_eq!(read_form(&json!({ "callback_id": "somebody_elses" })), None);
    assert_eq!(read_form(&Value::Null), None);
}

const HOSTILE: [&str; 8] = [
    "<!channel> <@U024BE7LH> <https://evil|harmless>",
    "*bold* _it_ ~no~ `code` ```pre``` > quote :tada: @here",
    "a\0b\u{1b}[31mc\u{202e}d\u{feff}",
    "line\nline\r\nline\n\n\n",
    "",
    "   ",
    "🔴👩‍👩‍👧‍👦🏳️‍🌈",
    "&lt;!channel&gt;",
];

/// Whatever an alert holds, it is text in a block that holds text: nobody is pinged, nothing is linked.
#[test]
fn foreign_text_stays_text() {
    for text in HOSTILE {
        let card = Card::new(Colour::Bad, text)
            .line(text)
            .line(vec![Span::Strong(text.into()), Span::Code(text.into())])
            .field(text, text)
            .button(button("a", text, Style::Plain))
            .line(vec![Span::Mention(Actor::new("slack:!channel", text))])
            .line(vec![Span::Mention(Actor::new(format!("slack:{text}"), text))])
            .line(vec![Span::Link { text: text.into(), url: "javascript:alert(1)".into() }]);
        let drawn = blocks(&card).to_string();
        for kind in
            ["mrkdwn", "\"link\"", "\"user\"", "usergroup", "broadcast", "\"channel\"", "\"emoji\":true"]
        {
            assert!(!drawn.contains(kind), "{kind} in {drawn}");
        }
        let spoken = notification(&card);
        assert!(!spoken.contains('<') && !spoken.contains('>'), "{spoken}");
    }
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get("text") {
                found.push(text.clone());
            }
            fields.values().for_each(|value| texts(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[test]
fn limits_are_kept_whatever_the_card_holds() {
    for unit in HOSTILE.into_iter().chain(["word ", "é", "🔴", "&", "<"]) {
        let long = unit.repeat(12_000 / unit.len().max(1));
        let mut card = Card::new(Colour::Working, long.clone());
        for number in 0..60 {
            card = card.line(long.as_str()).field(long.as_str(), long.as_str());
            card = card.button(button(&format!("rb1.{number}.approve"), &long, Style::Primary));
        }
        let drawn = blocks(&card);
        let drawn = drawn.as_array().unwrap();
        assert!(drawn.len() <= 50, "{} blocks", drawn.len());
        let units = |text: &str| text.encode_utf16().count();
        assert!(units(drawn[0]["text"]["text"].as_str().unwrap()) <= 150);
        for block in drawn {
            let mut found = Vec::new();
            texts(block, &mut found);
            let whole: usize = found.iter().map(|text| units(text)).sum();
            assert!(whole <= 3_000 + 1, "{whole} in one block");
            assert!(found.iter().all(|text| !text.is_empty()), "an empty text");
            for element in block["elements"].as_array().into_iter().flatten() {
                if block["type"] == "actions" {
                    assert!(units(element["text"]["text"].as_str().unwrap()) <= 75);
                }
            }
        }
        assert!(units(&notification(&card)) <= 4_000, "escaped");

        let mut form = ask();
        form.title = long.clone();
        form.inputs[0].label = if long.is_empty() { "x".into() } else { long.clone() };
        form.inputs[0].hint = long.clone();
        form.inputs[1].options = (0..200).map(|number| (format!("sha256:{number}"), long.clone())).collect();
        let view = modal("a", &form, &long);
        assert!(units(view["title"]["text"].as_str().unwrap()) <= 24);
        assert!(units(view["private_metadata"].as_str().unwrap()) <= 3_000);
        let options = view["blocks"][1]["element"]["options"].as_array().unwrap();
        assert_eq!(options.len(), 100);
        assert!(options.iter().all(|option| units(option["text"]["text"].as_str().unwrap()) <= 75));
    }
}

#[test]
fn what_was_cut_says_so() {
    let card = Card::new(Colour::Neutral, "t").line("x".repeat(4_000)).line("after the gap");
    let drawn = blocks(&card);
    let elements = drawn[1]["elements"][0]["elements"].as_array().unwrap();
    assert_eq!(elements.last().unwrap()["text"], "…");
    assert!(!drawn.to_string().contains("after the gap"));
}

#[test]
fn a_button_is_there_once() {
    let card = Card::new(Colour::Neutral, "t").button(button("same", "One", Style::Plain)).button(button(
        "same",
        "Two",
        Style::Plain,
    ));
    assert_eq!(blocks(&card)[1]["elements"].as_array().unwrap().len(), 1);
}
