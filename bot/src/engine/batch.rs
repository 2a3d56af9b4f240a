//! Alerts of one service that are taken in one transaction. What several of them have in common (the run that they join, the
//! card that shows them) is read and written once.

use std::collections::{BTreeMap, BTreeSet};

use lastgood_core::{
    At, RollbackId, ThreadId,
    rollback::{End, Event, Phase},
};

use super::{
    alerts::{Alert, Taken, as_fired, new_thread},
    commit,
    heard::{self, Known, once_more},
    propose,
};
use crate::{
    service::Service,
    store::{Result, StoreError, Tx, alerts::Fired, effects::Claimed, heard::Near},
};

/// The last run of a thread in which none is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastRun {
    pub id: RollbackId,
    pub ended_at: At,
    pub recovered: bool,
    pub rejected: bool,
    /// When people were told last, after its end, that the alert fires on.
    pub reminded_at: Option<At>,
}

/// Alerts that a run takes as one event.
struct Joined {
    /// The first one's.
    title: String,
    /// When the last one began.
    since: At,
    /// All of them were heard in chat only.
    heard: bool,
    /// How many others there are.
    more: u32,
}

pub(super) struct Batch<'a> {
    pub tx: &'a mut Tx,
    pub service: &'a Service,
    pub at: At,
    owner: Option<&'a str>,
    claimed: Vec<Claimed>,
    /// What is under way, once it is known.
    under_way: Option<(ThreadId, RollbackId)>,
    /// Those that join what is under way.
    joined: Option<Joined>,
    /// How often alerts of threads came.
    told: BTreeMap<ThreadId, i64>,
    /// Threads whose card shows another count.
    redrawn: BTreeSet<ThreadId>,
    last_runs: BTreeMap<ThreadId, Option<LastRun>>,
    /// Nothing that was heard in chat is open.
    pub nothing_heard: bool,
    /// An alert ended of which a thread had been told.
    ended: bool,
}

impl<'a> Batch<'a> {
    /// The service is locked by the caller.
    pub async fn begin(tx: &'a mut Tx, service: &'a Service, at: At, owner: Option<&'a str>) -> Result<Self> {
        tx.fall_silent(&service.id, at - service.alert_expires).await?;
        Ok(Self {
            tx,
            service,
            at,
            owner,
            claimed: Vec::new(),
            under_way: None,
            joined: None,
            told: BTreeMap::new(),
            redrawn: BTreeSet::new(),
            last_runs: BTreeMap::new(),
            nothing_heard: false,
            ended: false,
        })
    }

    pub async fn take(&mut self, alert: &Alert) -> Result<Taken> {
        if !alert.firing {
            return self.resolved(alert).await;
        }
        match heard::known(self, alert).await? {
            Known::Seen => Ok(Taken::Repeated),
            Known::Repeated(thread) => {
                self.redrawn.extend(thread);
                Ok(Taken::Repeated)
            }
            Known::New => self.new_alert(alert, None).await,
            Known::Again { thread, near } => {
                let Some(near) = near else { return self.new_alert(alert, Some(thread)).await };
                self.begins(alert, Some(thread), Some(&near)).await
            }
        }
    }

    async fn new_alert(&mut self, alert: &Alert, thread: Option<ThreadId>) -> Result<Taken> {
        if alert.ignore {
            self.write_down(alert, None).await?;
            return Ok(Taken::Ignored);
        }
        self.begins(alert, thread, None).await
    }

    /// An alert that nothing is under way for yet: it joins the service's run, or opens one. `own` is the thread of one that
    /// fires on; `near` is what is written down for it, when that is another than the alert itself.
    async fn begins(&mut self, alert: &Alert, own: Option<ThreadId>, near: Option<&Near>) -> Result<Taken> {
        if let Some((thread, _)) = self.under_way().await? {
            self.told_in(alert, thread, near).await?;
            self.joined = Some(match self.joined.take() {
                None => Joined {
                    title: alert.title.clone(),
                    since: alert.starts_at,
                    heard: alert.heard.is_some(),
                    more: 0,
                },
                Some(Joined { title, since, heard, more }) => Joined {
                    title,
                    since: since.max(alert.starts_at),
                    heard: heard && alert.heard.is_some(),
                    more: more.saturating_add(1),
                },
            });
            return Ok(Taken::Joined);
        }
        let (service, at) = (self.service, self.at);
        let joins = self.tx.open_thread(&service.id, at).await?;
        let thread = match joins.or(own) {
            Some(thread) => thread,
            None => new_thread(self.tx, service, &alert.annotations, alert.anchor.as_ref(), at).await?,
        };
        let last = if own == Some(thread) { self.last_run(thread).await? } else { None };
        self.told_in(alert, thread, near).await?;
        let previous_end = last.map(|last| last.ended_at);
        let (id, claimed) =
            propose::for_alert(self.tx, service, thread, alert, previous_end, at, self.owner).await?;
        self.claimed.extend(claimed);
        self.under_way = Some((thread, id));
        self.last_runs.clear();
        Ok(Taken::Opened)
    }

    async fn under_way(&mut self) -> Result<Option<(ThreadId, RollbackId)>> {
        if self.under_way.is_none() {
            let active = self.tx.active_rollback(&self.service.id).await?;
            self.under_way = active.map(|active| (active.state.thread, active.state.id));
        }
        Ok(self.under_way)
    }

    async fn told_in(&mut self, alert: &Alert, thread: ThreadId, near: Option<&Near>) -> Result<()> {
        let Some(near) = near else { return self.write_down(alert, Some(thread)).await };
        self.fired(&Fired { thread: Some(thread), ..once_more(self.service, near) }).await
    }

    pub async fn write_down(&mut self, alert: &Alert, thread: Option<ThreadId>) -> Result<()> {
        self.fired(&as_fired(self.service, alert, thread)).await
    }

    pub async fn fired(&mut self, fired: &Fired<'_>) -> Result<()> {
        self.tx.alert_fired(fired, self.at).await?;
        self.nothing_heard &= fired.heard.is_none();
        if let Some(thread) = fired.thread {
            *self.told.entry(thread).or_default() += 1;
        }
        Ok(())
    }

    /// The last run of a thread; none while one is under way.
    pub async fn last_run(&mut self, thread: ThreadId) -> Result<Option<LastRun>> {
        if let Some(known) = self.last_runs.get(&thread) {
            return Ok(*known);
        }
        let found = match self.tx.thread_end(thread).await? {
            None => None,
            Some(ended_at) => self.tx.newest_rollback_in(thread).await?.map(|newest| LastRun {
                id: newest.state.id,
                ended_at,
                recovered: matches!(newest.state.phase, Phase::Ended { end: End::Recovered }),
                rejected: matches!(newest.state.phase, Phase::Ended { end: End::Rejected { .. } }),
                reminded_at: newest.state.reminded_at,
            }),
        };
        self.last_runs.insert(thread, found);
        Ok(found)
    }

    /// A person decided against a rollback, and the alert fires on: they are told, now and then.
    pub async fn remind(&mut self, last: &LastRun, title: &str) -> Result<()> {
        let told = last.reminded_at.unwrap_or(last.ended_at);
        if self.at <= told.saturating_add(self.service.again_after) {
            return Ok(());
        }
        let event = Event::AlertRepeated { title: title.to_owned() };
        self.claimed.extend(commit::take(self.tx, last.id, &event, self.at, self.owner).await?);
        self.last_runs.clear();
        Ok(())
    }

    async fn resolved(&mut self, alert: &Alert) -> Result<Taken> {
        let ended_at = alert.ends_at.unwrap_or(self.at).min(self.at);
        let others = heard::over(self, alert, ended_at).await?;
        let ended = self.tx.alert_resolved(&self.service.id, &alert.fingerprint, ended_at).await?;
        self.ended |= ended + others > 0;
        Ok(Taken::Resolved)
    }

    /// What all of them together mean for the run that is under way. Returns the effects that are claimed for this process.
    pub async fn finish(mut self) -> Result<Vec<Claimed>> {
        for (thread, more) in std::mem::take(&mut self.told) {
            self.tx.count_alerts(thread, more).await?;
        }
        if let (Some(Joined { title, since, heard, more }), Some((_, run))) =
            (self.joined.take(), self.under_way)
        {
            let event = Event::AlertFired { title, since: Some(since.min(self.at)), heard, more };
            self.claimed.extend(commit::take(self.tx, run, &event, self.at, self.owner).await?);
        }
        if self.ended && !self.tx.any_firing(&self.service.id).await? {
            let claimed = none_fires(self.tx, self.service, self.at, self.owner).await?;
            self.claimed.extend(claimed);
        }
        for thread in std::mem::take(&mut self.redrawn) {
            if let Some(newest) = self.tx.newest_rollback_in(thread).await? {
                self.tx.redraw(newest.state.id).await?;
            }
        }
        Ok(self.claimed)
    }
}

/// Nobody has told for long that the service's alerts fire: its run learns that they count as over.
pub(super) async fn alert_if_silent(
    tx: &mut Tx,
    service: &Service,
    at: At,
    owner: Option<&str>,
) -> Result<Vec<Claimed>> {
    tx.fall_silent(&service.id, at - service.alert_expires).await?;
    if tx.any_firing(&service.id).await? {
        return Ok(vec![]);
    }
    none_fires(tx, service, at, owner).await
}

/// Tells the run that is under way that no alert of its service fires any more.
pub(super) async fn none_fires(
    tx: &mut Tx,
    service: &Service,
    at: At,
    owner: Option<&str>,
) -> Result<Vec<Claimed>> {
    let Some(active) = tx.active_rollback(&service.id).await? else { return Ok(vec![]) };
    match commit::take(tx, active.state.id, &Event::AlertResolved, at, owner).await {
        Err(StoreError::Refused(_)) => Ok(vec![]),
        other => other,
    }
}
