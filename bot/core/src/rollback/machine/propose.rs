//! From the survey to the vote.

use super::{
    super::{
        effect::Timer,
        event::{Standing, Survey, Surveyed},
        policy::Approval,
        refusal::Refusal,
        state::{Kind, Phase, Proposal},
        why::{End, Why},
    },
    Taken, Work,
};
use crate::{
    Actor, Artifact, Digest, Shares,
    inventory::{
        choice::{Candidate, Caveat},
        live::Live,
        target::Target,
    },
    verdict::{Baseline, DOUBTFUL_BASELINE},
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
        if self.state.baselines.is_empty() {
            self.state.baselines.clone_from(&survey.baselines);
        }
        let target = self.target_of(survey);
        // Without a target it is kept for its candidates: a person may still choose one that was skipped.
        self.state.proposal = self.proposal(survey, target.as_ref().ok().cloned());
        let target = match target {
            Ok(target) => target,
            Err(detail) => {
                self.escalate_if_wanted(Why::NoCandidate { detail }, self.state.alert_firing());
                return Ok(());
            }
        };
        // The same routing may still serve other bytes, where the target replaces them in place.
        let serves_only_it = survey.live.set().keys().all(|digest| *digest == &target.artifact().digest);
        if self.state.is_there(&survey.live.shares) && serves_only_it {
            self.there_already(target.artifact());
            return Ok(());
        }
        self.put_to_vote();
        Ok(())
    }

    /// Nothing to shift. While the alert fires that helps nobody, and must not end in silence.
    fn there_already(&mut self, target: &Artifact) {
        let reason = format!("all traffic is on {target} already: nothing to shift");
        if self.state.alert_firing() {
            self.escalate(Why::NoCandidate { detail: reason });
        } else {
            self.end(End::Superseded { reason });
        }
    }

    /// Without an alert there is a person who asked and who reads the answer; nobody has to be woken for it.
    fn escalate_if_wanted(&mut self, why: Why, page: bool) {
        if page { self.escalate(why) } else { self.enter(Phase::Escalated { why }) }
    }

    /// Where it goes, or why there is nowhere to go.
    fn target_of(&self, survey: &Survey) -> Result<Target, String> {
        if let Kind::Undo { of, to, artifact, contents } = &self.state.kind {
            let unknown = || format!("what ran before {of} is not known: deploy it by hand");
            let artifact =
                artifact.clone().or_else(|| held_by_most_of(to, &survey.live)).ok_or_else(unknown)?;
            if let Some(name) = &survey.made_as {
                // What rolls ends whole: where it was found half way, it can't be left there again.
                return Ok(Target::made(&artifact, name, &survey.live));
            }
            return Target::found_before(artifact, to.clone(), contents, &survey.live)
                .map_err(|changed| format!("what was live before {of} is not there any more: {changed}"));
        }
        let chosen = survey.choice.chosen.as_ref().and_then(|chosen| {
            let of = |candidate: &&Candidate| candidate.artifact.digest == *chosen;
            survey.choice.candidates.iter().find(of)?.target.clone()
        });
        chosen.ok_or_else(|| no_candidate(survey, self.state.wanted.as_deref()))
    }

    fn proposal(&self, survey: &Survey, target: Option<Target>) -> Option<Proposal> {
        let failing = survey.choice.failing.clone();
        if target.is_none() && failing.is_none() {
            return None;
        }
        let candidates = survey.choice.candidates.clone();
        let mut caveats: Vec<Caveat> =
            survey.drift.iter().map(|text| Caveat { text: text.clone(), needs_reason: false }).collect();
        caveats.extend(self.state.baselines.iter().filter_map(doubtful_baseline));
        caveats.extend(target.as_ref().and_then(|target| self.undo_caveat(target.artifact())));
        let digest = target.as_ref().map(|target| &target.artifact().digest);
        caveats.extend(
            candidates.iter().filter(|c| Some(&c.artifact.digest) == digest).flat_map(Candidate::caveats),
        );
        Some(Proposal {
            failing,
            target,
            live: survey.live.clone(),
            candidates,
            caveats,
            notes: survey.choice.notes.iter().chain(&survey.notes).cloned().collect(),
            doubt: survey.doubt.clone(),
            expires_at: self.at.saturating_add(self.state.policy.expires_after),
        })
    }

    /// What failed once is not gone back to by a single click.
    fn undo_caveat(&self, target: &Artifact) -> Option<Caveat> {
        let Kind::Undo { of, .. } = &self.state.kind else { return None };
        let text = format!("{target} is what {of} moved traffic away from");
        Some(Caveat { text, needs_reason: false })
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
        let target = match &candidate.target {
            Some(target) if candidate.possible => target.clone(),
            _ => {
                let why = candidate
                    .skip
                    .as_ref()
                    .map_or_else(|| "it is in no pool now".to_owned(), ToString::to_string);
                return Err(self.illegal(&format!("{} can't be the target: {why}", candidate.artifact)));
            }
        };
        // What was said of the old target goes; that things are not what they seem stays true.
        let old = proposal.target.as_ref().map(|target| target.artifact().digest.clone());
        let of_old: Vec<_> = proposal
            .candidates
            .iter()
            .filter(|c| Some(&c.artifact.digest) == old.as_ref())
            .flat_map(Candidate::caveats)
            .collect();
        proposal.caveats.retain(|caveat| !of_old.contains(caveat));
        proposal.caveats.extend(candidate.caveats());
        proposal.target = Some(target);
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

/// What was bad before the trouble can't tell when it is over.
fn doubtful_baseline(baseline: &Baseline) -> Option<Caveat> {
    let rate = baseline.rate.filter(|rate| *rate > DOUBTFUL_BASELINE)?;
    let text = format!(
        "{}: {:.0} % before the trouble counts as normal, so its recovery says little",
        baseline.metric,
        rate * 100.0
    );
    Some(Caveat { text, needs_reason: false })
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
