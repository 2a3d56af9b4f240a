//! Calling people: who is called, how often, and what an acknowledgement does.

use super::{
    super::{
        effect::{Change, Effect, Timer},
        state::Page,
    },
    Taken, Work,
};
use crate::Actor;

/// Calls for one reason, over all targets, before the thread says that nobody answers. A bound, not a plan: a pager's own
/// escalation policy goes further than this. A new reason always rings.
const MAX_CALLS: usize = 12;

impl Work {
    /// Calls the first target. The incident opens at the first page, if it had not.
    pub(super) fn ring(&mut self, why: &str) {
        self.open_incident();
        self.call(0, why);
    }

    /// The same call once more, unless it was made in vain too often.
    fn call_again(&mut self, target: u32, why: &str) {
        let in_vain =
            self.state.pages.iter().rev().take_while(|p| p.acknowledged.is_none() && p.why == why).count();
        if in_vain < MAX_CALLS {
            self.call(target, why);
        } else {
            self.state.warnings.push(format!("nobody answered {in_vain} calls; no more are made for this"));
        }
    }

    fn call(&mut self, target: u32, why: &str) {
        if self.state.policy.pagers == 0 {
            return;
        }
        let escalation = self.state.pages.last().map_or(1, |page| page.escalation + 1);
        self.state.pages.push(Page {
            escalation,
            target,
            why: why.to_owned(),
            delivered: None,
            failure: None,
            acknowledged: None,
            at: self.at,
        });
        self.ask(Effect::Page { escalation, target, why: why.to_owned() }, 0);
        self.timer(Timer::Ack, self.state.policy.ack_within);
    }

    pub(super) fn paged(&mut self, escalation: u32, target: u32, failed: Option<&str>) -> Taken {
        let ended = !self.state.active();
        let Some(page) =
            self.state.pages.iter_mut().find(|p| p.escalation == escalation && p.delivered.is_none())
        else {
            return Err(self.stale("page"));
        };
        page.delivered = Some(failed.is_none());
        page.failure = failed.map(str::to_owned);
        if ended {
            // Rung too late: nobody needs to come any more.
            if failed.is_none() {
                self.ask(Effect::ResolvePage { escalation, target }, 0);
            }
            return Ok(());
        }
        let (why, current) =
            (page.why.clone(), self.state.pages.last().is_some_and(|p| p.escalation == escalation));
        if failed.is_some() && current && !self.all_failed() {
            self.call_again(self.after(target), &why);
        }
        // When every pager failed in a row, the next round begins with the Ack timer: trying at once, again and again, would
        // use up all calls within the outage that made them fail.
        Ok(())
    }

    /// The last calls failed on every configured pager, once round.
    fn all_failed(&self) -> bool {
        let failed = self.state.pages.iter().rev().take_while(|p| p.delivered == Some(false)).count();
        let pagers = usize::try_from(self.state.policy.pagers.max(1)).unwrap_or(usize::MAX);
        failed % pagers == 0
    }

    fn after(&self, target: u32) -> u32 {
        target.saturating_add(1) % self.state.policy.pagers.max(1)
    }

    /// Nobody came: once more to the same target, then to the next.
    pub(super) fn ack_overdue(&mut self) -> Taken {
        if !self.state.active() {
            return Err(self.stale("timer"));
        }
        let Some(page) = self.state.ringing().cloned() else { return Ok(()) };
        let repeated = self.state.pages.iter().rev().take_while(|p| p.target == page.target).count() >= 2;
        let target = if repeated { self.after(page.target) } else { page.target };
        self.call_again(target, &page.why);
        Ok(())
    }

    /// Whoever comes takes command.
    pub(super) fn acknowledged(&mut self, by: &Actor) -> Taken {
        if !self.state.active() {
            return Err(self.illegal("there is nothing left to come for"));
        }
        match self.state.pages.last_mut() {
            None => Err(self.illegal("nobody was paged")),
            Some(page) => {
                if let Some(first) = &page.acknowledged {
                    let text = format!("the page was acknowledged by {first} already");
                    return Err(self.illegal(&text));
                }
                page.acknowledged = Some(by.clone());
                self.state.commander = Some(by.clone());
                self.changes.push(Change::ClearTimer { timer: Timer::Ack });
                Ok(())
            }
        }
    }

    pub(super) fn page_asked(&mut self, by: &Actor) -> Taken {
        if !self.state.active() {
            return Err(self.illegal("nobody is paged for a run that has ended"));
        }
        if self.state.policy.pagers == 0 {
            let text = format!("{}'s configuration names no pager (page = […])", self.state.service);
            return Err(self.illegal(&text));
        }
        if let Some(page) = self.state.ringing().filter(|page| page.delivered != Some(false)) {
            let text = format!("call {} is ringing already", page.escalation);
            return Err(self.illegal(&text));
        }
        self.ring(&format!("{by} asked for the incident commander"));
        Ok(())
    }
}
