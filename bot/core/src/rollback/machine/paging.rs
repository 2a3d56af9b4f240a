//! Calling people: who is called, how often, and what an acknowledgement does.

use std::collections::BTreeSet;

use super::{
    super::{
        effect::{Change, Effect, Timer},
        state::{MAX_CALLS, Page},
    },
    Taken, Work,
};
use crate::Actor;

impl Work {
    /// Calls the first target, for a new reason. The incident opens at the first page, if it had not.
    pub(super) fn ring(&mut self, why: &str) {
        self.open_incident();
        self.call(0, why, None);
    }

    /// Calls once more for the same reason, unless that was done in vain too often.
    fn call_again(&mut self, target: u32, page: &Page) {
        let (first, in_vain) = (page.first(), self.state.calls_in_vain());
        if in_vain < MAX_CALLS {
            self.call(target, &page.why, Some(first));
        } else {
            self.state.warnings.push(format!("nobody answered {in_vain} calls; no more are made for this"));
        }
    }

    /// `first`: the call that this one repeats. Both go to the pager by one key.
    fn call(&mut self, target: u32, why: &str, first: Option<u32>) {
        if self.state.policy.pagers == 0 {
            return;
        }
        let escalation = self.state.pages.last().map_or(1, |page| page.escalation + 1);
        self.state.pages.push(Page {
            escalation,
            first: first.unwrap_or(escalation),
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
        let page = page.clone();
        if ended {
            // Rung too late: nobody needs to come any more. Whoever failed may have rung all the same.
            self.ask(Effect::ResolvePage { escalation: page.first(), target }, 0);
            return Ok(());
        }
        if page.acknowledged.is_some() {
            // Somebody came while it was being made: the pager heard of that before it heard of the call.
            self.ask(Effect::AcknowledgePage { escalation: page.first(), target }, 0);
            return Ok(());
        }
        let current = self.state.pages.last().is_some_and(|p| p.escalation == escalation);
        if failed.is_some() && current && !self.all_failed() {
            self.call_again(self.after(target), &page);
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
        self.call_again(target, &page);
        Ok(())
    }

    /// Whoever comes takes command, to whichever of the calls they came: nobody else is called for any of them.
    pub(super) fn acknowledged(&mut self, by: &Actor) -> Taken {
        if !self.state.active() {
            return Err(self.illegal("there is nothing left to come for"));
        }
        let Some(last) = self.state.pages.last() else { return Err(self.illegal("nobody was paged")) };
        if let Some(first) = &last.acknowledged {
            let text = format!("the page was acknowledged by {first} already");
            return Err(self.illegal(&text));
        }
        let mut came_to = vec![];
        for page in self.state.pages.iter_mut().filter(|page| page.acknowledged.is_none()) {
            page.acknowledged = Some(by.clone());
            came_to.push(page.clone());
        }
        for (escalation, target) in keys(&came_to) {
            self.ask(Effect::AcknowledgePage { escalation, target }, 0);
        }
        self.state.commander = Some(by.clone());
        self.changes.push(Change::ClearTimer { timer: Timer::Ack });
        self.await_action();
        Ok(())
    }

    /// Ends every page of the run at its pager.
    pub(super) fn resolve_pages(&mut self) {
        for (escalation, target) in keys(&self.state.pages) {
            self.ask(Effect::ResolvePage { escalation, target }, 0);
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
        let ringing = self.state.ringing().filter(|page| page.delivered != Some(false));
        if let Some(page) = ringing.filter(|_| self.state.is_ringing()) {
            let text = format!("call {} is ringing already", page.escalation);
            return Err(self.illegal(&text));
        }
        self.ring(&format!("{by} asked for the incident commander"));
        Ok(())
    }
}

/// What pagers know pages by: repeated calls of one target are one page there.
fn keys(pages: &[Page]) -> BTreeSet<(u32, u32)> {
    pages.iter().map(|page| (page.first(), page.target)).collect()
}
