//! Shares as server weights, and back.
//!
//! A pool is lowered by weight 0, not by drain or maintenance: its health checks go on, so that everybody sees whether
//! there is a way back. A pool is raised by ending forced drains and giving weights; a server in maintenance stays
//! there, since a person put it there and nobody knows whether it works.

use std::collections::BTreeMap;

use lastgood_core::Shares;

use super::{reading::Pool, state::Server};

/// The largest weight that HAProxy takes (configuration.txt, "weight").
const LARGEST: f64 = 256.0;
/// What the strongest server gets when one pool gets everything: the number people expect there.
const USUAL: f64 = 100.0;

/// Whether nothing about `pool` but its proportion to others contradicts `share`.
pub(super) fn fits(pool: &Pool, share: u8) -> bool {
    if share == 0 {
        // Maintenance for want of an address, or inherited, ends by itself: it doesn't replace weight 0.
        return pool.servers.iter().all(|s| s.weight == 0 || s.put_in_maintenance() || s.put_in_drain());
    }
    let mut raised = pool.servers.iter().filter(|server| !server.put_in_maintenance()).peekable();
    raised.peek().is_some() && raised.all(|server| server.weight > 0 && !server.put_in_drain())
}

/// The commands that spread traffic by `wanted`: those by which something takes more traffic, and those by which something takes
/// less, for afterwards.
pub(super) fn commands(backend: &str, pools: &BTreeMap<String, Pool>, wanted: &Shares) -> [Vec<String>; 2] {
    let (mut raise, mut lower) = (Vec::new(), Vec::new());
    for (name, weight) in weights(pools, wanted) {
        let Some(server) = pools.values().flat_map(|pool| &pool.servers).find(|server| server.name == name)
        else {
            continue;
        };
        let at = format!("set server {backend}/{name}");
        if weight > server.weight {
            raise.push(format!("{at} weight {weight}"));
        } else if weight < server.weight {
            lower.push(format!("{at} weight {weight}"));
        }
        // After its weight, so that it does not join with the old one.
        if weight > 0 && server.put_in_drain() && !server.put_in_maintenance() {
            raise.push(format!("{at} state ready"));
        }
    }
    [raise, lower]
}

/// Server → weight. A pool's share is spread over its servers that can serve, in proportion to their configured weights.
fn weights(pools: &BTreeMap<String, Pool>, wanted: &Shares) -> Vec<(String, u32)> {
    let share = |pool: &str| f64::from(wanted.get(pool).copied().unwrap_or(0));
    let mut ideal: Vec<(String, f64)> = Vec::new();
    for (name, pool) in pools {
        // An idle pool is often configured with weight 0, which says nothing about proportions.
        let even = pool.servers.iter().any(|server| server.initial == 0);
        let base = |server: &Server| if even { 1.0 } else { f64::from(server.initial) };
        let usable: f64 = pool.servers.iter().filter(|s| s.can_be_raised()).map(base).sum();
        let total = if usable > 0.0 { usable } else { pool.servers.iter().map(base).sum() };
        ideal.extend(pool.servers.iter().map(|s| (s.name.clone(), share(name) * base(s) / total)));
    }
    let most = ideal.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let alone = wanted.values().filter(|share| **share > 0).count() < 2;
    let scale = if alone { USUAL } else { LARGEST } / most;
    let whole = |weight: f64| if weight > 0.0 { (weight * scale).round().clamp(1.0, LARGEST) } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 256")]
    ideal.into_iter().map(|(name, weight)| (name, whole(weight) as u32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, weight: u32, initial: u32, administration: u32) -> Server {
        Server { name: name.to_owned(), operation: 2, administration, weight, initial, checked: true }
    }

    fn pools(blue: Vec<Server>, green: Vec<Server>) -> BTreeMap<String, Pool> {
        let pool = |servers| Pool { servers, missing: Vec::new() };
        [("blue".to_owned(), pool(blue)), ("green".to_owned(), pool(green))].into()
    }

    fn shares(blue: u8, green: u8) -> Shares {
        [("blue".to_owned(), blue), ("green".to_owned(), green)].into()
    }

    #[test]
    fn the_target_is_raised_before_the_other_side_is_lowered() {
        let pools = pools(vec![server("b1", 1, 1, 0), server("b2", 1, 1, 0)], vec![server("g1", 0, 0, 8)]);
        assert_eq!(
            commands("be", &pools, &shares(0, 100)).concat(),
            [
                "set server be/g1 weight 100",
                "set server be/g1 state ready",
                "set server be/b1 weight 0",
                "set server be/b2 weight 0",
            ]
        );
    }

    #[test]
    fn maintenance_is_left_to_the_person_who_began_it() {
        let pools = pools(vec![server("b1", 1, 1, 0)], vec![server("g1", 0, 1, 0), server("g2", 0, 1, 1)]);
        let said = commands("be", &pools, &shares(0, 100)).concat();
        assert!(!said.iter().any(|command| command.contains("g2 state")), "{said:?}");
    }

    #[test]
    fn shares_follow_the_strength_of_servers() {
        let pools = pools(vec![server("b1", 0, 2, 0), server("b2", 0, 1, 0)], vec![server("g1", 0, 7, 0)]);
        let set: BTreeMap<_, _> = weights(&pools, &shares(90, 10)).into_iter().collect();
        assert_eq!((set["b1"], set["b2"], set["g1"]), (256, 128, 43));
        let set: BTreeMap<_, _> = weights(&pools, &shares(100, 0)).into_iter().collect();
        assert_eq!((set["b1"], set["b2"], set["g1"]), (100, 50, 0));
    }

    #[test]
    fn a_drained_server_with_weight_does_not_contradict_zero_but_does_contradict_a_share() {
        let drained = Pool { servers: vec![server("g1", 100, 1, 8)], missing: Vec::new() };
        assert!(fits(&drained, 0));
        assert!(!fits(&drained, 100));
        let nobody = Pool { servers: vec![server("g1", 100, 1, 1)], missing: Vec::new() };
        assert!(!fits(&nobody, 100));
    }
}
