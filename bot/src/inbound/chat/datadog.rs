//! Datadog's Slack integration: an attachment with the monitor's title behind its transition, `Triggered: …`,
//! `[P1] [Triggered on {service:checkout}] …`, leading to the event or the monitor; the text is the monitor's own.
//! A warning is none of ours: the alert follows when it gets worse.

use super::{Heard, Sender, message::Message, subject::without_emoji, told::tags};
use crate::inbound::alertmanager::Status;

const STATES: [(&str, Status); 8] = [
    ("triggered", Status::Firing),
    ("re-triggered", Status::Firing),
    ("retriggered", Status::Firing),
    ("renotify", Status::Firing),
    ("alert", Status::Firing),
    ("no data", Status::Firing),
    ("re-no data", Status::Firing),
    ("recovered", Status::Resolved),
];

/// A heading, taken apart.
struct Told {
    status: Status,
    /// What of a monitor by group it is: `service:checkout,env:prod`.
    scope: String,
    title: String,
}

pub fn read(message: &Message<'_>) -> Option<Heard> {
    if !(message.sent_by("datadog") || message.leads_to("datadoghq.") || message.leads_to("ddog-gov.")) {
        return None;
    }
    let told = message.headings.iter().find_map(|heading| heading_of(heading))?;
    let identity = match message.links.iter().find_map(|(_, url)| monitor(url)) {
        Some(id) => format!("monitor {id} {}", told.scope),
        None => format!("{} {}", told.title, told.scope),
    };
    let mut heard = message.heard(Sender::Datadog, told.status, identity, told.title);
    let of_text = message.lines.iter().filter_map(|line| line.strip_prefix("Tags:")).flat_map(tags);
    for (name, value) in tags(&told.scope).into_iter().chain(of_text) {
        if super::message::is_service(&name) {
            heard.named.push(value.clone());
        }
        heard.labels.entry(name).or_insert(value);
    }
    Some(heard)
}

fn heading_of(heading: &str) -> Option<Told> {
    let heading = without_emoji(heading);
    let mut rest = heading.trim_start_matches(|c: char| c != '[' && !c.is_alphanumeric());
    while let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        rest = after.trim_start();
        if let Some((status, scope)) = state(inside) {
            return Some(told(status, scope, rest));
        }
        // The priority, or what kind of monitor it is.
    }
    let (before, after) = rest.split_once(": ")?;
    let (status, scope) = state(before)?;
    Some(told(status, scope, after))
}

/// `Triggered`, `Triggered on {host:web-1}`.
fn state(text: &str) -> Option<(Status, &str)> {
    let (word, scope) = text.split_once(" on ").unwrap_or((text, ""));
    let (_, status) = STATES.iter().find(|(state, _)| state.eq_ignore_ascii_case(word.trim()))?;
    Some((*status, scope.trim().trim_matches(['{', '}'])))
}

fn told(status: Status, scope: &str, title: &str) -> Told {
    let title = title.trim();
    // `High error rate on service:checkout,env:prod`
    let scoped = |text: &str| {
        text.split(',').all(|part| part.trim().split_once(':').is_some_and(|(_, v)| !v.is_empty()))
    };
    match title.rsplit_once(" on ") {
        Some((title, of)) if scope.is_empty() && scoped(of) => {
            Told { status, scope: of.trim().to_owned(), title: title.trim().to_owned() }
        }
        _ => Told { status, scope: scope.to_owned(), title: title.to_owned() },
    }
}

/// The monitor's number, of `…/monitors/123`, `…/monitors#123`.
fn monitor(url: &str) -> Option<String> {
    let after = url.split("/monitors").nth(1)?;
    let digits: String = after.chars().skip(1).take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}
