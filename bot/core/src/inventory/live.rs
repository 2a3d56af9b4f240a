//! The live set: which artifact carries which share of a service's traffic. Routing comes from the router and versions
//! from the pools, never from memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Shares};

/// What runs in a pool, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "known")]
pub enum Running {
    /// The pool's own version endpoint said so.
    Seen {
        digest: Digest,
    },
    /// The last record that named this pool.
    Recorded {
        digest: Digest,
    },
    Unknown {
        why: String,
    },
}

impl Running {
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Seen { digest } | Self::Recorded { digest } => Some(digest),
            Self::Unknown { .. } => None,
        }
    }
}

/// What pools run, where that is known: pool → digest.
pub type Contents = BTreeMap<String, Digest>;

/// Routing and pools as read at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub shares: Shares,
    pub pools: BTreeMap<String, Running>,
    /// Shares change by themselves while something is under way (pods that are replaced): who is there counts, and not how
    /// much.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fluid: bool,
}

impl Live {
    /// Whether somebody carries traffic in `now` who neither did here nor is to in `to`. How much each of them has may change
    /// between a card and a click (a canary that goes on, pods that are replaced): what was decided stays the same.
    pub fn has_newcomer(&self, now: &Shares, to: &Shares) -> bool {
        let share = |of: &Shares, pool: &String| of.get(pool).copied().unwrap_or(0);
        now.iter().any(|(pool, now)| *now > 0 && share(&self.shares, pool) == 0 && share(to, pool) == 0)
    }

    /// What the pools run, as far as it is known.
    pub fn contents(&self) -> Contents {
        let known =
            self.pools.iter().filter_map(|(pool, running)| Some((pool.clone(), running.digest()?.clone())));
        known.collect()
    }

    /// Artifacts with a share above 0, by digest. What runs in pools of unknown content is in `unknown_share`.
    pub fn set(&self) -> BTreeMap<&Digest, u8> {
        let mut set = BTreeMap::new();
        for (pool, share) in self.shares.iter().filter(|(_, share)| **share > 0) {
            if let Some(digest) = self.pools.get(pool).and_then(Running::digest) {
                let sum: &mut u8 = set.entry(digest).or_insert(0);
                *sum = sum.saturating_add(*share);
            }
        }
        set
    }

    /// Percent of traffic on pools whose artifact is not known.
    pub fn unknown_share(&self) -> u8 {
        self.shares
            .iter()
            .filter(|(pool, _)| self.pools.get(*pool).and_then(Running::digest).is_none())
            .fold(0u8, |sum, (_, share)| sum.saturating_add(*share))
    }

    /// Pools that hold this artifact now.
    pub fn pools_with<'a>(&'a self, digest: &'a Digest) -> impl Iterator<Item = &'a str> {
        self.pools
            .iter()
            .filter(move |(_, running)| running.digest() == Some(digest))
            .map(|(pool, _)| pool.as_str())
    }

    /// Pools that carry traffic, in words: `green 100 %`.
    pub fn describe(&self) -> String {
        let parts: Vec<_> = self
            .shares
            .iter()
            .filter(|(_, share)| **share > 0)
            .map(|(pool, share)| format!("{pool} {share} %"))
            .collect();
        if parts.is_empty() { "no pool carries traffic".to_owned() } else { parts.join(", ") }
    }
}

/// Percentage points that a share other than 0 and 100 may be off: weights are whole numbers.
const TOLERANCE: u8 = 1;

/// Whether two routings are the same as far as weights can tell. Pools that are not mentioned carry nothing; nothing and
/// everything are exact.
pub fn near(a: &Shares, b: &Shares) -> bool {
    let share = |of: &Shares, pool: &String| of.get(pool).copied().unwrap_or(0);
    a.keys().chain(b.keys()).all(|pool| {
        let (one, other) = (share(a, pool), share(b, pool));
        let exact = |share: u8| matches!(share, 0 | 100);
        one == other || (!exact(one) && !exact(other) && one.abs_diff(other) <= TOLERANCE)
    })
}

/// All traffic to one pool of those in `shares`.
pub fn all_to(pool: &str, shares: &Shares) -> Shares {
    shares.keys().map(|name| (name.clone(), if name == pool { 100 } else { 0 })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(letter: char) -> Digest {
        format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
    }

    #[test]
    fn a_canary_has_two_artifacts_and_an_unread_pool_is_not_guessed() {
        let live = Live {
            shares: [("a".into(), 90), ("b".into(), 5), ("c".into(), 5), ("d".into(), 0)].into(),
            pools: [
                ("a".into(), Running::Seen { digest: digest('a') }),
                ("b".into(), Running::Recorded { digest: digest('b') }),
                ("c".into(), Running::Unknown { why: "timed out".into() }),
                ("d".into(), Running::Seen { digest: digest('d') }),
            ]
            .into(),
            fluid: false,
        };
        assert_eq!(live.set(), [(&digest('a'), 90), (&digest('b'), 5)].into());
        assert_eq!(live.unknown_share(), 5);
        assert_eq!(live.pools_with(&digest('d')).collect::<Vec<_>>(), ["d"]);
        assert!(near(&live.shares, &[("a".into(), 91), ("b".into(), 4), ("c".into(), 5)].into()));
        assert!(!near(&live.shares, &[("a".into(), 90), ("b".into(), 10)].into()));
        assert_eq!(all_to("d", &live.shares).values().map(|s| u32::from(*s)).sum::<u32>(), 100);
    }

    #[test]
    fn steps_along_the_same_artifacts_are_nobodys_move_and_a_newcomer_is() {
        let of =
            |shares: &[(&str, u8)]| -> Shares { shares.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect() };
        let canary = Live { shares: of(&[("a", 75), ("b", 25)]), ..Live::default() };
        let to = of(&[("a", 100)]);
        for (now, newcomer) in [
            (of(&[("a", 75), ("b", 25), ("c", 0)]), false),
            (of(&[("a", 25), ("b", 75)]), false),
            (of(&[("b", 100)]), false),
            (of(&[("b", 50), ("c", 50)]), true),
        ] {
            assert_eq!(canary.has_newcomer(&now, &to), newcomer, "{now:?}");
        }
        let onward = Live { shares: of(&[("b", 100)]), ..Live::default() };
        assert!(!onward.has_newcomer(&of(&[("b", 60), ("a", 40)]), &to), "on the way to the target already");
    }
}
