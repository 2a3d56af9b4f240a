//! When it needs a person: why, and what the thread offers then.

use super::{
    super::{
        effect::{Change, Effect, Linked},
        event::Standing,
        refusal::Refusal,
        state::Phase,
        why::{End, Why},
    },
    Taken, Work,
};
use crate::{Actor, Artifact, Millis, RollbackId, Shares};

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
            Why::OtherBytes { .. } => self.look_again(),
            Why::Stuck { effect, .. } if effect == "observe" => self.observe(),
            _ if self.state.approved_at.is_none() => self.look_again(),
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
            Phase::Ended { end } => !matches!(end, End::Superseded { .. } | End::Undone { .. }),
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
        let artifact = self.artifact_before(&to);
        if self.state.active() {
            self.end(End::Superseded { reason: format!("{by} asked to undo it") });
        }
        let contents = self.state.contents_before.clone();
        self.changes.push(Change::OpenLinked { linked: Linked::Undo { to, artifact, contents } });
        Ok(())
    }

    /// What was being deployed before the first change: what is suspected, if that had traffic, else what most of the traffic was
    /// on. A hotfix may have been live by then.
    fn artifact_before(&self, to: &Shares) -> Option<Artifact> {
        let serving = || to.iter().filter(|(_, share)| **share > 0);
        let (pool, _) = serving().max_by_key(|(_, share)| **share)?;
        let failing = self.state.failing().map(|failing| &failing.artifact);
        let had_traffic = |artifact: &&Artifact| {
            serving().any(|(pool, _)| self.state.contents_before.get(pool) == Some(&artifact.digest))
        };
        if let Some(failing) = failing.filter(had_traffic) {
            return Some(failing.clone());
        }
        let Some(digest) = self.state.contents_before.get(pool) else { return failing.cloned() };
        let candidates = self.state.proposal.iter().flat_map(|proposal| &proposal.candidates);
        let known = failing.into_iter().chain(candidates.map(|candidate| &candidate.artifact));
        let named = known.into_iter().find(|artifact| artifact.digest == *digest).cloned();
        named.or_else(|| {
            let version = format!("unrecorded {}", digest.short());
            Some(Artifact { version, digest: digest.clone() })
        })
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
