//! What was deployed, what is live, and which release to go back to.

pub mod choice;
pub mod gate;
pub mod images;
pub mod live;
pub mod soak;
pub mod suspect;
pub mod target;

use serde::{Deserialize, Serialize};

use crate::{Artifact, At, ReleaseId, ServiceId};

/// What a deployment was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It served no production traffic.
    Preview,
    /// It served a part of it.
    Canary,
    #[default]
    Live,
}

impl std::str::FromStr for Phase {
    type Err = crate::words::Malformed;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "preview" => Ok(Self::Preview),
            "canary" => Ok(Self::Canary),
            "live" => Ok(Self::Live),
            other => Err(crate::words::Malformed {
                what: "phase (preview, canary or live)",
                got: other.to_owned(),
            }),
        }
    }
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Canary => "canary",
            Self::Live => "live",
        }
    }
}

/// How a release came to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Told by a pipeline or a person.
    #[default]
    Recorded,
    /// Written by a verified shift of a rollback.
    Rollback,
}

/// One deployment of an artifact to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub id: ReleaseId,
    pub service: ServiceId,
    pub artifact: Artifact,
    pub phase: Phase,
    pub pool: Option<String>,
    /// When it was deployed; orders the inventory, whenever it was told.
    pub at: At,
    pub by: Option<String>,
    pub url: Option<String>,
    /// Why going back behind this release needs thought: "drops column x".
    pub irreversible: Option<String>,
    pub origin: Origin,
}

/// What is known of an artifact, for one service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stability {
    /// Nothing speaks for or against it.
    #[default]
    Unproven,
    /// A person said so, or it soaked.
    Stable { by_person: bool },
    Unstable {
        why: String,
        /// From approval until the rollback's end is known.
        provisional: bool,
    },
}
