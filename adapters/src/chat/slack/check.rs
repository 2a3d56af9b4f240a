//! `lastgood check` for Slack: the token, the scopes, the socket, every room. Asks only; posts nothing.

use crate::chat::json::text;
use std::collections::BTreeSet;

use serde_json::Value;

use super::{Slack, config::Delivered};
use crate::{Check, Fault};

/// The bot's scopes, as in deploy/slack-manifest.yaml, and what is missing without each.
const SCOPES: [(&str, &str); 9] = [
    ("app_mentions:read", "@lastgood hears nothing"),
    ("channels:history", "alerts in public channels are not heard"),
    ("channels:read", "public channels can't be found by name"),
    ("chat:write", "nothing can be posted"),
    ("commands", "there is no /rollback"),
    ("groups:history", "alerts in private channels are not heard"),
    ("groups:read", "private channels can't be found by name"),
    ("usergroups:read", "groups of approvers can't be asked: nobody in them may approve"),
    ("users:read", "nobody can be told from a guest: nobody may approve"),
];

impl Slack {
    pub(super) async fn check_all(&self, rooms: &[String]) -> Vec<Check> {
        let me = match self.me().await {
            Ok(me) => me,
            Err(fault) => {
                let advice =
                    "is the token the app's \"Bot User OAuth Token\", and can this machine reach Slack?";
                return vec![Check::bad("token", fault.to_string(), advice)];
            }
        };
        let mut lines = vec![Check::good("token", format!("bot {} in {}", me.user, me.url))];
        lines.push(self.delivery().await);
        lines.extend(self.scopes().await);
        for room in rooms {
            lines.push(self.room(room).await);
        }
        lines
    }

    /// Whether groups that may approve are there, and whether anybody is in them.
    pub async fn check_groups(&self, groups: &[String]) -> Vec<Check> {
        let mut lines = Vec::new();
        for group in groups {
            let what = format!("group {group}");
            lines.push(match self.0.people.size(&self.0.api, group).await {
                Ok(0) => Check::bad(what, "nobody is in it", "nobody could approve: add people in Slack"),
                Ok(1) => Check::good(what, "one person"),
                Ok(count) => Check::good(what, format!("{count} people")),
                Err(fault) => Check::bad(what, fault.to_string(), "nobody in it could approve"),
            });
        }
        lines
    }

    async fn delivery(&self) -> Check {
        match &self.0.settings.delivered {
            Delivered::Http { .. } => {
                let seen = "HTTP: whether Slack reaches this server shows only when it calls";
                let advice = "in the app's settings, save the request URL: Slack tries it then";
                Check::warning("delivery", seen, advice)
            }
            Delivered::Socket { .. } => match self.socket_address().await {
                Ok(_) => Check::good("delivery", "Socket Mode: a socket would open"),
                Err(fault) => Check::bad(
                    "delivery",
                    fault.to_string(),
                    "the app token needs the scope connections:write, and the app \"Socket Mode\" switched on",
                ),
            },
        }
    }

    async fn scopes(&self) -> Vec<Check> {
        let settings = &self.0.settings;
        let asked = self.0.http.post(format!("{}/auth.test", settings.url)).timeout(settings.limit);
        let answer = match asked.bearer_auth(settings.token.reveal()).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let seen = format!("can't be asked: {}", error.without_url());
                return vec![Check::warning("scopes", seen, "try again")];
            }
        };
        let header = answer.headers().get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok());
        let Some(header) = header else {
            return vec![Check::warning(
                "scopes",
                "Slack does not say which",
                "compare with deploy/slack-manifest.yaml",
            )];
        };
        let held: BTreeSet<&str> = header.split(',').map(str::trim).collect();
        let missing: Vec<_> = SCOPES.iter().filter(|(scope, _)| !held.contains(scope)).collect();
        if missing.is_empty() {
            return vec![Check::good("scopes", "all are there")];
        }
        let advice = "add it under \"OAuth & Permissions\", then reinstall the app";
        missing
            .iter()
            .map(|(scope, without)| {
                Check::bad(format!("scope {scope}"), format!("missing: {without}"), advice)
            })
            .collect()
    }

    async fn room(&self, room: &str) -> Check {
        let what = format!("room {room}");
        let found = async {
            let id = self.0.rooms.id(&self.0.api, room).await?;
            let answer = self.0.api.read("conversations.info", &[("channel", &id)]).await?;
            let is = |at: &str| answer.pointer(at).and_then(Value::as_bool).unwrap_or(false);
            if is("/channel/is_archived") {
                return Err(Fault::Denied(
                    "the channel is archived: unarchive it, or use another".to_owned(),
                ));
            }
            if !is("/channel/is_member") {
                let why = "the bot is not in the channel: type `/invite @lastgood` there";
                return Err(Fault::Denied(why.to_owned()));
            }
            let name = text(&answer, "/channel/name").to_owned();
            // Alerts posted there, and its own messages after a lost answer.
            self.0.api.read("conversations.history", &[("channel", &id), ("limit", "1")]).await?;
            Ok((name, id))
        };
        match found.await {
            Ok((name, id)) => Check::good(what, format!("#{name} ({id}), and the bot is in it")),
            Err(fault) => {
                Check::bad(what, fault.to_string(), "until then no thread of its services gets there")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_asks_for_these_scopes_and_no_others() {
        let manifest = include_str!("../../../../deploy/slack-manifest.yaml");
        let scopes =
            manifest.split_once("    bot:\n").and_then(|(_, rest)| rest.split_once("settings:")).unwrap().0;
        let asked: Vec<_> = scopes.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect();
        let asked: Vec<_> = asked.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(asked, SCOPES.map(|(scope, _)| scope));
        let document = include_str!("../../../../docs/slack.md");
        for scope in asked {
            assert!(document.contains(&format!("`{scope}`")), "docs/slack.md does not explain {scope}");
        }
    }
}
