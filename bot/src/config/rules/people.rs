//! Rooms, approvers, commanders, operators.

use std::collections::BTreeSet;

use super::Rules;
use crate::config::{
    names::{CHATS, OS, Room, Who},
    problem::{Path, did_you_mean},
    sections::Config,
    service::{Approval, Service},
};

impl Rules<'_> {
    pub(super) fn operators(&mut self, config: &Config) {
        for (user, who) in &config.operators {
            let at = keys!["operators", user.as_str()];
            if who.is_group() {
                self.problem(at, "an operating-system user is one person, not a group");
            } else {
                self.platform_of(at, who);
            }
        }
    }

    pub(super) fn rooms(&mut self, at: &Path, service: &Service) {
        let single = self.tree.get(&at.then("room")).is_some();
        let several = self.tree.get(&at.then("rooms")).is_some();
        if single && several {
            self.problem(at.then("rooms"), "give either `room` or `rooms`");
        }
        if !single && service.rooms().next().is_none() && self.intact(&at.then("rooms")) {
            let key = if several { "rooms" } else { "room" };
            self.advise(
                at.then(key),
                "there is no room for its incidents",
                "for example room = \"terminal:\"",
            );
        }
        let mut seen = BTreeSet::new();
        for (index, room) in service.rooms().enumerate() {
            let at = if single && index == 0 {
                at.then("room")
            } else {
                at.then("rooms").then(index - usize::from(single))
            };
            self.room(&at, room);
            if !seen.insert(room) {
                self.warn(at, "the same room twice", "leave one out");
            }
        }
    }

    fn room(&mut self, at: &Path, room: &Room) {
        let platform = room.platform.as_str();
        if CHATS.contains(&platform) {
            if platform != "terminal" && room.name.is_empty() {
                self.problem(at.clone(), "the room's name is missing after the colon");
            } else if !self.connected(platform) {
                let what = format!("there is no [chats.{platform}]");
                let advice = format!("give its tokens there; docs/{platform}.md shows how");
                self.advise(at.clone(), what, advice);
            }
        } else {
            let near = did_you_mean(platform, CHATS.iter().copied());
            let advice = near.unwrap_or_else(|| format!("rooms can be on: {}", CHATS.join(", ")));
            self.advise(at.clone(), format!("unknown platform {platform:?}"), advice);
        }
    }

    /// Whether the file says how to get there.
    fn connected(&self, platform: &str) -> bool {
        platform == "terminal" || self.tree.get(&keys!["chats", platform]).is_some()
    }

    fn platform_of(&mut self, at: Path, who: &Who) {
        let platform = who.platform.as_str();
        if platform == OS || (CHATS.contains(&platform) && self.connected(platform)) {
            return;
        }
        if CHATS.contains(&platform) {
            let what = format!("there is no [chats.{platform}]");
            self.warn(at, what, "they can act only from a command line, through [operators]");
        } else {
            let people = CHATS.iter().copied().chain([OS]);
            let near = did_you_mean(platform, people.clone());
            let advice =
                near.unwrap_or_else(|| format!("people are on: {}", people.collect::<Vec<_>>().join(", ")));
            self.advise(at, format!("unknown platform {platform:?}"), advice);
        }
    }

    pub(super) fn approval(&mut self, at: &Path, service: &Service) {
        let listed = at.then("approvers");
        let mut people = BTreeSet::new();
        for (index, who) in service.approvers.iter().enumerate() {
            let at = listed.then(index);
            if !people.insert(who) {
                self.warn(at.clone(), "the same approver twice", "leave one out");
            }
            if who.platform == OS && who.is_group() {
                self.problem(at, "there are no groups of operating-system users here");
            } else {
                self.platform_of(at, who);
            }
        }
        let fallback = at.then("fallback_approvers");
        for (index, who) in service.fallback_approvers.iter().enumerate() {
            if who.is_group() {
                let what = "a group can't be asked then either: name persons";
                self.problem(fallback.then(index), what);
            } else {
                self.platform_of(fallback.then(index), who);
            }
        }
        let complete = self.intact(&listed);
        if people.is_empty() && complete {
            let what = "nobody may approve, stop or undo a rollback";
            self.advise(listed, what, "for example approvers = [\"os:ana\"]");
        } else if complete {
            self.approvals(at, service, &people);
        }
        if let Some(commander) = &service.commander {
            let at = at.then("commander");
            if commander.is_group() {
                self.problem(at, "the commander is one person, not a group");
            } else {
                self.platform_of(at, commander);
            }
        }
    }

    fn approvals(&mut self, at: &Path, service: &Service, people: &BTreeSet<&Who>) {
        let count = at.then("approvals");
        if service.approval == Approval::None {
            self.without_approval(at, service);
            return;
        }
        // Who is in a group is known only when asked.
        let enough = people.iter().any(|who| who.is_group()) || service.approvals as usize <= people.len();
        if service.approvals == 0 {
            let advice = "to shift without a click, say approval = \"none\"";
            self.advise(count, "at least one approval is needed", advice);
        } else if !enough {
            let what =
                format!("{} approvals can't come from {} approver(s)", service.approvals, people.len());
            self.advise(count, what, "name more approvers or a group");
        } else if people.len() == 1
            && !people.iter().any(|who| who.is_group())
            && !service.requester_may_approve
        {
            let what = "the only approver could not approve what they asked for";
            self.warn(at.then("requester_may_approve"), what, "name another approver or a group");
        }
    }

    fn without_approval(&mut self, at: &Path, service: &Service) {
        if self.tree.get(&at.then("approvals")).is_some() {
            let what = "approvals are counted, but approval = \"none\" asks for none";
            self.advise(at.then("approvals"), what, "leave one of the two out");
        }
        if service.page.is_empty() {
            let what = "shifts without a click, and would page nobody when that fails";
            self.advise(at.then("approval"), what, "name a pager in `page`");
        } else {
            let what = "traffic is shifted without anybody's click";
            self.warn(at.then("approval"), what, "it is said in the thread every time");
        }
    }
}
