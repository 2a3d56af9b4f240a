//! What goes wrong when it is asked for, and what was seen of the bot.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::standin::losses::{Loss, Losses};

use super::Discord;

#[derive(Default)]
pub struct Trouble {
    pub down: bool,
    pub slow: Duration,
    /// For how long an answer by HTTP is not known to what takes the others.
    pub knows_late: Duration,
    /// What becomes of the next calls, by method and route.
    pub losses: Losses,
    /// How many calls are limited, and for how many seconds.
    pub limited: BTreeMap<String, (u32, f64)>,
    pub global: Option<Instant>,
}

impl Discord {
    /// Nothing is reachable, and nobody stays connected.
    pub fn down(&self, down: bool) {
        self.state().trouble.down = down;
        if down {
            self.cut();
        }
    }

    /// Every answer takes this long, after its call took effect.
    pub fn slow(&self, delay: Duration) {
        self.state().trouble.slow = delay;
    }

    /// What is answered by HTTP is known this long after it was.
    pub fn knows_late(&self, delay: Duration) {
        self.state().trouble.knows_late = delay;
    }

    /// The nth such call from now (1 is the next) takes effect, but its sender never learns: `POST messages`.
    pub fn lose_answer(&self, call: &str, nth: usize) {
        self.state().trouble.losses.at(call, nth, Loss::Answer);
    }

    /// The nth such call from now never arrives, and its sender never learns.
    pub fn lose_request(&self, call: &str, nth: usize) {
        self.state().trouble.losses.at(call, nth, Loss::Request);
    }

    /// The nth such call from now gets a 500.
    pub fn fail(&self, call: &str, nth: usize) {
        self.state().trouble.losses.at(call, nth, Loss::Error);
    }

    /// The next such calls are limited, for so many seconds.
    pub fn rate_limit(&self, call: &str, calls: u32, seconds: f64) {
        self.state().trouble.limited.insert(call.to_owned(), (calls, seconds));
    }

    /// Answers don't tell how much of a bucket is left.
    pub fn tells_no_limits(&self) {
        self.state().silent = true;
    }

    /// All calls are limited for a while.
    pub fn global_limit(&self, duration: Duration) {
        self.state().trouble.global = Some(Instant::now() + duration);
    }

    /// Every token's 15 minutes are over.
    pub fn expire_tokens(&self) {
        self.state().interactions.values_mut().for_each(|one| one.expired = true);
    }

    // What was seen.

    /// What was refused because Discord takes no such thing. A scenario that did not ask for it should find none.
    pub fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    /// How often a call was made: `POST messages`.
    pub fn calls(&self, call: &str) -> u32 {
        self.state().calls.get(call).copied().unwrap_or_default()
    }

    /// How often the bot ran into a bucket's end.
    pub fn limited(&self) -> u32 {
        self.state().limited
    }

    /// How many of its requests count against what Discord bans for.
    pub fn invalid(&self) -> u32 {
        self.state().invalid
    }

    pub fn uploaded(&self) -> Vec<Vec<u8>> {
        self.state().uploaded.clone()
    }

    /// Every body that the bot sent, with method and route.
    pub fn sent(&self) -> Vec<(String, Value)> {
        self.state().sent.clone()
    }
}
