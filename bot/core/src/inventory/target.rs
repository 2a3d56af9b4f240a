//! A target is an artifact with the routing that serves it and with what each pool of that routing has to run. The three are
//! made together, from one look at the world: a routing of another artifact, or bytes that nobody voted for, can't be had.

use serde::{Deserialize, Serialize};

use super::live::{Contents, Live, Running, all_to};
use crate::{Artifact, Shares};

/// Where a run goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Target {
    artifact: Artifact,
    routing: Shares,
    contents: Contents,
}

impl Target {
    /// All traffic to a pool that runs the artifact now. None: it does not run it.
    pub fn in_pool(artifact: &Artifact, pool: &str, live: &Live) -> Option<Self> {
        let running = live.pools.get(pool)?.digest()?;
        (*running == artifact.digest).then(|| Self {
            artifact: artifact.clone(),
            routing: all_to(pool, &live.shares),
            contents: [(pool.to_owned(), running.clone())].into(),
        })
    }

    /// All traffic to what is made of the artifact, where an orchestrator makes it: `name` is what it will be called.
    pub fn made(artifact: &Artifact, name: &str, live: &Live) -> Self {
        let others = live.shares.keys().map(|other| (other.clone(), 0));
        Self {
            artifact: artifact.clone(),
            routing: others.chain([(name.to_owned(), 100)]).collect(),
            contents: [(name.to_owned(), artifact.digest.clone())].into(),
        }
    }

    /// A routing that was found before, with what its pools ran then.
    ///
    /// # Errors
    /// What has changed since: going back would serve other bytes.
    pub fn found_before(
        artifact: Artifact,
        routing: Shares,
        contents: &Contents,
        now: &Live,
    ) -> Result<Self, String> {
        let serving = routing.iter().filter(|(_, share)| **share > 0).map(|(pool, _)| pool);
        let contents: Contents =
            serving.filter_map(|pool| Some((pool.clone(), contents.get(pool)?.clone()))).collect();
        if !contents.is_empty() && !contents.values().any(|digest| *digest == artifact.digest) {
            return Err(format!("none of its pools ran {artifact}"));
        }
        let target = Self { artifact, routing, contents };
        match target.differs_from(|pool| now.pools.get(pool)) {
            Some(difference) => Err(difference),
            None => Ok(target),
        }
    }

    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Who gets which share of the traffic.
    pub fn routing(&self) -> &Shares {
        &self.routing
    }

    /// What each pool that gets traffic has to run, as far as it is known.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Where a pool of the routing runs other bytes than were voted for, in words. A pool of which nobody can tell is no
    /// difference.
    pub fn differs_from<'a>(&self, running: impl Fn(&str) -> Option<&'a Running>) -> Option<String> {
        let differences = self.contents.iter().filter_map(|(pool, voted)| {
            let now = running(pool)?.digest()?;
            (now != voted).then(|| format!("{pool} runs {} now, and not {}", now.short(), voted.short()))
        });
        let all: Vec<_> = differences.collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// As it is kept. Earlier builds kept no contents.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    target: Artifact,
    to: Shares,
    #[serde(default)]
    contents: Contents,
}

/// A target without a routing.
#[derive(Debug, thiserror::Error)]
#[error("a target without a routing is none")]
struct NoRouting;

impl TryFrom<Stored> for Target {
    type Error = NoRouting;
    fn try_from(stored: Stored) -> Result<Self, NoRouting> {
        let Stored { target: artifact, to: routing, contents } = stored;
        if routing.is_empty() { Err(NoRouting) } else { Ok(Self { artifact, routing, contents }) }
    }
}

impl From<Target> for Stored {
    fn from(Target { artifact, routing, contents }: Target) -> Self {
        Self { target: artifact, to: routing, contents }
    }
}
