//! Labels and annotations that a message spells out: Grafana's default text and many templates for Alertmanager list them
//! as `name = value` or `name: value`.

use std::collections::BTreeSet;

use crate::inbound::{alertmanager::Status, matcher::Labels};

/// Labels are short; what is longer is prose with a colon in it.
const LONGEST: usize = 200;
/// What is a label outside a list of labels, too.
const KNOWN: [&str; 20] = [
    "alertname",
    "app",
    "application",
    "cluster",
    "component",
    "env",
    "environment",
    "host",
    "instance",
    "job",
    "lastgood",
    "namespace",
    "pod",
    "priority",
    "project",
    "region",
    "service",
    "service_name",
    "severity",
    "team",
];
/// Lines of nothing but an address, which end a list.
const LINKS: [&str; 8] = ["source", "silence", "dashboard", "panel", "runbook", "graph", "query", "link"];

#[derive(Default)]
pub struct Told {
    pub labels: Labels,
    pub annotations: Labels,
    /// Name and address.
    pub links: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Section {
    None,
    Labels,
    Annotations,
}

/// Of a message about several alerts, what they have in common: a value that differs says nothing about all of them.
pub fn told(lines: &[String], fields: &[(String, String)], status: Status) -> Told {
    let mut told = Told::default();
    let mut differ: BTreeSet<String> = BTreeSet::new();
    let (mut section, mut list) = (Section::None, status);
    for line in lines {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || "•-–>".contains(c));
        if let Some(of) = list_of(line) {
            (list, section) = (of, Section::None);
        } else if let Some(begun) = section_of(line) {
            section = begun;
        } else if list == status
            && let Some((name, value)) = pair(line)
        {
            let key = name.to_lowercase();
            let leads = key.trim_end_matches("_url");
            let link = section != Section::Annotations || leads == key;
            if link && LINKS.contains(&leads) && value.contains("://") {
                told.links.push((name, value));
                section = Section::None;
            } else if section == Section::Annotations {
                told.annotations.entry(name).or_insert(value);
            } else if section == Section::Labels {
                note(&mut told.labels, &mut differ, name, value);
            } else if KNOWN.contains(&key.as_str()) {
                note(&mut told.labels, &mut differ, key, value);
            }
        }
    }
    for (name, value) in fields {
        let key = name.to_lowercase().replace(' ', "_");
        if key == "tags" {
            tags(value)
                .into_iter()
                .for_each(|(name, value)| note(&mut told.labels, &mut differ, name, value));
        } else if KNOWN.contains(&key.as_str()) && value.len() <= LONGEST {
            note(&mut told.labels, &mut differ, key, value.clone());
        }
    }
    told
}

fn note(labels: &mut Labels, differ: &mut BTreeSet<String>, name: String, value: String) {
    if differ.contains(&name) {
        return;
    }
    if labels.get(&name).is_some_and(|known| *known != value) {
        labels.remove(&name);
        differ.insert(name);
    } else {
        labels.insert(name, value);
    }
}

/// The heading of a list of firing or of resolved alerts.
fn list_of(line: &str) -> Option<Status> {
    let line = line.to_lowercase();
    let line = line.trim_matches(|c: char| !c.is_alphabetic());
    match line {
        "firing" | "alerts firing" | "firing alerts" => Some(Status::Firing),
        "resolved" | "alerts resolved" | "resolved alerts" => Some(Status::Resolved),
        _ => None,
    }
}

fn section_of(line: &str) -> Option<Section> {
    let line = line.to_lowercase();
    match line.trim_matches(|c: char| !c.is_alphabetic()) {
        "labels" | "details" => Some(Section::Labels),
        "annotations" => Some(Section::Annotations),
        "value" => Some(Section::None),
        _ => None,
    }
}

/// `name = value`, `name: value`, `name=value`; none for prose.
fn pair(line: &str) -> Option<(String, String)> {
    let at = line.find(['=', ':'])?;
    let (name, value) = (line[..at].trim(), line[at + 1..].trim());
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let value_fits = !value.is_empty() && (value.len() <= LONGEST || value.contains("://"));
    (!name.is_empty() && name.chars().all(good) && value_fits).then(|| (name.to_owned(), value.to_owned()))
}

/// `service:checkout, env:prod`: how Datadog writes tags and scopes.
pub fn tags(text: &str) -> Labels {
    let words = text.split(|c: char| c == ',' || c.is_whitespace());
    let of = |word: &str| {
        let (name, value) = word.trim_matches(['{', '}', '@', '(', ')']).split_once(':')?;
        let plain = !name.is_empty() && !value.is_empty() && !value.starts_with("//");
        plain.then(|| (name.to_owned(), value.to_owned()))
    };
    words.filter_map(of).collect()
}
