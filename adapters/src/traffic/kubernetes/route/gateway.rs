//! Gateway API: the weights of a route's `backendRefs`, which every implementation follows, and which each acknowledges in the
//! route's status.
//!
//! Formats: <https://gateway-api.sigs.k8s.io/reference/spec/>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Backend, Dialect, Resource, Rule, Told, rule};
use crate::traffic::kubernetes::list_of;

pub type Config = super::Config<Gateway>;

#[derive(Debug, Clone, PartialEq)]
pub struct Gateway;

impl Dialect for Gateway {
    const NAME: &'static str = "gateway-api";
    const GROUP: &'static str = "gateway.networking.k8s.io";
    const RESOURCES: &'static [Resource] = &[
        Resource {
            word: "httproute",
            kind: "HTTPRoute",
            plural: "httproutes",
            versions: &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"],
        },
        Resource {
            word: "grpcroute",
            kind: "GRPCRoute",
            plural: "grpcroutes",
            versions: &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"],
        },
        Resource {
            word: "tcproute",
            kind: "TCPRoute",
            plural: "tcproutes",
            versions: &["gateway.networking.k8s.io/v1alpha2"],
        },
        Resource {
            word: "tlsroute",
            kind: "TLSRoute",
            plural: "tlsroutes",
            versions: &["gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1alpha2"],
        },
    ];

    fn backend(namespace: &str, pool: &str) -> Result<Backend, String> {
        Backend::service(namespace, pool)
    }

    fn rules(object: &Value, _: &[Value], pools: &BTreeMap<String, Backend>) -> Result<Vec<Rule>, String> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let service = |item: &Value| Backend::referenced(namespace, item);
        let rules = list_of(&object["spec"]["rules"]).iter().enumerate();
        Ok(rules
            .filter_map(|(index, item)| {
                let at = format!("/spec/rules/{index}/backendRefs");
                rule::read(
                    format!("rule {}", index + 1),
                    &at,
                    list_of(&item["backendRefs"]),
                    pools,
                    1,
                    service,
                )
            })
            .collect())
    }

    fn told(object: &Value) -> Told {
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
        let parents = list_of(&object["status"]["parents"]);
        let mut told = Told {
            alone: parents.is_empty().then_some("no gateway says that it follows this route"),
            ..Told::default()
        };
        for parent in parents {
            let gateway = parent["parentRef"]["name"].as_str().unwrap_or("a gateway");
            for condition in list_of(&parent["conditions"]) {
                let text = |key: &str| condition[key].as_str().unwrap_or_default();
                if condition["observedGeneration"].as_u64().is_some_and(|seen| seen < generation) {
                    told.behind.get_or_insert_with(|| format!("{gateway} has not taken it over yet"));
                } else if matches!(text("type"), "Accepted" | "ResolvedRefs") && text("status") == "False" {
                    told.refused.push(format!(
                        "{gateway} says {} is false: {} ({})",
                        text("type"),
                        text("message"),
                        text("reason")
                    ));
                }
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pools() -> BTreeMap<String, Backend> {
        ["blue", "green"].map(|pool| (pool.to_owned(), Backend::service("shop", pool).unwrap())).into()
    }

    fn route(rules: &Value, status: &Value) -> Value {
        json!({"metadata": {"namespace": "shop", "generation": 4}, "spec": {"rules": rules}, "status": status})
    }

    #[test]
    fn every_rule_that_leads_to_a_pool_counts_and_no_other() {
        let split = json!({"backendRefs": [{"name": "blue", "weight": 9}, {"name": "green", "weight": 1}]});
        let other = json!({"backendRefs": [{"name": "pictures"}]});
        let rules = Gateway::rules(&route(&json!([other, split, split]), &json!({})), &[], &pools()).unwrap();
        let (shares, torn, strange) = rule::shares(&rules, &pools());
        assert_eq!((rules.len(), shares["green"], torn, strange), (2, 10, None, vec![]));
        let wanted = [("blue".to_owned(), 0), ("green".to_owned(), 100)].into();
        let written = rule::operations(&json!({}), &rules, &wanted).unwrap();
        assert_eq!(
            written[0],
            json!({"op": "add", "path": "/spec/rules/1/backendRefs/0/weight", "value": 0})
        );
        assert_eq!(written.len(), 4);

        // A weight that is not given is 1; a backend of no pool, another namespace's included, is told.
        let elsewhere = json!({"backendRefs": [{"name": "blue"}, {"name": "green", "namespace": "other"}]});
        let rules = Gateway::rules(&route(&json!([split, elsewhere]), &json!({})), &[], &pools()).unwrap();
        let (shares, torn, strange) = rule::shares(&rules, &pools());
        assert_eq!(torn.unwrap(), "rule 1 gives blue 90 %, green 10 %, but rule 2 blue 100 %");
        assert_eq!((shares["blue"], shares["green"]), (100, 10), "no rule is taken for all of them");
        assert!(strange.concat().contains("in rule 2, green has weight 1 and is in no pool"), "{strange:?}");
        assert!(rule::missing(&rules, &pools()["green"]).unwrap().contains("rule 2 does not name it"));
    }

    #[test]
    fn what_gateways_say_is_heard() {
        let said = |conditions: Value| {
            let parent = json!({"parentRef": {"name": "public"}, "conditions": conditions});
            Gateway::told(&route(&json!([]), &json!({"parents": [parent]})))
        };
        let condition = |kind: &str, status: &str, seen: u64| {
            json!({"type": kind, "status": status,
            "reason": "BackendNotFound", "message": "no such Service", "observedGeneration": seen})
        };
        assert!(said(json!([condition("Accepted", "True", 4)])).behind.is_none());
        assert_eq!(
            said(json!([condition("Accepted", "True", 3)])).behind.unwrap(),
            "public has not taken it over yet"
        );
        let refused = said(json!([condition("ResolvedRefs", "False", 4)])).refused;
        assert_eq!(refused, ["public says ResolvedRefs is false: no such Service (BackendNotFound)"]);
        assert!(Gateway::told(&route(&json!([]), &json!({}))).alone.is_some());
    }
}
