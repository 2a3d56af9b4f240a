//! After the shift: is it better now?

use super::{
    super::{
        effect::{Change, Effect, Timer},
        event::TrafficNow,
        state::Phase,
        why::Why,
    },
    Taken, Work,
    attend::LAST_LOOK_WITHIN,
};
use crate::{
    At, Millis,
    verdict::{self, Observation, Quality, Series, Verdict},
    words::spell,
};

impl Work {
    /// What is wrong when time is up.
    fn not_recovered(&self, series: &Series) -> Why {
        let good = series.recovered(self.state.policy.good_in_a_row);
        if !(good && self.state.alert_holds()) {
            return Why::NotRecovered { verdict: series.at_deadline() };
        }
        let within = spell(self.state.policy.recover_within);
        let detail = format!(
            "health checks are good, but no metric is configured, and the alert has not ended within {within}"
        );
        Why::AlertStillFiring { detail }
    }

    /// Observation starts, or starts over, now.
    pub(super) fn observe(&mut self) {
        let since = self.at;
        self.enter(Phase::Observing {
            since,
            series: Series::default(),
            last: Box::default(),
            overdue: false,
            unreadable: None,
        });
        self.timer(Timer::Recover, self.state.policy.recover_within);
        self.look(since, 0);
    }

    pub(super) fn look(&mut self, since: At, after: Millis) {
        let Some(to) = self.state.goal().map(|target| target.routing().clone()) else { return };
        let failing_since = self.state.failing().and_then(|f| f.since);
        let confirming = matches!(self.state.phase, Phase::Confirming { .. });
        self.ask(Effect::Observe { since, to, failing_since, confirming }, after);
    }

    pub(super) fn observed(&mut self, seen: &Observation, traffic: &TrafficNow) -> Taken {
        if matches!(self.state.phase, Phase::Confirming { .. }) {
            return self.confirmed(seen, traffic);
        }
        let Phase::Observing { since, series, overdue, .. } = &self.state.phase else {
            return Err(self.stale("observation"));
        };
        let (since, mut series, overdue) = (*since, series.clone(), *overdue);
        if let TrafficNow::Elsewhere { shares, detail } = traffic {
            self.state.shares = Some(shares.clone());
            self.escalate(Why::MovedByAnotherHand { shares: shares.clone(), detail: detail.clone() });
            return Ok(());
        }
        let unreadable = match traffic {
            TrafficNow::Unreadable { detail } => Some(detail.clone()),
            _ => None,
        };
        let mut quality = verdict::judge(seen, since);
        if unreadable.is_some() && quality == Quality::Good {
            // Healthy, but whose health it is nobody knows.
            quality = Quality::NoData;
        }
        series.add(quality, self.at);
        // Health checks alone can't tell that what people suffer from is over: only the alert can.
        let proven = !seen.metrics.is_empty() || !self.state.alert_holds();
        let recovered = proven && series.recovered(self.state.policy.good_in_a_row);
        let why = self.not_recovered(&series);
        let last = Box::new(seen.clone());
        self.state.phase = Phase::Observing { since, series, last, overdue, unreadable };
        if recovered {
            self.recovered(since, seen);
        } else if overdue {
            self.escalate(why);
        } else {
            self.look(since, self.state.policy.every);
        }
        Ok(())
    }

    /// After a downtime the deadline may be long past, with nobody having looked: it counts only after a fresh look.
    pub(super) fn recover_overdue(&mut self) -> Taken {
        let fresh_within = self.state.policy.every.saturating_mul(2).max(1_000);
        let Phase::Observing { since, series, overdue, .. } = &mut self.state.phase else {
            return Err(self.stale("timer"));
        };
        if series.last_at.is_some_and(|last| self.at.saturating_sub(last) <= fresh_within) {
            let series = series.clone();
            let why = self.not_recovered(&series);
            self.escalate(why);
        } else if *overdue {
            self.escalate(Why::NotRecovered { verdict: Verdict::NoData });
        } else {
            *overdue = true;
            let since = *since;
            self.changes.push(Change::CancelWork);
            self.timer(Timer::Recover, LAST_LOOK_WITHIN);
            self.look(since, 0);
        }
        Ok(())
    }
}
