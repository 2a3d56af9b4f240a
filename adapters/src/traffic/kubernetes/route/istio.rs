//! Istio: the weights of a VirtualService's destinations, of hosts or of the subsets that a DestinationRule makes of one.
//!
//! Formats: <https://istio.io/latest/docs/reference/config/networking/virtual-service/>,
//! <https://istio.io/latest/docs/reference/config/networking/destination-rule/>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Backend, Dialect, Resource, Rule, Told, backend::text_map, rule};
use crate::{
    Fault,
    traffic::kubernetes::{Cluster, access::Needed, is_name, list_of},
};

pub type Config = super::Config<Istio>;

#[derive(Debug, Clone, PartialEq)]
pub struct Istio;

const VERSIONS: [&str; 3] =
    ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];

/// `checkout`, `checkout.shop` and `checkout.shop.svc.cluster.local` are one host.
fn host(namespace: &str, written: &str, subset: Option<&str>) -> Backend {
    let mut labels = written.split('.');
    let name = labels.next().unwrap_or_default().to_owned();
    let namespace = labels.next().unwrap_or(namespace).to_owned();
    Backend::Service { namespace, name, subset: subset.map(str::to_owned) }
}

impl Dialect for Istio {
    const NAME: &'static str = "istio";
    const GROUP: &'static str = "networking.istio.io";
    const RESOURCES: &'static [Resource] = &[Resource {
        word: "virtualservice",
        kind: "VirtualService",
        plural: "virtualservices",
        versions: &VERSIONS,
    }];

    fn backend(namespace: &str, pool: &str) -> Result<Backend, String> {
        let (written, subset) =
            pool.split_once('/').map_or((pool, None), |(host, subset)| (host, Some(subset)));
        match is_name(written) && subset.is_none_or(is_name) {
            true => Ok(host(namespace, written, subset)),
            false => Err(format!(
                "{pool:?} is no destination: write it like \"checkout-blue\" or \"checkout/blue\""
            )),
        }
    }

    fn rules(object: &Value, _: &[Value], pools: &BTreeMap<String, Backend>) -> Result<Vec<Rule>, String> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let destination = |item: &Value| {
            let to = &item["destination"];
            let (written, subset) = (to["host"].as_str()?, to["subset"].as_str());
            let label = subset.map_or_else(|| written.to_owned(), |subset| format!("{written}/{subset}"));
            Some((host(namespace, written, subset), label))
        };
        let mut rules = Vec::new();
        for protocol in ["http", "tls", "tcp"] {
            for (index, item) in list_of(&object["spec"][protocol]).iter().enumerate() {
                let name = item["name"].as_str().map_or_else(
                    || format!("{protocol} route {}", index + 1),
                    |name| format!("{protocol} route {name:?}"),
                );
                let at = format!("/spec/{protocol}/{index}/route");
                let list = list_of(&item["route"]);
                // Who is the only one gets all of it, and needs no weight; of several, who has none gets nothing.
                let unsaid = if list.len() == 1 { 100 } else { 0 };
                rules.extend(rule::read(name, &at, list, pools, unsaid, destination));
            }
        }
        Ok(rules)
    }

    fn told(object: &Value) -> Told {
        let refused =
            list_of(&object["status"]["validationMessages"]).iter().filter(|one| one["level"] == "ERROR");
        let text = |one: &Value| {
            format!("Istio finds fault with it: {}", one["type"]["name"].as_str().unwrap_or("?"))
        };
        Told { refused: refused.map(text).collect(), ..Told::default() }
    }

    fn needed() -> Vec<Needed> {
        vec![Needed {
            group: Self::GROUP,
            resource: "destinationrules",
            verbs: &["list"],
            for_what: Some("pools that are subsets can't be looked at"),
        }]
    }
}

/// The labels by which a subset is told from the rest of a host's pods. None: nobody defines it.
pub async fn subset(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    subset: &str,
) -> Result<Option<BTreeMap<String, String>>, Fault> {
    for version in VERSIONS {
        match cluster.list(&format!("/apis/{version}/namespaces/{namespace}/destinationrules")).await {
            Err(Fault::NotFound(_)) => {}
            other => return Ok(labels(&other?, &host(namespace, name, None), subset)),
        }
    }
    Ok(None)
}

fn labels(rules: &[Value], of: &Backend, subset: &str) -> Option<BTreeMap<String, String>> {
    let about = |rule: &&Value| {
        let namespace = rule["metadata"]["namespace"].as_str().unwrap_or_default();
        rule["spec"]["host"].as_str().is_some_and(|written| host(namespace, written, None) == *of)
    };
    let mut subsets = rules.iter().filter(about).flat_map(|rule| list_of(&rule["spec"]["subsets"]));
    subsets.find(|one| one["name"] == subset).map(|one| text_map(&one["labels"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pools() -> BTreeMap<String, Backend> {
        [("blue", "checkout/v2"), ("green", "checkout.shop/v1")]
            .map(|(pool, written)| (pool.to_owned(), Istio::backend("shop", written).unwrap()))
            .into()
    }

    #[test]
    fn names_of_one_host_are_one_and_a_lone_destination_has_everything() {
        let to = |host: &str, subset: &str| json!({"destination": {"host": host, "subset": subset}});
        let mut green = to("checkout", "v1");
        green["weight"] = 100.into();
        let rules = json!([
            {"route": [to("checkout.shop.svc.cluster.local", "v2"), green]},
            {"match": [{"uri": {"prefix": "/old"}}], "route": [to("checkout", "v1")]},
            {"name": "pictures", "route": [{"destination": {"host": "pictures"}}]},
        ]);
        let object = json!({"metadata": {"namespace": "shop"}, "spec": {"http": rules}});
        let rules = Istio::rules(&object, &[], &pools()).unwrap();
        let (shares, torn, strange) = rule::shares(&rules, &pools());
        assert_eq!((rules.len(), shares["green"], torn, strange), (2, 100, None, vec![]));
        assert!(rule::missing(&rules, &pools()["blue"]).unwrap().contains("http route 2"));
        assert!(Istio::backend("shop", "checkout/v2/x").is_err());
    }

    #[test]
    fn a_subset_is_what_the_rule_of_its_host_says() {
        let rules = [json!({"metadata": {"namespace": "shop"}, "spec": {"host": "checkout",
            "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}})];
        let of = host("shop", "checkout", None);
        assert_eq!(labels(&rules, &of, "v1").unwrap()["version"], "v1");
        assert!(labels(&rules, &of, "v2").is_none());
        assert!(labels(&rules, &host("shop", "basket", None), "v1").is_none());
    }
}
