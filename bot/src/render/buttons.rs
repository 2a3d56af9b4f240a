//! Which buttons a state offers: those that the state machine would take now, and no others. Who may press them is the
//! state machine's business; everybody sees the same card.

use lastgood_core::{
    card::{Button, Form, Input, Style},
    inventory::choice::Candidate,
    rollback::{End, Phase, Rollback, Why},
};

use super::{
    View,
    action::{Action, Verb, input, option_value},
    words::{cut, failing_name, is_undo, name, target_name},
};

/// Slack takes 75 characters in a button and in an option, Discord 80 and 100.
const LABEL: usize = 60;
const OPTION: usize = 75;
/// Discord's limit for the label of an input.
const INPUT: usize = 45;
/// Discord's and Slack's limits for what an empty input shows.
const HINT: usize = 100;
/// Slack's and Discord's limit for options.
const OPTIONS: usize = 25;

pub fn of(view: &View) -> Vec<Button> {
    let run = view.rollback;
    let mut buttons = match &run.phase {
        Phase::Surveying => vec![stop(run)],
        Phase::Proposed { confirming } => proposed(run, *confirming),
        Phase::Deciding | Phase::Fetching | Phase::Preflight => vec![stop(run)],
        Phase::Shifting { .. } | Phase::Holding { .. } | Phase::Observing { .. } => vec![stop(run)],
        Phase::Confirming { .. } => confirming(run),
        Phase::Stopping { .. } => vec![],
        Phase::Escalated { why } => escalated(run, why),
        Phase::Ended { end } => ended(view, end),
    };
    if run.active() {
        buttons.extend(paging(run));
    }
    buttons.extend(super::truce::button(view));
    // Calling somebody is what a doubtful proposal leads with, and who was called says so before anything else.
    let first: &[char] = match run.phase {
        Phase::Proposed { .. } if doubted(run) => &['p', 'k'],
        Phase::Escalated { .. } => &['k'],
        _ => &[],
    };
    buttons.sort_by_key(|button| !first.contains(&button.key));
    buttons
}

fn doubted(run: &Rollback) -> bool {
    matches!(run.phase, Phase::Proposed { .. }) && run.proposal.as_ref().is_some_and(|p| p.doubt.is_some())
}

fn button(run: &Rollback, verb: Verb, label: &str, style: Style, key: char) -> Button {
    let action = Action { rollback: run.id, revision: run.revision, verb }.to_string();
    Button { action, label: cut(label, LABEL), style, key, form: None }
}

fn with_form(mut button: Button, title: &str, submit: &str, inputs: Vec<Input>) -> Button {
    button.form = Some(Form { title: cut(title, 24), submit: cut(submit, 24), inputs });
    button
}

fn text(id: &str, label: &str, hint: &str, required: bool) -> Input {
    Input { id: id.into(), label: cut(label, INPUT), hint: cut(hint, HINT), required, options: vec![] }
}

/// Before a decision `reject` says the same with a reason, so `stop` is for the time after it (and for the survey).
fn proposed(run: &Rollback, confirming: bool) -> Vec<Button> {
    let mut buttons = if doubted(run) {
        vec![button(run, Verb::ProposeAnyway, "Propose anyway", Style::Plain, 'y')]
    } else {
        vec![approve(run, confirming)]
    };
    buttons.extend(choose(run));
    let reason = text(input::REASON, "Why not? (optional)", "shown in the thread", false);
    let reject = button(run, Verb::Reject, "Reject", Style::Plain, 'r');
    buttons.push(with_form(reject, "Reject the rollback", "Reject", vec![reason]));
    buttons
}

fn approve(run: &Rollback, confirming: bool) -> Button {
    let caveats = run.proposal.as_ref().map_or(&[][..], |p| &p.caveats);
    if caveats.iter().any(|caveat| caveat.needs_reason) {
        let label = format!("Approve {} with a reason", target_name(run));
        let reason =
            text(input::REASON, "Why is it right all the same?", "shown in the thread, and kept", true);
        let anyway = button(run, Verb::ApproveAnyway, &label, Style::Danger, 'a');
        return with_form(anyway, "Approve with a reason", "Approve", vec![reason]);
    }
    if confirming && !caveats.is_empty() {
        let label = format!("Approve {} anyway", target_name(run));
        return button(run, Verb::ApproveAnyway, &label, Style::Danger, 'a');
    }
    let label = match is_undo(run) {
        true => format!("Approve: back to {}", target_name(run)),
        false => format!("Roll back to {}", target_name(run)),
    };
    button(run, Verb::Approve, &label, Style::Primary, 'a')
}

/// Candidates that can be made to serve, other than the one proposed.
pub fn choices(run: &Rollback) -> Vec<&Candidate> {
    // An undo goes back to where it came from; another version is a rollback of its own.
    let Some(proposal) = run.proposal.as_ref().filter(|_| !is_undo(run)) else { return vec![] };
    let proposed = run.target().map(|target| &target.digest);
    let other = |c: &&Candidate| c.possible && Some(&c.artifact.digest) != proposed;
    proposal.candidates.iter().filter(other).take(OPTIONS).collect()
}

fn choose(run: &Rollback) -> Option<Button> {
    let choices = choices(run);
    if choices.is_empty() {
        return None;
    }
    let option = |candidate: &&Candidate| {
        let artifact = &candidate.artifact;
        let mut label = format!("{} ({})", cut(&artifact.version, 30), artifact.digest.short());
        if let Some(skip) = &candidate.skip {
            label = format!("{label}: {skip}");
        }
        (option_value(&artifact.digest), cut(&label, OPTION))
    };
    let candidate = Input {
        id: input::CANDIDATE.into(),
        label: "Version to go back to".into(),
        hint: "newest first".into(),
        required: true,
        options: choices.iter().map(option).collect(),
    };
    let choose = button(run, Verb::Choose, "Choose another version", Style::Plain, 'c');
    Some(with_form(choose, "Choose a version", "Propose it", vec![candidate]))
}

/// Nothing has to be pressed: it ends by itself.
fn confirming(run: &Rollback) -> Vec<Button> {
    let mut buttons = vec![button(run, Verb::Stop, "Stop watching", Style::Plain, 's')];
    buttons.extend(undo(run));
    buttons
}

fn stop(run: &Rollback) -> Button {
    button(run, Verb::Stop, "Stop", Style::Danger, 's')
}

fn paging(run: &Rollback) -> Vec<Button> {
    let come = || button(run, Verb::Acknowledge, "I'm on it", Style::Primary, 'k');
    let call = |label| button(run, Verb::PageCommander, label, Style::Plain, 'p');
    match run.ringing() {
        // Nobody heard it: somebody may still come, and somebody may want to try again at once.
        Some(page) if page.delivered == Some(false) || !run.is_ringing() => {
            vec![come(), call("Page again now")]
        }
        Some(_) => vec![come()],
        None if run.policy.pagers == 0 => vec![],
        None => vec![call("Page the commander")],
    }
}

fn escalated(run: &Rollback, why: &Why) -> Vec<Button> {
    let mut buttons = Vec::new();
    if let Why::InstancesUnreachable { .. } = why {
        let reason =
            text(input::REASON, "What happens to the traffic there?", "shown in the thread, and kept", true);
        let over = button(run, Verb::Override, "Go on without them", Style::Danger, 'o');
        buttons.push(with_form(over, "Go on without them", "Go on", vec![reason]));
    }
    if let Why::NoCandidate { .. } = why {
        buttons.extend(choose(run));
    }
    buttons.push(button(run, Verb::Retry, retry_label(run, why), Style::Primary, 't'));
    if !matches!(why, Why::NoCandidate { .. }) {
        let next = next_candidate(run).map_or_else(
            || "Look for another version".to_owned(),
            |candidate| format!("Next: {}", name(&candidate.artifact)),
        );
        buttons.push(button(run, Verb::Next, &next, Style::Plain, 'n'));
    }
    buttons.extend(undo(run));
    buttons.push(button(run, Verb::HandOver, "Hand over", Style::Plain, 'h'));
    buttons
}

/// What "try again" does depends on how far the run came.
pub fn retry_label(run: &Rollback, why: &Why) -> &'static str {
    match why {
        Why::NotRecovered { .. } | Why::Relapsed { .. } | Why::AlertStillFiring { .. } => "Watch again",
        Why::Expired => "Propose again",
        Why::OtherBytes { .. } => "Look again",
        _ if run.approved_at.is_none() || run.target().is_none() => "Look again",
        Why::PartlyShifted { .. } => "Finish the shift",
        Why::TargetBad { .. } => "Go on all the same",
        Why::ArtifactMissing { .. } | Why::PreflightRefused { .. } | Why::InstancesUnreachable { .. } => {
            "Try again"
        }
        _ => "Shift again",
    }
}

/// The one that a run for the next candidate would most likely propose; it chooses for itself when it comes to that.
pub fn next_candidate(run: &Rollback) -> Option<&Candidate> {
    choices(run).into_iter().find(|candidate| candidate.skip.is_none())
}

fn undo(run: &Rollback) -> Option<Button> {
    if !run.has_way_back() {
        return None;
    }
    let hint = format!("{} is what failed", failing_name(run));
    let reason = text(input::REASON, "Why go back to what was live before?", &hint, true);
    let undo = button(run, Verb::Undo, "Undo", Style::Danger, 'u');
    Some(with_form(undo, "Undo the rollback", "Ask for it", vec![reason]))
}

fn ended(view: &View, end: &End) -> Vec<Button> {
    let run = view.rollback;
    let undoable = !matches!(end, End::Superseded { .. } | End::Undone { .. });
    let mut buttons: Vec<_> = undoable.then(|| undo(run)).flatten().into_iter().collect();
    if let Some(incident) = view.incident.filter(|incident| incident.root_cause.is_none()) {
        let label = format!("Close {}", incident.id);
        let cause = text(input::ROOT_CAUSE, "Root cause", "in a sentence: what caused it?", true);
        let innocent = Input {
            id: input::WAS_RELEASE.into(),
            label: "Was it the release?".into(),
            hint: "no: its mark is lifted".into(),
            required: true,
            options: vec![
                ("yes".into(), "Yes: it stays marked unstable".into()),
                ("no".into(), "No: lift its mark".into()),
            ],
        };
        let close = button(run, Verb::CloseIncident, &label, Style::Plain, 'i');
        buttons.push(with_form(close, &label, "Close it", vec![cause, innocent]));
    }
    buttons
}
