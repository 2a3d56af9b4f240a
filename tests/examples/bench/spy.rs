//! Who writes down when the outside world was called: a chat that keeps nothing else, and a hand between the engine and
//! the real router.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use async_trait::async_trait;
use lastgood_adapters::{
    Check, Fault,
    chat::{Abilities, Chat, Inbox, MessageRef, Outgoing},
    traffic::{Move, Observation, Preflight, Progress, Said, Shifter},
};
use lastgood_core::{Actor, card::Card};
use tokio::sync::mpsc;

/// A card, as it was handed over.
pub struct Handed {
    pub at: Instant,
    pub card: Card,
}

pub struct Recorder(pub mpsc::UnboundedSender<Handed>);

impl Recorder {
    fn note(&self, card: &Card) {
        self.0.send(Handed { at: Instant::now(), card: card.clone() }).ok();
    }
}

#[async_trait]
impl Chat for Recorder {
    fn abilities(&self) -> Abilities {
        Abilities { finds: true, edits: true, pace: std::time::Duration::ZERO }
    }

    async fn post(&self, message: &Outgoing) -> Result<MessageRef, Fault> {
        self.note(&message.card);
        Ok(MessageRef(message.nonce.clone()))
    }

    async fn update(&self, _at: &MessageRef, card: &Card) -> Result<(), Fault> {
        self.note(card);
        Ok(())
    }

    async fn find(&self, _message: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        Ok(None)
    }

    async fn belongs(&self, _actor: &Actor, _group: &str) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn listen(&self, _inbox: Arc<dyn Inbox>) {
        std::future::pending().await
    }

    async fn check(&self, _rooms: &[String]) -> Vec<Check> {
        vec![]
    }
}

/// A call of the router.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub what: &'static str,
    pub from: Instant,
    pub to: Instant,
}

/// Calls of all services, in the order in which they ended.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    async fn timed<T>(&self, what: &'static str, call: impl Future<Output = T>) -> T {
        let from = Instant::now();
        let answer = call.await;
        self.0.lock().unwrap().push(Call { what, from, to: Instant::now() });
        answer
    }
}

pub struct Timed {
    pub inner: Arc<dyn Shifter>,
    pub calls: Calls,
}

#[async_trait]
impl Shifter for Timed {
    async fn observe(&self) -> Result<Observation, Fault> {
        self.calls.timed("observe", self.inner.observe()).await
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        self.calls.timed("preflight", self.inner.preflight(wanted)).await
    }

    async fn apply(&self, wanted: &Move, said: &Said) -> Result<(), Fault> {
        self.calls.timed("apply", self.inner.apply(wanted, said)).await
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        self.calls.timed("progress", self.inner.progress(wanted)).await
    }

    async fn check(&self) -> Vec<Check> {
        self.inner.check().await
    }
}
