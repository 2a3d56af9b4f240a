//! When it needs a person: why, and what the thread offers then.

use super::{
    super::{
        effect::{Change, Effect, Linked},
        event::Standing,
        refusal::Refusal,
        state::{End, Phase, Why},
    },
    Taken, Work,
};
use crate::{Actor, Millis, RollbackId};

/// How long after its end a run can be undone: what was there before is hardly what anybody wants back after that.
const UNDO_WITHIN: Millis = 24 * 3_600_000;

impl Work {
    /// Stops all work, waits for a person, and rings.
    pub(super) fn escalate(&mut self, why: Why) {
        let reason = why.to_string();
        self.enter(Phase::Escalated { why });
        self.ring(&reason);
    }

    pub(super) fn stuck(&mut self, effect: &str, detail: &str) -> Taken {
        let unrung = self.state.pages.iter().rev().find(|p| p.delivered.is_none());
        if let ("page", Some((escalation, target))) = (effect, unrung.map(|p| (p.escalation, p.target))) {
            // As good as a pager that failed: the next one is tried.
            return self.paged(escalation, target, Some(detail));
        }
        if matches!(effect, "page" | "acknowledge_page" | "resolve_page") {
            self.state.warnings.push(format!("{effect} could not be run: {detail}"));
            return Ok(());
        }
        let awaited = self.awaited();
        let unknown = !Effect::KINDS.contains(&effect);
        if awaited.contains(&effect) || (unknown && !awaited.is_empty()) {
            let why = match self.state.phase.clone() {
                // Stopped it is, all the same; only where traffic is now has to be looked up by hand.
                Phase::Stopping { by, .. } => {
                    Why::Stopped { by, detail: format!("where traffic is now can't be read: {detail}") }
                }
                _ => Why::Stuck { effect: effect.to_owned(), detail: detail.to_owned() },
            };
            self.escalate(why);
            return Ok(());
        }
        if unknown {
            // Nobody knows what it would have been; nothing waits for it, but somebody should read of it.
            self.state.warnings.push(format!("{effect} could not be run: {detail}"));
            return Ok(());
        }
        Err(self.stale("stuck effect"))
    }

    /// Kinds of effects whose outcome the phase waits for.
    fn awaited(&self) -> &'static [&'static str] {
        match self.state.phase {
            Phase::Surveying => &["survey"],
            Phase::Deciding => &["reread"],
            Phase::Fetching => &["fetch"],
            Phase::Preflight => &["preflight"],
            Phase::Shifting { .. } => &["apply", "read_shift"],
            Phase::Holding { .. } => &["watch"],
            Phase::Observing { .. } | Phase::Confirming { .. } => &["observe"],
            Phase::Stopping { .. } => &["read_traffic"],
            Phase::Proposed { .. } | Phase::Escalated { .. } | Phase::Ended { .. } => &[],
        }
    }

    // What a person can choose then.

    fn escalated(&self, wanted: &str) -> Result<Why, Refusal> {
        match &self.state.phase {
            Phase::Escalated { why } => Ok(why.clone()),
            _ => Err(self.illegal(wanted)),
        }
    }

    /// Goes on from where it failed: watch again, shift again, or look anew.
    pub(super) fn retry_asked(&mut self, by: &Actor, standing: &Standing) -> Taken {
        let why = self.escalated("there is nothing to try again")?;
        self.needs_charge(by, standing)?;
        // An instance that was left out may be back; if it is not, somebody says so again.
        self.state.without.clear();
        match why {
            Why::NotRecovered { .. } | Why::Relapsed { .. } | Why::AlertStillFiring { .. } => self.observe(),
            // Nobody voted for what runs there now.
            Why::OtherBytes { .. } => self.survey(),
            Why::Stuck { effect, .. } if effect == "observe" => self.observe(),
            _ if self.state.approved_at.is_none() => self.survey(),
            _ if self.state.moved => self.preflight(),
            // The approval is bound to what was live then; the world had time to change since.
            _ => self.claim(),
        }
        Ok(())
    }

    pub(super) fn next_asked(&mut self, by: &Actor, standing: &Standing) -> Taken {
        self.escalated("the next candidate is offered when this one failed")?;
        self.needs_charge(by, standing)?;
        let mut tried: Vec<_> = self.state.tried.iter().cloned().collect();
        // What never served was not tried.
        tried.extend(self.state.target().filter(|_| self.state.moved).map(|target| target.digest.clone()));
        self.end(End::Superseded { reason: format!("{by} asked for the next candidate") });
        self.changes.push(Change::OpenLinked { linked: Linked::Next { tried } });
        Ok(())
    }

    pub(super) fn undo_asked(&mut self, by: &Actor, standing: &Standing, reason: Option<&str>) -> Taken {
        let offered = match &self.state.phase {
            Phase::Escalated { .. } | Phase::Confirming { .. } => true,
            Phase::Ended { end } => {
                matches!(end, End::Recovered | End::HandedOver { .. } | End::Unattended | End::Stopped { .. })
            }
            _ => false,
        };
        if !offered {
            return Err(self.illegal("undo comes after the shift; “stop” works now"));
        }
        self.needs_charge(by, standing)?;
        if let Some(ended) = self.state.ended_at.filter(|ended| self.at.saturating_sub(*ended) > UNDO_WITHIN)
        {
            let ago = crate::words::spell(self.at.saturating_sub(ended));
            let text = format!("it ended {ago} ago, too long for an undo: ask for a rollback, or deploy");
            return Err(self.illegal(&text));
        }
        let (true, Some(to)) = (self.state.moved, self.state.before.clone()) else {
            return Err(self.illegal("there is nothing to undo: no traffic was moved"));
        };
        if !self.state.has_way_back() {
            let text = "router instances differed before the shift, so there is no one routing to go back to: move traffic by hand";
            return Err(self.illegal(text));
        }
        if reason.is_none_or(|r| r.trim().is_empty()) {
            return Err(Refusal::NeedsReason(format!(
                "undoing {} needs a reason: why go back to what was there before?",
                self.state.id
            )));
        }
        let artifact = self.state.failing().map(|failing| failing.artifact.clone());
        if self.state.active() {
            self.end(End::Superseded { reason: format!("{by} asked to undo it") });
        }
        let contents = self.state.contents_before.clone();
        self.changes.push(Change::OpenLinked { linked: Linked::Undo { to, artifact, contents } });
        Ok(())
    }

    pub(super) fn handed_over(&mut self, by: &Actor, standing: &Standing) -> Taken {
        let why = self.escalated("handing over is offered when the run needs a person")?;
        self.needs_charge(by, standing)?;
        self.end(match why {
            Why::Stopped { by, .. } => End::Stopped { by },
            _ => End::HandedOver { by: by.clone() },
        });
        Ok(())
    }

    pub(super) fn undone(&mut self, by: RollbackId) -> Taken {
        match self.state.phase {
            Phase::Ended { .. } if self.state.moved => {
                self.state.phase = Phase::Ended { end: End::Undone { by } };
                Ok(())
            }
            _ => Err(self.stale("undo")),
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::verdict::Verdict;
        match self {
            Self::NoCandidate { detail } => write!(f, "no version to go back to: {detail}"),
            Self::Expired => f.write_str("the proposal expired unanswered while the alert is firing"),
            Self::RouterUnreadable { detail } => write!(f, "what routes traffic can't be read: {detail}"),
            Self::ArtifactMissing { detail } => write!(f, "the target can't be fetched: {detail}"),
            Self::PreflightRefused { reasons } => {
                write!(f, "preflight refused the shift: {}", reasons.join("; "))
            }
            Self::InstancesUnreachable { instances, detail } => {
                write!(f, "router instances can't be reached ({}): {detail}", instances.join(", "))
            }
            Self::ShiftFailed { detail } => write!(f, "the shift failed, traffic is where it was: {detail}"),
            Self::PartlyShifted { detail, .. } => write!(f, "traffic is only partly shifted: {detail}"),
            Self::OutcomeUnknown { detail } => {
                write!(f, "whether traffic moved can't be read back: {detail}")
            }
            Self::TargetBad { detail, .. } => {
                write!(f, "the target itself is not well, so no more traffic is moved to it: {detail}")
            }
            Self::NotRecovered { verdict: Verdict::NoData } => {
                f.write_str("after the shift there is no data to tell whether it recovered")
            }
            Self::NotRecovered { .. } => {
                f.write_str("traffic is on the target, and the service has not recovered")
            }
            Self::Relapsed { detail } => write!(f, "the service had recovered, and is bad again: {detail}"),
            Self::AlertStillFiring { detail } => write!(f, "the alert is still firing: {detail}"),
            Self::OtherBytes { detail, .. } => {
                write!(f, "the target's pool runs other bytes than were approved: {detail}")
            }
            Self::MovedByAnotherHand { detail, .. } => {
                write!(f, "traffic was moved by another hand: {detail}")
            }
            Self::AnotherRelease { artifact, by } => match by {
                Some(by) => write!(f, "{artifact} was deployed by {by} in the middle of the rollback"),
                None => write!(f, "{artifact} was deployed in the middle of the rollback"),
            },
            Self::Stopped { by, detail } => write!(f, "stopped by {by}; {detail}"),
            Self::Stuck { effect, detail } => write!(f, "{effect} can't be run: {detail}"),
        }
    }
}
