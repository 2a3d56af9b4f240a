//! A shift at once or in steps: which routing comes next on the way from the one that was found to the one that is wanted.

use serde::{Deserialize, Serialize};

use crate::{Millis, Shares, inventory::live::near};

/// How fast traffic is moved to the target. Frozen into a run with the rest of its policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Percent of the way, growing, the last one 100. Empty: all at once, because in an emergency seconds count.
    pub steps: Vec<u8>,
    /// Between two steps, in milliseconds.
    pub every: Millis,
    /// Look at the target itself before the next step is taken.
    pub watch: bool,
}

impl Pace {
    /// The next routing on the way, beyond `now`. None: `now` is as far as `to`.
    pub fn next(&self, before: &Shares, now: &Shares, to: &Shares) -> Option<Shares> {
        let last = || (!same(now, to)).then(|| to.clone());
        // While router instances differ there is no way from here to there that could be measured.
        if !whole(before) || !whole(now) {
            return last();
        }
        let steps = self.steps.iter().filter(|percent| (1..100).contains(*percent));
        let mut legs = steps.map(|percent| between(before, to, *percent));
        legs.find(|leg| further(now, leg, to) && !near(now, leg)).or_else(last)
    }
}

/// So much percent of the way from one routing to another, in whole percent that add up to 100.
fn between(before: &Shares, to: &Shares, percent: u8) -> Shares {
    let share = |of: &Shares, pool: &String| i64::from(of.get(pool).copied().unwrap_or(0));
    let pools = before.keys().chain(to.keys()).collect::<std::collections::BTreeSet<_>>();
    // Hundredths of a percent: rounded down first, then the largest remainders up.
    let exact = pools.into_iter().map(|pool| {
        let (from, target) = (share(before, pool), share(to, pool));
        (pool.clone(), from * 100 + (target - from) * i64::from(percent))
    });
    let mut exact: Vec<_> = exact.collect();
    let missing = 100 - exact.iter().map(|(_, hundredths)| hundredths / 100).sum::<i64>();
    exact.sort_by(|a, b| (b.1 % 100).cmp(&(a.1 % 100)).then_with(|| a.0.cmp(&b.0)));
    let rounded = exact.into_iter().zip(0_i64..).map(|((pool, hundredths), at)| {
        let share = hundredths / 100 + i64::from(at < missing);
        (pool, u8::try_from(share.clamp(0, 100)).unwrap_or(100))
    });
    rounded.collect()
}

/// Whether `leg` is nearer to `to` than `now` is, for some pool, and farther for none.
fn further(now: &Shares, leg: &Shares, to: &Shares) -> bool {
    let away = |from: &Shares, pool: &String| {
        let share = |of: &Shares| of.get(pool).copied().unwrap_or(0);
        share(from).abs_diff(share(to))
    };
    let pools = || now.keys().chain(leg.keys()).chain(to.keys());
    pools().all(|pool| away(leg, pool) <= away(now, pool))
        && pools().any(|pool| away(leg, pool) < away(now, pool))
}

/// Pools that are not mentioned carry nothing.
pub(super) fn same(a: &Shares, b: &Shares) -> bool {
    let used =
        |s: &Shares| s.iter().filter(|(_, v)| **v > 0).map(|(k, v)| (k.clone(), *v)).collect::<Shares>();
    used(a) == used(b)
}

fn whole(shares: &Shares) -> bool {
    shares.values().map(|share| u32::from(*share)).sum::<u32>() == 100
}

/// Whether this can be a routing that all router instances agree on: while they disagree, shares add up to more.
pub(super) fn consistent(shares: &Shares) -> bool {
    shares.values().map(|share| u32::from(*share)).sum::<u32>() <= 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(blue: u8, green: u8) -> Shares {
        [("blue".to_owned(), blue), ("green".to_owned(), green)].into()
    }

    fn way(steps: &[u8], before: &Shares, mut now: Shares, to: &Shares) -> Vec<u8> {
        let pace = Pace { steps: steps.to_vec(), every: 1, watch: false };
        let mut seen = vec![];
        while let Some(next) = pace.next(before, &now, to) {
            assert_eq!(next.values().map(|s| u32::from(*s)).sum::<u32>(), 100, "{next:?}");
            seen.push(next["blue"]);
            now = next;
        }
        seen
    }

    #[test]
    fn steps_lead_from_what_was_found_to_what_is_wanted() {
        let (all, none) = (shares(100, 0), shares(0, 100));
        assert_eq!(way(&[], &none, none.clone(), &all), [100]);
        assert_eq!(way(&[10, 50, 100], &none, none.clone(), &all), [10, 50, 100]);
        // A last step that is not 100 is not the end of the way.
        assert_eq!(way(&[10, 50], &none, none.clone(), &all), [10, 50, 100]);
        // An unfinished canary has but a short way: a step too small to be seen is none.
        assert_eq!(way(&[10, 50, 100], &shares(95, 5), shares(95, 5), &all), [98, 100]);
        assert_eq!(way(&[10, 50, 100], &shares(99, 1), shares(99, 1), &all), [100]);
        assert_eq!(way(&[10, 50, 100], &none, all.clone(), &all), [0; 0]);
    }

    #[test]
    fn whoever_goes_on_does_not_go_back() {
        let (all, none) = (shares(100, 0), shares(0, 100));
        assert_eq!(way(&[10, 50, 100], &none, shares(50, 50), &all), [100]);
        assert_eq!(way(&[10, 50, 100], &none, shares(20, 80), &all), [50, 100]);
    }

    #[test]
    fn routers_that_differ_are_moved_at_once() {
        let (all, none) = (shares(100, 0), shares(0, 100));
        let split: Shares = [("blue".into(), 10), ("green".into(), 100)].into();
        assert_eq!(way(&[10, 50, 100], &split, split.clone(), &all), [100]);
        assert_eq!(way(&[10, 50, 100], &none, split, &all), [100]);
    }

    #[test]
    fn three_pools_add_up() {
        let from: Shares = [("a".into(), 33), ("b".into(), 33), ("c".into(), 34)].into();
        let to: Shares = [("a".into(), 0), ("b".into(), 100), ("c".into(), 0)].into();
        for percent in 1..100 {
            let leg = between(&from, &to, percent);
            assert_eq!(leg.values().map(|s| u32::from(*s)).sum::<u32>(), 100, "{percent}: {leg:?}");
        }
    }
}
