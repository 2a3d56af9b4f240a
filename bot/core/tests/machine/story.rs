//! A run that is told events one by one, for tests that read like what happened.

use lastgood_core::{
    At,
    rollback::{
        Change, Decision, Event, Fetched, Opening, Phase, Preflighted, Refusal, Rollback, Standing, Step,
        Timer, TrafficNow, Why, open, step,
    },
};

use crate::kit::*;

/// A run that is told events, and keeps the last step.
pub struct Story {
    pub state: Rollback,
    pub last: Step,
    /// When the next event happens.
    pub at: At,
}

impl Story {
    pub fn of(opening: &Opening) -> Self {
        let last = open(opening);
        Self { state: last.state.clone(), last, at: START + MIN }
    }

    pub fn start() -> Self {
        Self::of(&opening(policy()))
    }

    pub fn then(mut self, event: Event) -> Self {
        self.last = step(&self.state, &event, self.at).unwrap();
        self.state = self.last.state.clone();
        self
    }

    pub fn refuses(&self, event: Event) -> Refusal {
        step(&self.state, &event, self.at).unwrap_err()
    }

    pub fn proposed(self) -> Self {
        self.then(Event::Surveyed { found: found(survey()) })
    }

    pub fn approved(self, by: &str) -> Self {
        let event = approve(&self.state, by, approver(), false, None);
        self.then(event)
    }

    pub fn decided(self, decision: Decision) -> Self {
        self.then(Event::DecisionRead { decision })
    }

    pub fn shifting(self) -> Self {
        self.proposed()
            .approved("ana")
            .decided(Decision::Unchanged)
            .then(Event::Fetched { fetched: Fetched::Present { detail: String::new() } })
            .then(ready("green"))
    }

    pub fn retried(self) -> Self {
        self.then(Event::RetryAsked { by: actor("ana"), standing: approver() })
    }

    pub fn arms(&self, timer: Timer) -> bool {
        self.last
            .changes
            .iter()
            .any(|change| matches!(change, Change::SetTimer { timer: t, .. } if *t == timer))
    }

    pub fn why(&self) -> &Why {
        match &self.state.phase {
            Phase::Escalated { why } => why,
            other => panic!("{}", other.word()),
        }
    }

    /// Later, so many minutes.
    pub fn after(mut self, minutes: i64) -> Self {
        self.at += minutes * MIN;
        self
    }

    pub fn looks(self, healthy: bool, rate: Option<f64>) -> Self {
        let observation = look(healthy, rate, self.since());
        self.then(Event::Observed { observation, traffic: TrafficNow::AsExpected })
    }

    /// When the shift was verified.
    fn since(&self) -> At {
        match self.state.phase {
            Phase::Observing { since, .. } | Phase::Confirming { since, .. } => since,
            ref other => panic!("{} looks at nothing", other.word()),
        }
    }

    /// Traffic is on the target.
    pub fn observing(self) -> Self {
        self.shifting().then(Event::ShiftRead { reading: settled(to("blue")) })
    }

    /// Three good looks.
    pub fn recovered(self) -> Self {
        self.observing().looks(true, Some(0.0)).looks(true, Some(0.0)).looks(true, Some(0.0))
    }

    pub fn fires(self, timer: Timer) -> Self {
        self.then(Event::TimerFired { timer })
    }
}

pub fn approve(
    state: &Rollback,
    by: &str,
    standing: Standing,
    confirmed: bool,
    reason: Option<&str>,
) -> Event {
    let reason = reason.map(str::to_owned);
    Event::Approved { by: actor(by), standing, revision: state.revision, confirmed, reason }
}

pub fn ready(pool: &str) -> Event {
    Event::PreflightDone {
        preflight: Preflighted::Ready { before: to(pool), warnings: vec![], pools: Default::default() },
    }
}
