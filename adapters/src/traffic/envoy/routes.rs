//! Weighted routes (`config.route.v3.WeightedCluster`), in a dump of the running configuration and in a file.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::traffic::text::{self, Node};

/// One weighted route.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weighted {
    /// Where it is, for people.
    pub place: String,
    pub prefix: Option<String>,
    /// Cluster and weight, in their order.
    pub clusters: Vec<(String, u64)>,
}

impl Weighted {
    pub fn has_any(&self, clusters: &[&str]) -> bool {
        self.clusters.iter().any(|(name, _)| clusters.contains(&name.as_str()))
    }

    pub fn weights(&self) -> impl Iterator<Item = (&str, u64)> {
        self.clusters.iter().map(|(name, weight)| (name.as_str(), *weight))
    }
}

/// All of them in one entry of `/config_dump?resource=…_route_configs`.
pub(super) fn in_dump(config: &Value) -> Vec<Weighted> {
    let Some(routes) = config.get("route_config") else { return Vec::new() };
    let name = routes.get("name").and_then(Value::as_str).unwrap_or("a route configuration");
    let mut found = Vec::new();
    let mut left = vec![routes];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(entries) => {
                if let Some(weighted) = entries.get("weighted_clusters") {
                    found.push(of_dump(weighted, format!("{name}, route {}", found.len() + 1)));
                }
                left.extend(entries.values());
            }
            _ => {}
        }
    }
    found
}

fn of_dump(weighted: &Value, place: String) -> Weighted {
    let clusters = weighted.get("clusters").and_then(Value::as_array).into_iter().flatten();
    let cluster = |of: &Value| {
        Some((of.get("name")?.as_str()?.to_owned(), of.get("weight").and_then(Value::as_u64).unwrap_or(0)))
    };
    Weighted {
        place,
        prefix: weighted.get("runtime_key_prefix").and_then(Value::as_str).map(str::to_owned),
        clusters: clusters.filter_map(cluster).collect(),
    }
}

/// The names of the route configurations in a file; a discovery response may hold several.
pub(super) fn names(text: &str) -> Vec<String> {
    let file = text::parse(text);
    let resources =
        file.as_ref().ok().and_then(|file| file.get("resources")).map(Node::items).unwrap_or_default();
    resources.iter().filter_map(|of| of.get("name")?.text().map(str::to_owned)).collect()
}

/// The places of `weighted_clusters.clusters` in a file; JSON may also be in protobuf's own spelling.
fn places(file: &Node) -> Vec<&[Node]> {
    let mut found = Vec::new();
    file.visit(&mut |node| {
        let weighted = node.get("weighted_clusters").or_else(|| node.get("weightedClusters"));
        found.extend(weighted.and_then(|of| of.get("clusters")).map(Node::items));
    });
    found
}

fn weight(cluster: &Node) -> Option<(&str, Option<&Node>)> {
    Some((cluster.get("name")?.text()?, cluster.get("weight")))
}

/// # Errors
/// What is wrong with the file.
pub(super) fn in_file(text: &str) -> Result<Vec<Weighted>, String> {
    let file = text::parse(text)?;
    let of = |clusters: &[Node]| Weighted {
        place: "the file".to_owned(),
        prefix: None,
        clusters: clusters
            .iter()
            .filter_map(weight)
            .map(|(name, weight)| {
                (name.to_owned(), weight.and_then(Node::text).and_then(|w| w.parse().ok()).unwrap_or(0))
            })
            .collect(),
    };
    Ok(places(&file).into_iter().map(of).collect())
}

/// The file with these weights, in every route that has one of these clusters.
///
/// # Errors
/// Why it can't be done.
pub(super) fn rewrite(text: &str, weights: &BTreeMap<&str, u8>) -> Result<String, String> {
    let file = text::parse(text)?;
    let ours =
        |clusters: &&[Node]| clusters.iter().filter_map(weight).any(|(name, _)| weights.contains_key(name));
    let mut changes = Vec::new();
    for clusters in places(&file).into_iter().filter(ours) {
        for (name, wanted) in weights {
            let found = clusters.iter().filter_map(weight).find(|(found, _)| found == name);
            let place = match found {
                Some((_, Some(place))) if place.text().is_some() => place,
                Some(_) => {
                    return Err(format!("cluster {name} has no weight that could be changed: give it one"));
                }
                None => return Err(format!("a weighted route lacks cluster {name}: add it, with weight 0")),
            };
            changes.push((place.at.clone(), wanted.to_string()));
        }
    }
    if changes.is_empty() {
        return Err("it has no weighted route to these clusters".to_owned());
    }
    Ok(text::edit(text, changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: checkout
  virtual_hosts:
  - name: shop
    domains: ["*"]
    routes:
    - match: {prefix: "/"}
      route:
        weighted_clusters:
          clusters:
          - name: blue   # the old one
            weight: 100
          - {name: green, weight: 0}
"#;

    #[test]
    fn weights_are_rewritten_in_place() {
        let weights = [("blue", 0), ("green", 100)].into();
        let rewritten = rewrite(FILE, &weights).unwrap();
        assert_eq!(
            rewritten,
            FILE.replace("weight: 100", "weight: 0").replace("green, weight: 0", "green, weight: 100")
        );
        let read = in_file(&rewritten).unwrap();
        assert_eq!(read[0].clusters, [("blue".to_owned(), 0), ("green".to_owned(), 100)]);
        assert!(rewrite(FILE, &[("teal", 1)].into()).unwrap_err().contains("no weighted route"));
        assert!(
            rewrite(FILE, &[("blue", 1), ("teal", 1)].into()).unwrap_err().contains("lacks cluster teal")
        );
        assert!(rewrite(&FILE.replace(", weight: 0", ""), &weights).unwrap_err().contains("no weight"));
    }
}
