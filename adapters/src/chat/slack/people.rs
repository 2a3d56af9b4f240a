//! Who somebody is, and which groups they belong to: asked of Slack, remembered for a minute, never guessed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{Me, api::Api};
use crate::{
    Fault,
    chat::{
        Kind, Person,
        json::{some, text},
        remembered::Cache,
    },
};

#[derive(Default)]
pub(super) struct People {
    persons: Cache<Person>,
    /// Handle (without `@`) → id, under one key.
    handles: Cache<Arc<BTreeMap<String, String>>>,
    members: Cache<Arc<BTreeSet<String>>>,
}

impl People {
    /// # Errors
    /// `NotFound` when there is nobody of this id; otherwise why Slack can't be asked.
    pub async fn person(&self, api: &Api, me: &Me, id: &str) -> Result<Person, Fault> {
        let asked = async {
            let answer = api.read("users.info", &[("user", id)]).await?;
            let missing = || Fault::Unavailable("users.info: the answer names nobody".to_owned());
            Ok(person(answer.get("user").ok_or_else(missing)?, me))
        };
        self.persons.get(id, asked).await
    }

    /// # Errors
    /// `NotFound` when there is no such group.
    pub async fn belongs(&self, api: &Api, id: &str, group: &str) -> Result<bool, Fault> {
        if super::draw::is_user(group) {
            return Ok(group == id);
        }
        Ok(self.members(api, group).await?.contains(id))
    }

    /// How many people a group has.
    ///
    /// # Errors
    /// As `belongs`.
    pub async fn size(&self, api: &Api, group: &str) -> Result<usize, Fault> {
        Ok(self.members(api, group).await?.len())
    }

    async fn members(&self, api: &Api, group: &str) -> Result<Arc<BTreeSet<String>>, Fault> {
        let group = match group.strip_prefix('@') {
            Some(handle) => self.group(api, handle).await?,
            None => group.to_owned(),
        };
        let asked = async {
            let answer = api.read("usergroups.users.list", &[("usergroup", &group)]).await?;
            let users = answer.get("users").and_then(Value::as_array).into_iter().flatten();
            Ok(Arc::new(users.filter_map(Value::as_str).map(str::to_owned).collect::<BTreeSet<_>>()))
        };
        self.members.get(&group, asked).await
    }

    /// # Errors
    /// `NotFound` when no group has this handle.
    async fn group(&self, api: &Api, handle: &str) -> Result<String, Fault> {
        let asked = async {
            let answer = api.read("usergroups.list", &[]).await?;
            let groups = answer.get("usergroups").and_then(Value::as_array).into_iter().flatten();
            let named = groups.filter_map(|group| Some((some(group, "/handle")?, some(group, "/id")?)));
            Ok(Arc::new(named.collect::<BTreeMap<_, _>>()))
        };
        let handles = self.handles.get("", asked).await?;
        handles.get(handle).cloned().ok_or_else(|| {
            Fault::NotFound(format!("Slack has no user group @{handle}: create it, or correct `approvers`"))
        })
    }
}

/// Fields of a user object (docs.slack.dev, User object).
fn person(user: &Value, me: &Me) -> Person {
    let is = |key: &str| user.get(key).and_then(Value::as_bool).unwrap_or(false);
    let teams = [text(user, "/team_id"), text(user, "/profile/team")];
    let elsewhere = me.team.is_empty() || !teams.contains(&me.team.as_str());
    // In an organisation of several workspaces, a colleague's home may be another one of them.
    let colleague =
        me.enterprise.as_deref().is_some_and(|of| of == text(user, "/enterprise_user/enterprise_id"));
    let kind = if is("deleted") {
        Kind::Gone
    } else if is("is_bot") || text(user, "/id") == "USLACKBOT" {
        Kind::Bot
    } else if is("is_stranger") || (elsewhere && !colleague) {
        Kind::Stranger
    } else if is("is_restricted") || is("is_ultra_restricted") {
        Kind::Guest
    } else {
        Kind::Member
    };
    let names = ["/profile/display_name", "/real_name", "/profile/real_name", "/name", "/id"];
    let name = names.iter().find_map(|at| some(user, at)).unwrap_or_default();
    Person { kind, name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_full_members_of_this_workspace_are_members() {
        let me = Me { team: "T1".into(), enterprise: Some("E1".into()), ..Me::default() };
        for (user, kind) in [
            (json!({ "team_id": "T1" }), Kind::Member),
            (json!({ "team_id": "T1", "is_restricted": true }), Kind::Guest),
            (json!({ "team_id": "T1", "is_ultra_restricted": true }), Kind::Guest),
            (json!({ "team_id": "T2" }), Kind::Stranger),
            (json!({}), Kind::Stranger),
            (json!({ "team_id": "T1", "is_stranger": true }), Kind::Stranger),
            (json!({ "team_id": "T2", "enterprise_user": { "enterprise_id": "E1" } }), Kind::Member),
            (json!({ "team_id": "T2", "enterprise_user": { "enterprise_id": "E2" } }), Kind::Stranger),
            (json!({ "team_id": "T1", "is_bot": true }), Kind::Bot),
            (json!({ "team_id": "T1", "deleted": true }), Kind::Gone),
        ] {
            assert_eq!(person(&user, &me).kind, kind, "{user}");
        }
    }

    #[test]
    fn people_are_called_as_they_wish() {
        let user = json!({ "id": "U1", "name": "ana.b", "real_name": "Ana Blum", "profile": { "display_name": "ana" } });
        assert_eq!(person(&user, &Me::default()).name, "ana");
        let user = json!({ "id": "U1", "name": "ana.b", "profile": { "display_name": "" } });
        assert_eq!(person(&user, &Me::default()).name, "ana.b");
    }
}
