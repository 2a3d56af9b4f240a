//! Which page a call goes to. Runs of services that alert together, and call the same pager, share one: whoever comes to it
//! comes to all of them. What is decided here is written down before the pager hears of it, so that the same call made again
//! after a crash goes to the same page.

use std::collections::BTreeSet;

use lastgood_core::{
    Actor, At, ServiceId,
    rollback::{Event, Rollback},
};

use super::{Engine, commit};
use crate::store::{
    Result, StoreError, Tx,
    pages::{Member, Page, State},
    write,
};

/// The calls of a run to a target, for the reason that `escalation` was the first call for.
pub(super) struct Calls<'a> {
    pub run: &'a Rollback,
    pub escalation: u32,
    pub target: u32,
    /// The target's name in the configuration.
    pub pager: &'a str,
    /// The pager took a call of these before.
    pub repeated: bool,
}

/// A page, and for whom it is.
pub(super) struct Assigned {
    pub page: Page,
    /// Services whose runs it stands for.
    pub services: BTreeSet<ServiceId>,
    /// Else another run repeats the call for all of them.
    pub rings: bool,
}

impl Assigned {
    /// The run's own page, should it be impossible to write one down.
    pub(super) fn unwritten(calls: &Calls<'_>) -> Self {
        Self { page: calls.own(), services: BTreeSet::from([calls.run.service.clone()]), rings: true }
    }
}

/// What a run's page was keyed by before there were shared ones, and what a page of its own is keyed by. The opening time
/// keeps two installations that share a pager apart.
pub(super) fn key(run: &Rollback, escalation: u32) -> String {
    format!("lastgood/{}/{}/{}/{escalation}", run.service, run.id, run.opened_at)
}

impl Calls<'_> {
    fn member(&self) -> Member {
        Member {
            rollback: self.run.id,
            escalation: self.escalation,
            target: self.target,
            service: self.run.service.clone(),
            ended: false,
        }
    }

    /// A shared page is repeated for all of its runs at once: by whichever is the first of a round. A run's first call is always
    /// its own, so that the page is out for sure.
    fn are_made_by_another(&self, page: &Page, at: At) -> bool {
        let round = self.run.policy.ack_within / 2;
        self.repeated && page.rung_by != self.run.id && at.saturating_sub(page.rung_at) < round
    }

    fn own(&self) -> Page {
        Page {
            pager: self.pager.to_owned(),
            key: key(self.run, self.escalation),
            tag: lastgood_adapters::pager::tag(rand::random()),
            state: State::Open,
            rung_at: 0,
            rung_by: self.run.id,
        }
    }
}

impl Engine {
    /// The page for these calls: the one that they had before, else one that rings for a service that alerts together with
    /// theirs, else one of their own.
    pub(super) async fn assign_page(
        &self,
        calls: &Calls<'_>,
        together: &BTreeSet<ServiceId>,
    ) -> Result<Assigned> {
        let (at, own) = (self.now(), calls.own());
        write!(self.store, |tx| {
            tx.lock_pager(calls.pager).await?;
            let known = tx.page_of(calls.run.id, calls.escalation, calls.target).await?.is_some();
            if !known {
                let rings = shared(tx, calls, together, at).await?;
                if rings.is_none() {
                    tx.open_page(&own, at).await?;
                }
                tx.join_page(rings.as_ref().unwrap_or(&own), &calls.member()).await?;
            }
            let Some(page) = tx.page_of(calls.run.id, calls.escalation, calls.target).await? else {
                return Err(StoreError::NotFound(format!("the page of {} is gone", calls.run.id)));
            };
            let members = tx.page_members(&page).await?;
            let services = members.into_iter().filter(|m| !m.ended).map(|m| m.service).collect();
            let rings = !calls.are_made_by_another(&page, at);
            if rings {
                tx.ring_page(&page, calls.run.id, at).await?;
            }
            Ok(Assigned { page, services, rings })
        })
    }

    /// Somebody came to the page: nobody joins it any more. None: an earlier build called, and kept no page.
    pub(super) async fn close_page(&self, calls: &Calls<'_>) -> Result<Option<(Page, Vec<Member>)>> {
        write!(self.store, |tx| {
            tx.lock_pager(calls.pager).await?;
            let Some(page) = tx.page_of(calls.run.id, calls.escalation, calls.target).await? else {
                return Ok(None);
            };
            tx.set_page(&page, State::Acknowledged).await?;
            let members = tx.page_members(&page).await?;
            Ok(Some((page, members)))
        })
    }

    /// The run needs nobody any more. Gives the page's key, and whether it was the last run that the page stood for.
    pub(super) async fn leave_page(&self, calls: &Calls<'_>) -> Result<(String, bool)> {
        write!(self.store, |tx| {
            tx.lock_pager(calls.pager).await?;
            let Some(page) = tx.page_of(calls.run.id, calls.escalation, calls.target).await? else {
                return Ok((key(calls.run, calls.escalation), true));
            };
            tx.leave_page(calls.run.id, calls.escalation, calls.target).await?;
            let last = tx.page_members(&page).await?.iter().all(|member| member.ended);
            if last {
                tx.set_page(&page, State::Resolved).await?;
            }
            Ok((page.key, last))
        })
    }

    /// Whoever came to a page came to every run that it stands for and that still rings for the same reason. A reason of its
    /// own that a run has since then rings on.
    pub(super) async fn came_to(&self, member: &Member, by: &Actor) -> Result<()> {
        let (at, owner) = (self.now(), self.owner_of(&member.service));
        let claimed = write!(self.store, |tx| {
            tx.lock(&member.service).await?;
            let Some(saved) = tx.rollback(member.rollback).await? else { return Ok(vec![]) };
            let rings = saved.state.ringing().is_some_and(|page| page.first() == member.escalation);
            if !rings || !saved.state.active() {
                return Ok(vec![]);
            }
            let event = Event::Acknowledged { by: by.clone() };
            match commit::take(tx, member.rollback, &event, at, owner.as_deref()).await {
                Err(StoreError::Refused(refusal)) => {
                    tracing::info!(rollback = %member.rollback, %refusal, "a shared page was acknowledged");
                    Ok(vec![])
                }
                other => other,
            }
        })?;
        self.dispatch(claimed);
        Ok(())
    }
}

/// A page that rings for a service that alerts together with the run's. Not one that the run had before: a new reason rings. Nor
/// one that rang for so long that it would have been repeated: whether somebody came to it is known only if the pager tells.
async fn shared(
    tx: &mut Tx,
    calls: &Calls<'_>,
    together: &BTreeSet<ServiceId>,
    at: At,
) -> Result<Option<Page>> {
    if together.is_empty() {
        return Ok(None);
    }
    for page in tx.open_pages(calls.pager, at - calls.run.policy.ack_within).await? {
        let members = tx.page_members(&page).await?;
        let theirs = members.iter().any(|member| !member.ended && together.contains(&member.service));
        let ours = members.iter().any(|member| member.rollback == calls.run.id);
        if theirs && !ours && still_rings(tx, &members).await? {
            return Ok(Some(page));
        }
    }
    Ok(None)
}

/// Nobody came to it, as far as its runs know: the page may be about to hear of it.
async fn still_rings(tx: &mut Tx, members: &[Member]) -> Result<bool> {
    for member in members {
        let Some(saved) = tx.rollback(member.rollback).await? else { continue };
        let pages = saved.state.pages.iter().filter(|page| page.first() == member.escalation);
        if pages.into_iter().any(|page| page.acknowledged.is_some()) {
            return Ok(false);
        }
    }
    Ok(true)
}
