//! Who was called, who came.

use lastgood_core::{
    Actor,
    card::{Card, Colour, Line, Span},
    rollback::{Page, Rollback},
};

use super::{
    View,
    words::{cut, foreign, who},
};

pub fn pager(view: &View, index: u32) -> Span {
    let name = usize::try_from(index).ok().and_then(|index| view.pagers.get(index));
    Span::Text(name.map_or_else(|| format!("pager {}", index.saturating_add(1)), |name| cut(name, 60)))
}

/// The state of paging in one line, for the root card; none when nobody was called and nobody has to be.
pub fn summary(view: &View) -> Option<Line> {
    let run = view.rollback;
    let last = run.pages.last()?;
    let mut line = match (&last.acknowledged, last.delivered) {
        (None, _) if !run.active() => {
            line![pager(view, last.target), " was called at ", Span::Time(last.at), "; the call has ended"]
        }
        (Some(by), _) => line!["acknowledged by ", who(by)],
        (None, None) => line!["calling ", pager(view, last.target), " since ", Span::Time(last.at)],
        (None, Some(true)) => line![
            pager(view, last.target),
            " was called at ",
            Span::Time(last.at),
            "; nobody acknowledged yet"
        ],
        (None, Some(false)) => line![pager(view, last.target), " could not be called: ", failure(last)],
    };
    if run.pages.len() > 1 {
        line.push(format!(" (call {})", run.pages.len()).into());
    }
    Some(line)
}

fn failure(page: &Page) -> Span {
    page.failure.as_deref().map_or_else(|| "no reason given".into(), foreign)
}

/// Said on an escalated card when there is nobody to call.
pub fn nobody(run: &Rollback) -> Option<&'static str> {
    (run.policy.pagers == 0)
        .then_some("Nobody was paged: the service has no pager configured. Call somebody if you need help.")
}

pub fn paged(view: &View, escalation: u32) -> Option<Card> {
    let run = view.rollback;
    let page = run.pages.iter().find(|page| page.escalation == escalation)?;
    let name = || pager(view, page.target);
    let Some(failure) = page.failure.as_deref() else {
        let again = if escalation > 1 { format!(" (call {escalation})") } else { String::new() };
        let title = format!("{}: {} was paged{again}", run.id, plain(view, page));
        return Some(Card::new(Colour::Warning, title).line(line!["Because: ", foreign(&page.why)]));
    };
    if let Some(by) = &page.acknowledged {
        // Not that nobody could be called: nobody has to be.
        let title = format!("{}: {} did not have to be called", run.id, plain(view, page));
        return Some(Card::new(Colour::Neutral, title).line(line![who(by), " is on it."]));
    }
    let title = format!("{}: {} could not be paged", run.id, plain(view, page));
    let card = Card::new(Colour::Bad, title).line(line![name(), ": ", foreign(failure)]);
    let next = run.pages.last().filter(|last| last.escalation > escalation && last.delivered.is_none());
    Some(match next {
        Some(next) if next.target == page.target => card.line(line!["Trying ", name(), " once more."]),
        Some(next) => card.line(line!["Calling ", pager(view, next.target), " instead."]),
        None if run.active() => card.line(line![
            Span::Strong("Nobody could be called.".into()),
            format!(
                " The next try is in {}, or with the button above; better call somebody yourself.",
                lastgood_core::words::spell(run.policy.ack_within)
            )
        ]),
        None => card,
    })
}

fn plain(view: &View, page: &Page) -> String {
    lastgood_core::card::plain(&[pager(view, page.target)])
}

/// A call repeated because nobody came.
pub fn unacknowledged(view: &View, before: &Rollback) -> Option<Card> {
    let run = view.rollback;
    let within = lastgood_core::words::spell(run.policy.ack_within);
    let title = format!("{}: nobody acknowledged within {within}", run.id);
    before.ringing()?;
    let card = Card::new(Colour::Bad, title);
    let again = run.pages.last().filter(|_| run.pages.len() > before.pages.len());
    Some(match again {
        Some(page) => card.line(line!["Calling ", pager(view, page.target), " now."]),
        None => card
            .line(format!("{} calls, and nobody came. No more calls are made.", run.pages.len()))
            .line("Call somebody yourself."),
    })
}

pub fn acknowledged(run: &Rollback, by: &Actor) -> Card {
    let title = format!("{}: the page was acknowledged", run.id);
    Card::new(Colour::Neutral, title).line(line![who(by), " is on it, and in command."])
}
