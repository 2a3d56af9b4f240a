//! Sentry's Slack app. Alerts on issues: a title that leads to the issue, and a footer with project, alert and the issue's
//! short id (`CHECKOUT-1A`); edited when somebody resolves or archives it. Alerts on metrics: `Critical: name`, leading to
//! the alert. Its other messages (assignments, comments, reports) are no alerts.

use super::{Heard, Sender, message::Message, subject::without_emoji};
use crate::inbound::alertmanager::Status;

pub fn read(message: &Message<'_>) -> Option<Heard> {
    if !(message.sent_by("sentry") || message.leads_to("sentry")) {
        return None;
    }
    metric(message).or_else(|| issue(message)).or_else(|| resolved(message))
}

fn issue(message: &Message<'_>) -> Option<Heard> {
    let footer = footer(message);
    let id = short_id(&footer)?;
    let over = |line: &String| {
        let line = line.to_lowercase();
        ["resolved by", "archived by"].iter().any(|words| line.contains(words))
    };
    let status = if message.lines.iter().any(over) { Status::Resolved } else { Status::Firing };
    let title = title(message)?;
    let mut heard = message.heard(Sender::Sentry, status, id.to_owned(), title);
    if let Some((_, project)) = footer.iter().find(|(name, _)| name == "project") {
        heard.labels.insert("project".to_owned(), project.clone());
        heard.named.push(project.clone());
    }
    Some(heard)
}

/// `Ana marked CHECKOUT-1A as resolved`: a notification of its own, of what an alert told before.
fn resolved(message: &Message<'_>) -> Option<Heard> {
    let (id, line) = message.lines.iter().find_map(|line| {
        let (before, _) = line.split_once(" as resolved")?;
        let id = before.rsplit_once("marked ")?.1.trim();
        is_short_id(id).then(|| (id.to_owned(), line.clone()))
    })?;
    Some(message.heard(Sender::Sentry, Status::Resolved, id, line))
}

fn metric(message: &Message<'_>) -> Option<Heard> {
    let rule = message.links.iter().find_map(|(_, url)| {
        let (_, path) = url.split_once("/alerts/")?;
        Some(path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned())
    })?;
    let of_link = message.links.iter().map(|(text, _)| text.clone());
    message.headings.iter().cloned().chain(of_link).find_map(|heading| {
        let heading = without_emoji(&heading);
        let (state, name) = heading.split_once(": ")?;
        let status = match state.trim().to_lowercase().as_str() {
            "critical" => Status::Firing,
            "resolved" => Status::Resolved,
            _ => return None,
        };
        Some(message.heard(Sender::Sentry, status, format!("alert {rule}"), name.trim().to_owned()))
    })
}

/// The lines below an issue: `Project: x    Alert: y    Short ID: z`, before that `CHECKOUT-1A via y`.
fn footer(message: &Message<'_>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for line in &message.lines {
        for part in line.split("  ").flat_map(|part| part.split(" | ")) {
            if let Some((name, value)) = part.split_once(':') {
                let value = value.trim();
                if !value.is_empty() {
                    pairs.push((name.trim().to_lowercase(), value.to_owned()));
                }
            } else if let Some((id, _)) = part.split_once(" via ") {
                pairs.push(("short id".to_owned(), id.trim().to_owned()));
            }
        }
    }
    pairs
}

fn short_id(footer: &[(String, String)]) -> Option<&str> {
    footer.iter().filter(|(name, _)| name == "short id").map(|(_, id)| id.as_str()).find(|id| is_short_id(id))
}

/// The project in capitals, and a number of base 32.
fn is_short_id(text: &str) -> bool {
    let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "-_".contains(c);
    text.rsplit_once('-').is_some_and(|(project, number)| {
        !project.is_empty() && !number.is_empty() && text.chars().all(capital)
    })
}

/// The text that leads to the issue, else the first heading.
fn title(message: &Message<'_>) -> Option<String> {
    let issue = |(_, url): &&(String, String)| url.contains("/issues/");
    let linked = message.links.iter().find(issue).map(|(text, _)| text.clone());
    let linked = linked.filter(|text| !text.trim().is_empty());
    let title = linked.or_else(|| message.headings.first().cloned())?;
    Some(without_emoji(&title).trim().to_owned())
}
