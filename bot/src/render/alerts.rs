//! A service's alerts, for people who ask: which fire, which fell silent, which are ignored. And what a thread says of those
//! that fire again, or fire on.

use lastgood_core::{
    At, ServiceId,
    card::{Card, Colour, Span},
    rollback::{Phase, Rollback},
    words::spell,
};

use super::{
    listed::{MOST, age},
    posts::note,
    words::{cut, fit, foreign, strong, who},
};
use crate::store::alerts::{Condition, Listed};

/// What is known of one service's alerts.
pub struct Alerts<'a> {
    pub service: &'a ServiceId,
    /// After how many milliseconds without a word an alert is silent.
    pub alert_expires: i64,
    pub listed: &'a [Listed],
}

/// The newest word first.
pub fn alerts(of: &[Alerts<'_>], now: At) -> Card {
    let any = |condition| of.iter().flat_map(|one| one.listed).any(|alert| alert.condition == condition);
    let colour = if any(Condition::Firing) { Colour::Warning } else { Colour::Good };
    let mut card = Card::new(colour, "Alerts");
    let mut left = MOST;
    let all: usize = of.iter().map(|one| one.listed.len()).sum();
    for one in of.iter().filter(|one| !one.listed.is_empty()) {
        for alert in one.listed.iter().take(left) {
            card = card.line(line![
                strong(alert.condition.word()),
                format!(" · {} · ", cut(&one.service.0, 60)),
                foreign(&alert.title),
                " · since ",
                Span::Time(alert.starts_at),
                match alert.count {
                    1 => ", told once".to_owned(),
                    count => format!(", told {count} times"),
                },
                format!(", last {} ago · ", age(now - alert.last_at)),
                Span::Code(cut(&alert.fingerprint, 40)),
            ]);
        }
        left = left.saturating_sub(one.listed.len());
    }
    if all == 0 {
        card = card.line("No alert fires, and none fell silent within a week.");
    }
    if all > MOST {
        card = card.line(format!("… and {} more: `lastgood alert list` lists them all.", all - MOST));
    }
    if any(Condition::Silent) {
        let within = of.iter().map(|one| one.alert_expires).min().unwrap_or_default();
        card = card.line(format!(
            "Silent: nobody told for {} or longer that it fires, nor that it is over. It counts as over.",
            spell(within)
        ));
    }
    fit(card)
}

/// The first one, and what a run that waits for somebody is told anew: more than the count on the card.
pub(super) fn fires(before: &Rollback, run: &Rollback, title: &str, more: u32) -> Option<Card> {
    let what = match (&run.phase, &before.alert) {
        _ if run.pages.len() > before.pages.len() => "a new alert, and the run still waits for a person",
        (Phase::Surveying, _) if matches!(before.phase, Phase::Escalated { .. }) => {
            "a new alert: looking again"
        }
        (Phase::Escalated { .. }, _) => "another alert, and the run waits for a person",
        _ if before.alert_firing() => return None,
        (_, Some(_)) => "the alert fires again",
        (_, None) => "an alert fires",
    };
    let card = note(run, Colour::Bad, what).line(line![foreign(title)]);
    Some(match more {
        0 => card,
        1 => card.line("And one more alert."),
        more => card.line(format!("And {more} more alerts.")),
    })
}

/// The run was rejected, and that stands; whoever is in command has to know that it is not over.
pub(super) fn fires_on(run: &Rollback, title: &str) -> Card {
    let now = run.reminded_at.unwrap_or_default();
    let ago = spell(now.saturating_sub(run.ended_at.unwrap_or(now)));
    let mut line = match &run.commander {
        Some(commander) => line![who(commander), ", this"],
        None => line!["This"],
    };
    line.push(" alert still fires: ".into());
    line.push(foreign(title));
    let card =
        note(run, Colour::Warning, &format!("rejected {ago} ago, and the alert still fires")).line(line);
    card.line(line![
        "Nothing is proposed, because the rollback was rejected. If that is different now: ",
        Span::Code(format!("/rollback {}", run.service)),
        "."
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_says_what_it_is_since_when_and_how_often() {
        let alert = |title: &str, condition, count| Listed {
            fingerprint: "ab12".into(),
            title: title.into(),
            starts_at: 0,
            last_at: 60_000,
            count,
            condition,
        };
        let listed = [
            alert("HighErrorRate", Condition::Firing, 3),
            alert("Disk", Condition::Silent, 1),
            alert("Canary", Condition::Ignored, 2),
        ];
        let service = "checkout".into();
        let of = [Alerts { service: &service, alert_expires: 6 * 3_600_000, listed: &listed }];
        let card = alerts(&of, 8 * 3_600_000).plain();
        for line in [
            "firing · checkout · HighErrorRate · since ",
            "told 3 times, last 7 h ago · ab12",
            "silent · checkout · Disk · since ",
            "told once",
            "ignored · checkout · Canary",
            "Silent: nobody told for 6 h",
        ] {
            assert!(card.contains(line), "{line}\n{card}");
        }
        let none = alerts(&[Alerts { service: &service, alert_expires: 1, listed: &[] }], 0).plain();
        assert!(none.contains("No alert fires"), "{none}");
        let many: Vec<_> = (0..40).map(|_| alert("x", Condition::Firing, 1)).collect();
        let many = alerts(&[Alerts { service: &service, alert_expires: 1, listed: &many }], 0).plain();
        assert!(many.contains("… and 25 more: `lastgood alert list`"), "{many}");
    }
}
