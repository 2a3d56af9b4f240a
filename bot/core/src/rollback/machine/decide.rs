//! The vote, and what it is bound to.

use super::{
    super::{
        effect::{Change, Effect, Timer},
        event::{Decision, Standing},
        refusal::Refusal,
        state::Phase,
        why::{End, Why},
    },
    Taken, Work,
};
use crate::{Actor, inventory::choice::Caveat};

impl Work {
    pub(super) fn approved(
        &mut self,
        by: &Actor,
        standing: &Standing,
        revision: u32,
        confirmed: bool,
        reason: Option<&str>,
    ) -> Taken {
        let Phase::Proposed { confirming } = self.state.phase else {
            return Err(self.illegal("approving changes nothing now"));
        };
        // Blanks are no reason: neither for an override nor for acting alone.
        let reason = reason.map(str::trim).filter(|r| !r.is_empty());
        self.needs_approver(by, standing)?;
        self.same_revision(revision)?;
        self.may_vote(by, standing)?;
        if self.state.proposal.as_ref().is_some_and(|p| p.expires_at <= self.at) {
            return Err(self.illegal("the proposal has expired; ask for a new one"));
        }
        let caveats = self.state.proposal.as_ref().map_or(&[][..], |p| &p.caveats);
        if caveats.iter().any(|c| c.needs_reason) && reason.is_none() {
            return Err(Refusal::NeedsReason(format!(
                "approving {} needs a typed reason: {}",
                self.state.id,
                texts(caveats)
            )));
        }
        let informed = confirming && confirmed;
        if !caveats.is_empty() && !informed && reason.is_none() {
            self.state.phase = Phase::Proposed { confirming: true };
            return Ok(());
        }
        self.state.reasons.extend(reason.map(|r| format!("{by}: {r}")));
        self.state
            .reasons
            .extend(standing.break_glass.as_ref().map(|r| format!("{by} broke the glass: {r}")));
        if !self.has_voted(by) {
            self.state.approvals.push(by.clone());
        }
        if standing.break_glass.is_some() || self.votes() >= self.state.policy.approvals.max(1) {
            self.claim();
        }
        Ok(())
    }

    fn votes(&self) -> u32 {
        u32::try_from(self.state.approvals.len()).unwrap_or(u32::MAX)
    }

    fn has_voted(&self, by: &Actor) -> bool {
        self.state.approvals.iter().any(|actor| actor.id == by.id)
    }

    fn may_vote(&self, by: &Actor, standing: &Standing) -> Taken {
        if self.state.proposal.as_ref().is_some_and(|p| p.doubt.is_some()) {
            return Err(self.illegal("it may not be the release: choose “propose anyway” first"));
        }
        if let Some(why) = &standing.break_glass {
            // Acting alone lifts both rules below, for a reason that can be read afterwards.
            return if why.trim().is_empty() {
                Err(Refusal::NeedsReason(format!(
                    "{by}, breaking the glass of {} needs a reason",
                    self.state.id
                )))
            } else {
                Ok(())
            };
        }
        if self.has_voted(by) {
            let missing = self.state.policy.approvals.saturating_sub(self.votes());
            return Err(self.illegal(&format!("you approved already; {missing} more from others")));
        }
        let own = self.state.by.as_ref().is_some_and(|actor| actor.id == by.id);
        if own && !self.state.policy.requester_may_approve {
            return Err(Refusal::NotAllowed(format!(
                "{by}, you asked for {}: somebody else has to approve it",
                self.state.id
            )));
        }
        Ok(())
    }

    /// The decision is made, and visible, before the world is asked once more.
    pub(super) fn claim(&mut self) {
        if self.state.commander.is_none() {
            self.state.commander = self.state.approvals.first().cloned();
        }
        self.enter(Phase::Deciding);
        self.ask_step(Effect::Reread);
    }

    pub(super) fn rejected(
        &mut self,
        by: &Actor,
        standing: &Standing,
        revision: u32,
        reason: Option<&str>,
    ) -> Taken {
        if !matches!(self.state.phase, Phase::Proposed { .. }) {
            return Err(self.illegal("rejecting changes nothing now; “stop” does"));
        }
        self.needs_approver(by, standing)?;
        self.same_revision(revision)?;
        self.end(End::Rejected { by: by.clone(), reason: reason.map(str::to_owned) });
        Ok(())
    }

    pub(super) fn decision_read(&mut self, decision: &Decision) -> Taken {
        if !matches!(self.state.phase, Phase::Deciding) {
            return Err(self.stale("decision"));
        }
        match decision {
            // What was approved is there already, whoever did it: it is still to be proven, and watched.
            Decision::Unchanged | Decision::AlreadyThere => self.go(),
            Decision::Changed { what } => self.propose_anew(what.clone()),
            Decision::FailingUnreadable { detail } => self.one_more_click(detail),
            Decision::RouterUnreadable { detail } => {
                self.escalate(Why::RouterUnreadable { detail: detail.clone() });
            }
        }
        Ok(())
    }

    /// Approved for good: from here on the gate refuses the failing artifact.
    fn go(&mut self) {
        self.state.approved_at = Some(self.at);
        self.state.superseded = None;
        self.open_incident();
        if let (true, Some(failing)) = (self.blames(), self.state.failing().cloned()) {
            self.state.marked = true;
            self.state.marks.insert(failing.artifact.digest.clone());
            let why = format!("{} rolls it back", self.state.id);
            self.changes.push(Change::MarkUnstable { artifact: failing.artifact, why, provisional: true });
        }
        self.fetch();
    }

    pub(super) fn fetch(&mut self) {
        let Some(digest) = self.state.target().map(|target| target.digest.clone()) else {
            return self.escalate(Why::NoCandidate { detail: "the proposal has no target".into() });
        };
        self.state.fetched = false;
        self.enter(Phase::Fetching);
        self.ask_step(Effect::Fetch { digest });
    }

    /// What can't be read is not "changed": it costs one more click, with the same people.
    fn one_more_click(&mut self, detail: &str) {
        let text = format!("what fails can't be read now: {detail}");
        if let Some(proposal) = &mut self.state.proposal {
            if proposal
                .caveats
                .iter()
                .any(|c| c.text == text || c.text.starts_with("what fails can't be read"))
            {
                // It was said, and confirmed.
                return self.go();
            }
            proposal.caveats.push(Caveat { text, needs_reason: false });
            proposal.expires_at = self.at.saturating_add(self.state.policy.expires_after);
        }
        self.state.revision += 1;
        self.state.approvals.clear();
        self.enter(Phase::Proposed { confirming: true });
        self.timer(Timer::Expiry, self.state.policy.expires_after);
    }
}

fn texts(caveats: &[Caveat]) -> String {
    caveats.iter().map(|c| c.text.clone()).collect::<Vec<_>>().join("; ")
}
