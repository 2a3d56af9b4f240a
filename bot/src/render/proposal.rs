//! The proposal: what is known, what is proposed and why, what speaks against it, who may decide and until when.

use lastgood_core::{
    card::{Card, Line, Span},
    inventory::{choice::Candidate, suspect::Suspect, target::Target},
    rollback::{Approval, Kind, Phase, Proposal, Rollback},
    words::spell,
};

use super::{
    View, buttons,
    words::{
        cut, digest, failing_name, foreign, going_to, is_undo, link, people, routing, strong, target_name,
        version, who,
    },
};

/// Skipped candidates shown; the ones behind are older still.
const SKIPPED: usize = 5;
const CAVEATS: usize = 6;
const NOTES: usize = 5;

/// The root card while people decide.
pub fn card(mut card: Card, view: &View, confirming: bool) -> Card {
    let run = view.rollback;
    let (Some(proposal), Some(target)) = (&run.proposal, run.goal()) else { return card };
    if let Some(reason) = &run.superseded {
        card =
            card.line(line![strong("This is a new proposal"), ", the last one is void: ", foreign(reason)]);
    }
    if let Some(doubt) = &proposal.doubt {
        card = card.line(line![strong("It may not be the release: "), foreign(doubt)]);
    }
    for line in known(view, proposal) {
        card = card.line(line);
    }
    card = card.line(proposed(run, proposal));
    if let Some(line) = alert_over(run) {
        card = card.line(line);
    }
    card = caveats(card, proposal, confirming);
    card = skipped(card, run);
    for note in proposal.notes.iter().take(NOTES) {
        card = card.line(line!["Note: ", foreign(note)]);
    }
    card = click_needed(card, run);
    card = card.line(next(view, proposal, confirming));
    if let Some(failing) = &proposal.failing {
        card = card.field(if is_undo(run) { "Live now" } else { "Failing" }, suspect(failing));
    }
    card = card.field(
        "Back to",
        line![version(target.artifact()), " ", digest(&target.artifact().digest), ", ", pools(run, target)],
    );
    card = card.field("Traffic now", routing(run, &proposal.live.shares));
    card = card.field("Approvals", approvals(run));
    card.field("Expires", line![Span::Time(proposal.expires_at)])
}

/// What is known, before anything is proposed.
pub fn known(view: &View, proposal: &Proposal) -> Vec<Line> {
    let run = view.rollback;
    let mut lines = Vec::new();
    if let Kind::Undo { of, .. } = &run.kind {
        lines.push(line![format!("This puts the routing back as it was before {of}.")]);
        lines.push(line![
            strong("Warning: "),
            going_to(run),
            format!(" is what {of} moved traffic away from.")
        ]);
        return lines;
    }
    match &proposal.failing {
        Some(failing) => lines.push(went_live(run, failing)),
        None => lines.push(line!["What is live now is not known."]),
    }
    for dependency in view.dependencies.iter().take(NOTES) {
        lines.push(line!["Also recent: ", foreign(dependency)]);
    }
    lines
}

/// "v2.5.0 went live 6 min before this alert."
fn went_live(run: &Rollback, failing: &Suspect) -> Line {
    let Some(since) = failing.since else {
        return line![version(&failing.artifact), " is live; when it went live was never recorded."];
    };
    let (then, what) = match &run.alert {
        Some(alert) => (alert.since, "this alert"),
        None => (run.opened_at, "this was asked for"),
    };
    let ago = then - since;
    let when = match ago {
        0.. => format!(" went live {} before {what}.", spell(ago)),
        _ => format!(" went live {} after {what}: it did not start it.", spell(-ago)),
    };
    line![version(&failing.artifact), when]
}

fn proposed(run: &Rollback, proposal: &Proposal) -> Line {
    let what = if proposal.doubt.is_some() { "Possible, not proposed yet: " } else { "Proposed: " };
    let mut line = line![strong(what), "all traffic back to ", going_to(run), ". "];
    if is_undo(run) {
        line = line![strong("Proposed: "), "traffic as it was: "];
        line.extend(run.goal().map(|target| routing(run, target.routing())).unwrap_or_default());
        line.push(".".into());
        return line;
    }
    let target = run.target().map(|target| &target.digest);
    let target = proposal.candidates.iter().find(|c| Some(&c.artifact.digest) == target);
    if let Some(candidate) = target {
        line.extend(trust(proposal, candidate));
    }
    line
}

fn trust(proposal: &Proposal, candidate: &Candidate) -> Line {
    let mut line = match &candidate.skip {
        Some(_) => line!["It was chosen by a person; deployed ", Span::Time(candidate.at)],
        None => match proposal.live.set().get(&candidate.artifact.digest) {
            Some(share) => {
                line![format!("It still serves {share} % of traffic; deployed "), Span::Time(candidate.at)]
            }
            None => {
                let because = candidate.because.as_deref().unwrap_or("nothing speaks against it");
                line![format!("Trusted because {because}; deployed "), Span::Time(candidate.at)]
            }
        },
    };
    if let Some((first, more)) = candidate.pools.split_first() {
        let more = if more.is_empty() { "" } else { " and others" };
        line.push(Span::Text(format!(", running in {}{more} now", cut(first, 40))));
    }
    line.push(".".into());
    if let Some(warning) = &candidate.warning {
        line.extend([" Warning: ".into(), foreign(warning), ".".into()]);
    }
    line
}

fn alert_over(run: &Rollback) -> Option<Line> {
    let over = run.alert.as_ref().is_some_and(|alert| !alert.firing);
    over.then(|| {
        line![
            strong("The alert has resolved. "),
            "Check whether a rollback is still needed; the proposal stays until somebody decides."
        ]
    })
}

fn caveats(mut card: Card, proposal: &Proposal, confirming: bool) -> Card {
    if proposal.caveats.is_empty() {
        return card;
    }
    let heading = if confirming { "Confirm that you know:" } else { "Know before you approve:" };
    card = card.line(line![strong(heading)]);
    for caveat in proposal.caveats.iter().take(CAVEATS) {
        card = card.line(line!["• ", foreign(&caveat.text)]);
    }
    match proposal.caveats.len().saturating_sub(CAVEATS) {
        0 => card,
        more => card.line(format!("and {more} more")),
    }
}

/// Releases that were passed over, each with its reason.
pub fn skipped(mut card: Card, run: &Rollback) -> Card {
    // An undo passes nothing over: it goes back to where it came from.
    let Some(proposal) = run.proposal.as_ref().filter(|_| !is_undo(run)) else { return card };
    let target = run.target().map(|target| &target.digest);
    let skipped: Vec<_> = proposal
        .candidates
        .iter()
        .filter(|c| Some(&c.artifact.digest) != target)
        .filter_map(|c| c.skip.as_ref().map(|skip| (&c.artifact, skip)))
        .collect();
    if skipped.is_empty() {
        return card;
    }
    card = card.line("Passed over:");
    for (artifact, skip) in skipped.iter().take(SKIPPED) {
        card = card.line(line!["• ", version(artifact), ": ", foreign(&skip.to_string())]);
    }
    match skipped.len().saturating_sub(SKIPPED) {
        0 => card,
        more => card.line(format!("and {more} more")),
    }
}

/// Why somebody has to click where the configuration asks nobody.
fn click_needed(card: Card, run: &Rollback) -> Card {
    match &run.policy.click_needed {
        Some(why) => {
            card.line(line![strong("A click is needed although approval = none: "), foreign(why), "."])
        }
        None => card,
    }
}

fn next(view: &View, proposal: &Proposal, confirming: bool) -> Line {
    let run = view.rollback;
    if proposal.doubt.is_some() {
        let call = match (run.ringing(), &run.commander) {
            (Some(_), _) => "the commander is being called",
            (None, Some(_)) => "talk to the commander",
            (None, None) if run.policy.pagers == 0 => "call the incident commander",
            (None, None) => "page the commander",
        };
        return line![
            strong("First: "),
            call,
            ". If you know that it is the release, “propose anyway” opens the vote."
        ];
    }
    let mut line = line![strong("Now: ")];
    if confirming && !proposal.caveats.is_empty() {
        line.push("one more click says that the points above are known. Until then nothing moves.".into());
        return line;
    }
    line.push(format!("{}; nothing moves before that.", voters(run)).into());
    line
}

/// Who may approve, in words.
fn voters(run: &Rollback) -> String {
    let service = cut(&run.service.0, 60);
    match run.policy.approvals {
        0 | 1 => format!("an approver of {service} decides"),
        n => format!("{n} approvers of {service} have to agree"),
    }
}

/// The configuration lets the service roll back without a click, and this run made use of it.
pub fn nobody_asked(run: &Rollback) -> bool {
    let decided = !matches!(run.phase, Phase::Surveying | Phase::Proposed { .. });
    let going = run.approved_at.is_some() || matches!(run.phase, Phase::Deciding);
    run.policy.approval == Approval::None && run.approvals.is_empty() && decided && going
}

/// `1 of 2 (ana)`
pub fn approvals(run: &Rollback) -> Line {
    if nobody_asked(run) {
        return line!["none asked for: the configuration says approval = none"];
    }
    let mut line = line![format!("{} of {}", run.approvals.len(), run.policy.approvals.max(1))];
    if !run.approvals.is_empty() {
        line.push(" (".into());
        line.extend(people(&run.approvals));
        line.push(")".into());
    }
    let voting = matches!(run.phase, Phase::Proposed { .. });
    if let (Some(by), true) = (&run.by, voting && !run.policy.requester_may_approve) {
        line.extend(["; not by ".into(), who(by), ", who asked for it".into()]);
    }
    line
}

/// `v2.5.0 ab12cd34ef56, 100 % of traffic, by ci, build`
pub fn suspect(failing: &Suspect) -> Line {
    let mut line = line![
        version(&failing.artifact),
        " ",
        digest(&failing.artifact.digest),
        format!(", {} % of traffic", failing.share)
    ];
    if let Some(since) = failing.since {
        line.extend([", live since ".into(), Span::Time(since)]);
    }
    if let Some(by) = &failing.by {
        line.extend([", by ".into(), Span::Text(cut(by, 60))]);
    }
    if let Some(url) = &failing.url {
        line.extend([", ".into(), link("deployment", url)]);
    }
    line
}

fn pools(run: &Rollback, target: &Target) -> Span {
    let to = target.routing().iter().filter(|(_, share)| **share > 0);
    let words: Vec<_> = to.map(|(pool, share)| format!("{} {share} %", cut(pool, 40))).collect();
    match words.is_empty() {
        true => Span::Text(format!("all traffic of {}", cut(&run.service.0, 60))),
        false => Span::Text(words.join(", ")),
    }
}

/// The record of a proposal in the thread; the root card moves on.
pub fn post(view: &View) -> Option<Card> {
    let run = view.rollback;
    let proposal = run.proposal.as_ref()?;
    let colour = lastgood_core::card::Colour::Warning;
    let title = match is_undo(run) {
        _ if proposal.doubt.is_some() => format!("{}: an alert, and maybe not the release", run.id),
        true => format!("{}: proposed to go back to {}", run.id, target_name(run)),
        false => format!("{}: proposed {} → {}", run.id, failing_name(run), target_name(run)),
    };
    let mut card = Card::new(colour, title);
    if let Some(reason) = &run.superseded {
        card = card.line(line!["It replaces the last proposal: ", foreign(reason)]);
    }
    if let Some(doubt) = &proposal.doubt {
        card = card.line(line![strong("It may not be the release: "), foreign(doubt)]);
    }
    for line in known(view, proposal) {
        card = card.line(line);
    }
    card = card.line(proposed(run, proposal));
    card = caveats(card, proposal, false);
    card = click_needed(skipped(card, run), run);
    Some(match nobody_asked(run) {
        true => card.line(line![
            strong("Nobody is asked: "),
            "the configuration lets this service roll back without approval (approval = none)."
        ]),
        false => card.line("Decide on the card at the top of the thread."),
    })
}

/// Somebody chose another target.
pub fn chosen(view: &View, by: &lastgood_core::Actor) -> Card {
    let run = view.rollback;
    let title = format!("{}: {} is proposed instead", run.id, target_name(run));
    let mut card = Card::new(lastgood_core::card::Colour::Warning, title).line(line![
        who(by),
        " chose ",
        going_to(run),
        ". Earlier approvals are void; it needs its own."
    ]);
    if let Some(proposal) = &run.proposal {
        card = caveats(card, proposal, false);
    }
    card
}

/// Says what could be chosen, where nothing is proposed.
pub fn possible(card: Card, run: &Rollback) -> Card {
    match buttons::choices(run).len() {
        0 => card,
        n => card.line(format!("{n} of them could be made to serve: “choose another version”.")),
    }
}
