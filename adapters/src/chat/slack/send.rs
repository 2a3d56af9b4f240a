//! Messages out: posted once, edited, and found again after an answer got lost.

use crate::chat::json::text;
use std::time::Instant;

use lastgood_core::card::{Card, Picture};
use serde_json::{Value, json};

use super::{Slack, draw, reference};
use crate::{
    Fault,
    chat::{MessageRef, Outgoing},
};

/// Marks our messages among all others; whatever begins with [`super::METADATA_PREFIX`] is never taken for an alert.
const EVENT: &str = "lastgood_message";
/// Of 200 messages each, of a room the newest first: a busy one has fewer in the time that an answer takes to get lost.
const PAGES: usize = 10;
/// Slack's names of a message.
pub(super) fn address(at: &MessageRef) -> Result<(&str, &str), Fault> {
    at.0.split_once('/').ok_or_else(|| Fault::Invalid(format!("{:?} is no message of Slack's", at.0)))
}

impl Slack {
    pub(super) async fn post_card(&self, message: &Outgoing) -> Result<MessageRef, Fault> {
        let channel = self.0.rooms.id(&self.0.api, &message.room).await?;
        let mut body = content(&message.card);
        body["channel"] = channel.clone().into();
        body["metadata"] = json!({ "event_type": EVENT, "event_payload": { "nonce": message.nonce } });
        body["unfurl_links"] = false.into();
        body["unfurl_media"] = false.into();
        if let Some(root) = &message.thread {
            body["thread_ts"] = address(root)?.1.into();
            body["reply_broadcast"] = message.broadcast.into();
        }
        let answer = self.0.api.write("chat.postMessage", &body).await?;
        let (channel, ts) = (text(&answer, "/channel"), text(&answer, "/ts"));
        if ts.is_empty() {
            return Err(Fault::Unknown("chat.postMessage: the answer names no message".to_owned()));
        }
        let at = reference(channel, ts);
        if let Some(picture) = &message.card.picture {
            let thread =
                message.thread.as_ref().map_or(ts, |root| address(root).map_or(ts, |(_, root)| root));
            // The words are there; sending them again for want of a picture would be worse.
            if let Err(fault) = self.attach(channel, thread, picture).await {
                tracing::warn!(%fault, picture = picture.file_name, "a picture could not be attached");
            }
        }
        Ok(at)
    }

    pub(super) async fn update_card(&self, at: &MessageRef, card: &Card) -> Result<(), Fault> {
        let (channel, ts) = address(at)?;
        self.0.edits.take(Instant::now())?;
        let mut body = content(card);
        body["channel"] = channel.into();
        body["ts"] = ts.into();
        self.0.api.write("chat.update", &body).await.map(drop)
    }

    pub(super) async fn find_card(&self, message: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        let channel = self.0.rooms.id(&self.0.api, &message.room).await?;
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let page = self.page(&channel, message.thread.as_ref(), &cursor).await;
            let page = match page {
                // With its root gone, so is what was said below it.
                Err(Fault::NotFound(_)) if message.thread.is_some() => return Ok(None),
                other => other?,
            };
            let messages = page.get("messages").and_then(Value::as_array).into_iter().flatten();
            let ours = |sent: &&Value| {
                text(sent, "/metadata/event_type") == EVENT
                    && text(sent, "/metadata/event_payload/nonce") == message.nonce
            };
            if let Some(found) = messages.into_iter().find(ours) {
                return Ok(Some(reference(&channel, text(found, "/ts"))));
            }
            text(&page, "/response_metadata/next_cursor").clone_into(&mut cursor);
            if cursor.is_empty() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn page(&self, channel: &str, thread: Option<&MessageRef>, cursor: &str) -> Result<Value, Fault> {
        let mut asked = vec![("channel", channel), ("include_all_metadata", "true"), ("limit", "200")];
        if !cursor.is_empty() {
            asked.push(("cursor", cursor));
        }
        match thread {
            None => self.0.api.read("conversations.history", &asked).await,
            Some(root) => {
                asked.push(("ts", address(root)?.1));
                self.0.api.read("conversations.replies", &asked).await
            }
        }
    }

    /// The three steps of an external upload (docs.slack.dev, Working with files).
    async fn attach(&self, channel: &str, thread: &str, picture: &Picture) -> Result<(), Fault> {
        let length = picture.bytes.len().to_string();
        let asked = [
            ("filename", picture.file_name.as_str()),
            ("length", length.as_str()),
            ("alt_txt", picture.alt.as_str()),
        ];
        let place = self.0.api.read("files.getUploadURLExternal", &asked).await?;
        self.0
            .api
            .to("uploading a picture", text(&place, "/upload_url"), &picture.media_type, &picture.bytes)
            .await?;
        let body = json!({
            "files": [{ "id": text(&place, "/file_id"), "title": picture.alt }],
            "channel_id": channel,
            "thread_ts": thread,
        });
        self.0.api.write("files.completeUploadExternal", &body).await.map(drop)
    }
}

/// What a card looks like in any kind of message.
pub(super) fn content(card: &Card) -> Value {
    json!({ "text": draw::notification(card), "blocks": draw::blocks(card) })
}
