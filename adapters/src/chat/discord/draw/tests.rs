use lastgood_core::{
    Actor,
    card::{Field, Form},
};

use super::*;

fn press(action: &str, form: bool) -> Button {
    Button {
        action: action.into(),
        label: "Approve".into(),
        style: Style::Primary,
        key: 'a',
        form: form.then(|| Form { title: "t".into(), submit: "s".into(), inputs: Vec::new() }),
    }
}

/// Everything that could be too long, at once.
fn hostile() -> Card {
    let long = "*<@everyone>`[x](https://evil) 🔴".repeat(500);
    let mut card = Card::new(Colour::Bad, long.clone()).line(long.clone()).line(long.clone());
    for number in 0..40 {
        let value = vec![Span::Strong(long.clone()), Span::Text(long.clone())];
        card.fields.push(Field { name: long.clone(), value });
        card.buttons
            .push(Button { label: long.clone(), ..press(&format!("rb1.{number}.approve"), number % 2 == 0) });
    }
    card.fields.push(Field { name: String::new(), value: Vec::new() });
    card
}

#[test]
fn whatever_a_card_holds_it_fits() {
    let body = content(&hostile(), Some("0123456789abcdef"));
    let embed = &body["embeds"][0];
    let count = |text: &Value| text.as_str().unwrap().encode_utf16().count();
    assert!(count(&embed["title"]) <= 256 && count(&embed["description"]) <= 4_096);
    let fields = embed["fields"].as_array().unwrap();
    let mut all = count(&embed["title"]) + count(&embed["description"]) + count(&embed["footer"]["text"]);
    assert!(fields.len() <= 25);
    for field in fields {
        assert!((1..=256).contains(&count(&field["name"])) && (1..=1_024).contains(&count(&field["value"])));
        all += count(&field["name"]) + count(&field["value"]);
    }
    assert!(all <= 6_000, "{all}");
    let rows = body["components"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for button in rows.iter().flat_map(|row| row["components"].as_array().unwrap()) {
        assert!(count(&button["label"]) <= 80 && count(&button["custom_id"]) <= 100);
    }
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
}

#[test]
fn only_whom_a_card_is_about_is_pinged() {
    let ana = Actor::new("discord:80351110224678912", "ana");
    let card =
        Card::new(Colour::Bad, "<@1>").line(vec![Span::Mention(ana), Span::Text("<@2> @everyone".into())]);
    let body = content(&card, None);
    assert_eq!(body["content"], "<@80351110224678912>");
    assert_eq!(body["allowed_mentions"], json!({ "parse": [], "users": ["80351110224678912"] }));
    assert_eq!(private(&card)["content"], "");
    let said = Card { colour: Colour::Good, ..card };
    assert_eq!(content(&said, None)["allowed_mentions"], json!({ "parse": [] }), "nothing is wrong");
}

#[test]
fn a_button_says_whether_it_opens_a_form() {
    let mut card = Card::new(Colour::Good, "t");
    card.buttons = vec![press("rb1.2.approve", false), press("rb1.2.reject", true)];
    let body = content(&card, None);
    let ids: Vec<_> =
        (0..2).map(|at| body["components"][0]["components"][at]["custom_id"].as_str().unwrap()).collect();
    assert_eq!(
        ids.iter().map(|id| pressed(id)).collect::<Vec<_>>(),
        [("rb1.2.approve", false), ("rb1.2.reject", true)]
    );
}
