//! Fetch, preflight, shift, stop. Only what was read back is believed.

use super::{
    super::{
        effect::{Change, Effect, Timer},
        event::{Applied, Fetched, Preflighted, ShiftReading, Standing},
        refusal::Refusal,
        state::{End, Kind, Phase, Why, same_routing},
    },
    Taken, Work,
};
use crate::{Actor, Digest, Shares};

/// How often one move is asked for before a person has to look.
const MAX_APPLIES: u32 = 3;

impl Work {
    pub(super) fn fetched(&mut self, fetched: &Fetched) -> Taken {
        if !matches!(self.state.phase, Phase::Fetching) {
            return Err(self.stale("fetch"));
        }
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
        self.state.proposal.as_ref().map(|p| (p.to.clone(), p.target.digest.clone()))
    }

    pub(super) fn preflight(&mut self) {
        let Some((to, digest)) = self.wanted() else { return };
        self.enter(Phase::Preflight);
        self.ask(Effect::Preflight { to, digest, without: self.state.without.clone() }, 0);
    }

    pub(super) fn preflight_done(&mut self, preflight: &Preflighted) -> Taken {
        if !matches!(self.state.phase, Phase::Preflight) {
            return Err(self.stale("preflight"));
        }
        match preflight {
            Preflighted::Ready { before, warnings } => {
                // The way back is kept before the first change, and a retry must not overwrite it.
                self.state.before.get_or_insert_with(|| before.clone());
                for warning in warnings {
                    if !self.state.warnings.contains(warning) {
                        self.state.warnings.push(warning.clone());
                    }
                }
                self.shift();
            }
            // Asked for before, by this run: its own move, which is still to be proven.
            Preflighted::AlreadyThere if self.state.before.is_some() => self.shift(),
            Preflighted::AlreadyThere => self.end(End::Superseded {
                reason: "all traffic is on the target already: somebody else was faster".into(),
            }),
            Preflighted::Refused { reasons } => {
                self.escalate(Why::PreflightRefused { reasons: reasons.clone() })
            }
            Preflighted::Unreachable { instances, detail } => self
                .escalate(Why::InstancesUnreachable { instances: instances.clone(), detail: detail.clone() }),
        }
        Ok(())
    }

    fn shift(&mut self) {
        self.enter(Phase::Shifting { applies: 0, overdue: false });
        self.timer(Timer::Shift, self.state.policy.shift_within);
        self.apply();
    }

    fn apply(&mut self) {
        let Some((to, digest)) = self.wanted() else { return };
        if let Phase::Shifting { applies, .. } = &mut self.state.phase {
            *applies += 1;
        }
        self.state.moved = true;
        self.ask(Effect::Apply { to, digest, without: self.state.without.clone() }, 0);
    }

    /// Whatever the answer was, the router is asked what is so now.
    pub(super) fn applied(&mut self, applied: &Applied) -> Taken {
        let Phase::Shifting { overdue, .. } = self.state.phase else {
            return Err(self.stale("shift"));
        };
        if let Applied::Failed { detail } | Applied::Unknown { detail } = applied {
            self.state.warnings.push(detail.clone());
        }
        let once = overdue || !matches!(applied, Applied::Accepted);
        if matches!(applied, Applied::Failed { .. }) {
            // A refusal stays a refusal: no second try, only the truth about where traffic is.
            self.state.phase = Phase::Shifting { applies: MAX_APPLIES, overdue };
        }
        self.read_shift(once);
        Ok(())
    }

    fn read_shift(&mut self, once: bool) {
        let Some((to, digest)) = self.wanted() else { return };
        self.ask(Effect::ReadShift { to, digest, without: self.state.without.clone(), once }, 0);
    }

    pub(super) fn shift_read(&mut self, reading: &ShiftReading) -> Taken {
        let Phase::Shifting { applies, overdue } = self.state.phase else {
            return Err(self.stale("reading of the shift"));
        };
        match reading {
            ShiftReading::Settled { shares } if !self.state.is_there(shares) => {
                // Settled somewhere else. Asking again would be a fight with whoever put it there.
                self.state.shares = Some(shares.clone());
                self.not_shifted(shares, "the router settled on another routing");
            }
            ShiftReading::Settled { shares } => {
                self.state.shares = Some(shares.clone());
                self.verified(shares);
            }
            ShiftReading::NotSettled { .. } if applies < MAX_APPLIES && !overdue => self.apply(),
            ShiftReading::NotSettled { shares, detail } => {
                self.state.shares = Some(shares.clone());
                self.not_shifted(shares, detail);
            }
            ShiftReading::Unreadable { detail } => {
                self.escalate(Why::OutcomeUnknown { detail: detail.clone() });
            }
        }
        Ok(())
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

    fn not_shifted(&mut self, shares: &Shares, detail: &str) {
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
        if let Phase::Shifting { overdue, .. } = &mut self.state.phase {
            *overdue = true;
        }
        self.changes.push(Change::CancelWork);
        self.read_shift(true);
        Ok(())
    }

    pub(super) fn stop_asked(&mut self, by: &Actor, standing: &Standing) -> Taken {
        self.needs_charge(by, standing)?;
        match self.state.phase {
            Phase::Surveying | Phase::Proposed { .. } => {
                self.end(End::Stopped { by: by.clone() });
                Ok(())
            }
            Phase::Deciding
            | Phase::Fetching
            | Phase::Preflight
            | Phase::Shifting { .. }
            | Phase::Observing { .. } => {
                self.enter(Phase::Stopping { by: by.clone() });
                self.ask(Effect::ReadTraffic, 0);
                Ok(())
            }
            Phase::Stopping { .. } | Phase::Escalated { .. } | Phase::Ended { .. } => {
                Err(self.illegal("there is nothing left to stop"))
            }
        }
    }

    pub(super) fn traffic_read(&mut self, shares: Option<&Shares>, detail: &str) -> Taken {
        let Phase::Stopping { by } = self.state.phase.clone() else {
            return Err(self.stale("reading of the traffic"));
        };
        if let Some(shares) = shares {
            self.state.shares = Some(shares.clone());
            if self.state.before.as_ref().is_some_and(|before| same_routing(before, shares)) {
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
