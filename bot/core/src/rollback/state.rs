//! The saved state of a rollback: enough to go on from, and to draw its card from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Policy,
    pace::{consistent, same as same_routing},
};
use crate::{
    Actor, Artifact, At, Digest, Millis, RollbackId, ServiceId, Shares, ThreadId,
    inventory::{
        choice::{Candidate, Caveat, Suspect},
        live::Live,
    },
    verdict::{Observation, Series, Verdict},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// Back to the last stable artifact.
    Back,
    /// Back to the routing that another run had found; its artifact may be the one that run marked.
    Undo { of: RollbackId, to: Shares, artifact: Option<Artifact> },
}

/// The alert behind a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerting {
    pub title: String,
    pub since: At,
    pub firing: bool,
}

/// What is put to the vote. Bound to its revision: a click on an older one is answered, never counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub failing: Option<Suspect>,
    pub target: Artifact,
    pub to: Shares,
    pub live: Live,
    pub candidates: Vec<Candidate>,
    /// Each costs one more, explicit click.
    pub caveats: Vec<Caveat>,
    pub notes: Vec<String>,
    /// Why it may not be the release at all; approving comes after "propose anyway".
    pub doubt: Option<String>,
    pub expires_at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    Surveying,
    /// Waiting for people. `confirming`: somebody clicked once and was told of the caveats.
    Proposed {
        confirming: bool,
    },
    /// Decided; what the decision was bound to is being read again.
    Deciding,
    Fetching,
    Preflight,
    Shifting {
        applies: u32,
        overdue: bool,
        /// The routing of this step, where the shift goes in steps; else the proposal's.
        #[serde(default)]
        leg: Option<Shares>,
        /// What became of the last request.
        #[serde(default)]
        sent: Sent,
    },
    /// Between two steps of a shift.
    Holding {
        since: At,
        /// Looks in a row that showed the target to be bad.
        bad: u32,
        #[serde(default)]
        overdue: bool,
        last: Box<Observation>,
    },
    Observing {
        since: At,
        series: Series,
        last: Box<Observation>,
        overdue: bool,
        unreadable: Option<String>,
    },
    /// Somebody stopped it; where traffic is now is being read.
    Stopping {
        by: Actor,
        /// A move was taken, or may have been: where traffic is read to be, it may not stay.
        #[serde(default)]
        taken: bool,
    },
    /// It needs a person.
    Escalated {
        why: Why,
    },
    Ended {
        end: End,
    },
}

/// What is known of a request to move traffic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "sent")]
pub enum Sent {
    /// No answer yet, or one from which nothing follows.
    #[default]
    Open,
    /// Whether it was taken is not known.
    Unknown,
    /// It was taken: what is read back otherwise was done by another hand.
    Accepted,
    /// It was refused.
    Refused,
    /// Traffic was elsewhere already.
    Conflict { detail: String },
}

impl Phase {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Surveying => "surveying",
            Self::Proposed { .. } => "proposed",
            Self::Deciding => "deciding",
            Self::Fetching => "fetching",
            Self::Preflight => "preflight",
            Self::Shifting { .. } => "shifting",
            Self::Holding { .. } => "holding",
            Self::Observing { .. } => "observing",
            Self::Stopping { .. } => "stopping",
            Self::Escalated { .. } => "escalated",
            Self::Ended { .. } => "ended",
        }
    }
}

/// Why a run needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Why {
    NoCandidate {
        detail: String,
    },
    /// The proposal expired while the alert is firing.
    Expired,
    RouterUnreadable {
        detail: String,
    },
    ArtifactMissing {
        detail: String,
    },
    PreflightRefused {
        reasons: Vec<String>,
    },
    InstancesUnreachable {
        instances: Vec<String>,
        detail: String,
    },
    /// Nothing was seen to move.
    ShiftFailed {
        detail: String,
    },
    /// Traffic is neither here nor there.
    PartlyShifted {
        shares: Shares,
        detail: String,
    },
    /// What was done can't be read back.
    OutcomeUnknown {
        detail: String,
    },
    /// In the middle of a shift in steps.
    TargetBad {
        shares: Shares,
        detail: String,
    },
    NotRecovered {
        verdict: Verdict,
    },
    MovedByAnotherHand {
        shares: Shares,
        detail: String,
    },
    AnotherRelease {
        artifact: Artifact,
        by: Option<String>,
    },
    Stopped {
        by: Actor,
        detail: String,
    },
    Stuck {
        effect: String,
        detail: String,
    },
}

/// How a run ends. The incident is never ended by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum End {
    Rejected { by: Actor, reason: Option<String> },
    Expired,
    Superseded { reason: String },
    Stopped { by: Actor },
    Recovered,
    HandedOver { by: Actor },
    Undone { by: RollbackId },
}

impl End {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Expired => "expired",
            Self::Superseded { .. } => "superseded",
            Self::Stopped { .. } => "stopped",
            Self::Recovered => "recovered",
            Self::HandedOver { .. } => "handed over",
            Self::Undone { .. } => "undone",
        }
    }
}

/// A call to people outside the chat. Each has a number of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub escalation: u32,
    /// The first call for the same reason, if it is known: see [`Page::first`].
    #[serde(default)]
    pub(super) first: u32,
    /// Index into the configured pagers.
    pub target: u32,
    pub why: String,
    pub delivered: Option<bool>,
    pub failure: Option<String>,
    pub acknowledged: Option<Actor>,
    pub at: At,
}

impl Page {
    /// The number of the first call for the same reason. Calls that repeat it go to a pager as the same page.
    pub fn first(&self) -> u32 {
        // An earlier build made every call a page of its own.
        if self.first == 0 { self.escalation } else { self.first }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    pub id: RollbackId,
    pub service: ServiceId,
    pub thread: ThreadId,
    pub kind: Kind,
    pub parent: Option<RollbackId>,
    pub policy: Policy,
    pub opened_at: At,
    pub by: Option<Actor>,
    pub reason: Option<String>,
    pub alert: Option<Alerting>,
    pub wanted: Option<String>,
    pub tried: BTreeSet<Digest>,
    pub phase: Phase,
    /// Number of the proposal; grows with every new one.
    pub revision: u32,
    pub proposal: Option<Proposal>,
    /// Why the last proposal was replaced.
    pub superseded: Option<String>,
    pub approvals: Vec<Actor>,
    /// Typed reasons and overrides, in order.
    pub reasons: Vec<String>,
    pub approved_at: Option<At>,
    /// Router instances that an approver said to go on without.
    pub without: Vec<String>,
    /// The routing found before the first change: where undo leads.
    pub before: Option<Shares>,
    /// Traffic was asked to move: from here on nothing is taken back silently.
    pub moved: bool,
    /// The last routing that was read.
    pub shares: Option<Shares>,
    pub warnings: Vec<String>,
    pub commander: Option<Actor>,
    pub pages: Vec<Page>,
    /// An incident is open because of this run.
    pub incident: bool,
    /// The failing artifact carries this run's mark.
    pub marked: bool,
    pub ended_at: Option<At>,
}

impl Rollback {
    pub fn active(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. })
    }

    pub fn failing(&self) -> Option<&Suspect> {
        self.proposal.as_ref().and_then(|p| p.failing.as_ref())
    }

    /// Where it goes. None without a candidate: the proposal is then kept for its list only, and what stands in its target
    /// field is what fails, which nobody (the gate, above all) may take for a target.
    pub fn target(&self) -> Option<&Artifact> {
        self.proposal.as_ref().filter(|p| !p.to.is_empty()).map(|p| &p.target)
    }

    pub fn alert_firing(&self) -> bool {
        self.alert.as_ref().is_some_and(|alert| alert.firing)
    }

    /// The call that waits for an acknowledgement.
    pub fn ringing(&self) -> Option<&Page> {
        self.pages.last().filter(|page| page.acknowledged.is_none())
    }

    pub fn age(&self, now: At) -> Millis {
        (now - self.opened_at).max(0)
    }

    /// Whether there is one routing to go back to: while router instances differed, there was none.
    pub fn has_way_back(&self) -> bool {
        self.moved && self.before.as_ref().is_some_and(consistent)
    }

    /// Whether routing read now is what the proposal wants.
    pub fn is_there(&self, shares: &Shares) -> bool {
        self.proposal.as_ref().is_some_and(|p| same_routing(&p.to, shares))
    }
}
