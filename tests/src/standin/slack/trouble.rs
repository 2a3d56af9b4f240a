//! What goes wrong when it is asked for, and what was seen of the bot.

use std::{collections::BTreeMap, time::Duration};

use crate::standin::losses::{Loss, Losses};

use super::{
    Slack,
    state::{Delivered, Route},
};

#[derive(Default)]
pub struct Trouble {
    pub down: bool,
    pub slow: Duration,
    /// For the coming calls of a method, in turn.
    pub losses: Losses,
    /// Method → how many calls, and for how long.
    pub limited: BTreeMap<String, (u32, u64)>,
}

/// A request in Slack's name that Slack did not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forged {
    Unsigned,
    WrongSecret,
    Old,
    Tampered,
}

impl Slack {
    /// Nothing answers until it is set to false; sockets break.
    pub fn down(&self, down: bool) {
        let mut state = self.state();
        state.trouble.down = down;
        if down {
            state.sockets.clear();
        }
    }

    /// Every answer of the Web API comes this much after the call took effect.
    pub fn slow(&self, delay: Duration) {
        self.state().trouble.slow = delay;
    }

    /// The nth call of a method from now (1 is the next) takes effect, but its sender never learns.
    pub fn lose_answer(&self, method: &str, nth: usize) {
        self.state().trouble.losses.at(method, nth, Loss::Answer);
    }

    /// The nth call of a method from now never arrives, and its sender never learns.
    pub fn lose_request(&self, method: &str, nth: usize) {
        self.state().trouble.losses.at(method, nth, Loss::Request);
    }

    /// The nth call of a method from now gets a 500.
    pub fn fail(&self, method: &str, nth: usize) {
        self.state().trouble.losses.at(method, nth, Loss::Error);
    }

    /// The next calls of a method are rate limited, for so many seconds.
    pub fn rate_limit(&self, method: &str, calls: u32, seconds: u64) {
        self.state().trouble.limited.insert(method.to_owned(), (calls, seconds));
    }

    /// Slack's own limits are enforced: about one post a second in a channel, some 50 edits a minute.
    pub fn enforce_limits(&self) {
        self.state().limits = true;
    }

    pub fn take_scope(&self, scope: &str) {
        self.state().scopes.remove(scope);
    }

    /// Deliveries come to the bot's own server from now on: `base` is `http://…/chat/slack`.
    pub fn by_http(&self, base: &str) {
        self.state().route = Route::Http(base.to_owned());
    }

    /// Closes every socket without a word.
    pub fn cut_sockets(&self) {
        self.state().sockets.clear();
    }

    /// Announces that a socket will be closed, as Slack does every few hours; it is closed when `close_announced` is called.
    pub fn announce_end(&self, reason: &str) {
        let frame = serde_json::json!({ "type": "disconnect", "reason": reason, "debug_info": { "host": "standin" } });
        for socket in &self.state().sockets {
            socket.frames.send(frame.to_string()).ok();
        }
    }

    pub async fn until_sockets(&self, count: usize) {
        self.until(&format!("{count} sockets"), |state| (state.sockets.len() >= count).then_some(())).await;
    }

    // What was seen.

    /// What was refused because Slack takes no such thing. A scenario that did not ask for it should find none.
    pub fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> u32 {
        self.state().calls.get(method).copied().unwrap_or_default()
    }

    /// How often the bot was told to slow down by the enforced limits.
    pub fn limited(&self) -> u32 {
        self.state().limited
    }

    pub fn delivered(&self) -> Vec<Delivered> {
        self.state().delivered.clone()
    }

    pub fn uploaded(&self) -> Vec<Vec<u8>> {
        self.state().files.values().cloned().collect()
    }

    /// Everything that the bot drew.
    pub fn sent(&self) -> Vec<(&'static str, serde_json::Value)> {
        self.state().sent.clone()
    }
}
