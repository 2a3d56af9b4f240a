//! What a step asks for: changes of the database, committed with it, and effects on the world, run after it.

use serde::{Deserialize, Serialize};

use crate::{Actor, Artifact, At, Digest, Millis, RollbackId, Shares, inventory::live::Contents};

/// Something asked of the outside world. Every effect may run twice; each is one bounded call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// Read router, pools, registry and inventory, and choose. Yields `Surveyed`.
    Survey { revision: u32 },
    /// Read again what the decision was bound to. Yields `DecisionRead`.
    Reread,
    /// Does the target's digest still exist? Yields `Fetched`.
    Fetch { digest: Digest },
    /// Can the move happen? Yields `PreflightDone`.
    Preflight {
        to: Shares,
        digest: Digest,
        without: Vec<String>,
        /// The first step, where the shift goes in steps: it has to be possible, too.
        #[serde(default)]
        first: Option<Shares>,
    },
    /// Move traffic. Yields `Applied`.
    Apply {
        to: Shares,
        digest: Digest,
        without: Vec<String>,
        /// The routing that was read last: whatever is elsewhere was moved by another hand.
        #[serde(default)]
        from: Option<Shares>,
    },
    /// Read the move back, repeatedly until it settles, or just once. Yields `ShiftRead`.
    ReadShift { to: Shares, digest: Digest, without: Vec<String>, once: bool },
    /// Between two steps: is traffic where the last one put it and, if `target`, is the target well? Yields `Watched`.
    Watch { to: Shares, target: bool },
    /// One look at health and metrics. Yields `Observed`.
    Observe {
        since: At,
        to: Shares,
        failing_since: Option<At>,
        /// While stability is confirmed: of a phase that older builds can't read.
        #[serde(default)]
        confirming: bool,
    },
    /// Where is traffic now? Yields `TrafficRead`.
    ReadTraffic,
    /// Ring. Yields `Paged`.
    Page { escalation: u32, target: u32, why: String },
    /// Tell the pager that somebody came, so that it calls nobody else. `escalation` is the first call for its reason. Yields
    /// nothing.
    AcknowledgePage { escalation: u32, target: u32 },
    /// End a page. `escalation` is the first call for its reason. Yields nothing.
    ResolvePage { escalation: u32, target: u32 },
    /// Let those go on who were made to stand still for the run (GitOps). Asked for by a person, of a run that has ended. Yields
    /// nothing: what came of it is kept beside the thread.
    Resume { anyway: bool, by: Actor },
}

impl Effect {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Survey { .. } => "survey",
            Self::Reread => "reread",
            Self::Fetch { .. } => "fetch",
            Self::Preflight { .. } => "preflight",
            Self::Apply { .. } => "apply",
            Self::ReadShift { .. } => "read_shift",
            Self::Watch { .. } => "watch",
            Self::Observe { .. } => "observe",
            Self::ReadTraffic => "read_traffic",
            Self::Page { .. } => "page",
            Self::AcknowledgePage { .. } => "acknowledge_page",
            Self::ResolvePage { .. } => "resolve_page",
            Self::Resume { .. } => "resume",
        }
    }

    /// The first version of the effects' bodies that has this kind: an older replica leaves it alone.
    pub fn version(&self) -> i64 {
        match self {
            Self::AcknowledgePage { .. } | Self::Observe { confirming: true, .. } => 4,
            Self::Resume { .. } => 3,
            _ => 2,
        }
    }

    /// Kinds that this build can run.
    pub const KINDS: [&'static str; 13] = [
        "survey",
        "reread",
        "fetch",
        "preflight",
        "apply",
        "read_shift",
        "watch",
        "observe",
        "read_traffic",
        "page",
        "acknowledge_page",
        "resolve_page",
        "resume",
    ];

    /// Pages go on while the work of a phase is called off.
    pub fn is_paging(&self) -> bool {
        matches!(self, Self::Page { .. } | Self::AcknowledgePage { .. } | Self::ResolvePage { .. })
    }
}

/// An effect, not before a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub effect: Effect,
    pub after: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// Nobody answered the proposal.
    Answer,
    /// The proposal is too old to be believed.
    Expiry,
    /// The shift, or one step of it, takes too long.
    Shift,
    /// Time for recovery is up.
    Recover,
    /// Nobody acknowledged the page.
    Ack,
    /// A short step (a reading, a fetch, a preflight) takes too long.
    Step,
    /// Stability was watched for long enough; or the alert has been firing for too long since.
    Confirm,
    /// Whoever acknowledged did nothing yet.
    Act,
    /// Nobody did anything for a long time.
    Idle,
}

impl Timer {
    pub const ALL: [Self; 9] = [
        Self::Answer,
        Self::Expiry,
        Self::Shift,
        Self::Recover,
        Self::Ack,
        Self::Step,
        Self::Confirm,
        Self::Act,
        Self::Idle,
    ];

    /// Whether it is disarmed when its phase is left. The others wait for people, whatever the phase.
    pub fn is_of_one_phase(self) -> bool {
        !matches!(self, Self::Answer | Self::Ack)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Expiry => "expiry",
            Self::Shift => "shift",
            Self::Recover => "recover",
            Self::Ack => "ack",
            Self::Step => "step",
            Self::Confirm => "confirm",
            Self::Act => "act",
            Self::Idle => "idle",
        }
    }
}

/// A run that a person starts from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "linked")]
pub enum Linked {
    /// Propose again, without the targets that did not help.
    Next { tried: Vec<Digest> },
    /// Back to the routing that was found before the first change.
    Undo {
        to: Shares,
        artifact: Option<Artifact>,
        #[serde(default)]
        contents: Contents,
    },
}

/// A change of the database, committed together with the event that asked for it, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// Cancel every unfinished effect but pages.
    CancelWork,
    SetTimer {
        timer: Timer,
        at: At,
    },
    ClearTimer {
        timer: Timer,
    },
    /// Open the thread's incident unless it is open.
    OpenIncident,
    /// The gate refuses the digest from now on.
    MarkUnstable {
        artifact: Artifact,
        why: String,
        provisional: bool,
    },
    /// Takes back a provisional mark of this run.
    LiftMark {
        digest: Digest,
    },
    /// A verified shift is a deployment too.
    RecordRelease {
        artifact: Artifact,
        to: Shares,
    },
    OpenLinked {
        linked: Linked,
    },
    /// Tell the run that this one undoes.
    TellUndone {
        run: RollbackId,
    },
    /// The run is over; its thread takes alerts for a while longer.
    Close,
}
