//! From the survey to the vote.

use super::{
    super::{
        effect::Timer,
        event::{Standing, Survey, Surveyed},
        policy::Approval,
        refusal::Refusal,
        state::{End, Kind, Phase, Proposal, Why},
    },
    Taken, Work,
};
use crate::{
    Actor, Artifact, Digest, Shares,
    inventory::{
        choice::{Candidate, Caveat},
        live::{Live, all_to},
    },
};

impl Work {
    pub(super) fn surveyed(&mut self, found: &Surveyed) -> Taken {
        if !matches!(self.state.phase, Phase::Surveying) {
            return Err(self.stale("survey"));
        }
        let survey = match found {
            Surveyed::RouterUnreadable { detail } => {
                self.escalate_if_wanted(Why::RouterUnreadable { detail: detail.clone() }, true);
                return Ok(());
            }
            Surveyed::Found(survey) => survey,
        };
        self.state.shares = Some(survey.live.shares.clone());
        self.state.revision += 1;
        let target = self.target_of(survey);
        let proposal = self.proposal(survey, target.clone());
        if target.is_none() {
            let detail = no_candidate(survey, self.state.wanted.as_deref());
            // Kept for its candidates: a person may still choose one that was skipped.
            self.state.proposal = proposal.map(|p| Proposal { to: Shares::new(), ..p });
            self.escalate_if_wanted(Why::NoCandidate { detail }, self.state.alert_firing());
            return Ok(());
        }
        self.state.proposal = proposal;
        // The same routing may still serve other bytes, where the target replaces them in place.
        let serves_only_it =
            survey.live.set().keys().all(|digest| Some(*digest) == target.as_ref().map(|t| &t.digest));
        if self.state.is_there(&survey.live.shares) && serves_only_it {
            self.end(End::Superseded {
                reason: "all traffic is on the target already: nothing to shift".into(),
            });
            return Ok(());
        }
        self.put_to_vote();
        Ok(())
    }

    /// Without an alert there is a person who asked and who reads the answer; nobody has to be woken for it.
    fn escalate_if_wanted(&mut self, why: Why, page: bool) {
        if page { self.escalate(why) } else { self.enter(Phase::Escalated { why }) }
    }

    fn target_of(&self, survey: &Survey) -> Option<Artifact> {
        if let Kind::Undo { artifact, to, .. } = &self.state.kind {
            return artifact.clone().or_else(|| held_by_most_of(to, &survey.live));
        }
        let chosen = survey.choice.chosen.as_ref()?;
        survey.choice.candidates.iter().find(|c| c.artifact.digest == *chosen).map(|c| c.artifact.clone())
    }

    fn proposal(&self, survey: &Survey, target: Option<Artifact>) -> Option<Proposal> {
        let failing = survey.choice.failing.clone();
        let nowhere = failing.as_ref().map(|f| f.artifact.clone());
        let target = target.or(nowhere)?;
        let candidates = survey.choice.candidates.clone();
        let mut caveats: Vec<Caveat> =
            survey.drift.iter().map(|text| Caveat { text: text.clone(), needs_reason: false }).collect();
        caveats.extend(
            candidates.iter().filter(|c| c.artifact.digest == target.digest).flat_map(Candidate::caveats),
        );
        Some(Proposal {
            failing,
            target,
            to: survey.to.clone(),
            live: survey.live.clone(),
            candidates,
            caveats,
            notes: survey.choice.notes.iter().chain(&survey.notes).cloned().collect(),
            doubt: survey.doubt.clone(),
            expires_at: self.at.saturating_add(self.state.policy.expires_after),
        })
    }

    fn put_to_vote(&mut self) {
        self.enter(Phase::Proposed { confirming: false });
        self.timer(Timer::Expiry, self.state.policy.expires_after);
        let clean = self.state.proposal.as_ref().is_some_and(|p| p.caveats.is_empty() && p.doubt.is_none());
        // A resolved alert never approves itself; no run starts another one without a person; and what had to be proposed anew is not so clear a case any more (nor may a
        // world that keeps changing drive this round in circles without anybody).
        let wanted = self.state.parent.is_none()
            && self.state.alert.as_ref().is_none_or(|alert| alert.firing)
            && self.state.superseded.is_none();
        if self.state.policy.approval == Approval::None && clean && wanted && self.blames() {
            self.claim();
        }
    }

    pub(super) fn chosen(
        &mut self,
        by: &Actor,
        standing: &Standing,
        revision: u32,
        digest: &Digest,
    ) -> Taken {
        let choosing = matches!(
            self.state.phase,
            Phase::Proposed { .. } | Phase::Escalated { why: Why::NoCandidate { .. } }
        );
        if !self.blames() {
            return Err(self.illegal("an undo leads back to one routing only; reject it to choose a version"));
        }
        if !choosing {
            return Err(self.illegal("another version can't be chosen any more"));
        }
        self.needs_approver(by, standing)?;
        self.same_revision(revision)?;
        let Some(proposal) = &mut self.state.proposal else {
            return Err(self.illegal("there is nothing to choose from"));
        };
        let named = |c: &&Candidate| c.artifact.digest == *digest;
        let Some(candidate) = proposal.candidates.iter().find(named).cloned() else {
            return Err(self.illegal("that version is none of the candidates; ask again with its digest"));
        };
        if !candidate.possible {
            let why = candidate
                .skip
                .as_ref()
                .map_or_else(|| "it is in no pool now".to_owned(), ToString::to_string);
            return Err(self.illegal(&format!("{} can't be the target: {why}", candidate.artifact)));
        }
        match candidate.pools.first() {
            Some(pool) => proposal.to = all_to(pool, &proposal.live.shares),
            // Replaced in place: the routing stays. There was none to propose when no candidate was found.
            None if proposal.to.is_empty() => proposal.to = proposal.live.shares.clone(),
            None => {}
        }
        // What was said of the old target goes; that things are not what they seem stays true.
        let of_old: Vec<_> = proposal
            .candidates
            .iter()
            .filter(|c| c.artifact.digest == proposal.target.digest)
            .flat_map(Candidate::caveats)
            .collect();
        proposal.caveats.retain(|caveat| !of_old.contains(caveat));
        proposal.caveats.extend(candidate.caveats());
        proposal.target = candidate.artifact;
        proposal.expires_at = self.at.saturating_add(self.state.policy.expires_after);
        // Choosing is a decision about the doubt, too; and votes were for another target.
        proposal.doubt = None;
        self.state.approvals.clear();
        self.state.revision += 1;
        self.enter(Phase::Proposed { confirming: false });
        self.timer(Timer::Expiry, self.state.policy.expires_after);
        Ok(())
    }

    pub(super) fn propose_anyway(&mut self, by: &Actor, standing: &Standing) -> Taken {
        self.needs_charge(by, standing)?;
        let doubted = self.state.proposal.as_ref().is_some_and(|p| p.doubt.is_some());
        if !matches!(self.state.phase, Phase::Proposed { .. }) || !doubted {
            return Err(self.illegal("the rollback is proposed already"));
        }
        if let Some(proposal) = &mut self.state.proposal {
            proposal.doubt = None;
        }
        Ok(())
    }

    pub(super) fn unanswered(&mut self) -> Taken {
        if !self.state.alert_firing() || !self.state.pages.is_empty() {
            return Ok(());
        }
        let within = crate::words::spell(self.state.policy.answer_within);
        self.ring(&format!("the alert has been firing and nobody answered the proposal for {within}"));
        Ok(())
    }

    pub(super) fn expired(&mut self) -> Taken {
        if self.state.alert_firing() {
            // The page must not be resolved by the end of a run that nobody looked at: a person takes it from here.
            self.escalate(Why::Expired);
        } else {
            self.end(End::Expired);
        }
        Ok(())
    }

    pub(super) fn same_revision(&self, seen: u32) -> Taken {
        if seen == self.state.revision {
            return Ok(());
        }
        let reason = self.state.superseded.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        Err(Refusal::Old(format!(
            "that button belongs to an older proposal of {}{reason}; look at the current card",
            self.state.id
        )))
    }
}

/// What runs where most of the traffic is to go. The name is unknown; the bytes are what counts.
fn held_by_most_of(to: &Shares, live: &Live) -> Option<Artifact> {
    let (pool, _) = to.iter().filter(|(_, share)| **share > 0).max_by_key(|(_, share)| **share)?;
    let digest = live.pools.get(pool)?.digest()?.clone();
    Some(Artifact { version: format!("unrecorded {}", digest.short()), digest })
}

fn no_candidate(survey: &Survey, wanted: Option<&str>) -> String {
    // What is not as it seems is often why there is none, and says what to correct.
    let because = survey.drift.iter().map(|drift| format!("; {drift}"));
    std::iter::once(nothing_to_choose(survey, wanted)).chain(because).collect()
}

fn nothing_to_choose(survey: &Survey, wanted: Option<&str>) -> String {
    let choice = &survey.choice;
    if choice.failing.is_none() {
        return "what is live is not known: record deployments, or give the pools a version endpoint".into();
    }
    if let Some(wanted) = wanted {
        return match choice.candidates.iter().find(|c| crate::inventory::choice::names(&c.artifact, wanted)) {
            Some(Candidate { skip: Some(skip), .. }) => format!("{wanted} can't be the target: {skip}"),
            _ => format!("{wanted} is no earlier release of this service"),
        };
    }
    match choice.candidates.len() {
        0 => "there is no earlier release in the inventory".into(),
        n => format!("none of {n} earlier releases can be trusted"),
    }
}
