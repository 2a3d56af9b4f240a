//! The transition function. It is total: every state answers every event, by a step or by a refusal that a person can
//! read. One file per stretch of the way; what holds in every state is here.

mod attend;
mod confirm;
mod decide;
mod escalate;
mod observe;
mod paging;
mod propose;
mod shift;
mod steps;

use std::collections::BTreeSet;

use super::{
    effect::{Change, Effect, Request, Timer},
    event::{Event, Opening, Standing},
    policy::Approval,
    refusal::Refusal,
    state::{End, Kind, Phase, Rollback, Why},
};
use crate::{Actor, At, Digest, Millis, inventory::live::Contents};

/// What an event leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub state: Rollback,
    pub changes: Vec<Change>,
    pub effects: Vec<Request>,
}

type Taken = Result<(), Refusal>;

/// A step in the making.
struct Work {
    state: Rollback,
    changes: Vec<Change>,
    effects: Vec<Request>,
    at: At,
}

/// The first step: a run opens by looking at the world.
pub fn open(opening: &Opening) -> Step {
    let state = Rollback {
        id: opening.id,
        service: opening.service.clone(),
        thread: opening.thread,
        kind: opening.kind.clone(),
        parent: opening.parent,
        policy: opening.policy.clone(),
        opened_at: opening.at,
        by: opening.by.clone(),
        reason: opening.reason.clone(),
        alert: opening.alert.clone(),
        wanted: opening.wanted.clone(),
        tried: opening.tried.clone(),
        phase: Phase::Surveying,
        revision: 0,
        proposal: None,
        superseded: None,
        approvals: vec![],
        reasons: vec![],
        approved_at: None,
        without: vec![],
        before: None,
        contents_before: Contents::new(),
        moved: false,
        shares: None,
        warnings: vec![],
        baselines: opening.baselines.clone(),
        overdue: false,
        reminded: false,
        commander: opening.commander.clone(),
        pages: vec![],
        incident: false,
        marked: false,
        marks: BTreeSet::new(),
        ended_at: None,
        reminded_at: None,
    };
    let mut work = Work { state, changes: vec![], effects: vec![], at: opening.at };
    work.survey();
    if opening.alert.is_some() {
        // From the alert on somebody must look: also when the survey itself never comes back.
        work.await_answer();
    }
    work.done()
}

/// One step. `at` is when the event was taken, in milliseconds since 1970.
///
/// # Errors
/// When the state does not take this event, or its cause may not cause it; nothing changes then.
pub fn step(state: &Rollback, event: &Event, at: At) -> Result<Step, Refusal> {
    let mut work = Work { state: state.clone(), changes: vec![], effects: vec![], at };
    work.take(event)?;
    Ok(work.done())
}

impl Work {
    fn done(self) -> Step {
        Step { state: self.state, changes: self.changes, effects: self.effects }
    }

    /// Events that every state takes alike come first; then the phase decides.
    fn take(&mut self, event: &Event) -> Taken {
        match event {
            Event::Opened(_) => Err(self.illegal("opened already")),
            Event::AlertFired { title, since, .. } => self.alert_fired(title, since.unwrap_or(self.at)),
            Event::AlertRepeated { .. } => self.alert_repeated(),
            Event::AlertResolved => self.alert_resolved(),
            Event::ClickRequired { why } => self.click_required(why),
            Event::CommanderSet { by, standing, commander } => self.commander_set(by, standing, commander),
            Event::PageAsked { by } => self.page_asked(by),
            Event::Acknowledged { by } => self.acknowledged(by),
            Event::Paged { escalation, target, failed } => {
                self.paged(*escalation, *target, failed.as_deref())
            }
            Event::TimerFired { timer: Timer::Ack } => self.ack_overdue(),
            Event::UndoAsked { by, standing, reason } => self.undo_asked(by, standing, reason.as_deref()),
            Event::Undone { by } => self.undone(*by),
            Event::EffectStuck { effect, detail } => self.stuck(effect, detail),
            Event::ReleaseRecorded { artifact, by, pool, .. } => {
                self.release_recorded(artifact, pool.as_deref(), by.as_deref())
            }
            Event::SuccessorAsked { by } => self.successor_asked(by),
            Event::StopAsked { by, standing } => self.stop_asked(by, standing),
            Event::Surveyed { found } => self.surveyed(found),
            Event::Approved { by, standing, revision, confirmed, reason } => {
                self.approved(by, standing, *revision, *confirmed, reason.as_deref())
            }
            Event::Rejected { by, standing, revision, reason } => {
                self.rejected(by, standing, *revision, reason.as_deref())
            }
            Event::Chosen { by, standing, revision, digest } => self.chosen(by, standing, *revision, digest),
            Event::ProposeAnyway { by, standing } => self.propose_anyway(by, standing),
            Event::DecisionRead { decision } => self.decision_read(decision),
            Event::Fetched { fetched } => self.fetched(fetched),
            Event::PreflightDone { preflight } => self.preflight_done(preflight),
            Event::Applied { applied } => self.applied(applied),
            Event::ShiftRead { reading } => self.shift_read(reading),
            Event::Watched { observation, traffic } => self.watched(observation, traffic),
            Event::Observed { observation, traffic } => self.observed(observation, traffic),
            Event::TrafficRead { shares, detail } => self.traffic_read(shares.as_ref(), detail),
            Event::TimerFired { timer } => self.timer_fired(*timer),
            Event::RetryAsked { by, standing } => self.retry_asked(by, standing),
            Event::OverrideUnreachable { by, standing, reason } => {
                self.override_unreachable(by, standing, reason)
            }
            Event::NextAsked { by, standing } => self.next_asked(by, standing),
            Event::HandedOver { by, standing } => self.handed_over(by, standing),
        }
    }

    fn timer_fired(&mut self, timer: Timer) -> Taken {
        match (timer, &self.state.phase) {
            (Timer::Answer, Phase::Surveying | Phase::Proposed { .. }) => self.unanswered(),
            (Timer::Expiry, Phase::Proposed { .. }) => self.expired(),
            (Timer::Shift, Phase::Shifting { .. }) => self.shift_overdue(),
            (Timer::Shift, Phase::Holding { .. }) => self.hold_overdue(),
            (Timer::Recover, Phase::Observing { .. }) => self.recover_overdue(),
            (Timer::Confirm, Phase::Confirming { .. }) => self.confirm_due(),
            (Timer::Step, _) => self.step_overdue(),
            (Timer::Act, Phase::Escalated { .. }) => self.act_overdue(),
            (Timer::Idle, Phase::Escalated { .. }) => self.idle_for_long(),
            _ => Err(self.stale("timer")),
        }
    }

    // What is around a run.

    fn alert_fired(&mut self, title: &str, since: At) -> Taken {
        let at = self.at;
        let fired_before = self.state.alert_firing();
        let alert = self.state.alert.get_or_insert_with(|| super::state::Alerting {
            title: title.to_owned(),
            since: since.min(at),
            firing: true,
        });
        alert.firing = true;
        match &self.state.phase {
            // The wait for an answer counts from here: while nothing fired, nobody had to answer.
            Phase::Surveying | Phase::Proposed { .. } if !fired_before => self.await_answer(),
            Phase::Escalated { .. } => self.alerted_again(title),
            Phase::Confirming { recovered_at, .. } if since > *recovered_at => {
                self.escalate(Why::Relapsed { detail: format!("a new alert fires: {title}") });
            }
            _ => {}
        }
        Ok(())
    }

    /// It is said on the card; it never approves or proves anything: traffic may merely have stopped. What waits for nothing
    /// else is looked at once more.
    fn alert_resolved(&mut self) -> Taken {
        if let Some(alert) = &mut self.state.alert {
            alert.firing = false;
        }
        self.look_when_alert_ends();
        Ok(())
    }

    /// Rejecting was a decision: it stands, and whoever has to know is told again.
    fn alert_repeated(&mut self) -> Taken {
        if !matches!(self.state.phase, Phase::Ended { end: End::Rejected { .. } }) {
            return Err(self.stale("repeated alert"));
        }
        self.state.reminded_at = Some(self.at);
        Ok(())
    }

    /// What has not begun to move waits for a click from now on; what moves is not left half way.
    fn click_required(&mut self, why: &str) -> Taken {
        if !self.state.may_begin_by_itself() {
            return Err(self.stale("demand for a click"));
        }
        self.state.policy.approval = Approval::Required;
        self.state.policy.click_needed = Some(why.to_owned());
        // Nobody approved: trying again leads to a vote.
        self.state.approved_at = None;
        if matches!(self.state.phase, Phase::Deciding | Phase::Fetching | Phase::Preflight) {
            self.propose_anew(why.to_owned());
        }
        Ok(())
    }

    /// Command is given by who has it, or may approve; anybody else takes it by coming to a page.
    fn commander_set(&mut self, by: &Actor, standing: &Standing, commander: &Actor) -> Taken {
        self.needs_charge(by, standing)?;
        self.state.commander = Some(commander.clone());
        Ok(())
    }

    fn release_recorded(
        &mut self,
        artifact: &crate::Artifact,
        pool: Option<&str>,
        by: Option<&str>,
    ) -> Taken {
        if self.is_own(&artifact.digest, pool) {
            return Ok(());
        }
        match self.state.phase {
            Phase::Fetching | Phase::Preflight if self.state.moved => {
                // On the way to finish a shift that was begun: too late to take the decision back silently.
                self.escalate(Why::AnotherRelease { artifact: artifact.clone(), by: by.map(str::to_owned) });
                Ok(())
            }
            Phase::Surveying
            | Phase::Proposed { .. }
            | Phase::Deciding
            | Phase::Fetching
            | Phase::Preflight => {
                self.propose_anew(format!("{artifact} was recorded as deployed meanwhile"));
                Ok(())
            }
            Phase::Shifting { .. } | Phase::Holding { .. } | Phase::Observing { .. } => {
                self.escalate(Why::AnotherRelease { artifact: artifact.clone(), by: by.map(str::to_owned) });
                Ok(())
            }
            Phase::Confirming { .. } => {
                self.replaced_while_confirming(artifact, by);
                Ok(())
            }
            Phase::Stopping { .. } | Phase::Escalated { .. } => {
                // Whoever decides what happens next has to know.
                self.state.warnings.push(format!("{artifact} was recorded as deployed meanwhile"));
                Ok(())
            }
            Phase::Ended { .. } => Ok(()),
        }
    }

    /// What a pipeline tells late, and perhaps twice, of what this run is about: the target, and what fails where it was. The
    /// failing bytes in a pool of the target are another matter.
    fn is_own(&self, digest: &Digest, pool: Option<&str>) -> bool {
        let Some(target) = self.state.goal() else {
            return self.state.failing().is_some_and(|failing| failing.artifact.digest == *digest);
        };
        let into_target = pool.is_some_and(|pool| target.contents().contains_key(pool));
        let fails = self.state.failing().is_some_and(|failing| failing.artifact.digest == *digest);
        target.artifact().digest == *digest || (fails && !into_target)
    }

    // Building blocks.

    /// Enters a phase: what the old one still had under way is called off first.
    fn enter(&mut self, phase: Phase) {
        for timer in Timer::ALL.into_iter().filter(|timer| timer.is_of_one_phase()) {
            self.changes.push(Change::ClearTimer { timer });
        }
        self.state.overdue = false;
        let waits = |phase: &Phase| matches!(phase, Phase::Surveying | Phase::Proposed { .. });
        let (waited, waiting) = (waits(&self.state.phase), waits(&phase));
        self.changes.push(Change::CancelWork);
        self.state.phase = phase;
        if matches!(self.state.phase, Phase::Escalated { .. }) {
            self.timer(Timer::Idle, attend::IDLE);
        }
        if !waiting {
            self.changes.push(Change::ClearTimer { timer: Timer::Answer });
        } else if !waited && self.state.alert_firing() {
            // A decision fell through: the wait for the next one is as limited as for the first.
            self.await_answer();
        }
    }

    fn await_answer(&mut self) {
        self.timer(Timer::Answer, self.state.policy.answer_within);
    }

    fn ask(&mut self, effect: Effect, after: Millis) {
        self.effects.push(Request { effect, after });
    }

    fn timer(&mut self, timer: Timer, after: Millis) {
        self.changes.push(Change::SetTimer { timer, at: self.at.saturating_add(after) });
    }

    /// Looks anew. Votes and overrides were for what was seen before: they are void, and so is the approval made of them, or
    /// a retry would shift what nobody approved.
    fn survey(&mut self) {
        self.state.approvals.clear();
        self.state.approved_at = None;
        self.state.without.clear();
        if !self.state.moved {
            // Or it was read back as unmoved: the way back starts from what this survey finds.
            self.state.before = None;
            self.state.contents_before.clear();
        }
        self.enter(Phase::Surveying);
        self.ask_step(Effect::Survey { revision: self.state.revision });
    }

    /// A new proposal instead of the present one, before anything moved.
    fn propose_anew(&mut self, reason: String) {
        self.state.superseded = Some(reason);
        if !self.state.moved {
            self.lift_mark();
        }
        self.survey();
    }

    fn lift_mark(&mut self) {
        for digest in std::mem::take(&mut self.state.marks) {
            self.changes.push(Change::LiftMark { digest });
        }
        self.state.marked = false;
    }

    fn open_incident(&mut self) {
        self.state.incident = true;
        self.changes.push(Change::OpenIncident);
    }

    fn end(&mut self, end: End) {
        if !self.state.moved {
            self.lift_mark();
        }
        self.enter(Phase::Ended { end });
        for timer in Timer::ALL {
            self.changes.push(Change::ClearTimer { timer });
        }
        self.resolve_pages();
        self.state.ended_at = Some(self.at);
        self.changes.push(Change::Close);
    }

    // Refusals.

    /// Says where the run is instead.
    fn illegal(&self, wanted: &str) -> Refusal {
        Refusal::Illegal(format!("{}: {wanted}. {}", self.state.id, self.whereabouts()))
    }

    fn stale(&self, outcome: &str) -> Refusal {
        Refusal::Stale(format!("{outcome} while {} is {}", self.state.id, self.state.phase.word()))
    }

    fn whereabouts(&self) -> String {
        let id = self.state.id;
        match &self.state.phase {
            Phase::Surveying => format!("{id} is reading what is live now"),
            Phase::Proposed { .. } => format!("{id} waits for approval"),
            Phase::Deciding | Phase::Fetching | Phase::Preflight => {
                format!("{id} was approved{} and is on its way", self.approvers())
            }
            Phase::Shifting { .. } => {
                format!("{id} was approved{} and is shifting traffic now", self.approvers())
            }
            Phase::Holding { .. } => {
                format!("{id} is shifting traffic in steps, and waits before the next one")
            }
            Phase::Observing { .. } => format!("{id} has shifted traffic and is watching health"),
            Phase::Confirming { .. } => {
                format!("{id} has recovered, and is watched until it is known to be stable")
            }
            Phase::Stopping { by, .. } => format!("{id} was stopped by {by}; traffic is being read"),
            Phase::Escalated { .. } => format!("{id} waits for a person's decision"),
            Phase::Ended { end: End::Rejected { by, .. } } => format!("{id} was rejected by {by}"),
            Phase::Ended { end } => format!("{id} has ended: {}", end.word()),
        }
    }

    fn approvers(&self) -> String {
        if self.state.approvals.is_empty() {
            return String::new();
        }
        let names: Vec<_> = self.state.approvals.iter().map(|actor| actor.name.clone()).collect();
        format!(" by {}", names.join(" and "))
    }

    fn needs_approver(&self, by: &Actor, standing: &Standing) -> Taken {
        if standing.approver {
            return Ok(());
        }
        Err(Refusal::NotAllowed(format!(
            "{by}, only an approver of {} may do that in {}; ask one of them, or page the commander",
            self.state.service, self.state.id
        )))
    }

    fn needs_charge(&self, by: &Actor, standing: &Standing) -> Taken {
        let commands = self.state.commander.as_ref().is_some_and(|commander| commander.id == by.id);
        if standing.approver || standing.commander || commands {
            return Ok(());
        }
        Err(Refusal::NotAllowed(format!(
            "{by}, only the incident commander or an approver of {} may do that in {}",
            self.state.service, self.state.id
        )))
    }

    /// Undo runs go back to what was there before and blame nobody.
    fn blames(&self) -> bool {
        matches!(self.state.kind, Kind::Back)
    }
}
