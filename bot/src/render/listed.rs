//! Answers that list things: what runs, what is open, what was deployed; and the bot's own page.

use lastgood_core::{
    Actor, At, Digest, ServiceId,
    card::{Card, Colour, Line, Span},
    inventory::{Origin, Release, Stability},
    rollback::{Phase, Rollback},
};

use super::{
    Incident,
    words::{cut, fit, foreign, strong, version, who},
};
use crate::store::pauses::Pause;

/// Lines of a list: more than this is read on the command line.
pub(super) const MOST: usize = 15;

/// A running rollback or an open incident, as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// `RB-42`, `INC-7`.
    pub name: String,
    pub service: ServiceId,
    /// Its phase, or that it is open.
    pub word: &'static str,
    pub since: At,
    pub commander: Option<Actor>,
    /// Its thread.
    pub link: Option<String>,
}

fn row(listed: &Listed, now: At) -> Line {
    let name = match &listed.link {
        Some(url) => Span::Link { text: listed.name.clone(), url: url.clone() },
        None => strong(listed.name.clone()),
    };
    let mut line =
        line![name, format!(" {} · {} for {}", listed.service, listed.word, age(now - listed.since))];
    match &listed.commander {
        Some(commander) => line.extend(line![" · in command: ", who(commander)]),
        None => line.push(" · nobody is in command".into()),
    }
    line
}

/// In its largest unit.
pub(super) fn age(millis: i64) -> String {
    match millis.max(0) / 60_000 {
        0 => "less than a minute".to_owned(),
        minutes if minutes < 120 => format!("{minutes} min"),
        minutes if minutes < 48 * 60 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / (24 * 60)),
    }
}

fn rows(mut card: Card, what: &str, listed: &[Listed], now: At) -> Card {
    if listed.is_empty() {
        return card.line(format!("No {what}."));
    }
    for one in listed.iter().take(MOST) {
        card = card.line(row(one, now));
    }
    match listed.len().saturating_sub(MOST) {
        0 => card,
        more => card.line(format!("… and {more} more: `lastgood status` lists them all.")),
    }
}

pub fn status(runs: &[Listed], incidents: &[Listed], pauses: &[Pause], now: At) -> Card {
    let card = Card::new(colour(runs, incidents), "Status");
    let card = rows(card, "rollback is running", runs, now);
    fit(paused(rows(card, "incident is open", incidents, now), pauses))
}

/// Where nothing is shifted without a click.
fn paused(card: Card, pauses: &[Pause]) -> Card {
    pauses.iter().take(MOST).fold(card, |card, pause| {
        let mut line = line![strong("Paused: ")];
        line.push(match &pause.service {
            Some(service) => format!("{} is not shifted without a click", cut(&service.0, 60)).into(),
            None => "nothing is shifted without a click".into(),
        });
        line.extend(line![", said ", Span::Text(cut(&pause.by.name, 40)), " at ", Span::Time(pause.at)]);
        if !pause.reason.is_empty() {
            line.extend(line![": ", foreign(&pause.reason)]);
        }
        card.line(line)
    })
}

pub fn incidents(open: &[Listed], now: At) -> Card {
    let card = Card::new(colour(&[], open), "Open incidents");
    fit(rows(card, "incident is open", open, now))
}

/// The bot's own page.
pub fn home(runs: &[Listed], incidents: &[Listed], pauses: &[Pause], now: At) -> Card {
    let card = Card::new(colour(runs, incidents), "lastgood").line(line![strong("Running rollbacks")]);
    let card = rows(card, "rollback is running", runs, now).line(line![strong("Open incidents")]);
    let card = paused(rows(card, "incident is open", incidents, now), pauses);
    fit(card.line(line![
        "Propose one with ",
        Span::Code("/rollback SERVICE".into()),
        "; ",
        Span::Code("/rollback help".into()),
        " lists everything else."
    ]))
}

fn colour(runs: &[Listed], incidents: &[Listed]) -> Colour {
    match (runs, incidents) {
        ([], []) => Colour::Good,
        ([], _) => Colour::Warning,
        _ => Colour::Working,
    }
}

/// One incident, from when to when, and its runs, newest first.
pub fn incident(
    incident: Incident<'_>,
    service: &ServiceId,
    (opened_at, closed_at): (At, Option<At>),
    runs: &[Rollback],
    link: Option<String>,
) -> Card {
    let colour = if closed_at.is_some() { Colour::Good } else { Colour::Warning };
    let mut card = Card::new(colour, format!("{}: {service}", incident.id));
    card = match (incident.root_cause, closed_at) {
        (Some(cause), Some(at)) => {
            card.line(line!["Closed at ", Span::Time(at), ". ", strong("Root cause: "), foreign(cause)])
        }
        _ => card.line(line!["Open since ", Span::Time(opened_at), "; it closes only with a root cause."]),
    };
    for state in runs.iter().take(MOST) {
        let word = match &state.phase {
            Phase::Ended { end } => end.word(),
            phase => phase.word(),
        };
        let mut line = line![strong(state.id.to_string()), format!(" {word}")];
        if let Some(failing) = state.failing() {
            line.extend(line![" · ", version(&failing.artifact)]);
        }
        if let Some(target) = state.target() {
            line.extend(line![" → ", version(target)]);
        }
        card = card.line(line);
    }
    if let Some(url) = link {
        card = card.line(line![Span::Link { text: "Its thread".into(), url }]);
    }
    fit(card)
}

/// What was deployed, newest first.
pub fn history(
    service: &ServiceId,
    releases: &[Release],
    marked: &dyn Fn(&Digest) -> Option<Stability>,
) -> Card {
    let mut card = Card::new(Colour::Neutral, format!("{service}: what was deployed"));
    if releases.is_empty() {
        card = card.line("Nothing was recorded yet; `lastgood record` does, from the pipeline.");
    }
    for release in releases {
        let mut line = line![
            version(&release.artifact),
            format!(" {} · ", release.artifact.digest.short()),
            Span::Time(release.at),
            format!(" · {}", release.phase.as_str())
        ];
        if let Some(pool) = &release.pool {
            line.push(format!(" in {}", cut(pool, 40)).into());
        }
        if matches!(release.origin, Origin::Rollback) {
            line.push(" · by a rollback".into());
        }
        match marked(&release.artifact.digest) {
            Some(Stability::Unstable { provisional: true, .. }) => line.push(" · being rolled back".into()),
            Some(Stability::Unstable { why, .. }) => {
                line.extend(line![strong(" · unstable: "), foreign(&why)]);
            }
            Some(Stability::Stable { .. }) => line.push(" · stable".into()),
            Some(Stability::Unproven) | None => {}
        }
        card = card.line(line);
    }
    fit(card)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, link: Option<&str>) -> Listed {
        Listed {
            name: name.into(),
            service: "checkout".into(),
            word: "proposed",
            since: 1_000_000,
            commander: Some(Actor::new("slack:U1", "ana")),
            link: link.map(str::to_owned),
        }
    }

    #[test]
    fn the_page_says_what_runs_who_commands_and_what_to_type() {
        let page = home(&[listed("RB-1", Some("https://x/p1"))], &[], &[], 1_000_000 + 11 * 60_000);
        assert_eq!(
            page.plain(),
            "lastgood\nRunning rollbacks\nRB-1 (https://x/p1) checkout · proposed for 11 min · in command: @ana\n\
             Open incidents\nNo incident is open.\n\
             Propose one with /rollback SERVICE; /rollback help lists everything else."
        );
    }

    #[test]
    fn a_long_list_says_how_much_is_left_out() {
        let many: Vec<_> = (0..40).map(|number| listed(&format!("RB-{number}"), None)).collect();
        let card = status(&many, &[], &[], 2_000_000);
        assert!(card.plain().contains("… and 25 more"), "{}", card.plain());
    }

    #[test]
    fn a_pause_is_part_of_the_status() {
        let by = Actor::new("slack:U1", "ana");
        let all = Pause { service: None, by: by.clone(), reason: "freeze <b>".into(), at: 0 };
        let one = Pause { service: Some("checkout".into()), by, reason: String::new(), at: 0 };
        let card = status(&[], &[], &[all, one], 0).plain();
        assert!(card.contains("Paused: nothing is shifted without a click, said ana at "), "{card}");
        assert!(card.contains(": freeze <b>"), "{card}");
        assert!(card.contains("Paused: checkout is not shifted without a click, said ana at "), "{card}");
    }

    #[test]
    fn ages_are_read_at_a_glance() {
        for (millis, text) in [
            (-5, "less than a minute"),
            (59_999, "less than a minute"),
            (60_000, "1 min"),
            (119 * 60_000, "119 min"),
            (120 * 60_000, "2 h"),
            (72 * 3_600_000, "3 days"),
        ] {
            assert_eq!(age(millis), text);
        }
    }
}
