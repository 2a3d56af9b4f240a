//! The saved state of a rollback: enough to go on from, and to draw its card from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Approval, End, Policy, Why,
    pace::{consistent, same as same_routing},
};
use crate::{
    Actor, Artifact, At, Digest, Millis, RollbackId, ServiceId, Shares, ThreadId,
    inventory::{
        choice::{Candidate, Caveat},
        live::{Contents, Live},
        suspect::Suspect,
        target::Target,
    },
    verdict::{Baseline, Observation, Series},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// Back to the last stable artifact.
    Back,
    /// Back to the routing that another run had found; its artifact may be the one that run marked.
    Undo {
        of: RollbackId,
        to: Shares,
        artifact: Option<Artifact>,
        /// What the pools ran then: other bytes are another version, and no way back.
        #[serde(default)]
        contents: Contents,
    },
}

/// The alert behind a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerting {
    pub title: String,
    pub since: At,
    pub firing: bool,
    /// It was heard in a chat room only. Many senders never say there that it is over, so that it goes on proves nothing.
    #[serde(default)]
    pub heard: bool,
}

/// What is put to the vote. Bound to its revision: a click on an older one is answered, never counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub failing: Option<Suspect>,
    /// None: nothing can be proposed, and the rest is kept for its candidates.
    #[serde(flatten)]
    pub target: Option<Target>,
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
    /// The service has recovered, and is watched for a while longer: only when that ends well, the run does.
    Confirming {
        /// When the shift was verified: what is measured before it says nothing of the target.
        since: At,
        recovered_at: At,
        /// When it is decided.
        until: At,
        /// Bad looks in a row.
        bad: u32,
        /// Looks in a row that said nothing.
        silent: u32,
        last: Box<Observation>,
        /// Time is up: the next look decides.
        overdue: bool,
        unreadable: Option<String>,
        /// Time is up and all is well, but the alert still fires.
        waits_for_alert: bool,
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
            Self::Confirming { .. } => "confirming",
            Self::Stopping { .. } => "stopping",
            Self::Escalated { .. } => "escalated",
            Self::Ended { .. } => "ended",
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
    /// The registry was asked for the target that was approved.
    #[serde(default)]
    pub fetched: bool,
    /// Router instances that an approver said to go on without.
    pub without: Vec<String>,
    /// The routing found before the first change: where undo leads.
    pub before: Option<Shares>,
    /// What the pools ran then.
    #[serde(default)]
    pub contents_before: Contents,
    /// Traffic was asked to move: from here on nothing is taken back silently.
    pub moved: bool,
    /// The last routing that was read.
    pub shares: Option<Shares>,
    pub warnings: Vec<String>,
    /// What was normal before the trouble, for each metric: read once for an incident.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
    /// The present step took too long, and was asked for once more.
    #[serde(default)]
    pub overdue: bool,
    /// Whoever acknowledged was reminded that the run waits for them.
    #[serde(default)]
    pub reminded: bool,
    pub commander: Option<Actor>,
    pub pages: Vec<Page>,
    /// An incident is open because of this run.
    pub incident: bool,
    /// The failing artifact carries this run's mark.
    pub marked: bool,
    /// Artifacts that this run marked: the same one, unless what fails was another by the time of a later vote.
    #[serde(default)]
    pub marks: BTreeSet<Digest>,
    pub ended_at: Option<At>,
    /// When people were last told, after the end, that the alert fires on.
    #[serde(default)]
    pub reminded_at: Option<At>,
}

/// Calls for one reason, over all targets, before the thread says that nobody answers. A bound, not a plan: a pager's own
/// escalation policy goes further than this. A new reason always rings.
pub const MAX_CALLS: usize = 12;

impl Rollback {
    pub fn active(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether nothing has moved yet, and could without anybody clicking: at once, or after it was looked at again.
    pub fn may_begin_by_itself(&self) -> bool {
        self.active() && !self.moved && self.policy.approval == Approval::None && self.approvals.is_empty()
    }

    /// Whether traffic is moved here without anybody having clicked, or is about to be.
    pub fn is_automatic(&self) -> bool {
        let goes_on = match &self.phase {
            // It has recovered: nothing is moved any more.
            Phase::Proposed { .. } | Phase::Confirming { .. } | Phase::Ended { .. } => false,
            Phase::Surveying => self.superseded.is_none(),
            // It was moved, and nobody has taken it over yet.
            Phase::Escalated { .. } => self.moved,
            _ => true,
        };
        self.policy.approval == Approval::None
            && self.parent.is_none()
            && self.approvals.is_empty()
            && goes_on
    }

    pub fn failing(&self) -> Option<&Suspect> {
        self.proposal.as_ref().and_then(|p| p.failing.as_ref())
    }

    /// Where it goes, with the routing that serves it.
    pub fn goal(&self) -> Option<&Target> {
        self.proposal.as_ref()?.target.as_ref()
    }

    /// The artifact that it goes back to.
    pub fn target(&self) -> Option<&Artifact> {
        self.goal().map(Target::artifact)
    }

    /// Whether an alert fires of which somebody would say that it is over: the run does not end before that.
    pub fn alert_holds(&self) -> bool {
        self.alert.as_ref().is_some_and(|alert| alert.firing && !alert.heard)
    }

    pub fn alert_firing(&self) -> bool {
        self.alert.as_ref().is_some_and(|alert| alert.firing)
    }

    /// The call that waits for an acknowledgement.
    pub fn ringing(&self) -> Option<&Page> {
        self.pages.last().filter(|page| page.acknowledged.is_none())
    }

    /// How often somebody was called for the present reason, and nobody came.
    pub fn calls_in_vain(&self) -> usize {
        let Some(first) = self.pages.last().map(Page::first) else { return 0 };
        let calls = self.pages.iter().rev();
        calls.take_while(|page| page.acknowledged.is_none() && page.first() == first).count()
    }

    /// Whether somebody is being called, and will be called again. Not any more when that was in vain too often, nor for a
    /// service that has recovered.
    pub fn is_ringing(&self) -> bool {
        let recovered = matches!(self.phase, Phase::Confirming { .. });
        self.ringing().is_some() && !recovered && self.calls_in_vain() < MAX_CALLS
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
        self.goal().is_some_and(|target| same_routing(target.routing(), shares))
    }
}
