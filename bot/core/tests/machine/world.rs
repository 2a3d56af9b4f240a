//! A world for a run: it keeps what the machine asked for, and answers like an engine would (`fair`), or late, twice,
//! wrongly and unasked.

use std::collections::{BTreeMap, BTreeSet};

use lastgood_core::{
    At,
    inventory::live::Running,
    rollback::{
        Applied, Change, Decision, Effect, Event, Fetched, Opening, Phase, Preflighted, Refusal, Rollback,
        ShiftReading, Standing, Step, Surveyed, Timer, TrafficNow, open, step,
    },
};

use crate::{events, kit::*};

/// One event that was taken, with what it led from and to.
pub struct Taken {
    pub before: Rollback,
    pub event: Event,
    pub at: At,
    pub step: Step,
}

pub struct World {
    pub opening: Opening,
    pub state: Rollback,
    pub at: At,
    /// Asked for and not answered.
    pub pending: Vec<Effect>,
    /// Called off while perhaps running already: may still answer.
    pub cancelled: Vec<Effect>,
    pub timers: BTreeMap<Timer, At>,
    pub log: Vec<Taken>,
    /// Everything refused, with the state it was refused in.
    pub refused: Vec<(Rollback, Event, Refusal)>,
}

/// One thing that happens; what the numbers mean depends on the moment.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    pub what: u8,
    pub which: u8,
    pub flavour: u8,
}

fn nth<T>(list: &[T], which: u8) -> Option<&T> {
    list.get(usize::from(which).checked_rem(list.len())?)
}

impl World {
    pub fn new(opening: Opening) -> Self {
        let first = open(&opening);
        let mut world = Self {
            state: first.state.clone(),
            at: opening.at,
            opening,
            pending: vec![],
            cancelled: vec![],
            timers: BTreeMap::new(),
            log: vec![],
            refused: vec![],
        };
        world.keep(&first);
        world
    }

    fn keep(&mut self, step: &Step) {
        for change in &step.changes {
            match change {
                Change::CancelWork => {
                    let (pages, work) = self.pending.drain(..).partition(Effect::is_paging);
                    self.pending = pages;
                    self.cancelled.extend::<Vec<_>>(work);
                }
                Change::SetTimer { timer, at } => _ = self.timers.insert(*timer, *at),
                Change::ClearTimer { timer } => _ = self.timers.remove(timer),
                _ => {}
            }
        }
        self.pending.extend(step.effects.iter().map(|request| request.effect.clone()));
    }

    /// The same world once more, to see what would become of it.
    pub fn fork(&self) -> World {
        World {
            opening: self.opening.clone(),
            state: self.state.clone(),
            at: self.at,
            pending: self.pending.clone(),
            cancelled: self.cancelled.clone(),
            timers: self.timers.clone(),
            log: vec![],
            refused: vec![],
        }
    }

    pub fn give(&mut self, event: Event) {
        match step(&self.state, &event, self.at) {
            Ok(step) => {
                self.keep(&step);
                let before = std::mem::replace(&mut self.state, step.state.clone());
                self.log.push(Taken { before, event, at: self.at, step });
            }
            Err(refusal) => self.refused.push((self.state.clone(), event, refusal)),
        }
    }

    /// Something happens. Most of it is plausible.
    pub fn act(&mut self, act: Act) {
        self.at += i64::from(act.flavour) * 50;
        match act.what % 16 {
            0..=6 => self.answer(act.which, act.flavour),
            7 => {
                let twice = nth(&self.pending, act.which).and_then(|e| self.outcome(e, act.flavour));
                twice.into_iter().for_each(|event| self.give(event));
            }
            8 => {
                let late = nth(&self.cancelled, act.which).and_then(|e| self.outcome(e, act.flavour));
                late.into_iter().for_each(|event| self.give(event));
            }
            9 => self.fire_next(),
            // Out of the blue, but for the one whose time the store checks: it ends a watch.
            10 if Timer::ALL[usize::from(act.which) % Timer::ALL.len()] == Timer::Confirm => self.fire_next(),
            10 => {
                self.give(Event::TimerFired { timer: Timer::ALL[usize::from(act.which) % Timer::ALL.len()] })
            }
            11 | 12 => self.click(act),
            13 if act.flavour.is_multiple_of(4) => self.give(Event::AlertResolved),
            13 => {
                let since = act.flavour.is_multiple_of(2).then_some(self.opening.at);
                self.give(Event::AlertFired {
                    title: "again".into(),
                    since,
                    heard: act.flavour % 8 == 1,
                    more: 0,
                });
            }
            _ => {
                let all = events::all(&self.state);
                let chosen = (usize::from(act.which) * 7 + usize::from(act.flavour)) % all.len();
                match &all[chosen].1 {
                    Event::TimerFired { timer: Timer::Confirm } => self.fire_next(),
                    event => self.give(event.clone()),
                }
            }
        }
    }

    /// Runs one effect, and forgets it.
    pub fn answer(&mut self, which: u8, flavour: u8) {
        if self.pending.is_empty() {
            return;
        }
        let effect = self.pending.remove(usize::from(which) % self.pending.len());
        if let Some(event) = self.outcome(&effect, flavour) {
            self.give(event);
        }
    }

    pub fn fire_next(&mut self) {
        if let Some((timer, at)) = self.timers.clone().into_iter().min_by_key(|(_, at)| *at) {
            self.timers.remove(&timer);
            self.at = self.at.max(at);
            self.give(Event::TimerFired { timer });
        }
    }

    /// People do what the state offers: approve, confirm, retry, and now and then something else.
    fn click(&mut self, act: Act) {
        let by = actor(["ana", "bo", "cy"][usize::from(act.which) % 3]);
        let standing = match act.flavour % 16 {
            0 => Standing::default(),
            1 => Standing { break_glass: Some("nobody else is awake".into()), ..approver() },
            _ => approver(),
        };
        let event = match self.state.phase {
            Phase::Escalated { .. } => match act.flavour % 4 {
                0 => Event::OverrideUnreachable { by, standing, reason: "drained".into() },
                1 => Event::HandedOver { by, standing },
                _ => Event::RetryAsked { by, standing },
            },
            _ if act.flavour % 32 == 2 => Event::StopAsked { by, standing },
            Phase::Proposed { .. } if act.flavour % 16 == 7 => {
                Event::Rejected { by, standing, revision: self.state.revision, reason: None }
            }
            _ => Event::Approved {
                by,
                standing,
                revision: self.state.revision.wrapping_sub(u32::from(act.flavour % 8 == 3)),
                confirmed: act.flavour.is_multiple_of(2),
                reason: act.flavour.is_multiple_of(5).then(|| "I looked".into()),
            },
        };
        self.give(event);
    }

    /// What an effect may come to; flavours under 128 are the good ones.
    fn outcome(&self, effect: &Effect, flavour: u8) -> Option<Event> {
        let good = flavour < 128;
        let bad = usize::from(flavour % 8);
        let detail = || "so it was".to_owned();
        if flavour == 255 {
            return Some(Event::EffectStuck { effect: effect.kind().into(), detail: detail() });
        }
        Some(match effect {
            Effect::Survey { .. } => Event::Surveyed { found: surveyed(good, flavour) },
            Effect::Reread => Event::DecisionRead {
                decision: match bad {
                    _ if good => Decision::Unchanged,
                    0 | 1 => Decision::Changed { what: detail() },
                    2 => Decision::AlreadyThere,
                    3 => Decision::RouterUnreadable { detail: detail() },
                    _ => Decision::FailingUnreadable { detail: detail() },
                },
            },
            Effect::Fetch { .. } | Effect::Preflight { .. } => prepared(effect, good, bad),
            Effect::Apply { .. } | Effect::ReadShift { .. } | Effect::ReadTraffic => {
                shifted(effect, good, bad)
            }
            Effect::Watch { to, .. } => watched(to, good, bad),
            Effect::Observe { since, .. } => observed(*since, good, bad),
            Effect::Page { escalation, target, .. } => {
                Event::Paged { escalation: *escalation, target: *target, failed: (!good).then(detail) }
            }
            Effect::AcknowledgePage { .. } | Effect::ResolvePage { .. } | Effect::Resume { .. } => {
                return None;
            }
        })
    }
}

/// What comes before the shift.
fn prepared(effect: &Effect, good: bool, bad: usize) -> Event {
    let detail = || "so it was".to_owned();
    match effect {
        Effect::Fetch { .. } => Event::Fetched {
            fetched: match bad {
                _ if good => Fetched::Present { detail: detail() },
                0..4 => Fetched::Warned { detail: detail() },
                _ => Fetched::Missing { detail: detail() },
            },
        },
        _ => Event::PreflightDone {
            preflight: match bad {
                // Now and then somebody has deployed into the target's pool meanwhile.
                7 if good => {
                    let mut pools = live("green").pools;
                    pools.insert("blue".into(), Running::Seen { digest: digest('f') });
                    Preflighted::Ready { before: to("green"), warnings: vec![], pools }
                }
                _ if good => preflighted("green"),
                // Read at another time, it may look different: the first reading counts.
                0 | 1 => {
                    Preflighted::Ready { before: to("nowhere"), warnings: vec![], pools: Default::default() }
                }
                2 => Preflighted::AlreadyThere,
                3 | 4 => Preflighted::Refused { reasons: vec![detail()] },
                _ => Preflighted::Unreachable { instances: vec![format!("lb{bad}")], detail: detail() },
            },
        },
    }
}

/// What the router says.
fn shifted(effect: &Effect, good: bool, bad: usize) -> Event {
    let detail = || "so it was".to_owned();
    match effect {
        Effect::Apply { .. } => Event::Applied {
            applied: match bad {
                _ if good => Applied::Accepted,
                0..4 => Applied::Unknown { detail: detail() },
                4 => Applied::Conflict { detail: detail() },
                _ => Applied::Failed { detail: detail() },
            },
        },
        Effect::ReadShift { to: wanted, .. } => Event::ShiftRead {
            reading: match bad {
                7 if good => {
                    let pools = [("blue".to_owned(), Running::Seen { digest: digest('f') })].into();
                    ShiftReading::Settled { shares: wanted.clone(), warnings: vec![], pools }
                }
                _ if good => crate::kit::settled(wanted.clone()),
                0 => ShiftReading::Settled {
                    shares: to("nowhere"),
                    warnings: vec![detail()],
                    pools: Default::default(),
                },
                1..4 => ShiftReading::NotSettled { shares: to("green"), detail: detail(), pending: false },
                4 | 5 => ShiftReading::NotSettled { shares: halves(), detail: detail(), pending: false },
                _ => ShiftReading::Unreadable { detail: detail() },
            },
        },
        _ => Event::TrafficRead {
            shares: match bad {
                _ if good => Some(to("green")),
                0..4 => Some(halves()),
                _ => None,
            },
            detail: detail(),
        },
    }
}

fn halves() -> lastgood_core::Shares {
    [("blue".to_owned(), 50), ("green".to_owned(), 50)].into()
}

fn surveyed(good: bool, flavour: u8) -> Surveyed {
    let mut survey = if !good && flavour.is_multiple_of(2) { nothing_found() } else { survey() };
    match flavour % 8 {
        _ if !good && flavour % 8 == 1 => return Surveyed::RouterUnreadable { detail: "refused".into() },
        0 => survey.drift.push("green was never recorded".into()),
        1 => survey.choice.candidates[0].irreversible = Some(("v-b".into(), "drops a column".into())),
        2 => survey.doubt = Some("it is three weeks old".into()),
        3 if !good => survey.choice.failing = None,
        _ => {}
    }
    found(survey)
}

fn observed(since: At, good: bool, bad: usize) -> Event {
    let (observation, traffic) = match bad {
        0..7 if good => (look(true, Some(0.01), since), TrafficNow::AsExpected),
        7 if good => (look(true, Some(0.9), since - 1), TrafficNow::AsExpected),
        0 | 1 => (look(true, Some(0.2), since), TrafficNow::AsExpected),
        2 | 3 => (look(true, None, since), TrafficNow::AsExpected),
        4 => (look(false, None, since - 1), TrafficNow::AsExpected),
        5 => (look(true, Some(0.0), since), TrafficNow::Unreadable { detail: "timed out".into() }),
        6 => (Default::default(), TrafficNow::AsExpected),
        _ => (
            look(true, Some(0.0), since),
            TrafficNow::Elsewhere { shares: to("green"), detail: "by hand".into() },
        ),
    };
    Event::Observed { observation, traffic }
}

fn watched(wanted: &lastgood_core::Shares, good: bool, bad: usize) -> Event {
    let well = look(true, None, 0);
    let (observation, traffic) = match bad {
        _ if good => (well, TrafficNow::AsExpected),
        0..3 => (look(false, None, 0), TrafficNow::AsExpected),
        3..5 => (well, TrafficNow::Unreadable { detail: "timed out".into() }),
        5 => (look(true, Some(0.9), 0), TrafficNow::AsExpected),
        _ => (well, TrafficNow::Elsewhere { shares: halves(), detail: format!("not {wanted:?}") }),
    };
    Event::Watched { observation, traffic }
}

/// Effects of which the phase waits for one.
pub fn awaited(phase: &Phase) -> BTreeSet<&'static str> {
    match phase {
        Phase::Surveying => ["survey"].into(),
        Phase::Deciding => ["reread"].into(),
        Phase::Fetching => ["fetch"].into(),
        Phase::Preflight => ["preflight"].into(),
        Phase::Shifting { .. } => ["apply", "read_shift"].into(),
        Phase::Holding { .. } => ["watch"].into(),
        Phase::Observing { .. } | Phase::Confirming { .. } => ["observe"].into(),
        Phase::Stopping { .. } => ["read_traffic"].into(),
        Phase::Proposed { .. } | Phase::Escalated { .. } | Phase::Ended { .. } => [].into(),
    }
}
