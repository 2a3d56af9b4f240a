//! Messages as chat platforms hand them over, one file of them for each sender. Names and texts are made up; what the
//! senders' own templates have in common is not.

mod matching;
mod property;
mod senders;

use lastgood_adapters::chat::{MessageRef, Part, Posted};

use super::{Heard, Sender, hear};
use crate::inbound::alertmanager::Status;

/// What is in a file of messages, by name.
fn message(file: &str, name: &str) -> Posted {
    let text = match file {
        "alertmanager" => include_str!("alertmanager.json"),
        "grafana" => include_str!("grafana.json"),
        "pagerduty" => include_str!("pagerduty.json"),
        "datadog" => include_str!("datadog.json"),
        "sentry" => include_str!("sentry.json"),
        other => panic!("{other}"),
    };
    let all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let one = all.get(name).unwrap_or_else(|| panic!("{file} has no {name}"));
    let texts = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let pairs = |value: &serde_json::Value, key: &str| -> Vec<(String, String)> {
        serde_json::from_value(value[key].clone()).unwrap_or_default()
    };
    let part = |part: &serde_json::Value| Part {
        title: texts(part, "title"),
        url: part["url"].as_str().map(str::to_owned),
        text: texts(part, "text"),
        fields: pairs(part, "fields"),
        links: pairs(part, "links"),
        footer: texts(part, "footer"),
        colour: texts(part, "colour"),
    };
    Posted {
        at: MessageRef(format!("C1/{name}")),
        sender: texts(one, "sender"),
        sent_at: 1_800_000_000_000,
        text: texts(one, "text"),
        parts: one["parts"].as_array().into_iter().flatten().map(part).collect(),
    }
}

#[track_caller]
fn heard(file: &str, name: &str) -> Heard {
    hear(&message(file, name)).unwrap_or_else(|| panic!("{file}: {name} is no alert"))
}

/// The same alert, whatever happened to it meanwhile.
#[track_caller]
fn one_alert(file: &str, names: &[&str]) {
    let prints: Vec<_> = names.iter().map(|name| heard(file, name).fingerprint("slack:#incidents")).collect();
    assert!(prints.windows(2).all(|two| two[0] == two[1]), "{names:?}: {prints:?}");
}

fn note<'a>(heard: &'a Heard, name: &str) -> Option<&'a str> {
    heard.annotations.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
}
