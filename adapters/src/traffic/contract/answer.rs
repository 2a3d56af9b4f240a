//! Reading answers. Unknown fields are let pass, so that a newer shifter serves an older bot; what is missing is named.

use lastgood_core::Shares;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Fault,
    traffic::{Observation, Preflight, Progress, Unreachable},
};

/// One answer, not yet understood.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Who gave it, for people.
    pub who: String,
    pub value: Value,
}

#[derive(Deserialize)]
struct Seen {
    shares: Shares,
    #[serde(default)]
    capacity: std::collections::BTreeMap<String, crate::traffic::Capacity>,
    #[serde(default)]
    unreachable: Vec<Unreachable>,
    #[serde(default)]
    disagreement: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    runs: std::collections::BTreeMap<String, crate::traffic::Running>,
}

impl From<Seen> for Observation {
    fn from(seen: Seen) -> Self {
        let Seen { shares, capacity, unreachable, disagreement, warnings, runs } = seen;
        Self { shares, capacity, unreachable, disagreement, warnings, runs, ..Self::default() }
    }
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Judged {
    Ready {
        #[serde(default)]
        warnings: Vec<String>,
    },
    AlreadyThere,
    Refused {
        reasons: Vec<String>,
    },
    Unreachable {
        instances: Vec<Unreachable>,
    },
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Far {
    Settled { seen: Seen },
    Moving { seen: Seen, detail: String },
    Stuck { seen: Seen, detail: String },
    Failed { seen: Seen, detail: String },
}

impl Answer {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_value(self.value.clone())
            .map_err(|error| Fault::Invalid(format!("{}: its answer makes no sense: {error}", self.who)))
    }

    pub fn observation(&self) -> Result<Observation, Fault> {
        self.read::<Seen>().map(Into::into)
    }

    pub fn preflight(&self) -> Result<Preflight, Fault> {
        Ok(match self.read()? {
            Judged::Ready { warnings } => Preflight::Ready { warnings },
            Judged::AlreadyThere => Preflight::AlreadyThere,
            Judged::Refused { reasons } if reasons.is_empty() => {
                Preflight::Refused { reasons: vec![format!("{} refused without a reason", self.who)] }
            }
            Judged::Refused { reasons } => Preflight::Refused { reasons },
            Judged::Unreachable { instances } => Preflight::Unreachable { instances },
        })
    }

    pub fn progress(&self) -> Result<Progress, Fault> {
        Ok(match self.read()? {
            Far::Settled { seen } => Progress::Settled(seen.into()),
            Far::Moving { seen, detail } => Progress::Moving { seen: seen.into(), detail },
            Far::Stuck { seen, detail } => Progress::Stuck { seen: seen.into(), detail },
            Far::Failed { seen, detail } => Progress::Failed { seen: seen.into(), detail },
        })
    }
}
