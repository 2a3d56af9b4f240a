//! What happens around a run, whatever it is doing: alerts, releases, a new commander, a pause.

use super::{
    super::{
        event::Standing,
        policy::Approval,
        state::{Alerting, Phase},
        why::{End, Why},
    },
    Taken, Work,
};
use crate::{Actor, At, Digest};

impl Work {
    pub(super) fn alert_fired(&mut self, title: &str, since: At, heard: bool) -> Taken {
        let at = self.at;
        let fired_before = self.state.alert_firing();
        let alert = self.state.alert.get_or_insert_with(|| Alerting {
            title: title.to_owned(),
            since: since.min(at),
            firing: true,
            heard,
        });
        if !fired_before {
            // Another one than the one that is over: what it is about began then.
            (alert.title, alert.since) = (title.to_owned(), since.min(at));
            alert.heard = heard;
        }
        alert.firing = true;
        alert.heard &= heard;
        match &self.state.phase {
            // The wait for an answer counts from here: while nothing fired, nobody had to answer.
            Phase::Surveying | Phase::Proposed { .. } if !fired_before => self.await_answer(),
            Phase::Escalated { .. } => self.alerted_again(title),
            Phase::Confirming { recovered_at, .. } if since > *recovered_at => {
                self.escalate(Why::Relapsed { detail: format!("a new alert fires: {title}") });
            }
            _ => {}
        }
        Ok(())
    }

    /// It is said on the card; it never approves or proves anything: traffic may merely have stopped. What waits for nothing
    /// else is looked at once more.
    pub(super) fn alert_resolved(&mut self) -> Taken {
        if let Some(alert) = &mut self.state.alert {
            alert.firing = false;
        }
        if let Phase::Escalated { why: Why::AlertStillFiring { .. } } = self.state.phase {
            // It was all that was wrong: whether that is so is watched once more. The page stays open until then.
            self.observe();
        }
        self.look_when_alert_ends();
        Ok(())
    }

    /// Rejecting was a decision: it stands, and whoever has to know is told again.
    pub(super) fn alert_repeated(&mut self) -> Taken {
        if !matches!(self.state.phase, Phase::Ended { end: End::Rejected { .. } }) {
            return Err(self.stale("repeated alert"));
        }
        self.state.reminded_at = Some(self.at);
        Ok(())
    }

    /// What has not begun to move waits for a click from now on; what moves is not left half way.
    pub(super) fn click_required(&mut self, why: &str) -> Taken {
        if !self.state.may_begin_by_itself() {
            return Err(self.stale("demand for a click"));
        }
        self.state.policy.approval = Approval::Required;
        self.state.policy.click_needed = Some(why.to_owned());
        // Nobody approved: trying again leads to a vote.
        self.state.approved_at = None;
        if matches!(self.state.phase, Phase::Deciding | Phase::Fetching | Phase::Preflight) {
            self.propose_anew(why.to_owned());
        }
        Ok(())
    }

    /// Command is given by who has it, or may approve; anybody else takes it by coming to a page.
    pub(super) fn commander_set(&mut self, by: &Actor, standing: &Standing, commander: &Actor) -> Taken {
        self.needs_charge(by, standing)?;
        self.state.commander = Some(commander.clone());
        Ok(())
    }

    pub(super) fn release_recorded(
        &mut self,
        artifact: &crate::Artifact,
        pool: Option<&str>,
        by: Option<&str>,
    ) -> Taken {
        if self.is_own(&artifact.digest, pool) {
            return Ok(());
        }
        match self.state.phase {
            Phase::Fetching | Phase::Preflight if self.state.moved => {
                // On the way to finish a shift that was begun: too late to take the decision back silently.
                self.escalate(Why::AnotherRelease { artifact: artifact.clone(), by: by.map(str::to_owned) });
                Ok(())
            }
            Phase::Surveying
            | Phase::Proposed { .. }
            | Phase::Deciding
            | Phase::Fetching
            | Phase::Preflight => {
                self.propose_anew(format!("{artifact} was recorded as deployed meanwhile"));
                Ok(())
            }
            Phase::Shifting { .. } | Phase::Holding { .. } | Phase::Observing { .. } => {
                self.escalate(Why::AnotherRelease { artifact: artifact.clone(), by: by.map(str::to_owned) });
                Ok(())
            }
            Phase::Confirming { .. } => {
                self.replaced_while_confirming(artifact, by);
                Ok(())
            }
            Phase::Stopping { .. } | Phase::Escalated { .. } => {
                // Whoever decides what happens next has to know.
                self.state.warnings.push(format!("{artifact} was recorded as deployed meanwhile"));
                Ok(())
            }
            Phase::Ended { .. } => Ok(()),
        }
    }

    /// What a pipeline tells late, and perhaps twice, of what this run is about: the target, and what fails where it was. The
    /// failing bytes in a pool of the target are another matter.
    pub(super) fn is_own(&self, digest: &Digest, pool: Option<&str>) -> bool {
        let Some(target) = self.state.goal() else {
            return self.state.failing().is_some_and(|failing| failing.artifact.digest == *digest);
        };
        let into_target = pool.is_some_and(|pool| target.contents().contains_key(pool));
        let fails = self.state.failing().is_some_and(|failing| failing.artifact.digest == *digest);
        target.artifact().digest == *digest || (fails && !into_target)
    }
}
