//! Fetch, preflight, shift, stop. Only what was read back is believed.

use std::collections::BTreeMap;

use super::{
    super::{
        effect::{Change, Effect, Timer},
        event::{Applied, Fetched, Preflighted, ShiftReading, Standing},
        pace::{consistent, same as same_routing},
        refusal::Refusal,
        state::{Kind, Phase, Sent},
        why::{End, Why},
    },
    Taken, Work,
    attend::LAST_LOOK_WITHIN,
};
use crate::{
    Actor, Digest, Shares,
    inventory::live::{Contents, Live, Running, near},
    words::spell,
};

/// How often one move is asked for before a person has to look.
const MAX_APPLIES: u32 = 3;

impl Work {
    pub(super) fn fetched(&mut self, fetched: &Fetched) -> Taken {
        if !matches!(self.state.phase, Phase::Fetching) {
            return Err(self.stale("fetch"));
        }
        self.state.fetched = !matches!(fetched, Fetched::Missing { .. });
        match fetched {
            Fetched::Present { .. } => self.preflight(),
            Fetched::Warned { detail } => {
                self.state.warnings.push(detail.clone());
                self.preflight();
            }
            Fetched::Missing { detail } => self.escalate(Why::ArtifactMissing { detail: detail.clone() }),
        }
        Ok(())
    }

    fn wanted(&self) -> Option<(Shares, Digest)> {
        self.state.goal().map(|target| (target.routing().clone(), target.artifact().digest.clone()))
    }

    pub(super) fn preflight(&mut self) {
        if !self.state.fetched {
            // Somebody stopped it there, or it failed: what is to serve has to be had first.
            return self.fetch();
        }
        self.enter(Phase::Preflight);
        if let Some(effect) = self.preflight_effect() {
            self.ask_step(effect);
        }
    }

    pub(super) fn preflight_effect(&self) -> Option<Effect> {
        let (to, digest) = self.wanted()?;
        let first = self.leg(&to);
        Some(Effect::Preflight { to, digest, without: self.state.without.clone(), first })
    }

    pub(super) fn preflight_done(&mut self, preflight: &Preflighted) -> Taken {
        if !matches!(self.state.phase, Phase::Preflight) {
            return Err(self.stale("preflight"));
        }
        match preflight {
            Preflighted::Ready { before, pools, .. }
                if self.changed_since_the_vote(before, pools).is_some() =>
            {
                let what = self.changed_since_the_vote(before, pools).unwrap_or_default();
                self.void_the_vote(before, what);
            }
            Preflighted::Ready { before, warnings, pools } => {
                self.state.shares = Some(before.clone());
                self.keep_the_way_back(before, contents(pools));
                for warning in warnings {
                    self.warn_once(warning);
                }
                self.next_step();
            }
            // By this run's own request, or by somebody who was faster: it is still to be proven, and then watched.
            Preflighted::AlreadyThere => {
                if let Some(live) = self.state.proposal.as_ref().map(|proposal| proposal.live.clone()) {
                    self.keep_the_way_back(&live.shares, live.contents());
                }
                self.state.shares = self.wanted().map(|(to, _)| to);
                self.next_step();
            }
            Preflighted::Refused { reasons } => {
                self.escalate(Why::PreflightRefused { reasons: reasons.clone() })
            }
            Preflighted::Unreachable { instances, detail } => self
                .escalate(Why::InstancesUnreachable { instances: instances.clone(), detail: detail.clone() }),
        }
        Ok(())
    }

    /// Between the decision's last reading and the first change somebody else may have been at it: at the routing, which a
    /// run that has moved traffic itself is past, or at what the target's pools run, which must be what was voted for.
    fn changed_since_the_vote(&self, now: &Shares, pools: &BTreeMap<String, Running>) -> Option<String> {
        let proposal = self.state.proposal.as_ref()?;
        let target = proposal.target.as_ref()?;
        if !self.state.moved && proposal.live.has_newcomer(now, target.routing()) {
            let live = Live { shares: now.clone(), ..Default::default() };
            return Some(format!("traffic moved meanwhile: {}", live.describe()));
        }
        target.differs_from(|pool| pools.get(pool))
    }

    /// Nothing is moved to what nobody voted for.
    fn void_the_vote(&mut self, shares: &Shares, what: String) {
        self.state.shares = Some(shares.clone());
        if self.state.moved {
            self.escalate(Why::OtherBytes { shares: shares.clone(), detail: what });
        } else {
            self.propose_anew(what);
        }
    }

    /// Before the first change; a retry must not overwrite it.
    fn keep_the_way_back(&mut self, before: &Shares, mut contents: Contents) {
        if self.state.before.is_some() {
            return;
        }
        self.state.before = Some(before.clone());
        // What could not be read again is as it was when it was voted on.
        for (pool, digest) in self.state.proposal.iter().flat_map(|proposal| proposal.live.contents()) {
            contents.entry(pool).or_insert(digest);
        }
        self.state.contents_before = contents;
    }

    /// The next routing on the way, or the last one once more when there is no way left to go.
    pub(super) fn next_step(&mut self) {
        let Some((to, _)) = self.wanted() else { return };
        let leg = self.leg(&to);
        self.enter(Phase::Shifting { applies: 0, overdue: false, leg, sent: Sent::Open });
        self.timer(Timer::Shift, self.state.policy.shift_within);
        self.apply();
    }

    /// The next routing on the way, if it is not yet the end of it.
    fn leg(&self, to: &Shares) -> Option<Shares> {
        let now = self.state.shares.as_ref()?;
        let before = self.state.before.as_ref().unwrap_or(now);
        self.state.policy.pace.next(before, now, to).filter(|leg| !same_routing(leg, to))
    }

    /// Where this step leads.
    fn goal(&self) -> Option<(Shares, Digest)> {
        let (to, digest) = self.wanted()?;
        match &self.state.phase {
            Phase::Shifting { leg: Some(leg), .. } => Some((leg.clone(), digest)),
            _ => Some((to, digest)),
        }
    }

    fn apply(&mut self) {
        let Some((to, digest)) = self.goal() else { return };
        if let Phase::Shifting { applies, sent, .. } = &mut self.state.phase {
            *applies += 1;
            *sent = Sent::Open;
        }
        self.state.moved = true;
        let from = self.state.shares.clone().filter(consistent);
        self.ask(Effect::Apply { to, digest, without: self.state.without.clone(), from }, 0);
    }

    /// Whatever the answer was, the router is asked what is so now.
    pub(super) fn applied(&mut self, applied: &Applied) -> Taken {
        let Phase::Shifting { overdue, sent, .. } = &mut self.state.phase else {
            return Err(self.stale("shift"));
        };
        *sent = match applied {
            Applied::Accepted => Sent::Accepted,
            Applied::Unknown { .. } => Sent::Unknown,
            // A refusal stays a refusal: no second try, only the truth about where traffic is.
            Applied::Failed { .. } => Sent::Refused,
            Applied::Conflict { detail } => Sent::Conflict { detail: detail.clone() },
        };
        // What is under way after all gets the time it needs.
        let once = *overdue || matches!(sent, Sent::Refused | Sent::Conflict { .. });
        if let Applied::Failed { detail } | Applied::Unknown { detail } = applied {
            self.state.warnings.push(detail.clone());
        }
        self.read_shift(once);
        Ok(())
    }

    fn read_shift(&mut self, once: bool) {
        let Some((to, digest)) = self.goal() else { return };
        self.ask(Effect::ReadShift { to, digest, without: self.state.without.clone(), once }, 0);
    }

    pub(super) fn shift_read(&mut self, reading: &ShiftReading) -> Taken {
        let Phase::Shifting { applies, overdue, leg, sent } = self.state.phase.clone() else {
            return Err(self.stale("reading of the shift"));
        };
        match reading {
            ShiftReading::Settled { shares, .. }
                if self.goal().is_none_or(|(goal, _)| !near(&goal, shares)) =>
            {
                // Settled somewhere else. Asking again would be a fight with whoever put it there.
                self.not_shifted(shares, "the router settled on another routing", &sent);
            }
            ShiftReading::Settled { shares, warnings, pools } => {
                self.state.shares = Some(shares.clone());
                for warning in warnings {
                    self.warn_once(warning);
                }
                let other = self.state.goal().and_then(|target| target.differs_from(|pool| pools.get(pool)));
                if let Some(detail) = other {
                    self.escalate(Why::OtherBytes { shares: shares.clone(), detail });
                    return Ok(());
                }
                if leg.is_some() { self.hold() } else { self.verified(shares) }
            }
            // The request may have been lost on its way: nobody took it, and nothing is otherwise than before.
            ShiftReading::NotSettled { shares, .. }
                if matches!(sent, Sent::Open | Sent::Unknown)
                    && applies < MAX_APPLIES
                    && !overdue
                    && self.state.shares.as_ref().is_some_and(|last| same_routing(last, shares)) =>
            {
                self.apply();
            }
            ShiftReading::NotSettled { shares, detail, pending } => {
                // Nobody did anything: it is late, or stuck.
                let sent = if *pending || overdue { Sent::Open } else { sent };
                self.not_shifted(shares, detail, &sent);
            }
            ShiftReading::Unreadable { detail } => {
                self.escalate(Why::OutcomeUnknown { detail: detail.clone() });
            }
        }
        Ok(())
    }

    fn warn_once(&mut self, warning: &String) {
        if !self.state.warnings.contains(warning) {
            self.state.warnings.push(warning.clone());
        }
    }

    /// Read back: a deployment like any other, whether or not the service now recovers.
    fn verified(&mut self, shares: &Shares) {
        if let Some(artifact) = self.state.target().cloned() {
            self.changes.push(Change::RecordRelease { artifact, to: shares.clone() });
        }
        if let Kind::Undo { of, .. } = self.state.kind {
            self.changes.push(Change::TellUndone { run: of });
        }
        self.observe();
    }

    fn not_shifted(&mut self, shares: &Shares, detail: &str, sent: &Sent) {
        self.state.shares = Some(shares.clone());
        if *sent == Sent::Accepted && self.goal().is_some_and(|(goal, _)| near(&goal, shares)) {
            // Traffic is where it was to go, and what is there does not serve it.
            let (shares, detail) = (shares.clone(), detail.to_owned());
            return self.escalate(Why::TargetBad { shares, detail });
        }
        let by_another = match sent {
            Sent::Conflict { detail } => Some(detail.clone()),
            // Where instances differ, part of it came about: that is to be finished, not to be blamed on somebody.
            Sent::Accepted if consistent(shares) => Some(format!("{detail}, after the move was accepted")),
            _ => None,
        };
        if let Some(detail) = by_another {
            return self.escalate(Why::MovedByAnotherHand { shares: shares.clone(), detail });
        }
        let untouched = self.state.before.as_ref().is_some_and(|before| same_routing(before, shares));
        let detail = match self.state.warnings.last() {
            Some(warning) if warning != detail => format!("{detail}; {warning}"),
            _ => detail.to_owned(),
        };
        if untouched {
            self.escalate(Why::ShiftFailed { detail });
        } else {
            self.escalate(Why::PartlyShifted { shares: shares.clone(), detail });
        }
    }

    /// Time is up: one fresh look decides.
    pub(super) fn shift_overdue(&mut self) -> Taken {
        if let Phase::Shifting { overdue, .. } = &mut self.state.phase
            && std::mem::replace(overdue, true)
        {
            return self.nobody_can_tell();
        }
        self.changes.push(Change::CancelWork);
        self.timer(Timer::Shift, LAST_LOOK_WITHIN);
        self.read_shift(true);
        Ok(())
    }

    /// The look that was to decide did not come back.
    pub(super) fn nobody_can_tell(&mut self) -> Taken {
        let detail = format!("the last reading did not come back within {}", spell(LAST_LOOK_WITHIN));
        self.escalate(Why::OutcomeUnknown { detail });
        Ok(())
    }

    pub(super) fn stop_asked(&mut self, by: &Actor, standing: &Standing) -> Taken {
        self.needs_charge(by, standing)?;
        match self.state.phase {
            // Nothing is under way that would have to be looked at; the service is as it was, or well.
            Phase::Surveying | Phase::Proposed { .. } | Phase::Confirming { .. } => {
                self.end(End::Stopped { by: by.clone() });
                Ok(())
            }
            Phase::Deciding
            | Phase::Fetching
            | Phase::Preflight
            | Phase::Shifting { .. }
            | Phase::Holding { .. }
            | Phase::Observing { .. } => {
                let taken = match &self.state.phase {
                    Phase::Shifting { leg: None, sent, .. } => matches!(sent, Sent::Accepted | Sent::Unknown),
                    // In a later step, an earlier one was taken.
                    Phase::Shifting { .. } | Phase::Holding { .. } | Phase::Observing { .. } => true,
                    _ => false,
                };
                self.enter(Phase::Stopping { by: by.clone(), taken });
                self.ask_step(Effect::ReadTraffic);
                Ok(())
            }
            Phase::Stopping { .. } | Phase::Escalated { .. } | Phase::Ended { .. } => {
                Err(self.illegal("there is nothing left to stop"))
            }
        }
    }

    pub(super) fn traffic_read(&mut self, shares: Option<&Shares>, detail: &str) -> Taken {
        let Phase::Stopping { by, taken } = self.state.phase.clone() else {
            return Err(self.stale("reading of the traffic"));
        };
        if let Some(shares) = shares {
            self.state.shares = Some(shares.clone());
            if !taken && self.state.before.as_ref().is_some_and(|before| same_routing(before, shares)) {
                // Nothing had moved after all.
                self.state.moved = false;
            }
        }
        self.escalate(Why::Stopped { by, detail: detail.to_owned() });
        Ok(())
    }

    pub(super) fn override_unreachable(&mut self, by: &Actor, standing: &Standing, reason: &str) -> Taken {
        let Phase::Escalated { why: Why::InstancesUnreachable { instances, .. } } = self.state.phase.clone()
        else {
            return Err(self.illegal("no router instance is waited for"));
        };
        self.needs_approver(by, standing)?;
        if reason.trim().is_empty() {
            return Err(Refusal::NeedsReason(format!(
                "{}: going on without {} needs a typed reason: what happens to the traffic there?",
                self.state.id,
                instances.join(", ")
            )));
        }
        self.state.reasons.push(format!("{by} goes on without {}: {}", instances.join(", "), reason.trim()));
        // Those left out before stay out: the adapter names only the ones that it was not told of.
        for instance in instances {
            if !self.state.without.contains(&instance) {
                self.state.without.push(instance);
            }
        }
        self.preflight();
        Ok(())
    }
}

/// What is known of what pools run.
fn contents(pools: &BTreeMap<String, Running>) -> Contents {
    pools.iter().filter_map(|(pool, running)| Some((pool.clone(), running.digest()?.clone()))).collect()
}
