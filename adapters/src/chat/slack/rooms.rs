//! Rooms: configured by name or id, known to Slack by id.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::RwLock;

use super::{api::Api, receive::text};
use crate::Fault;

/// Names that were not found are looked for again after this long at the earliest.
const AGAIN: Duration = Duration::from_secs(60);
/// Of 1,000 channels each, as many as Slack gives at once.
const PAGES: usize = 50;

pub(super) struct Rooms {
    /// As configured: `#incidents`, `C0123ABCD`.
    configured: Vec<String>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Name without `#` → id.
    ids: BTreeMap<String, String>,
    looked: Option<Instant>,
}

impl Rooms {
    pub fn new(configured: Vec<String>) -> Self {
        Self { configured, known: RwLock::default() }
    }

    /// A configured room's id.
    ///
    /// # Errors
    /// `Denied` when there is no such channel: a person has to correct something.
    pub async fn id(&self, api: &Api, room: &str) -> Result<String, Fault> {
        if is_id(room) {
            return Ok(room.to_owned());
        }
        let name = room.trim_start_matches('#');
        if let Some(id) = self.known.read().await.ids.get(name) {
            return Ok(id.clone());
        }
        self.look(api).await?;
        self.known.read().await.ids.get(name).cloned().ok_or_else(|| {
            Fault::Denied(format!(
                "Slack has no channel #{name}, or it is a private one that the bot is not in: \
                 create it, or type `/invite @lastgood` there"
            ))
        })
    }

    /// What a channel is called in the configuration; its id when it is none of the configured.
    pub async fn named(&self, api: &Api, id: &str) -> String {
        if self.configured.iter().any(|room| room == id) {
            return id.to_owned();
        }
        let names = || self.configured.iter().filter(|room| !is_id(room));
        let unknown = {
            let known = self.known.read().await;
            names().any(|room| !known.ids.contains_key(room.trim_start_matches('#')))
        };
        if unknown && let Err(fault) = self.look(api).await {
            tracing::warn!(%fault, "channels can't be listed");
        }
        let known = self.known.read().await;
        let found =
            names().find(|room| known.ids.get(room.trim_start_matches('#')).is_some_and(|of| of == id));
        found.cloned().unwrap_or_else(|| id.to_owned())
    }

    /// Asks for all channels, at most once a minute; meanwhile what is known is all there is.
    async fn look(&self, api: &Api) -> Result<(), Fault> {
        let mut known = self.known.write().await;
        if known.looked.is_some_and(|at| at.elapsed() < AGAIN) {
            return Ok(());
        }
        let mut ids = BTreeMap::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let asked = [
                ("types", "public_channel,private_channel"),
                // So that `check` can say of one that it is archived.
                ("exclude_archived", "false"),
                ("limit", "1000"),
                ("cursor", cursor.as_str()),
            ];
            let page = api.read("conversations.list", &asked).await?;
            for channel in page.get("channels").and_then(Value::as_array).into_iter().flatten() {
                let (name, id) = (text(channel, "/name").to_owned(), text(channel, "/id").to_owned());
                let archived = channel.get("is_archived").and_then(Value::as_bool).unwrap_or(false);
                if archived {
                    ids.entry(name).or_insert(id);
                } else {
                    ids.insert(name, id);
                }
            }
            text(&page, "/response_metadata/next_cursor").clone_into(&mut cursor);
            if cursor.is_empty() {
                break;
            }
        }
        *known = Known { ids, looked: Some(Instant::now()) };
        Ok(())
    }
}

/// `C…` and `G…` are channels, `D…` conversations with one person.
pub(super) fn is_id(room: &str) -> bool {
    room.len() >= 9
        && room.starts_with(['C', 'G', 'D'])
        && room.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_ids() {
        for (room, id) in [
            ("C024BE91L", true),
            ("G012AC86C", true),
            ("#incidents", false),
            ("CHECKOUT-1", false),
            ("C1", false),
        ] {
            assert_eq!(is_id(room), id, "{room}");
        }
    }
}
