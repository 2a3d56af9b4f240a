//! What the configuration decides about a run, frozen into it when it opens: a reload changes no running rollback.

use serde::{Deserialize, Serialize};

use super::Pace;
use crate::Millis;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    #[default]
    Required,
    /// Shift without a click when the proposal carries no caveat.
    None,
}

/// All times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub approval: Approval,
    /// Why `approval` is required here although the configuration asks for no click.
    #[serde(default)]
    pub click_needed: Option<String>,
    pub approvals: u32,
    pub requester_may_approve: bool,
    pub expires_after: Millis,
    pub answer_within: Millis,
    /// For a shift, or one step of it.
    pub shift_within: Millis,
    #[serde(default)]
    pub pace: Pace,
    pub recover_within: Millis,
    /// Between two observations.
    pub every: Millis,
    pub good_in_a_row: u32,
    /// For how long a service that has recovered is watched before the run ends.
    #[serde(default = "bake")]
    pub bake: Millis,
    /// How long after that the alert may go on firing before a person is called.
    #[serde(default = "half_an_hour")]
    pub alert_clears_within: Millis,
    /// Whoever acknowledged is asked again after this time without anything done, and then called.
    #[serde(default = "half_an_hour")]
    pub act_within: Millis,
    /// Until a page that nobody acknowledged is repeated.
    pub ack_within: Millis,
    /// How many pagers are configured, in their order.
    pub pagers: u32,
}

const MIN: Millis = 60_000;

fn bake() -> Millis {
    10 * MIN
}

fn half_an_hour() -> Millis {
    30 * MIN
}

/// Looks while stability is confirmed are this many times further apart than before.
const SLOWER: Millis = 6;

impl Policy {
    /// Between two looks while stability is confirmed, in milliseconds: rarer than before, and still a few in a short time.
    pub fn confirm_every(&self) -> Millis {
        self.every.saturating_mul(SLOWER).min(self.bake / 4).max(self.every)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            approval: Approval::Required,
            click_needed: None,
            approvals: 1,
            requester_may_approve: true,
            expires_after: 30 * MIN,
            answer_within: 5 * MIN,
            shift_within: 2 * MIN,
            pace: Pace::default(),
            recover_within: 5 * MIN,
            every: 5_000,
            good_in_a_row: 3,
            bake: bake(),
            alert_clears_within: half_an_hour(),
            act_within: half_an_hour(),
            ack_within: 5 * MIN,
            pagers: 1,
        }
    }
}
