//! A run that waits for somebody or something: what happens when nothing more comes. Every state that is no end has a timer.

use super::{
    super::{
        effect::{Change, Effect, Timer},
        policy::Approval,
        state::Phase,
        why::End,
    },
    Taken, Work,
};
use crate::{Millis, words::spell};

/// How long a reading, a fetch or a preflight may take, tries included. It is asked for once more then, since the answer may have
/// been lost or nobody may have been there; after that a person is called.
const STEP_WITHIN: Millis = 60_000;
/// How long the one fresh look may take that decides when time is up.
pub(super) const LAST_LOOK_WITHIN: Millis = 60_000;
/// How long a run may wait for a person without anything done.
pub(super) const IDLE: Millis = 4 * 3_600_000;

impl Work {
    /// Asks for the one thing that the phase waits for.
    pub(super) fn ask_step(&mut self, effect: Effect) {
        self.ask(effect, 0);
        self.timer(Timer::Step, STEP_WITHIN);
    }

    /// No outcome came.
    pub(super) fn step_overdue(&mut self) -> Taken {
        let Some(effect) = self.step_in_hand() else { return Err(self.stale("timer")) };
        if self.state.overdue {
            let detail = format!("it did not end within {}, twice", spell(STEP_WITHIN));
            return self.stuck(effect.kind(), &detail);
        }
        self.state.overdue = true;
        self.changes.push(Change::CancelWork);
        self.ask_step(effect);
        Ok(())
    }

    /// The short step that the phase waits for; shifts and observations have limits of their own.
    fn step_in_hand(&self) -> Option<Effect> {
        match self.state.phase {
            Phase::Surveying => Some(Effect::Survey { revision: self.state.revision }),
            Phase::Deciding => Some(Effect::Reread),
            Phase::Fetching => Some(Effect::Fetch { digest: self.state.target()?.digest.clone() }),
            Phase::Preflight => self.preflight_effect(),
            Phase::Stopping { .. } => Some(Effect::ReadTraffic),
            _ => None,
        }
    }

    /// Whoever acknowledged has so long to do something.
    pub(super) fn await_action(&mut self) {
        if matches!(self.state.phase, Phase::Escalated { .. }) {
            self.state.reminded = false;
            self.timer(Timer::Act, self.state.policy.act_within);
        }
    }

    /// Somebody came, and nothing was done: they are asked in the thread first, then called.
    pub(super) fn act_overdue(&mut self) -> Taken {
        let Phase::Escalated { why } = &self.state.phase else { return Err(self.stale("timer")) };
        let why = why.to_string();
        if self.state.ringing().is_some() {
            return Ok(());
        }
        if !self.state.reminded {
            self.state.reminded = true;
            if self.state.alert_firing() {
                self.timer(Timer::Act, self.state.policy.act_within);
            }
            return Ok(());
        }
        self.state.reminded = false;
        let within = spell(self.state.policy.act_within.saturating_mul(2));
        self.ring(&format!("acknowledged, and nothing was done for {within}: {why}"));
        Ok(())
    }

    /// Nobody did anything for hours. While the alert fires somebody has to; else it is nobody's emergency any more.
    pub(super) fn idle_for_long(&mut self) -> Taken {
        if !self.state.alert_firing() {
            self.end(End::Unattended);
            return Ok(());
        }
        self.timer(Timer::Idle, IDLE);
        self.ring(&format!("the alert is still firing, and nobody did anything for {}", spell(IDLE)));
        Ok(())
    }

    /// Looks anew after the first decision came to nothing. That is not so clear a case any more that it could go on without a click.
    pub(super) fn look_again(&mut self) {
        if self.state.policy.approval == Approval::None {
            self.state.policy.approval = Approval::Required;
            self.state.policy.click_needed = Some("it is looked at once more".to_owned());
        }
        self.survey();
    }

    /// A new alert on a run that waits for a person.
    pub(super) fn alerted_again(&mut self, title: &str) {
        let waits_quietly = self.state.pages.is_empty();
        if waits_quietly && self.state.approved_at.is_none() && !self.state.moved {
            // Nothing was decided, and nobody was called: it is looked at as if the alert had opened the run.
            return self.look_again();
        }
        if self.state.is_ringing() {
            return;
        }
        if !self.state.moved {
            // What was approved was for an older trouble: trying again means to look again.
            self.state.approved_at = None;
        }
        let Phase::Escalated { why } = &self.state.phase else { return };
        let why = format!("a new alert fires: {title}; the run has been waiting for a person: {why}");
        self.timer(Timer::Idle, IDLE);
        self.ring(&why);
    }
}
