//! Why a run needs a person, and how it ends.

use serde::{Deserialize, Serialize};

use crate::{Actor, Artifact, RollbackId, Shares, verdict::Verdict};

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
    /// It had recovered, and is bad again.
    Relapsed {
        detail: String,
    },
    /// It is healthy by all checks, and the alert goes on for too long.
    AlertStillFiring {
        detail: String,
    },
    /// A pool of the target runs other bytes than were voted for.
    OtherBytes {
        shares: Shares,
        detail: String,
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

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCandidate { detail } => write!(f, "no version to go back to: {detail}"),
            Self::Expired => f.write_str("the proposal expired unanswered while the alert is firing"),
            Self::RouterUnreadable { detail } => write!(f, "what routes traffic can't be read: {detail}"),
            Self::ArtifactMissing { detail } => write!(f, "the target can't be fetched: {detail}"),
            Self::PreflightRefused { reasons } => {
                write!(f, "preflight refused the shift: {}", reasons.join("; "))
            }
            Self::InstancesUnreachable { instances, detail } => {
                write!(f, "router instances can't be reached ({}): {detail}", instances.join(", "))
            }
            Self::ShiftFailed { detail } => write!(f, "the shift failed, traffic is where it was: {detail}"),
            Self::PartlyShifted { detail, .. } => write!(f, "traffic is only partly shifted: {detail}"),
            Self::OutcomeUnknown { detail } => {
                write!(f, "whether traffic moved can't be read back: {detail}")
            }
            Self::TargetBad { detail, .. } => {
                write!(f, "the target itself is not well, so no more traffic is moved to it: {detail}")
            }
            Self::NotRecovered { verdict: Verdict::NoData } => {
                f.write_str("after the shift there is no data to tell whether it recovered")
            }
            Self::NotRecovered { .. } => {
                f.write_str("traffic is on the target, and the service has not recovered")
            }
            Self::Relapsed { detail } => write!(f, "the service had recovered, and is bad again: {detail}"),
            Self::AlertStillFiring { detail } => write!(f, "the alert is still firing: {detail}"),
            Self::OtherBytes { detail, .. } => {
                write!(f, "the target's pool runs other bytes than were approved: {detail}")
            }
            Self::MovedByAnotherHand { detail, .. } => {
                write!(f, "traffic was moved by another hand: {detail}")
            }
            Self::AnotherRelease { artifact, by } => match by {
                Some(by) => write!(f, "{artifact} was deployed by {by} in the middle of the rollback"),
                None => write!(f, "{artifact} was deployed in the middle of the rollback"),
            },
            Self::Stopped { by, detail } => write!(f, "stopped by {by}; {detail}"),
            Self::Stuck { effect, detail } => write!(f, "{effect} can't be run: {detail}"),
        }
    }
}

/// How a run ends. The incident is never ended by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum End {
    Rejected {
        by: Actor,
        reason: Option<String>,
    },
    Expired,
    Superseded {
        reason: String,
    },
    Stopped {
        by: Actor,
    },
    Recovered,
    HandedOver {
        by: Actor,
    },
    /// The alert is over, and nobody acted for a long time.
    Unattended,
    Undone {
        by: RollbackId,
    },
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
            Self::Unattended => "handed over, unattended",
            Self::Undone { .. } => "undone",
        }
    }
}
