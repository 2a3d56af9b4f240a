//! Arithmetic with shares that every adapter needs: from weights to percent, in words, and what lies on the way between
//! two routings.

use std::collections::BTreeMap;

use lastgood_core::{Shares, inventory::live::near};

/// Whole percent of the sum, adding up to 100; whoever has anything gets at least 1. All 0 when the sum is.
pub(super) fn percent(sums: BTreeMap<String, u64>) -> Shares {
    let total: u64 = sums.values().sum();
    if total == 0 {
        return sums.into_keys().map(|pool| (pool, 0)).collect();
    }
    let floor = |sum: u64| if sum == 0 { 0 } else { (sum * 100 / total).max(1) };
    let mut shares: Vec<(String, u64, u64)> =
        sums.into_iter().map(|(pool, sum)| (pool, floor(sum), sum * 100 % total)).collect();
    // The largest remainders are rounded up; what the smallest shares were given is taken from the largest.
    shares.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    let mut rest = 100_i64 - shares.iter().map(|(_, share, _)| share.cast_signed()).sum::<i64>();
    for (_, share, remainder) in &mut shares {
        if rest > 0 && *remainder > 0 {
            *share += 1;
            rest -= 1;
        }
    }
    if let Some((_, share, _)) = shares.iter_mut().max_by_key(|(_, share, _)| *share) {
        *share = share.saturating_add_signed(rest);
    }
    shares.into_iter().map(|(pool, share, _)| (pool, u8::try_from(share).unwrap_or(100))).collect()
}

/// Whole weights, as small as can be, such that each pool gets its share, evenly over its members: some routers give all the
/// requests of one weight in a row, so that large weights would starve the others for long.
pub(super) fn weights<'a>(
    pools: &'a BTreeMap<String, Vec<String>>,
    wanted: &Shares,
) -> BTreeMap<&'a str, u64> {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let size = |members: &Vec<String>| u64::try_from(members.len()).unwrap_or(1).max(1);
    // Pools of three and of two can share 90 to 10 only by a common multiple of their sizes.
    let common = pools.values().map(size).fold(1, |all, one| all / gcd(all, one) * one);
    let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
    for (pool, members) in pools {
        let share = u64::from(wanted.get(pool).copied().unwrap_or(0));
        let each = share * (common / size(members));
        weights.extend(members.iter().map(|member| (member.as_str(), each)));
    }
    let smallest = weights.values().fold(0, |all, one| gcd(all, *one)).max(1);
    weights.values_mut().for_each(|weight| *weight /= smallest);
    weights
}

/// `blue 100 %`; `blue 95 %, green 5 %`; `nobody anything`.
pub(super) fn spell(shares: &Shares) -> String {
    let some: Vec<_> = shares
        .iter()
        .filter(|(_, share)| **share > 0)
        .map(|(pool, share)| format!("{pool} {share} %"))
        .collect();
    if some.is_empty() { "nobody anything".to_owned() } else { some.join(", ") }
}

/// Why `wanted` makes no sense for these pools, whatever the world is like.
pub(super) fn senseless(pools: &[&str], wanted: &Shares) -> Option<String> {
    if let Some(unknown) = wanted.keys().find(|pool| !pools.contains(&pool.as_str())) {
        return Some(format!("there is no pool {unknown:?}; configured are {}", pools.join(", ")));
    }
    if let Some(forgotten) = pools.iter().find(|pool| !wanted.contains_key(**pool)) {
        return Some(format!("no share is given for pool {forgotten:?}"));
    }
    let sum: u32 = wanted.values().map(|share| u32::from(*share)).sum();
    (sum != 100).then(|| format!("shares add up to {sum} %, not 100 %"))
}

/// Whether a routing is where the move began, where it leads, or between the two: what a move that was cut off in the middle
/// leaves behind. Anything else was done by another hand.
pub(super) fn on_the_way(now: &Shares, from: &Shares, to: &Shares) -> bool {
    if near(now, from) || near(now, to) {
        return true;
    }
    let share = |of: &Shares, pool: &String| of.get(pool).copied().unwrap_or(0);
    now.keys().chain(from.keys()).chain(to.keys()).all(|pool| {
        let (a, b) = (share(from, pool), share(to, pool));
        (a.min(b)..=a.max(b)).contains(&share(now, pool))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(blue: u8, green: u8) -> Shares {
        [("blue".to_owned(), blue), ("green".to_owned(), green)].into()
    }

    #[test]
    fn percent_always_adds_up_and_hides_nobody() {
        let of = |sums: &[u64]| -> Vec<u8> {
            let named = sums.iter().enumerate().map(|(at, sum)| (at.to_string(), *sum)).collect();
            percent(named).into_values().collect()
        };
        assert_eq!(of(&[0, 0]), [0, 0]);
        assert_eq!(of(&[100, 0]), [100, 0]);
        assert_eq!(of(&[1, 1, 1]), [34, 33, 33]);
        assert_eq!(of(&[256, 1]), [99, 1]);
        assert_eq!(of(&[2560, 1, 1, 1]), [97, 1, 1, 1]);
        for sums in [[3, 5, 11], [1, 99, 900], [7, 7, 1]] {
            assert_eq!(of(&sums).iter().map(|share| u32::from(*share)).sum::<u32>(), 100, "{sums:?}");
        }
    }

    #[test]
    fn another_hand_is_whatever_is_not_on_the_way() {
        let (from, to) = (shares(0, 100), shares(50, 50));
        for (blue, way) in [(0, true), (20, true), (50, true), (51, true), (60, false), (100, false)] {
            assert_eq!(on_the_way(&shares(blue, 100 - blue), &from, &to), way, "{blue}");
        }
    }
}
