//! Pieces of sentences that several cards share, and the limits that every card keeps.

use lastgood_core::{
    Actor, Artifact, Digest, Shares,
    card::{Card, Line, Span},
    rollback::{Kind, Phase, Rollback, Why},
};

use super::View;

/// Longest pieces, in characters. Slack takes 150 in a header; the others keep a card readable on a phone.
const TITLE: usize = 150;
const LINE: usize = 600;
const FIELDS: usize = 20;
const FIELD_NAME: usize = 60;
const FIELD: usize = 300;
/// Foreign details inside a sentence of ours: long enough for an error message.
const DETAIL: usize = 400;
const VERSION: usize = 60;

/// One line of foreign text, cut readably. Control and direction characters could make it read as something else.
pub fn cut(text: &str, max: usize) -> String {
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let clean: String =
        text.chars().filter(|c| !hidden(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    clip(&clean, max)
}

fn clip(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Text from outside.
pub fn foreign(text: &str) -> Span {
    Span::Text(cut(text, DETAIL))
}

pub fn version(artifact: &Artifact) -> Span {
    Span::Code(name(artifact))
}

/// A version where only a string will do: titles and labels, which platforms draw as plain text.
pub fn name(artifact: &Artifact) -> String {
    cut(&artifact.version, VERSION)
}

pub fn digest(digest: &Digest) -> Span {
    Span::Code(digest.short().to_owned())
}

pub fn who(actor: &Actor) -> Span {
    Span::Mention(actor.clone())
}

pub fn strong(text: impl Into<String>) -> Span {
    Span::Strong(text.into())
}

/// Text as a link where it is one that a browser may follow.
pub fn link(text: &str, url: &str) -> Span {
    let safe = url.len() <= 2_000
        && url::Url::parse(url).is_ok_and(|parsed| matches!(parsed.scheme(), "http" | "https"));
    match safe {
        true => Span::Link { text: cut(text, 80), url: url.to_owned() },
        false => Span::Text(format!("{}: {}", cut(text, 80), cut(url, 200))),
    }
}

/// Actors in a row: `ana and ben`.
pub fn people(actors: &[Actor]) -> Line {
    let mut line = Line::new();
    for (index, actor) in actors.iter().enumerate() {
        if index > 0 {
            line.push(" and ".into());
        }
        line.push(who(actor));
    }
    line
}

/// `checkout in production`.
pub fn place(view: &View) -> String {
    let service = cut(&view.rollback.service.0, 60);
    match view.environment {
        "" => service,
        environment => format!("{service} in {}", cut(environment, 30)),
    }
}

/// What the run goes to; none while that is not known.
pub fn target(run: &Rollback) -> Option<&Artifact> {
    match run.phase {
        Phase::Escalated { why: Why::NoCandidate { .. } } => None,
        _ => run.target(),
    }
}

pub fn target_name(run: &Rollback) -> String {
    target(run).map_or_else(|| "the last stable version".to_owned(), name)
}

pub fn failing_name(run: &Rollback) -> String {
    run.failing().map_or_else(|| "the failing version".to_owned(), |failing| name(&failing.artifact))
}

pub fn failing(run: &Rollback) -> Span {
    run.failing().map_or_else(|| "what was live".into(), |failing| version(&failing.artifact))
}

/// What traffic moves to, in a sentence of its own: a version as code, or plain words.
pub fn going_to(run: &Rollback) -> Span {
    target(run).map_or_else(|| "the last stable version".into(), version)
}

pub fn is_undo(run: &Rollback) -> bool {
    matches!(run.kind, Kind::Undo { .. })
}

/// Pools that carry traffic, with what runs in them: `blue 100 % (v2.4.1)`.
pub fn routing(run: &Rollback, shares: &Shares) -> Line {
    let mut line = Line::new();
    for (pool, share) in shares.iter().filter(|(_, share)| **share > 0) {
        if !line.is_empty() {
            line.push(", ".into());
        }
        line.push(Span::Text(format!("{} {share} %", cut(pool, 40))));
        if let Some(artifact) = running(run, shares, pool) {
            line.extend([" (".into(), artifact, ")".into()]);
        }
    }
    if line.is_empty() {
        line.push("no pool carries traffic".into());
    }
    line
}

/// What a pool runs, as far as this run knows. After a verified shift it is the target, also where the pool's content
/// was replaced.
fn running(run: &Rollback, shares: &Shares, pool: &str) -> Option<Span> {
    let proposal = run.proposal.as_ref()?;
    let other = matches!(run.phase, Phase::Escalated { why: Why::OtherBytes { .. } });
    if let Some(target) = target(run).filter(|_| run.moved && !other && run.is_there(shares)) {
        return Some(version(target));
    }
    let found = proposal.live.pools.get(pool)?.digest()?;
    let failing = proposal.failing.iter().map(|f| &f.artifact);
    let known = failing.chain(run.target()).chain(proposal.candidates.iter().map(|c| &c.artifact));
    let named = known.into_iter().find(|artifact| artifact.digest == *found);
    Some(named.map_or_else(|| digest(found), version))
}

/// The last routing that was read.
pub fn traffic(run: &Rollback) -> Line {
    run.shares.as_ref().map_or_else(|| line!["not read yet"], |shares| routing(run, shares))
}

/// Cuts a card to what people read and platforms take.
pub fn fit(mut card: Card) -> Card {
    card.title = cut(&card.title, TITLE);
    card.text = card.text.into_iter().map(|line| fit_line(line, LINE)).collect();
    let more = card.fields.len().saturating_sub(FIELDS);
    if more > 0 {
        card.fields.truncate(FIELDS - 1);
        let text = format!("{} more fields are not shown", more + 1);
        card = card.field("More", text);
    }
    for field in &mut card.fields {
        field.name = cut(&field.name, FIELD_NAME);
        field.value = fit_line(std::mem::take(&mut field.value), FIELD);
    }
    card
}

fn fit_line(line: Line, max: usize) -> Line {
    let mut left = max;
    let mut fitted = Line::new();
    for span in line.into_iter().flat_map(outside_spaces) {
        if left == 0 {
            break;
        }
        let (span, used) = match span {
            Span::Text(text) => short(text, left, Span::Text),
            Span::Strong(text) => short(text, left, Span::Strong),
            Span::Code(text) => short(text, left, Span::Code),
            Span::Link { text, url } => short(text, left, |text| Span::Link { text, url }),
            other @ (Span::Mention(_) | Span::Time(_)) => (other, 16),
        };
        left = left.saturating_sub(used);
        fitted.push(span);
    }
    fitted
}

/// Slack and Discord draw bold text that ends with a space as asterisks: spaces go outside.
fn outside_spaces(span: Span) -> Vec<Span> {
    let Span::Strong(text) = &span else { return vec![span] };
    let bold = text.trim();
    if bold.len() == text.len() {
        return vec![span];
    }
    let lead = if text.starts_with(char::is_whitespace) { " " } else { "" };
    let tail = if text.ends_with(char::is_whitespace) { " " } else { "" };
    let spans = [Span::from(lead), strong(bold), tail.into()];
    let empty = |span: &Span| matches!(span, Span::Text(text) | Span::Strong(text) if text.is_empty());
    spans.into_iter().filter(|span| !empty(span)).collect()
}

fn short(text: String, left: usize, span: impl FnOnce(String) -> Span) -> (Span, usize) {
    let text = clip(&text, left);
    let used = text.chars().count();
    (span(text), used)
}
