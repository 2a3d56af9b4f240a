//! PagerDuty's Slack app: a message for an incident, edited as the incident goes on, or one for each change in older
//! versions. Always there: a link to the incident or its number, and a word for its state.

use super::{
    Heard, Sender,
    message::{Message, plain},
    subject,
};
use crate::inbound::alertmanager::Status;

const STATES: [(&str, Status); 9] = [
    ("triggered", Status::Firing),
    ("acknowledged", Status::Firing),
    ("unacknowledged", Status::Firing),
    ("escalated", Status::Firing),
    ("reassigned", Status::Firing),
    ("delegated", Status::Firing),
    ("reopened", Status::Firing),
    ("re-opened", Status::Firing),
    ("resolved", Status::Resolved),
];

pub fn read(message: &Message<'_>) -> Option<Heard> {
    let id = message.links.iter().find_map(|(_, url)| incident(url));
    if !(message.sent_by("pagerduty") || id.is_some()) {
        return None;
    }
    let number = message.headings.iter().find_map(|heading| number(heading));
    // Without either it is about something else: who is on call, that it was installed.
    let identity = number.map(|number| format!("#{number}")).or(id)?;
    let status = status(message)?;
    let of_link =
        message.links.iter().filter(|(_, url)| incident(url).is_some()).map(|(text, _)| plain(text));
    let mut titles = message.headings.iter().cloned().chain(of_link).map(|heading| title(&heading));
    let title = titles.find(|title| title.chars().any(char::is_alphanumeric))?;
    let mut heard = message.heard(Sender::PagerDuty, status, identity, title.clone());
    // What Alertmanager sends to PagerDuty has its own heading in it.
    if let Some(subject) = subject::subject(&title) {
        heard.title = subject.title();
        heard.names = vec![subject.title(), subject.group, subject.common, title];
        heard.names.retain(|name| !name.is_empty());
    }
    Some(heard)
}

/// Of `https://acme.pagerduty.com/incidents/Q1AB2`.
fn incident(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    let mut path = url.path_segments()?;
    let ours = host == "pagerduty.com" || host.ends_with(".pagerduty.com");
    let id = path.by_ref().find(|part| *part == "incidents").and_then(|_| path.next())?;
    (ours && !id.is_empty()).then(|| id.to_owned())
}

/// Of `[#1234]`, `Incident #1234`.
fn number(heading: &str) -> Option<&str> {
    heading.split('#').skip(1).find_map(|after| {
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        (digits > 0).then(|| &after[..digits])
    })
}

/// Said by a field, else by how a line begins, else by any word: an incident's own title may have the word, too.
fn status(message: &Message<'_>) -> Option<Status> {
    let of = |word: &str| STATES.iter().find(|(state, _)| state.eq_ignore_ascii_case(word)).map(|(_, s)| *s);
    let words = |line: &str| -> Vec<Status> {
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '-'));
        words.filter(|word| !word.is_empty()).filter_map(of).collect()
    };
    let field = message.field("status").and_then(|value| words(value).first().copied());
    let first = |line: &String| {
        let line = subject::without_emoji(line);
        let word = line.split(|c: char| !(c.is_alphanumeric() || c == '-')).find(|word| !word.is_empty())?;
        of(word)
    };
    let begins = || message.lines.iter().find_map(first);
    let anywhere = || message.lines.iter().find_map(|line| words(line).first().copied());
    field.or_else(begins).or_else(anywhere)
}

/// Without what is in front of an incident's own title.
fn title(heading: &str) -> String {
    let mut rest = subject::without_emoji(heading);
    loop {
        // A bracket is the heading's of another sender, unless the number is in it.
        let mut next = rest.trim_start_matches(|c: char| c.is_whitespace() || "]:-–|•()".contains(c));
        next = next.strip_prefix('[').filter(|inside| inside.starts_with('#')).unwrap_or(next);
        let word = next.split(|c: char| c.is_whitespace() || ":|]".contains(c)).next().unwrap_or_default();
        let number = word.strip_prefix('#').is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
        let skipped = number
            || word.eq_ignore_ascii_case("incident")
            || STATES.iter().any(|(state, _)| state.eq_ignore_ascii_case(word));
        if !skipped || word.is_empty() {
            return next.trim().to_owned();
        }
        rest = next[word.len()..].to_owned();
    }
}
