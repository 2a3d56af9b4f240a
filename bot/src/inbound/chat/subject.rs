//! `[FIRING:2] HighErrorRate checkout (critical page)`: the heading that Alertmanager's and Grafana's default templates have
//! in common, and that most templates made by people keep. In front: the values of the labels that alerts are grouped by,
//! `alertname` first; in parentheses: the values of other labels that they share. Label names are not told.

use crate::inbound::alertmanager::Status;

/// States in the brackets.
const STATES: [(&str, Status); 2] = [("firing", Status::Firing), ("resolved", Status::Resolved)];
/// The heading begins here, but for a prefix of a few words or an emoji.
const NEAR: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub status: Status,
    /// Stays the same while alerts of the group come and go.
    pub group: String,
    pub common: String,
}

impl Subject {
    /// What it is called: the group, or for alerts that are not grouped what they share.
    pub fn name(&self) -> &str {
        if self.group.is_empty() { &self.common } else { &self.group }
    }

    /// Without the count, which changes.
    pub fn title(&self) -> String {
        match (self.group.as_str(), self.common.as_str()) {
            (group, "") => group.to_owned(),
            ("", common) => common.to_owned(),
            (group, common) => format!("{group} ({common})"),
        }
    }
}

/// As Alertmanager and Grafana write it now.
pub fn subject(heading: &str) -> Option<Subject> {
    with(heading, &STATES)
}

/// With other words for the states.
pub fn with(heading: &str, states: &[(&str, Status)]) -> Option<Subject> {
    let (status, rest) = bracketed(heading, states).or_else(|| shouted(heading, states))?;
    let rest = rest.trim_matches(|c: char| c.is_whitespace() || "-–—|:".contains(c));
    let (group, common) = match rest.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        Some((group, common)) => (group.trim(), common.trim()),
        None => (rest, ""),
    };
    let subject = Subject { status, group: group.to_owned(), common: common.to_owned() };
    (!subject.name().is_empty()).then_some(subject)
}

/// `[FIRING:2]`, `[FIRING:1, RESOLVED:1]`, with something in front of it or not.
fn bracketed(heading: &str, states: &[(&str, Status)]) -> Option<(Status, String)> {
    for (at, _) in heading.match_indices('[').take_while(|(at, _)| *at <= NEAR) {
        let (inside, after) = heading[at + 1..].split_once(']')?;
        let state = inside.split([':', ',']).next().unwrap_or_default().trim();
        if let Some((_, status)) = states.iter().find(|(word, _)| word.eq_ignore_ascii_case(state)) {
            let before = without_emoji(&heading[..at]);
            let before = before.trim_matches(|c: char| !c.is_alphanumeric());
            return Some((*status, format!("{before} {}", after.trim())));
        }
    }
    None
}

/// `FIRING: HighErrorRate`.
fn shouted(heading: &str, states: &[(&str, Status)]) -> Option<(Status, String)> {
    let heading = without_emoji(heading);
    let heading = heading.trim_start_matches(|c: char| !c.is_alphanumeric());
    states.iter().find_map(|(word, status)| {
        let rest = heading.strip_prefix(&word.to_uppercase())?;
        let ends = rest.starts_with(|c: char| c.is_whitespace() || ":-–|(".contains(c));
        let rest = rest.strip_prefix(':').map_or(rest, |rest| {
            // `FIRING:2 HighErrorRate`
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        });
        ends.then(|| (*status, rest.to_owned()))
    })
}

/// Without `:fire:`.
pub fn without_emoji(text: &str) -> String {
    let code = |word: &&str| word.len() > 2 && word.starts_with(':') && word.ends_with(':');
    text.split(' ').filter(|word| !code(word)).collect::<Vec<_>>().join(" ")
}
