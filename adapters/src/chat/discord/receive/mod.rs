//! What comes in from Discord, by gateway or by HTTP: kept, acknowledged, and only then worked off. Nothing that was
//! acknowledged is lost with the process.

mod answer;
mod gateway;
mod history;
mod payload;
mod posted;
mod read;
mod session;
mod web;
mod work;

use std::sync::Arc;

use super::Discord;
use crate::chat::{Inbox, Kept, NotTaken};

pub(super) use gateway::listen;
pub(super) use history::Heard;
use payload::Payload;
pub(super) use web::receive;

/// Commits a message and takes it. Whoever reads several waits for each: an alert's end must not come before it.
///
/// # Errors
/// When it could not be committed: it is asked for again then.
async fn hear(discord: &Discord, inbox: &Arc<dyn Inbox>, payload: Payload) -> Result<(), NotTaken> {
    if inbox.keep(&payload.kept()).await? {
        work::message(discord.clone(), inbox.clone(), payload).await;
    }
    Ok(())
}

/// Works off what a process that ended had kept.
pub(super) async fn resume(discord: &Discord, kept: Kept, inbox: Arc<dyn Inbox>) {
    match serde_json::from_str::<Payload>(&kept.body) {
        Ok(payload) if payload.is_message() => work::message(discord.clone(), inbox, payload).await,
        Ok(payload) => work::late(discord.clone(), inbox, payload).await,
        Err(error) => {
            tracing::error!(%error, delivery = kept.delivery, "a kept delivery can't be read; set aside");
            inbox.done(&kept.delivery).await;
        }
    }
}
