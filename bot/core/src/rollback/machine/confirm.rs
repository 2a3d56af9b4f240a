//! Confirming stability: a service that has recovered is watched for a while longer. Pages stay open and marks provisional until
//! that ends well, with the alert over.

use super::{
    super::{
        effect::{Change, Timer},
        event::TrafficNow,
        state::Phase,
        why::{End, Why},
    },
    Taken, Work,
};
use crate::{
    Actor, Artifact, At,
    verdict::{self, Observation, Quality, Verdict},
};

/// Bad looks in a row that are a relapse: one may be a hiccup.
const BAD_LOOKS: u32 = 2;
/// Looks in a row without data, at the end, that are taken for the answer.
const SILENT_LOOKS: u32 = 3;

impl Work {
    /// The first verdict is good.
    pub(super) fn recovered(&mut self, since: At, last: &Observation) {
        let (recovered_at, bake) = (self.at, self.state.policy.bake);
        self.enter(Phase::Confirming {
            since,
            recovered_at,
            until: recovered_at.saturating_add(bake),
            bad: 0,
            silent: 0,
            last: Box::new(last.clone()),
            overdue: false,
            unreadable: None,
            waits_for_alert: false,
        });
        // Whoever was called in vain need not be called again for what is well; the page itself stays open.
        self.changes.push(Change::ClearTimer { timer: Timer::Ack });
        if bake <= 0 {
            return self.decide(Quality::Good);
        }
        self.timer(Timer::Confirm, bake);
        self.look(since, self.state.policy.confirm_every());
    }

    pub(super) fn confirmed(&mut self, seen: &Observation, traffic: &TrafficNow) -> Taken {
        if let TrafficNow::Elsewhere { shares, detail } = traffic {
            self.state.shares = Some(shares.clone());
            self.escalate(Why::MovedByAnotherHand { shares: shares.clone(), detail: detail.clone() });
            return Ok(());
        }
        let Phase::Confirming { since, bad, silent, last, overdue, unreadable, waits_for_alert, .. } =
            &mut self.state.phase
        else {
            return Err(self.stale("observation"));
        };
        let mut quality = verdict::judge(seen, *since);
        *unreadable = match traffic {
            TrafficNow::Unreadable { detail } => Some(detail.clone()),
            _ => None,
        };
        if unreadable.is_some() && quality == Quality::Good {
            quality = Quality::NoData;
        }
        *bad = if quality == Quality::Bad { *bad + 1 } else { 0 };
        *silent = if matches!(quality, Quality::NoData | Quality::TooEarly) { *silent + 1 } else { 0 };
        **last = seen.clone();
        let (since, bad, decides) = (*since, *bad, *overdue || *waits_for_alert);
        if bad >= BAD_LOOKS {
            let detail = verdict::trouble(seen).unwrap_or_else(|| "its checks are bad".to_owned());
            self.escalate(Why::Relapsed { detail });
        } else if decides {
            self.decide(quality);
        } else {
            let soon = if bad > 0 { self.state.policy.every } else { self.state.policy.confirm_every() };
            self.look(since, soon);
        }
        Ok(())
    }

    /// Time is up, and this is how it looks.
    fn decide(&mut self, quality: Quality) {
        let firing = self.state.alert_holds();
        let every = self.state.policy.every;
        let Phase::Confirming { since, silent, overdue, waits_for_alert, .. } = &mut self.state.phase else {
            return;
        };
        let since = *since;
        match quality {
            Quality::Good if !firing => self.stable(),
            Quality::Good => {
                *overdue = false;
                if !std::mem::replace(waits_for_alert, true) {
                    self.timer(Timer::Confirm, self.state.policy.alert_clears_within);
                }
                self.look(since, self.state.policy.confirm_every());
            }
            // All was well, and may be: the timer ends the wait.
            Quality::NoData | Quality::TooEarly if *waits_for_alert => {
                self.look(since, self.state.policy.confirm_every());
            }
            Quality::NoData | Quality::TooEarly if *silent >= SILENT_LOOKS => {
                self.escalate(Why::NotRecovered { verdict: Verdict::NoData });
            }
            Quality::NoData | Quality::TooEarly | Quality::Bad => self.look(since, every),
        }
    }

    /// The end of the bake: one fresh look decides. Where there was no clear answer since, a person has to look; and where all
    /// is well but the alert, it has had its time.
    pub(super) fn confirm_due(&mut self) -> Taken {
        let firing = self.state.alert_holds();
        let Phase::Confirming { since, overdue, waits_for_alert, .. } = &mut self.state.phase else {
            return Err(self.stale("timer"));
        };
        if *waits_for_alert && firing {
            let within = crate::words::spell(self.state.policy.alert_clears_within);
            let detail =
                format!("its checks are good, and the alert has not ended within {within} after the watch");
            self.escalate(Why::AlertStillFiring { detail });
            return Ok(());
        }
        if *overdue {
            self.escalate(Why::NotRecovered { verdict: Verdict::NoData });
            return Ok(());
        }
        *overdue = true;
        let since = *since;
        self.changes.push(Change::CancelWork);
        self.timer(Timer::Confirm, self.state.policy.recover_within);
        self.look(since, 0);
        Ok(())
    }

    /// The alert was all that it waited for.
    pub(super) fn look_when_alert_ends(&mut self) {
        let Phase::Confirming { since, waits_for_alert: true, .. } = self.state.phase else { return };
        self.changes.push(Change::CancelWork);
        self.look(since, 0);
    }

    fn stable(&mut self) {
        if let (true, Some(failing)) = (self.blames(), self.state.failing().cloned()) {
            let why = format!("{} rolled it back, and {} recovered", self.state.id, self.state.service);
            self.state.marked = true;
            self.changes.push(Change::MarkUnstable { artifact: failing.artifact, why, provisional: false });
        }
        self.end(End::Recovered);
    }

    /// Somebody deployed something else: what was to be confirmed is live no more.
    pub(super) fn replaced_while_confirming(&mut self, artifact: &Artifact, by: Option<&str>) {
        if self.state.alert_firing() {
            return self
                .escalate(Why::AnotherRelease { artifact: artifact.clone(), by: by.map(str::to_owned) });
        }
        let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
        self.end(End::Superseded {
            reason: format!("{artifact} was deployed{by} after the service had recovered"),
        });
    }

    /// Another rollback may begin from here.
    pub(super) fn successor_asked(&mut self, by: &Actor) -> Taken {
        if !matches!(self.state.phase, Phase::Confirming { .. }) {
            return Err(self.illegal("it has to end, or to be stopped, before another one begins"));
        }
        self.end(End::Superseded { reason: format!("{by} asked for another rollback") });
        Ok(())
    }
}
