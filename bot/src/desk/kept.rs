//! Deliveries that a platform was told are taken: kept first, worked off afterwards, and handed out again when the process
//! that kept them ended (or hung) before it was done.

use std::{sync::Arc, time::Duration};

use lastgood_adapters::chat::{Chat, Inbox as _, Kept};
use lastgood_core::Millis;
use tokio::sync::watch;

use super::{Desk, given_up::GivenUp};
use crate::store::{Result, deliveries, write};

/// Whoever kept it has this long, in milliseconds: longer than looking up a group takes, short enough for somebody who
/// waits.
const WORKED_OFF_WITHIN: Millis = 20_000;
/// Twice as long after each; then it is given up, and whoever did it is told.
const ATTEMPTS: i64 = 5;
/// That is tried as often again.
const TELLS: i64 = 5;
const POLL: Duration = Duration::from_secs(2);

impl Desk {
    pub(super) async fn keep_delivery(&self, kept: &Kept) -> Result<bool> {
        let now = self.engine.now();
        write!(self.engine.store, |tx| {
            tx.keep_delivery(&self.platform, &kept.delivery, &kept.body, now, now + WORKED_OFF_WITHIN).await
        })
    }

    pub(super) async fn delivery_done(&self, delivery: &str) -> Result<()> {
        let now = self.engine.now();
        write!(self.engine.store, |tx| tx.delivery_done(&self.platform, delivery, now).await)
    }

    /// Hands out again what was kept and is not done, until `stop` turns true. Every replica may: whoever raises the count
    /// of attempts has it.
    pub async fn work_off(self: Arc<Self>, chat: Arc<dyn Chat>, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.hand_out(&chat).await {
                tracing::error!(%error, platform = self.platform, "kept deliveries can't be looked for now");
            }
            tokio::select! {
                () = async { drop(stop.wait_for(|stop| *stop).await) } => return,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    pub(super) async fn hand_out(self: &Arc<Self>, chat: &Arc<dyn Chat>) -> Result<()> {
        let now = self.engine.now();
        for open in deliveries::open(self.engine.store.reader(), &self.platform, now).await? {
            let next = now + (WORKED_OFF_WITHIN << open.attempts.clamp(0, 10));
            let ours = write!(self.engine.store, |tx| tx.delivery_again(&self.platform, &open, next).await)?;
            if !ours {
                continue;
            }
            let delivery = &open.delivery;
            if open.attempts >= ATTEMPTS {
                tracing::error!(platform = self.platform, delivery, "given up: it could not be worked off");
                if open.attempts >= ATTEMPTS + TELLS {
                    tracing::error!(platform = self.platform, delivery, "nor could that be told");
                    self.done(delivery).await;
                    continue;
                }
                let given_up = GivenUp { desk: self.clone(), tries: ATTEMPTS };
                let kept = Kept { delivery: open.delivery, body: open.body };
                chat.resume(kept, Arc::new(given_up)).await;
                continue;
            }
            tracing::warn!(
                platform = self.platform,
                delivery,
                "kept by a process that ended: worked off now"
            );
            chat.resume(Kept { delivery: open.delivery, body: open.body }, self.clone()).await;
        }
        Ok(())
    }
}
