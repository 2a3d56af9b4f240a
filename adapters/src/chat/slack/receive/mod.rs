//! What comes in from Slack, by socket or by HTTP: kept, acknowledged, and only then worked off. Acknowledging never waits
//! for anything but the database, and nothing that was acknowledged is lost with the process.

mod markup;
mod payload;
mod posted;
mod read;
mod socket;
mod web;
mod work;

use std::sync::Arc;

use payload::Payload;

use super::Slack;
use crate::chat::{Inbox, Kept, NotTaken};

pub(super) use socket::listen;
pub(super) use web::receive;

/// Commits a delivery; what there is to do is done in a task of its own. When this returns, it may be acknowledged.
///
/// # Errors
/// When it could not be committed: Slack then repeats it, or tells the person.
async fn accept(slack: &Slack, inbox: &Arc<dyn Inbox>, payload: Payload) -> Result<(), NotTaken> {
    if !payload.matters() {
        return Ok(());
    }
    if inbox.keep(&payload.kept()).await? {
        tokio::spawn(work::off(slack.clone(), inbox.clone(), payload, work::When::AtOnce));
    }
    Ok(())
}

/// Works off what a process that ended had acknowledged.
pub(super) async fn resume(slack: &Slack, kept: Kept, inbox: Arc<dyn Inbox>) {
    match serde_json::from_str(&kept.body) {
        Ok(payload) => work::off(slack.clone(), inbox, payload, work::When::Late).await,
        Err(error) => {
            tracing::error!(%error, delivery = kept.delivery, "a kept delivery can't be read; set aside");
            inbox.done(&kept.delivery).await;
        }
    }
}
