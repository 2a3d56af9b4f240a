//! Weighted backends, as most kinds of route have them: a rule gives each of its backends a weight.

use std::collections::{BTreeMap, BTreeSet};

use lastgood_core::{Shares, inventory::live::near};
use serde_json::{Value, json};

use super::backend::Backend;
use crate::traffic::shares::{percent, spell};

/// One rule of an object that leads to at least one pool.
#[derive(Debug)]
pub struct Rule {
    /// `rule 1`.
    pub name: String,
    pub parts: Vec<Part>,
}

#[derive(Debug)]
pub struct Part {
    /// Where its weight is written, as a JSON pointer. None: it gets what the others leave.
    pub path: Option<String>,
    /// The weight is written as text.
    pub text: bool,
    pub backend: Backend,
    /// The pool that the backend is.
    pub pool: Option<String>,
    /// As the object names it.
    pub label: String,
    pub weight: u64,
    /// What the weights of the rule add up to when lastgood writes them.
    pub total: u64,
}

/// The pool that is this backend.
pub fn pool_of(pools: &BTreeMap<String, Backend>, backend: &Backend) -> Option<String> {
    pools.iter().find(|(_, known)| *known == backend).map(|(pool, _)| pool.clone())
}

/// Backends of a rule: an array of objects at a JSON pointer. None: none of them is a pool.
pub fn read(
    name: String,
    at: &str,
    list: &[Value],
    pools: &BTreeMap<String, Backend>,
    unsaid: u64,
    backend: impl Fn(&Value) -> Option<(Backend, String)>,
) -> Option<Rule> {
    let parts: Vec<Part> = list
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            let (backend, label) = backend(item)?;
            Some(Part {
                path: Some(format!("{at}/{index}/weight")),
                text: false,
                pool: pool_of(pools, &backend),
                backend,
                label,
                weight: item["weight"].as_u64().unwrap_or(unsaid),
                total: 100,
            })
        })
        .collect();
    parts.iter().any(|part| part.pool.is_some()).then_some(Rule { name, parts })
}

impl Rule {
    fn shares(&self, pools: &BTreeMap<String, Backend>) -> Shares {
        let mut sums: BTreeMap<String, u64> = pools.keys().map(|pool| (pool.clone(), 0)).collect();
        for part in &self.parts {
            if let Some(sum) = part.pool.as_ref().and_then(|pool| sums.get_mut(pool)) {
                *sum += part.weight;
            }
        }
        percent(sums)
    }
}

/// What all rules give; that they differ, in words (then each pool's largest share is told); and what keeps it from being a matter of
/// the pools alone.
pub fn shares(rules: &[Rule], pools: &BTreeMap<String, Backend>) -> (Shares, Option<String>, Vec<String>) {
    let first = rules.first().map(|rule| rule.shares(pools)).unwrap_or_default();
    let (mut all, mut torn, mut strange) = (first.clone(), None, Vec::new());
    for rule in rules {
        let own = rule.shares(pools);
        if !near(&own, &first) {
            torn =
                Some(format!("{} gives {}, but {} {}", rules[0].name, spell(&first), rule.name, spell(&own)));
        }
        for (pool, share) in own {
            let most = all.entry(pool).or_default();
            *most = share.max(*most);
        }
        let mut seen = BTreeSet::new();
        for part in &rule.parts {
            match &part.pool {
                None if part.weight > 0 => strange.push(format!(
                    "in {}, {} has weight {} and is in no pool",
                    rule.name, part.label, part.weight
                )),
                Some(pool) if !seen.insert(pool) => {
                    strange.push(format!("{} names {} twice", rule.name, part.label));
                }
                _ => {}
            }
        }
    }
    (if torn.is_some() { all } else { first }, torn, strange)
}

/// Why the pool can't get anything: a rule does not name it.
pub fn missing(rules: &[Rule], backend: &Backend) -> Option<String> {
    let without = rules.iter().find(|rule| rule.parts.iter().all(|part| part.backend != *backend))?;
    Some(format!("{} does not name it: add it there, with weight 0", without.name))
}

/// Writes every weight that can be written, target and old side in one change.
pub fn operations(_: &Value, rules: &[Rule], wanted: &Shares) -> Result<Vec<Value>, String> {
    let parts = rules.iter().flat_map(|rule| &rule.parts);
    let operations = parts.filter_map(|part| {
        let share = u64::from(*wanted.get(part.pool.as_ref()?)?);
        let weight = share * part.total / 100;
        let value = if part.text { json!(weight.to_string()) } else { json!(weight) };
        Some(json!({"op": "add", "path": part.path.as_ref()?, "value": value}))
    });
    Ok(operations.collect())
}

/// Of a JSON pointer (RFC 6901).
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
