//! Who stands still for a rollback (GitOps), since when, until when, and what would happen if they went on.

use lastgood_core::card::{Button, Card, Colour, Line, Span};

use super::{
    Post, View,
    action::{Action, Verb},
    words::{cut, fit, foreign, strong},
};
use crate::store::truces::{State, Truce};
use lastgood_core::card::Style;

/// Slack takes 75 characters in a button.
const LABEL: usize = 60;

/// A field of the root card, as long as it matters.
pub fn field(view: &View) -> Option<Line> {
    let truce = view.truce?;
    let until = || match view.incident {
        Some(incident) if incident.root_cause.is_none() => format!(" until {} closes", incident.id),
        _ => " until somebody resumes it".to_owned(),
    };
    let who = || Span::Text(cut(&truce.who, 200));
    Some(match truce.state {
        State::Held => line![who(), " is suspended", until(), "."],
        State::Resuming => line![who(), " is being resumed."],
        State::Warned => {
            line![
                who(),
                " stays suspended: ",
                foreign(&truce.detail),
                ". Change Git first, or resume it anyway."
            ]
        }
        State::Failed => {
            line![
                who(),
                " is still suspended: resuming it failed: ",
                foreign(&truce.detail),
                ". Try again, or do it by hand."
            ]
        }
        State::Resumed => return None,
    })
}

/// While a run goes on nobody is let go.
pub fn button(view: &View) -> Option<Button> {
    let (run, truce) = (view.rollback, view.truce?);
    if run.active() {
        return None;
    }
    let (verb, label, style) = match truce.state {
        State::Held => (Verb::Resume, format!("Resume {}", truce.who), Style::Plain),
        State::Failed => (Verb::ResumeAnyway, format!("Resume {} again", truce.who), Style::Plain),
        State::Warned => (Verb::ResumeAnyway, "Resume anyway".to_owned(), Style::Danger),
        State::Resuming | State::Resumed => return None,
    };
    let action = Action { rollback: run.id, revision: run.revision, verb }.to_string();
    Some(Button { action, label: cut(&label, LABEL), style, key: 'g', form: None })
}

/// A line of the thread for every turn of it.
pub fn truce(of: &Truce) -> Option<Post> {
    let who = || Span::Text(cut(&of.who, 200));
    let by = || of.actor.split_once(':').map_or(of.actor.as_str(), |(_, name)| name).to_owned();
    let (colour, title, line) = match of.state {
        State::Held => (
            Colour::Neutral,
            "GitOps is suspended",
            line![
                who(),
                " applies this service from Git. It is suspended, so that it does not put the rollback back."
            ],
        ),
        State::Resuming => return None,
        State::Warned => (
            Colour::Warning,
            "GitOps stays suspended",
            line![
                who(),
                ": ",
                foreign(&of.detail),
                ". Change Git first; or press \"Resume anyway\" on the card above."
            ],
        ),
        State::Failed => (
            Colour::Warning,
            "GitOps could not be resumed",
            line![
                who(),
                ": ",
                foreign(&of.detail),
                ". Press \"Resume\" on the card above, or do it by hand."
            ],
        ),
        State::Resumed if !of.detail.is_empty() => {
            (Colour::Neutral, "GitOps", line![who(), ": ", foreign(&of.detail), "."])
        }
        State::Resumed => (
            Colour::Good,
            "GitOps is resumed",
            line![who(), " goes on as before. Asked for by ", strong(by()), "."],
        ),
    };
    Some(Post { card: fit(Card::new(colour, title).line(line)), broadcast: false })
}
