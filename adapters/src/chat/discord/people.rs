//! Who somebody is, and which roles they have: asked of Discord, remembered for a minute, never guessed.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;
use serenity::{
    http::Route,
    model::id::{GuildId, UserId},
};

use super::api::Api;
use crate::{
    Fault,
    chat::{
        Kind, Person,
        json::{is, list, some, text},
        remembered::Cache,
    },
};

/// Member flags (Guild Resource, Guild Member Flags): may only be in the voice channel that they were invited to.
const IS_GUEST: u64 = 1 << 4;

#[derive(Default)]
pub(super) struct People {
    members: Cache<Arc<Member>>,
    roles: Cache<Arc<Vec<Role>>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub person: Person,
    pub roles: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub id: String,
    pub name: String,
    pub permissions: u64,
}

impl People {
    /// # Errors
    /// Why Discord can't be asked. Who is not in the server is a stranger.
    pub async fn member(&self, api: &Api, guild: GuildId, id: &str) -> Result<Arc<Member>, Fault> {
        let nobody = || Fault::NotFound(format!("{id:?} is nobody's id: it is a number (\"Copy User ID\")"));
        let user_id = UserId::new(super::id(id).ok_or_else(nobody)?);
        let asked = async {
            let route = Route::GuildMember { guild_id: guild, user_id };
            match api.get("asking who somebody is", route, &[]).await.map_err(Fault::from) {
                Ok(member) => Ok(Arc::new(read(&member))),
                Err(Fault::NotFound(_)) => {
                    let person = Person { kind: Kind::Stranger, name: id.to_owned() };
                    Ok(Arc::new(Member { person, roles: BTreeSet::new() }))
                }
                Err(fault) => Err(fault),
            }
        };
        self.members.get(id, asked).await
    }

    /// # Errors
    /// `NotFound` when there is no such role, or when two have this name: whoever may create roles must not become an
    /// approver by it.
    pub async fn belongs(&self, api: &Api, guild: GuildId, id: &str, group: &str) -> Result<bool, Fault> {
        if !group.starts_with('@') {
            return Ok(group == id);
        }
        let role = self.role(api, guild, group).await?;
        Ok(self.member(api, guild, id).await?.roles.contains(&role))
    }

    /// `@sre-oncall`, or `@` and an id.
    ///
    /// # Errors
    /// As `belongs`.
    pub async fn role(&self, api: &Api, guild: GuildId, group: &str) -> Result<String, Fault> {
        let name = group.trim_start_matches('@');
        let roles = self.roles(api, guild).await?;
        if roles.iter().any(|role| role.id == name) {
            return Ok(name.to_owned());
        }
        let mut named = roles.iter().filter(|role| role.name == name);
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only.id.clone()),
            (None, _) => Err(Fault::NotFound(format!(
                "the server has no role @{name}: create it, or correct `approvers`"
            ))),
            _ => Err(Fault::NotFound(format!(
                "several roles are called @{name}: name the one by its id, \"discord:@ID\" (\"Copy Role ID\")"
            ))),
        }
    }

    /// # Errors
    /// Why Discord can't be asked.
    pub async fn roles(&self, api: &Api, guild: GuildId) -> Result<Arc<Vec<Role>>, Fault> {
        let asked = async {
            let listed = api.get("listing roles", Route::GuildRoles { guild_id: guild }, &[]).await?;
            let role = |of: &Value| Role {
                id: text(of, "/id").to_owned(),
                name: text(of, "/name").trim_start_matches('@').to_owned(),
                permissions: text(of, "/permissions").parse().unwrap_or_default(),
            };
            Ok(Arc::new(listed.as_array().into_iter().flatten().map(role).collect()))
        };
        self.roles.get("", asked).await
    }
}

/// Fields of a member object (Guild Resource, Guild Member Object).
fn read(member: &Value) -> Member {
    let flags = member.get("flags").and_then(Value::as_u64).unwrap_or_default();
    let kind = if is(member, "/user/bot") || is(member, "/user/system") {
        Kind::Bot
    } else if flags & IS_GUEST != 0 || is(member, "/pending") {
        Kind::Guest
    } else {
        Kind::Member
    };
    let roles = list(member, "roles").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Member { person: Person { kind, name: name(member) }, roles }
}

/// How people in the server call a member.
pub(super) fn name(member: &Value) -> String {
    let names = ["/nick", "/user/global_name", "/user/username", "/user/id"];
    names.iter().find_map(|at| some(member, at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_full_members_are_members() {
        for (member, kind) in [
            (json!({ "user": { "id": "1" } }), Kind::Member),
            (json!({ "user": { "id": "1", "bot": true } }), Kind::Bot),
            (json!({ "user": { "id": "1" }, "pending": true }), Kind::Guest),
            (json!({ "user": { "id": "1" }, "flags": 16 }), Kind::Guest),
            (json!({ "user": { "id": "1" }, "flags": 2, "pending": false }), Kind::Member),
        ] {
            assert_eq!(read(&member).person.kind, kind, "{member}");
        }
    }

    #[test]
    fn people_are_called_as_the_server_calls_them() {
        let user = json!({ "id": "1", "username": "ana.b", "global_name": "Ana" });
        assert_eq!(name(&json!({ "nick": "oncall ana", "user": user })), "oncall ana");
        assert_eq!(name(&json!({ "nick": null, "user": user })), "Ana");
        assert_eq!(
            name(&json!({ "user": { "id": "1", "username": "ana.b", "global_name": null } })),
            "ana.b"
        );
    }
}
