use proptest::prelude::*;

use super::{
    super::{Hears, concerned},
    *,
};

/// Pieces that messages are made of, and anything.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[FIRING:1] ",
        "[RESOLVED]",
        "[",
        "]",
        "(",
        ")",
        " on ",
        "{service:",
        "}",
        "checkout",
        "Triggered: ",
        "[#12]",
        "#",
        "Resolved",
        "Project: ",
        "  Short ID: CHECKOUT-1A",
        " via ",
        "Labels:",
        "\n",
        " - a = b",
        "https://x.pagerduty.com/incidents/P1",
        "https://app.datadoghq.com/monitors/1",
        "https://sentry.io/issues/1",
        ":fire: ",
        "é",
        "🔥",
        "\0",
        "lastgood=ignore",
    ]);
    prop::collection::vec(prop_oneof![3 => pieces.prop_map(str::to_owned), 1 => ".{0,8}"], 0..12)
        .prop_map(|pieces| pieces.concat())
}

fn posted() -> impl Strategy<Value = Posted> {
    let part = (text(), proptest::option::of(text()), text(), text(), text()).prop_map(
        |(title, url, text, value, footer)| Part {
            title,
            url,
            text,
            fields: vec![("Service".to_owned(), value.clone()), (value.clone(), value.clone())],
            links: vec![(value.clone(), value)],
            footer,
            colour: String::new(),
        },
    );
    let senders = vec!["Alertmanager", "Grafana", "PagerDuty", "Datadog", "Sentry", "anybody"];
    (prop::sample::select(senders), text(), prop::collection::vec(part, 0..3)).prop_map(
        |(sender, text, parts)| {
            let (at, sender) = (MessageRef("m".into()), sender.to_owned());
            Posted { at, sender, sent_at: 0, text, parts }
        },
    )
}

proptest! {
    /// Whatever programs post: it is read, cut to what fits, and can be stored.
    #[test]
    fn anything_can_be_posted(posted in posted()) {
        let hears = Hears::default();
        for (_, heard) in concerned(&posted, &[("checkout", &hears)], &["checkout"]) {
            prop_assert!(heard.title.chars().count() <= 200);
            prop_assert!(heard.annotations.iter().all(|(name, _)| !name.is_empty()));
            let texts = [&heard.title, &heard.words, &heard.identity];
            let pairs = heard.annotations.iter().flat_map(|(name, value)| [name, value]);
            let texts: Vec<_> = texts.into_iter().chain(&heard.names).chain(pairs).collect();
            prop_assert!(texts.iter().all(|text| !text.contains('\0')), "{heard:?}");
        }
    }
}
