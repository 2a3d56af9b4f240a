//! What people do to a run. The act, its event and the answer are one transaction, keyed by the platform's delivery id: the
//! same click delivered twice happens once and is answered the same.

use crate::store::write;
use lastgood_core::{
    Actor, At, Digest, RollbackId, ServiceId,
    rollback::{Event, Standing},
};

pub use super::delivery::Delivery;
use super::{Engine, commit};
use crate::store::{Result, StoreError, Tx};

/// Everything a person can do to a run, on any platform and on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Approve { confirmed: bool, reason: Option<String> },
    Reject { reason: Option<String> },
    Choose { digest: Digest },
    ProposeAnyway,
    PageCommander,
    Acknowledge,
    Stop,
    Retry,
    Override { reason: String },
    Next,
    Undo { reason: Option<String> },
    HandOver,
    Command { commander: Actor },
}

impl Act {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
            Self::Choose { .. } => "choose",
            Self::ProposeAnyway => "propose anyway",
            Self::PageCommander => "page",
            Self::Acknowledge => "acknowledge",
            Self::Stop => "stop",
            Self::Retry => "retry",
            Self::Override { .. } => "override",
            Self::Next => "next",
            Self::Undo { .. } => "undo",
            Self::HandOver => "hand over",
            Self::Command { .. } => "commander",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Approve { reason, .. } | Self::Reject { reason } | Self::Undo { reason } => {
                reason.as_deref().unwrap_or_default()
            }
            Self::Override { reason } => reason,
            _ => "",
        }
    }

    fn event(&self, by: Actor, standing: Standing, revision: u32) -> Event {
        match self.clone() {
            Self::Approve { confirmed, reason } => {
                Event::Approved { by, standing, revision, confirmed, reason }
            }
            Self::Reject { reason } => Event::Rejected { by, standing, revision, reason },
            Self::Choose { digest } => Event::Chosen { by, standing, revision, digest },
            Self::ProposeAnyway => Event::ProposeAnyway { by, standing },
            Self::PageCommander => Event::PageAsked { by },
            Self::Acknowledge => Event::Acknowledged { by },
            Self::Stop => Event::StopAsked { by, standing },
            Self::Retry => Event::RetryAsked { by, standing },
            Self::Override { reason } => Event::OverrideUnreachable { by, standing, reason },
            Self::Next => Event::NextAsked { by, standing },
            Self::Undo { reason } => Event::UndoAsked { by, standing, reason },
            Self::HandOver => Event::HandedOver { by, standing },
            Self::Command { commander } => Event::CommanderSet { by, standing, commander },
        }
    }
}

/// What the person is told: nothing (the card shows it), or why not.
pub type Answered = std::result::Result<(), String>;

impl Engine {
    /// Takes an act. `revision` is the proposal's that the person saw.
    ///
    /// # Errors
    /// Only when it could not be committed: it must then not be acknowledged to the platform. A refusal is an answer.
    pub async fn act(
        &self,
        rollback: RollbackId,
        revision: u32,
        act: &Act,
        by: &Actor,
        standing: &Standing,
        delivery: &Delivery,
    ) -> Result<Answered> {
        let at = self.now();
        let event = act.event(by.clone(), standing.clone(), revision);
        let taken = write!(self.store, |tx| {
            let Some(saved) = tx.rollback(rollback).await? else {
                return Ok((Err(format!("there is no {rollback}")), vec![]));
            };
            let service = saved.state.service;
            tx.lock(&service).await?;
            if let Some(before) = tx.answered(&delivery.source, &delivery.id).await? {
                let answer = if before.is_empty() { Ok(()) } else { Err(before) };
                return Ok((answer, vec![]));
            }
            let owner = self.owner_of(&service);
            let (answer, claimed) = match commit::take(tx, rollback, &event, at, owner.as_deref()).await {
                Ok(claimed) => (Ok(()), claimed),
                Err(StoreError::Refused(refusal)) => (Err(refusal.to_string()), vec![]),
                Err(error) => return Err(error),
            };
            keep(tx, &Acted { rollback, service: &service, act, by, standing, delivery, at }, &answer)
                .await?;
            Ok((answer, claimed))
        });
        let (answer, claimed) = match taken {
            Err(StoreError::Busy(why)) => {
                (self.too_late(rollback, act, by, standing, delivery, why).await?, vec![])
            }
            other => other?,
        };
        self.dispatch(claimed);
        Ok(answer)
    }

    /// An act that would open another run while one is active. Its own transaction was half done and is rolled back; the
    /// person is answered all the same, and the same click once more is answered the same.
    async fn too_late(
        &self,
        rollback: RollbackId,
        act: &Act,
        by: &Actor,
        standing: &Standing,
        delivery: &Delivery,
        why: String,
    ) -> Result<Answered> {
        let at = self.now();
        write!(self.store, |tx| {
            let Some(saved) = tx.rollback(rollback).await? else { return Ok(Err(why.clone())) };
            let service = saved.state.service;
            tx.lock(&service).await?;
            let active = tx.active_rollback(&service).await?.map(|active| active.state);
            let answer = Err(match active {
                Some(active) => format!(
                    "{why}: {} is {}; act on its card, or stop it first",
                    active.id,
                    active.phase.word()
                ),
                None => format!("{why}; try again"),
            });
            keep(tx, &Acted { rollback, service: &service, act, by, standing, delivery, at }, &answer)
                .await?;
            Ok(answer)
        })
    }
}

/// An act with all that is remembered of it.
struct Acted<'a> {
    rollback: RollbackId,
    service: &'a ServiceId,
    act: &'a Act,
    by: &'a Actor,
    standing: &'a Standing,
    delivery: &'a Delivery,
    at: At,
}

async fn keep(tx: &mut Tx, acted: &Acted<'_>, answer: &Answered) -> Result<()> {
    let Acted { rollback, service, act, by, standing, delivery, at } = *acted;
    let said = answer.as_ref().err().cloned().unwrap_or_default();
    tx.keep_inbox(&delivery.source, &delivery.id, act.word(), &said, at).await?;
    let detail = format!("{rollback}: {}{}", act.reason(), if answer.is_err() { " (refused)" } else { "" });
    tx.audit(at, &by.id, &service.0, act.word(), &detail).await?;
    if let Some(reason) = &standing.break_glass {
        tx.audit(at, &by.id, &service.0, "break glass", reason).await?;
    }
    Ok(())
}
