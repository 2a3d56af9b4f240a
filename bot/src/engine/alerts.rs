//! Alerts in: one thread per incident; repetitions are a count, not noise; resolved is said, and proves nothing.

use std::collections::BTreeSet;

use crate::store::write;
use lastgood_core::{At, ServiceId, ThreadId, rollback::Rollback};

use super::{Engine, batch::Batch};
use crate::{
    service::Service,
    store::{self, Result, Tx, alerts::Fired},
};

/// More services than this, alerting within [`TOGETHER`], are likely to have one cause.
const MANY: usize = 3;
/// In milliseconds.
const TOGETHER: i64 = 120_000;
/// Alerts of one transaction: everything else about their service, and on SQLite about all, waits for as long.
const AT_ONCE: usize = 200;

/// An alert as it concerns one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub service: ServiceId,
    pub fingerprint: String,
    pub starts_at: At,
    pub ends_at: Option<At>,
    pub firing: bool,
    pub title: String,
    pub annotations: Vec<(String, String)>,
    /// Labelled `lastgood=ignore`: noted, and no proposal.
    pub ignore: bool,
    /// What it is called: one that comes by webhook may be heard in chat, too.
    pub names: Vec<String>,
    /// Who told it in a chat room; none when it came by webhook.
    pub heard: Option<String>,
    /// The room and the message in whose thread the proposal goes.
    pub anchor: Option<Anchor>,
}

/// A room, `platform:name`, and somebody else's message in it, as the platform's adapter refers to it.
pub type Anchor = (String, String);

/// What became of an alert, for the sender and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A run was opened for it.
    Opened,
    /// It belongs to something that is under way.
    Joined,
    /// Seen before.
    Repeated,
    Resolved,
    Ignored,
}

impl Engine {
    /// Takes an alert; committed when this returns.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, or as the store says.
    pub async fn alert(&self, alert: &Alert) -> Result<Taken> {
        let taken = self.alerts(&alert.service, &[alert]).await?;
        Ok(taken.first().copied().unwrap_or(Taken::Repeated))
    }

    /// Takes what was sent together about one service, in its order and in few transactions; committed when this returns.
    /// What became of each is in the order of the alerts.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, or as the store says. Those before the failure may be taken then: sent
    /// again, they are repetitions.
    pub async fn alerts(&self, service: &ServiceId, alerts: &[&Alert]) -> Result<Vec<Taken>> {
        let service = self.service(&service.0)?;
        let mut taken = Vec::with_capacity(alerts.len());
        // What the first one opens takes numbers that all services share: they are not kept for as long as a batch takes. One
        // that is over opens nothing, and is seen together with what begins meanwhile.
        let opens = alerts.first().is_some_and(|alert| alert.firing);
        let (first, others) = alerts.split_at(usize::from(opens));
        for some in std::iter::once(first).chain(others.chunks(AT_ONCE)).filter(|some| !some.is_empty()) {
            taken.extend(self.take_together(&service, some).await?);
        }
        Ok(taken)
    }

    async fn take_together(&self, service: &Service, alerts: &[&Alert]) -> Result<Vec<Taken>> {
        let (at, owner) = (self.now(), self.owner_of(&service.id));
        let (taken, claimed) = write!(self.store, |tx| {
            tx.lock(&service.id).await?;
            let mut batch = Batch::begin(tx, service, at, owner.as_deref()).await?;
            let mut taken = Vec::with_capacity(alerts.len());
            for alert in alerts {
                taken.push(batch.take(alert).await?);
            }
            Ok((taken, batch.finish().await?))
        })?;
        self.dispatch(claimed);
        for (alert, became) in alerts.iter().zip(&taken) {
            tracing::debug!(service = %service.id, alert = alert.title, taken = ?became, "alert");
        }
        let count = |what| taken.iter().filter(|became| **became == what).count();
        tracing::info!(
            service = %service.id,
            alerts = taken.len(),
            opened = count(Taken::Opened),
            joined = count(Taken::Joined),
            repeated = count(Taken::Repeated),
            resolved = count(Taken::Resolved),
            ignored = count(Taken::Ignored),
            "alerts"
        );
        Ok(taken)
    }

    /// Services that alert together now, when they are so many that a shared cause is likely.
    ///
    /// # Errors
    /// As the store says.
    pub async fn alerting_together(&self) -> Result<Option<Vec<ServiceId>>> {
        let services = store::alerts::alerting_since(self.store.reader(), self.now() - TOGETHER).await?;
        Ok((services.len() > MANY).then_some(services))
    }

    /// Services whose alerts began together with those of this run, itself included, when they are so many that a shared
    /// cause is likely; else none.
    ///
    /// # Errors
    /// As the store says.
    pub(super) async fn alerting_with(&self, run: &Rollback) -> Result<BTreeSet<ServiceId>> {
        let db = self.store.reader();
        let own = store::alerts::firing_in(db, run.thread).await?;
        let (Some(first), Some(last)) = (own.iter().min(), own.iter().max()) else {
            return Ok(BTreeSet::new());
        };
        let all = store::alerts::firing_between(db, first - TOGETHER, last + TOGETHER).await?;
        Ok(together(&own, &all))
    }
}

/// Who alerts within one span of [`TOGETHER`] that has one of our own times in it, if that are many.
fn together(own: &[At], all: &[(ServiceId, At)]) -> BTreeSet<ServiceId> {
    let spans = all.iter().map(|(_, at)| *at).collect::<BTreeSet<_>>();
    let ours = spans.into_iter().filter(|from| own.iter().any(|at| (*from..=from + TOGETHER).contains(at)));
    let within = |from: At| {
        let inside = all.iter().filter(move |(_, at)| (from..=from + TOGETHER).contains(at));
        inside.map(|(service, _)| service.clone()).collect::<BTreeSet<_>>()
    };
    ours.map(within).filter(|services| services.len() > MANY).flatten().collect()
}

/// A thread answers the message that it was opened for: those that only join it go on elsewhere.
pub(super) async fn new_thread(
    tx: &mut Tx,
    service: &Service,
    annotations: &[(String, String)],
    anchor: Option<&Anchor>,
    at: At,
) -> Result<ThreadId> {
    let thread = tx.new_thread(&service.id, annotations, at).await?;
    if let Some((room, reference)) = anchor {
        tx.anchor(thread, room, reference).await?;
    }
    Ok(thread)
}

pub(super) fn as_fired<'a>(service: &'a Service, alert: &'a Alert, thread: Option<ThreadId>) -> Fired<'a> {
    Fired {
        service: &service.id,
        fingerprint: &alert.fingerprint,
        starts_at: alert.starts_at,
        title: &alert.title,
        thread,
        heard: alert.heard.as_deref(),
        names: &alert.names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(own: &[At], all: &[(&str, At)]) -> String {
        let all: Vec<_> = all.iter().map(|(name, at)| (ServiceId::from(*name), *at)).collect();
        together(own, &all).iter().map(|id| id.0.clone()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn many_that_begin_within_two_minutes_are_together_whoever_is_asked() {
        let all = [("a", 0), ("b", 60_000), ("c", 90_000), ("d", 120_000)];
        for (_, at) in all {
            assert_eq!(names(&[at], &all), "a b c d");
        }
    }

    #[test]
    fn few_or_far_apart_are_not() {
        assert_eq!(names(&[0], &[("a", 0), ("b", 1), ("c", 2)]), "");
        assert_eq!(names(&[0], &[("a", 0), ("a", 1), ("b", 1), ("c", 2)]), "");
        assert_eq!(names(&[0], &[("a", 0), ("b", 60_000), ("c", 90_000), ("d", 120_001)]), "");
        // Four others, a while later.
        assert_eq!(
            names(&[0], &[("a", 0), ("b", 130_000), ("c", 130_000), ("d", 130_000), ("e", 130_000)]),
            ""
        );
    }
}
