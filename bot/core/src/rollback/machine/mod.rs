//! The transition function. It is total: every state answers every event, by a step or by a refusal that a person can
//! read. One file per stretch of the way; what holds in every state is here.

mod around;
mod attend;
mod confirm;
mod decide;
mod escalate;
mod observe;
mod paging;
mod propose;
mod refuse;
mod shift;
mod steps;

use std::collections::BTreeSet;

use super::{
    effect::{Change, Effect, Request, Timer},
    event::{Event, Opening},
    refusal::Refusal,
    state::{Kind, Phase, Rollback},
    why::End,
};
use crate::{At, Millis, inventory::live::Contents};

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
        fetched: false,
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
            Event::AlertFired { title, since, heard, .. } => {
                self.alert_fired(title, since.unwrap_or(self.at), *heard)
            }
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

    /// Undo runs go back to what was there before and blame nobody.
    fn blames(&self) -> bool {
        matches!(self.state.kind, Kind::Back)
    }
}
