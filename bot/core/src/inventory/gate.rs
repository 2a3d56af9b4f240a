//! The gate: may this artifact be deployed to this service? "Could not tell" is an answer of its own, never a yes.

use serde::{Deserialize, Serialize};

use super::Stability;
use crate::RollbackId;

/// What the gate looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub service_known: bool,
    /// Whether the inventory ever saw this digest for the service.
    pub digest_known: bool,
    pub stability: Stability,
    /// The active rollback that wants exactly this digest.
    pub target_of: Option<RollbackId>,
    /// An active rollback of the service, for the reader.
    pub active: Option<RollbackId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    Allowed { reasons: Vec<String> },
    Denied { reasons: Vec<String> },
    CouldNotTell { reasons: Vec<String> },
}

/// Decides. A running rollback's target always passes, or the gate would block the rescue.
pub fn decide(facts: &Facts) -> Answer {
    if !facts.service_known {
        return Answer::CouldNotTell {
            reasons: vec!["the service is not declared in the configuration".into()],
        };
    }
    if let Some(id) = facts.target_of {
        return Answer::Allowed { reasons: vec![format!("it is the target of the running {id}")] };
    }
    match &facts.stability {
        Stability::Unstable { why, provisional: true } => {
            Answer::Denied { reasons: vec![format!("it is being rolled back: {why}")] }
        }
        Stability::Unstable { why, provisional: false } => {
            Answer::Denied { reasons: vec![format!("marked unstable: {why}")] }
        }
        _ if !facts.digest_known => Answer::CouldNotTell {
            reasons: vec!["this digest was never recorded for the service: record it before asking".into()],
        },
        Stability::Stable { by_person: true } => {
            Answer::Allowed { reasons: vec!["marked stable by a person".into()] }
        }
        Stability::Stable { by_person: false } => {
            Answer::Allowed { reasons: vec!["it was live and stable".into()] }
        }
        Stability::Unproven => {
            let mut reasons = vec!["nothing is known against it".to_owned()];
            reasons.extend(facts.active.map(|id| format!("note: {id} is running for this service")));
            Answer::Allowed { reasons }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(stability: Stability) -> Facts {
        Facts { service_known: true, digest_known: true, stability, ..Facts::default() }
    }

    #[test]
    fn what_is_not_known_is_never_allowed() {
        assert!(matches!(decide(&Facts::default()), Answer::CouldNotTell { .. }));
        let unseen = Facts { digest_known: false, ..facts(Stability::Unproven) };
        assert!(matches!(decide(&unseen), Answer::CouldNotTell { .. }));
    }

    #[test]
    fn unstable_is_denied_except_as_the_target_of_a_running_rollback() {
        for provisional in [true, false] {
            let bad = facts(Stability::Unstable { why: "RB-1".into(), provisional });
            assert!(matches!(decide(&bad), Answer::Denied { .. }));
            let wanted = Facts { target_of: Some(RollbackId(2)), ..bad };
            assert!(matches!(decide(&wanted), Answer::Allowed { .. }));
        }
        assert!(matches!(decide(&facts(Stability::Unproven)), Answer::Allowed { .. }));
        // A digest that is marked but was never recorded is still denied: marks come from people too.
        let marked = Facts {
            digest_known: false,
            ..facts(Stability::Unstable { why: "CVE".into(), provisional: false })
        };
        assert!(matches!(decide(&marked), Answer::Denied { .. }));
    }
}
