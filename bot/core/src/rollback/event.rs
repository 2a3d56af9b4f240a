//! What can happen to a rollback. Bodies are stored: fields are only ever added, with defaults.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Kind, Policy, Timer, state::Alerting};
use crate::{
    Actor, Artifact, At, Digest, RollbackId, ServiceId, Shares, ThreadId,
    inventory::{
        Phase as ReleasePhase,
        choice::Choice,
        live::{Live, Running},
    },
    verdict::{Baseline, Observation},
};

/// How a rollback begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    pub id: RollbackId,
    pub service: ServiceId,
    pub thread: ThreadId,
    pub kind: Kind,
    pub parent: Option<RollbackId>,
    pub policy: Policy,
    pub at: At,
    /// Who asked for it; none when an alert did.
    pub by: Option<Actor>,
    pub reason: Option<String>,
    pub alert: Option<Alerting>,
    /// A version or digest that the person asked for.
    pub wanted: Option<String>,
    pub tried: BTreeSet<Digest>,
    pub commander: Option<Actor>,
    /// What was normal before the incident, where an earlier run of it read that.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
    /// When the run before it ended, if its alert was firing then and still is.
    #[serde(default)]
    pub previous_end: Option<At>,
}

/// What somebody may do, looked up where they acted, when they acted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub approver: bool,
    pub commander: bool,
    /// The reason for acting alone although the rules ask for two.
    #[serde(default)]
    pub break_glass: Option<String>,
}

/// What a survey read, and what it makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "survey")]
pub enum Surveyed {
    Found(Box<Survey>),
    /// What routes traffic could not be read.
    RouterUnreadable {
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    pub choice: Choice,
    pub live: Live,
    /// Of an undo, where an orchestrator makes what is to run: the name that it will have.
    #[serde(default)]
    pub made_as: Option<String>,
    /// Differences between what is believed and what runs: one more click.
    pub drift: Vec<String>,
    /// Shown, and no more.
    pub notes: Vec<String>,
    /// Why it may not be the release at all.
    pub doubt: Option<String>,
    /// What was normal before the trouble.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
}

/// What the decision's re-reading found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum Decision {
    Unchanged,
    Changed {
        what: String,
    },
    /// The target serves everything already.
    AlreadyThere,
    /// The failing side's version can't be read: not "changed", but one more click.
    FailingUnreadable {
        detail: String,
    },
    RouterUnreadable {
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fetched")]
pub enum Fetched {
    Present {
        detail: String,
    },
    /// Go on, and say so: nothing has to be pulled.
    Warned {
        detail: String,
    },
    /// It has to be pulled and can't be.
    Missing {
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "preflight")]
pub enum Preflighted {
    Ready {
        before: Shares,
        warnings: Vec<String>,
        /// What the pools run, read right before the first change.
        #[serde(default)]
        pools: BTreeMap<String, Running>,
    },
    AlreadyThere,
    Refused {
        reasons: Vec<String>,
    },
    Unreachable {
        instances: Vec<String>,
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "applied")]
pub enum Applied {
    Accepted,
    /// Nobody knows: read back.
    Unknown {
        detail: String,
    },
    Failed {
        detail: String,
    },
    /// Traffic was not where it was read before: somebody else moved it. Nothing more was written.
    Conflict {
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "shift")]
pub enum ShiftReading {
    Settled {
        shares: Shares,
        /// What an engineer should know of it: it would not survive a reload.
        #[serde(default)]
        warnings: Vec<String>,
        /// What the pools run, read right after the change.
        #[serde(default)]
        pools: BTreeMap<String, Running>,
    },
    NotSettled {
        shares: Shares,
        detail: String,
        /// It may still come about by itself.
        #[serde(default)]
        pending: bool,
    },
    Unreadable {
        detail: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "traffic")]
pub enum TrafficNow {
    #[default]
    AsExpected,
    Elsewhere {
        shares: Shares,
        detail: String,
    },
    Unreadable {
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    Opened(Box<Opening>),

    // Outcomes of effects.
    Surveyed {
        found: Surveyed,
    },
    DecisionRead {
        decision: Decision,
    },
    Fetched {
        fetched: Fetched,
    },
    PreflightDone {
        preflight: Preflighted,
    },
    Applied {
        applied: Applied,
    },
    ShiftRead {
        reading: ShiftReading,
    },
    /// A look between two steps of a shift.
    Watched {
        observation: Observation,
        traffic: TrafficNow,
    },
    Observed {
        observation: Observation,
        traffic: TrafficNow,
    },
    TrafficRead {
        shares: Option<Shares>,
        detail: String,
    },
    Paged {
        escalation: u32,
        target: u32,
        failed: Option<String>,
    },
    /// An effect that can't be run at all: its row can't be decoded.
    EffectStuck {
        effect: String,
        detail: String,
    },

    // What people do. `revision` is the proposal's that they saw.
    Approved {
        by: Actor,
        standing: Standing,
        revision: u32,
        confirmed: bool,
        reason: Option<String>,
    },
    Rejected {
        by: Actor,
        standing: Standing,
        revision: u32,
        reason: Option<String>,
    },
    Chosen {
        by: Actor,
        standing: Standing,
        revision: u32,
        digest: Digest,
    },
    ProposeAnyway {
        by: Actor,
        standing: Standing,
    },
    StopAsked {
        by: Actor,
        standing: Standing,
    },
    PageAsked {
        by: Actor,
    },
    Acknowledged {
        by: Actor,
    },
    RetryAsked {
        by: Actor,
        standing: Standing,
    },
    OverrideUnreachable {
        by: Actor,
        standing: Standing,
        reason: String,
    },
    NextAsked {
        by: Actor,
        standing: Standing,
    },
    UndoAsked {
        by: Actor,
        standing: Standing,
        reason: Option<String>,
    },
    HandedOver {
        by: Actor,
        standing: Standing,
    },
    CommanderSet {
        by: Actor,
        standing: Standing,
        commander: Actor,
    },

    // What happens around it.
    AlertFired {
        title: String,
        /// When it began, as its sender says; none: when it was heard of. Of several the one that began last.
        #[serde(default)]
        since: Option<At>,
        /// It was heard in a chat room only: many senders never say there that it is over.
        #[serde(default)]
        heard: bool,
        /// How many others came together with it.
        #[serde(default)]
        more: u32,
    },
    /// The alert of a run that has ended fires on, and was told again.
    AlertRepeated {
        title: String,
    },
    AlertResolved,
    ReleaseRecorded {
        artifact: Artifact,
        phase: ReleasePhase,
        by: Option<String>,
        #[serde(default)]
        pool: Option<String>,
    },
    /// Somebody asked for another rollback while the stability of this one was being confirmed.
    SuccessorAsked {
        by: Actor,
    },
    TimerFired {
        timer: Timer,
    },
    /// Nothing is shifted without a click any more.
    ClickRequired {
        why: String,
    },
    /// Another run put this one's routing back.
    Undone {
        by: RollbackId,
    },
}

impl Event {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Surveyed { .. } => "surveyed",
            Self::DecisionRead { .. } => "decision_read",
            Self::Fetched { .. } => "fetched",
            Self::PreflightDone { .. } => "preflight_done",
            Self::Applied { .. } => "applied",
            Self::ShiftRead { .. } => "shift_read",
            Self::Watched { .. } => "watched",
            Self::Observed { .. } => "observed",
            Self::TrafficRead { .. } => "traffic_read",
            Self::Paged { .. } => "paged",
            Self::EffectStuck { .. } => "effect_stuck",
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
            Self::Chosen { .. } => "chosen",
            Self::ProposeAnyway { .. } => "propose_anyway",
            Self::StopAsked { .. } => "stop_asked",
            Self::PageAsked { .. } => "page_asked",
            Self::Acknowledged { .. } => "acknowledged",
            Self::RetryAsked { .. } => "retry_asked",
            Self::OverrideUnreachable { .. } => "override_unreachable",
            Self::NextAsked { .. } => "next_asked",
            Self::UndoAsked { .. } => "undo_asked",
            Self::HandedOver { .. } => "handed_over",
            Self::CommanderSet { .. } => "commander_set",
            Self::AlertFired { .. } => "alert_fired",
            Self::AlertRepeated { .. } => "alert_repeated",
            Self::AlertResolved => "alert_resolved",
            Self::ClickRequired { .. } => "click_required",
            Self::ReleaseRecorded { .. } => "release_recorded",
            Self::SuccessorAsked { .. } => "successor_asked",
            Self::TimerFired { .. } => "timer_fired",
            Self::Undone { .. } => "undone",
        }
    }
}
