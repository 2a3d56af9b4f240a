//! Which services a message is about.

use lastgood_adapters::chat::Posted;

use super::{
    Heard,
    message::{Message, is_service},
    pattern::Pattern,
};
use crate::inbound::{
    alertmanager::Status,
    matcher::{Labels, Matcher, Matchers},
};

/// What a service listens to in its rooms.
#[derive(Debug, Clone, Default)]
pub struct Hears {
    /// All must match.
    pub alerts: Vec<Matchers>,
    /// One must match.
    pub messages: Vec<Pattern>,
}

/// The services, of those in the room, that a message is an alert of, with the alert as each hears it. `declared` are the
/// names of all services: a message about one in another room is not about one in this.
pub fn concerned<'a>(
    posted: &Posted,
    here: &[(&'a str, &Hears)],
    declared: &[&str],
) -> Vec<(&'a str, Heard)> {
    if super::ours(posted) {
        return Vec::new();
    }
    let heard = super::hear(posted);
    let said: Vec<&str> = heard.iter().flat_map(|heard| named(heard, declared)).collect();
    let mut found = Vec::new();
    for (name, hears) in here {
        let about = heard.as_ref().filter(|heard| {
            by_labels(&hears.alerts, &heard.labels)
                || said.contains(name) && !contradicted(&hears.alerts, &heard.labels)
        });
        let by_pattern = || hears.messages.iter().find_map(|pattern| pattern.hear(posted));
        if let Some(about) = about {
            found.push((*name, without_services(about.clone(), declared)));
        } else if let Some(matched) = by_pattern() {
            // A sender that is known tells better which alert it is, and whether it is over.
            found.push((*name, without_services(heard.clone().unwrap_or(matched), declared)));
        }
    }
    found
}

/// As for the webhook, where at least one of the labels asked for is told: what isn't told says nothing.
fn by_labels(alerts: &[Matchers], labels: &Labels) -> bool {
    let mut matchers = alerts.iter().flat_map(|matchers| &matchers.0);
    let told = matchers.any(|matcher| labels.contains_key(&matcher.name));
    told && alerts.iter().all(|matchers| matchers.matches(labels))
}

/// A label that is told and does not match: `severity = warning` where pages are asked for. Fields made for people write
/// `Critical`, and a service as people call it, which decides elsewhere.
fn contradicted(alerts: &[Matchers], labels: &Labels) -> bool {
    let lower: Labels = labels.iter().map(|(name, value)| (name.clone(), value.to_lowercase())).collect();
    let wrong = |matcher: &Matcher| {
        let told = labels.contains_key(&matcher.name) && !is_service(&matcher.name);
        told && !matcher.matches(labels) && !matcher.matches(&lower)
    };
    alerts.iter().flat_map(|matchers| &matchers.0).any(wrong)
}

/// Services that the message names: in a field made for that, else anywhere.
fn named<'a>(heard: &Heard, declared: &[&'a str]) -> Vec<&'a str> {
    let in_text = |text: &str| -> Vec<&'a str> {
        let words = words(text);
        declared.iter().copied().filter(|name| words.contains(&name.to_lowercase())).collect()
    };
    let of_fields: Vec<_> = heard.named.iter().flat_map(|value| in_text(value)).collect();
    if of_fields.is_empty() { in_text(&heard.words) } else { of_fields }
}

/// The services that any message names, whether it tells an alert or not.
pub fn mentioned<'a>(posted: &Posted, declared: &[&'a str]) -> Vec<&'a str> {
    let words = words(&Message::of(posted).text());
    declared.iter().copied().filter(|name| words.contains(&name.to_lowercase())).collect()
}

/// Words as service names are made; hyphens belong to them, and addresses are none.
fn words(text: &str) -> Vec<String> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let tokens = text.split_whitespace().filter(|token| !token.contains("://"));
    let words = tokens.flat_map(|token| token.split(|c: char| !inside(c)));
    words
        .map(|word| word.trim_matches(['-', '_', '.']).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Alerts of different senders are not the same because both are called after their service.
fn without_services(mut heard: Heard, declared: &[&str]) -> Heard {
    heard.names.retain(|name| !declared.iter().any(|service| service.eq_ignore_ascii_case(name.trim())));
    heard
}

impl Heard {
    pub fn firing(&self) -> bool {
        self.status == Status::Firing
    }
}
