//! A message as the readers look at it: its lines, fields and links in the order in which people read them.

use lastgood_adapters::chat::Posted;

use super::{Heard, Sender, told};
use crate::inbound::{alertmanager::Status, matcher::Labels};

/// Longest text that is looked at: no alert is longer, and expressions of the configuration run over it.
const LONGEST: usize = 20_000;
/// Names of fields and labels that say which service it is.
pub const SERVICE: [&str; 7] =
    ["service", "app", "application", "job", "project", "component", "service_name"];

pub struct Message<'a> {
    pub posted: &'a Posted,
    /// Every line that is not empty, without emphasis.
    pub lines: Vec<String>,
    /// The lines that can hold what it is about: titles, then how each text begins.
    pub headings: Vec<String>,
    pub fields: Vec<(String, String)>,
    /// Text and address; what titles lead to comes first, with an empty text.
    pub links: Vec<(String, String)>,
}

impl<'a> Message<'a> {
    pub fn of(posted: &'a Posted) -> Self {
        let mut lines: Vec<String> = Vec::new();
        let mut budget = LONGEST;
        let mut add = |text: &str| {
            let text: String = text.chars().take(budget).collect();
            budget -= text.chars().count();
            lines.extend(text.lines().map(plain).filter(|line| !line.is_empty()));
        };
        add(&posted.text);
        for part in &posted.parts {
            add(&part.title);
            add(&part.text);
            part.fields.iter().for_each(|(name, value)| add(&format!("{name}: {value}")));
            add(&part.footer);
        }
        let titles = posted.parts.iter().map(|part| part.title.as_str());
        let texts = std::iter::once(posted.text.as_str()).chain(posted.parts.iter().map(|p| p.text.as_str()));
        let begins = texts.flat_map(|text| text.lines().filter(|line| !plain(line).is_empty()).take(3));
        let headings = titles.chain(begins).map(plain).filter(|line| !line.is_empty()).collect();
        let fields = posted.parts.iter().flat_map(|part| &part.fields);
        let fields = fields.map(|(name, value)| (plain(name).trim_end_matches(':').to_owned(), plain(value)));
        let leads = posted.parts.iter().filter_map(|part| Some((String::new(), part.url.clone()?)));
        let links = leads.chain(posted.parts.iter().flat_map(|part| part.links.clone()));
        Self { posted, lines, headings, fields: fields.collect(), links: links.collect() }
    }

    /// Everything, a line each: what expressions of the configuration are matched against.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// A field's value, whatever the case of its name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn sent_by(&self, name: &str) -> bool {
        self.posted.sender.to_lowercase().contains(name)
    }

    /// Whether a link leads to a host with this in its name.
    pub fn leads_to(&self, host: &str) -> bool {
        self.links.iter().any(|(_, url)| {
            let parsed = url::Url::parse(url);
            parsed.is_ok_and(|url| url.host_str().is_some_and(|found| found.contains(host)))
        })
    }

    /// What the message tells, whoever sent it; the reader knows the rest.
    pub fn heard(&self, sender: Sender, status: Status, identity: String, title: String) -> Heard {
        let mut told = told::told(&self.lines, &self.fields, status);
        let named = told.labels.iter().filter(|(name, _)| is_service(name));
        let mut named: Vec<_> = named.map(|(_, value)| value.clone()).collect();
        named.extend(self.fields.iter().filter(|(name, _)| is_service(name)).map(|(_, value)| value.clone()));
        let words = self.text();
        let ignore = told.labels.get("lastgood").is_some_and(|value| value == "ignore")
            || words.split_whitespace().any(|word| {
                word.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case("lastgood=ignore")
            });
        told.links.splice(0..0, self.links.clone());
        // Titles and addresses may come from parts that are no lines.
        let (title, identity) = (storable(&title), storable(&identity));
        Heard {
            sender,
            status,
            identity,
            names: vec![title.clone()],
            title: cut(&title),
            annotations: annotations(sender, told.links, &told.annotations),
            labels: told.labels,
            named,
            words,
            starts_at: self.posted.sent_at,
            ignore,
        }
    }
}

pub fn is_service(name: &str) -> bool {
    let name = name.trim().to_lowercase().replace([' ', '-'], "_");
    SERVICE.contains(&name.as_str())
}

/// Cut so that a card's title can hold it.
fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Without emphasis, and without what PostgreSQL can't store.
pub fn plain(line: &str) -> String {
    storable(line).replace(['*', '`'], "").trim().to_owned()
}

fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The lead of every sender's links, as Alertmanager's webhook names them where it has the same.
fn annotations(sender: Sender, links: Vec<(String, String)>, texts: &Labels) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let texts = texts.iter().map(|(name, value)| (name.clone(), value.clone()));
    let web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    let links = links
        .into_iter()
        .filter(|(_, url)| web(url))
        .map(|(text, url)| (link_name(sender, &text), storable(&url)));
    for (name, value) in links.chain(texts) {
        if !found.iter().any(|(known, same)| *same == value || *known == name) {
            found.push((name, value));
        }
    }
    // A card shows the first few.
    found.sort_by_key(|(name, _)| match name.as_str() {
        "runbook_url" => 0,
        "summary" => 1,
        name if name == sender.word() => 2,
        "dashboard" | "source" => 3,
        _ => 4,
    });
    found
}

fn link_name(sender: Sender, text: &str) -> String {
    let text = plain(text);
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let known = [
        (&["runbook", "playbook"][..], "runbook_url"),
        (&["dashboard"], "dashboard"),
        (&["panel"], "panel"),
        (&["silence", "mute"], "silence"),
        (&["source", "query", "graph", "expression"], "source"),
    ];
    match known.into_iter().find(|(words, _)| has(words)) {
        Some((_, name)) => name.to_owned(),
        None if text.is_empty() => sender.word().to_owned(),
        None => text.chars().take(40).collect(),
    }
}
