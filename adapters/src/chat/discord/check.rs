//! `lastgood check` for Discord: the token, the server, what the bot may do in every room. Asks only; posts nothing.

use serde_json::Value;
use serenity::http::Route;

use super::{
    Discord,
    rooms::{Channel, channel_id},
};
use crate::{
    Check, Fault,
    chat::json::{list, text},
};

/// What the bot's role needs in a room (Permissions, Bitwise Permission Flags), and what is missing without each; as in
/// docs/discord.md.
pub(super) const PERMISSIONS: [(u64, &str, &str); 8] = [
    (1 << 10, "View Channel", "nothing can be posted there"),
    (1 << 11, "Send Messages", "nothing can be posted there"),
    (1 << 14, "Embed Links", "cards are empty"),
    (1 << 15, "Attach Files", "pictures are missing"),
    (1 << 16, "Read Message History", "after a lost answer a message would be sent twice"),
    (1 << 34, "Manage Threads", "threads of closed incidents stay open"),
    (1 << 35, "Create Public Threads", "there are no threads"),
    (1 << 38, "Send Messages in Threads", "nothing can be said in threads"),
];
const ADMINISTRATOR: u64 = 1 << 3;
/// Application flags: the message content intent is on, for a verified bot or for one in few servers.
const MESSAGE_CONTENT: u64 = 1 << 18 | 1 << 19;

impl Discord {
    pub(super) async fn check_all(&self, rooms: &[String]) -> Vec<Check> {
        let (me, application) = match tokio::try_join!(self.me(), self.application()) {
            Ok(both) => both,
            Err(fault) => {
                let advice = "is the token the one under \"Bot\", and can this machine reach Discord?";
                return vec![Check::bad("token", fault.to_string(), advice)];
            }
        };
        let mut lines = vec![Check::good("token", format!("bot {}", me.name))];
        lines.push(self.delivery(&application));
        if self.0.settings.reads_messages {
            lines.push(content(&application));
        }
        let guild = Route::Guild { guild_id: self.0.settings.guild };
        match self.0.api.get("looking at the server", guild, &[]).await.map_err(Fault::from) {
            Ok(guild) => lines.push(Check::good("server", text(&guild, "/name"))),
            Err(fault) => {
                let advice = format!(
                    "invite the bot: https://discord.com/oauth2/authorize?client_id={}&scope=bot+applications.commands&permissions={}",
                    me.application,
                    PERMISSIONS.iter().fold(0, |all, (bit, ..)| all | bit),
                );
                lines.push(Check::bad("server", fault.to_string(), advice));
                return lines;
            }
        }
        for room in rooms {
            lines.extend(self.room(room, &me.user).await);
        }
        lines
    }

    /// Whether roles that may approve are there. Who has them can't be counted without another privileged intent.
    pub async fn check_groups(&self, groups: &[String]) -> Vec<Check> {
        let mut lines = Vec::new();
        for group in groups {
            let what = format!("role {group}");
            lines.push(match self.0.people.role(&self.0.api, self.0.settings.guild, group).await {
                Ok(id) => Check::good(what, format!("is there ({id})")),
                Err(fault) => Check::bad(what, fault.to_string(), "nobody in it could approve"),
            });
        }
        lines
    }

    fn delivery(&self, application: &Value) -> Check {
        let url = text(application, "/interactions_endpoint_url");
        match (&self.0.settings.verifier, url) {
            (None, "") => Check::good("delivery", "gateway"),
            (None, url) => Check::bad(
                "delivery",
                format!("Discord sends clicks and commands to {url}"),
                "empty the application's \"Interactions Endpoint URL\", or set chats.discord.mode = \"http\"",
            ),
            (Some(_), "") => Check::warning(
                "delivery",
                "HTTP, and Discord knows no address",
                "start lastgood, then save its https://…/chat/discord/interactions as \"Interactions Endpoint URL\"",
            ),
            (Some(_), url) => Check::good("delivery", format!("HTTP: {url}")),
        }
    }

    async fn room(&self, room: &str, me: &str) -> Vec<Check> {
        let what = format!("room {room}");
        let looked = async {
            let id = self.0.rooms.id(&self.0.api, room).await?;
            let channel =
                self.0.api.get("looking at a room", Route::Channel { channel_id: channel_id(&id)? }, &[]);
            let channel = channel.await?;
            let held = self.permissions(&channel, me).await?;
            Ok::<_, Fault>((channel, held))
        };
        let (channel, held) = match looked.await {
            Ok(both) => both,
            Err(fault) => {
                return vec![Check::bad(
                    what,
                    fault.to_string(),
                    "until then no thread of its services gets there",
                )];
            }
        };
        let read = Channel::of(&channel);
        if !read.can_be_a_room() {
            let advice = "use a text, announcement or forum channel";
            return vec![Check::bad(what, "no channel that can have threads", advice)];
        }
        let missing: Vec<_> = PERMISSIONS.iter().filter(|(bit, ..)| held & bit == 0).collect();
        if missing.is_empty() {
            return vec![Check::good(what, format!("#{} ({})", read.name, read.id))];
        }
        let advice = "give it to the bot's role, in this channel or in the whole server";
        let line = |(_, name, without): &&(u64, &str, &str)| {
            Check::bad(format!("{what}: {name}"), format!("missing: {without}"), advice)
        };
        missing.iter().map(line).collect()
    }

    /// As Discord computes them (Permissions, Permission Overwrites).
    async fn permissions(&self, channel: &Value, me: &str) -> Result<u64, Fault> {
        let guild = self.0.settings.guild;
        let member = self.0.people.member(&self.0.api, guild, me).await?;
        let roles = self.0.people.roles(&self.0.api, guild).await?;
        let everyone = guild.to_string();
        let mine = |id: &str| id == everyone || member.roles.contains(id);
        let base = roles.iter().filter(|role| mine(&role.id)).fold(0, |all, role| all | role.permissions);
        if base & ADMINISTRATOR != 0 {
            return Ok(u64::MAX);
        }
        Ok(overwritten(
            base,
            list(channel, "permission_overwrites"),
            &everyone,
            &|id| member.roles.contains(id),
            me,
        ))
    }
}

fn overwritten(
    base: u64,
    overwrites: &[Value],
    everyone: &str,
    mine: &dyn Fn(&str) -> bool,
    me: &str,
) -> u64 {
    let bits = |of: &Value, at: &str| text(of, at).parse::<u64>().unwrap_or_default();
    let apply = |held: u64, of: &dyn Fn(&str) -> bool| {
        let these = overwrites.iter().filter(|overwrite| of(text(overwrite, "/id")));
        let (allow, deny) = these.fold((0, 0), |(allow, deny), overwrite| {
            (allow | bits(overwrite, "/allow"), deny | bits(overwrite, "/deny"))
        });
        held & !deny | allow
    };
    let held = apply(base, &|id| id == everyone);
    let held = apply(held, mine);
    apply(held, &|id| id == me)
}

fn content(application: &Value) -> Check {
    let flags = application.get("flags").and_then(Value::as_u64).unwrap_or_default();
    if flags & MESSAGE_CONTENT != 0 {
        return Check::good("message content", "the intent is on");
    }
    let advice = "switch it on under \"Bot\", \"Privileged Gateway Intents\", or set reads_messages = false";
    Check::bad("message content", "the intent is off: Discord refuses the connection", advice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documents_name_these_permissions_and_no_others() {
        let all: u64 = PERMISSIONS.iter().map(|(bit, ..)| bit).sum();
        for document in [include_str!("../../../../docs/discord.md"), include_str!("../../../../README.md")] {
            assert!(document.contains(&format!("&permissions={all}`")), "permissions={all}");
            for (_, name, _) in PERMISSIONS {
                assert!(document.contains(name), "{name}");
            }
        }
    }

    #[test]
    fn overwrites_apply_from_everyone_to_oneself() {
        let of = |id: &str, allow: u64, deny: u64| json!({ "id": id, "allow": allow.to_string(), "deny": deny.to_string() });
        let held = |overwrites: &[Value]| overwritten(0b111, overwrites, "1", &|id| id == "2", "3");
        assert_eq!(held(&[]), 0b111);
        assert_eq!(held(&[of("1", 0, 0b001)]), 0b110);
        assert_eq!(held(&[of("1", 0, 0b011), of("2", 0b001, 0)]), 0b101);
        assert_eq!(held(&[of("2", 0b001, 0b111), of("3", 0, 0b001)]), 0);
        assert_eq!(held(&[of("9", 0, 0b111)]), 0b111);
    }
}
