//! Rooms: configured by name or id, known to Slack by id.

use crate::chat::json::text;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::RwLock;

use super::api::Api;
use crate::Fault;

/// For a room that messages wait for, a name that was not found is looked for again after this long at the earliest.
const AGAIN: Duration = Duration::from_secs(5);
/// For naming a channel that something happened in: most are none of the configured ones, and never will be.
const SELDOM: Duration = Duration::from_secs(60);
/// All pages together.
const WITHIN: Duration = Duration::from_secs(30);
/// Of 999 channels each, as many as Slack gives at once.
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
    /// Why the last look came to nothing.
    failed: Option<(Instant, Fault)>,
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
        self.look(api, AGAIN).await?;
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
        // A click must not wait for a list of all channels because one name in the configuration is wrong: only the first one
        // of a process asks. What is sent to an unknown name asks again.
        let never = self.known.read().await.looked.is_none();
        if unknown
            && never
            && let Err(fault) = self.look(api, SELDOM).await
        {
            tracing::warn!(%fault, "channels can't be listed");
        }
        let known = self.known.read().await;
        let found =
            names().find(|room| known.ids.get(room.trim_start_matches('#')).is_some_and(|of| of == id));
        found.cloned().unwrap_or_else(|| id.to_owned())
    }

    /// Asks for all channels, unless that was done or tried a short while ago.
    async fn look(&self, api: &Api, again: Duration) -> Result<(), Fault> {
        let mut known = self.known.write().await;
        if known.looked.is_some_and(|at| at.elapsed() < again) {
            return Ok(());
        }
        if let Some((at, fault)) = &known.failed
            && at.elapsed() < again
        {
            return Err(fault.clone());
        }
        let late =
            |_| Fault::Unavailable(format!("conversations.list: not done within {} s", WITHIN.as_secs()));
        let listed = tokio::time::timeout(WITHIN, list(api)).await.map_err(late).and_then(|listed| listed);
        match listed {
            Ok(ids) => {
                *known = Known { ids, looked: Some(Instant::now()), failed: None };
                Ok(())
            }
            Err(fault) => {
                known.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }
}

/// Name without `#` → id, of every channel that the bot can see.
async fn list(api: &Api) -> Result<BTreeMap<String, String>, Fault> {
    let mut ids = BTreeMap::new();
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let asked = [
            ("types", "public_channel,private_channel"),
            // So that `check` can say of one that it is archived.
            ("exclude_archived", "false"),
            ("limit", "999"),
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
    Ok(ids)
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
