//! Answers to what is not taken: where the run is instead, or who could do it.

use super::{
    super::{event::Standing, refusal::Refusal, state::Phase, why::End},
    Taken, Work,
};
use crate::Actor;

impl Work {
    /// Says where the run is instead.
    pub(super) fn illegal(&self, wanted: &str) -> Refusal {
        Refusal::Illegal(format!("{}: {wanted}. {}", self.state.id, self.whereabouts()))
    }

    pub(super) fn stale(&self, outcome: &str) -> Refusal {
        Refusal::Stale(format!("{outcome} while {} is {}", self.state.id, self.state.phase.word()))
    }

    pub(super) fn whereabouts(&self) -> String {
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

    pub(super) fn approvers(&self) -> String {
        if self.state.approvals.is_empty() {
            return String::new();
        }
        let names: Vec<_> = self.state.approvals.iter().map(|actor| actor.name.clone()).collect();
        format!(" by {}", names.join(" and "))
    }

    pub(super) fn needs_approver(&self, by: &Actor, standing: &Standing) -> Taken {
        if standing.approver {
            return Ok(());
        }
        Err(Refusal::NotAllowed(format!(
            "{by}, only an approver of {} may do that in {}; ask one of them, or page the commander",
            self.state.service, self.state.id
        )))
    }

    pub(super) fn needs_charge(&self, by: &Actor, standing: &Standing) -> Taken {
        let commands = self.state.commander.as_ref().is_some_and(|commander| commander.id == by.id);
        if standing.approver || standing.commander || commands {
            return Ok(());
        }
        Err(Refusal::NotAllowed(format!(
            "{by}, only the incident commander or an approver of {} may do that in {}",
            self.state.service, self.state.id
        )))
    }
}
