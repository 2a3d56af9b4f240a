//! Between two steps of a shift: wait, make sure that nobody else moved traffic and, if asked for, that the target itself
//! bears what it got.

use super::{
    super::{
        effect::{Change, Effect, Timer},
        event::TrafficNow,
        state::Phase,
        why::Why,
    },
    Taken, Work,
    attend::LAST_LOOK_WITHIN,
};
use crate::{
    At, Millis,
    verdict::{self, Observation},
};

/// Looks in a row that must show a bad target: one failed check may be a hiccup, and stopping costs minutes at night.
const BAD_LOOKS: u32 = 2;
/// Until a look that showed something doubtful is repeated.
const AGAIN: Millis = 1_000;

impl Work {
    /// A step was read back as done, and it was not the last one.
    pub(super) fn hold(&mut self) {
        let since = self.at;
        self.enter(Phase::Holding { since, bad: 0, overdue: false, last: Box::default() });
        let pace = &self.state.policy.pace;
        let limit = pace.every.saturating_add(self.state.policy.shift_within);
        self.timer(Timer::Shift, limit);
        self.look_between(since);
    }

    /// The next look: at the end of the wait, or earlier where the target is watched.
    fn look_between(&mut self, since: At) {
        let (pace, every) = (&self.state.policy.pace, self.state.policy.every);
        let left = pace.every.saturating_sub(self.at.saturating_sub(since)).max(0);
        let after = if pace.watch { left.min(every) } else { left };
        self.watch(after);
    }

    fn watch(&mut self, after: Millis) {
        let Some(to) = self.state.shares.clone() else { return };
        self.ask(Effect::Watch { to, target: self.state.policy.pace.watch }, after);
    }

    pub(super) fn watched(&mut self, seen: &Observation, traffic: &TrafficNow) -> Taken {
        let Phase::Holding { since, bad, overdue, .. } = self.state.phase else {
            return Err(self.stale("look between two steps"));
        };
        if let TrafficNow::Elsewhere { shares, detail } = traffic {
            self.state.shares = Some(shares.clone());
            self.escalate(Why::MovedByAnotherHand { shares: shares.clone(), detail: detail.clone() });
            return Ok(());
        }
        let trouble = verdict::trouble(seen);
        let bad = if trouble.is_some() { bad + 1 } else { 0 };
        self.state.phase = Phase::Holding { since, bad, overdue, last: Box::new(seen.clone()) };
        match (trouble, traffic) {
            (Some(detail), _) if overdue || bad >= BAD_LOOKS => {
                let shares = self.state.shares.clone().unwrap_or_default();
                self.escalate(Why::TargetBad { shares, detail });
            }
            (None, TrafficNow::Unreadable { detail }) if overdue => {
                self.escalate(Why::OutcomeUnknown { detail: detail.clone() });
            }
            // Nothing is moved on a doubt, nor while nobody can tell where traffic is; the timer ends the waiting.
            (Some(_), _) | (None, TrafficNow::Unreadable { .. }) => self.watch(AGAIN),
            (None, _) if self.at.saturating_sub(since) >= self.state.policy.pace.every => self.next_step(),
            (None, _) => self.look_between(since),
        }
        Ok(())
    }

    /// Neither good nor bad for too long, or nobody was there to look: one fresh look decides.
    pub(super) fn hold_overdue(&mut self) -> Taken {
        if let Phase::Holding { overdue, .. } = &mut self.state.phase
            && std::mem::replace(overdue, true)
        {
            return self.nobody_can_tell();
        }
        self.changes.push(Change::CancelWork);
        self.timer(Timer::Shift, LAST_LOOK_WITHIN);
        self.watch(0);
        Ok(())
    }
}
