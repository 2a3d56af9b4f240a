//! The story before the demo begins: what was deployed when, and why most of it is no place to go back to.

use lastgood_core::{Artifact, Millis};

use super::{BLUE, GREEN, NoWorld, registry::Image};

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;

/// What a deployment was, in the words of `record --phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Preview,
    Canary,
    Live,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Stable,
    Unstable,
}

/// One row of the inventory, as it will be recorded.
#[derive(Debug, Clone)]
pub struct Deployed {
    pub artifact: Artifact,
    /// How long before the demo's beginning, in milliseconds.
    pub ago: Millis,
    pub phase: Phase,
    pub pool: &'static str,
    /// Whether that pool still runs it.
    pub in_pool: bool,
    pub by: &'static str,
    /// What people said about the artifact, with their reason.
    pub mark: Option<(Mark, &'static str)>,
    pub rolled_back: bool,
    pub notes: &'static str,
    pub(super) image: Image,
}

/// A row of the story below.
struct Told {
    version: &'static str,
    ago: Millis,
    phase: Phase,
    pool: &'static str,
    in_pool: bool,
    by: &'static str,
    mark: Option<(Mark, &'static str)>,
    rolled_back: bool,
    notes: &'static str,
}

/// Newest first. Between the failing version and the one to go back to lie three that look newer and must be skipped,
/// each for another reason; behind it lies a good one that no pool runs any more.
const STORY: [Told; 6] = [
    Told {
        version: "v2.5.0",
        ago: 6 * MINUTE,
        phase: Phase::Live,
        pool: GREEN,
        in_pool: true,
        by: "ci",
        mark: None,
        rolled_back: false,
        notes: "new payment client",
    },
    Told {
        version: "v2.5.0-rc.1",
        ago: DAY,
        phase: Phase::Canary,
        pool: GREEN,
        in_pool: false,
        by: "ci",
        mark: None,
        rolled_back: false,
        notes: "5 % of traffic for 20 min",
    },
    Told {
        version: "v2.4.2",
        ago: 3 * DAY,
        phase: Phase::Preview,
        pool: GREEN,
        in_pool: false,
        by: "ben",
        mark: None,
        rolled_back: false,
        notes: "for the sales demo, no customers",
    },
    Told {
        version: "v2.4.1",
        ago: 5 * DAY,
        phase: Phase::Canary,
        pool: GREEN,
        in_pool: false,
        by: "ci",
        mark: Some((Mark::Unstable, "wrong totals in carts in EUR")),
        rolled_back: true,
        notes: "withdrawn after 12 min",
    },
    Told {
        version: "v2.4.0",
        ago: 9 * DAY,
        phase: Phase::Live,
        pool: BLUE,
        in_pool: true,
        by: "ci",
        mark: Some((Mark::Stable, "nine days without an alert")),
        rolled_back: false,
        notes: "gift cards",
    },
    Told {
        version: "v2.3.9",
        ago: 21 * DAY,
        phase: Phase::Live,
        pool: GREEN,
        in_pool: false,
        by: "ana",
        mark: Some((Mark::Stable, "twelve days without an alert")),
        rolled_back: false,
        notes: "faster search",
    },
];

/// The releases, newest first, with the images that the registry has for them.
pub fn story() -> Result<Vec<Deployed>, NoWorld> {
    STORY.iter().map(deployed).collect()
}

fn deployed(told: &Told) -> Result<Deployed, NoWorld> {
    let image = Image::build(told.version).ok_or(NoWorld::Story("an image has no digest"))?;
    Ok(Deployed {
        artifact: Artifact { version: told.version.to_owned(), digest: image.digest.clone() },
        ago: told.ago,
        phase: told.phase,
        pool: told.pool,
        in_pool: told.in_pool,
        by: told.by,
        mark: told.mark,
        rolled_back: told.rolled_back,
        notes: told.notes,
        image,
    })
}

/// What a pool runs when the demo begins.
pub fn running_in(releases: &[Deployed], pool: &str) -> Option<Artifact> {
    releases
        .iter()
        .find(|release| release.in_pool && release.pool == pool)
        .map(|release| release.artifact.clone())
}
