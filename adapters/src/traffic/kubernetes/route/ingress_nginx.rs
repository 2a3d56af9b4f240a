//! ingress-nginx: the weight annotation of a canary Ingress. The controller pairs it with the Ingress that has its hosts and paths and
//! is no canary; that one gets the rest. It writes no status about it: that it follows is not read back.
//!
//! Formats: <https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Backend, Dialect, Resource, Rule,
    rule::{Part, escaped, pool_of},
};
use crate::traffic::kubernetes::list_of;

pub type Config = super::Config<IngressNginx>;

#[derive(Debug, Clone, PartialEq)]
pub struct IngressNginx;

const PREFIX: &str = "nginx.ingress.kubernetes.io";

fn annotation<'a>(ingress: &'a Value, key: &str) -> Option<&'a str> {
    ingress["metadata"]["annotations"][format!("{PREFIX}/{key}")].as_str()
}

fn is_canary(ingress: &Value) -> bool {
    annotation(ingress, "canary") == Some("true")
}

/// Host, path and the Service that it leads to.
fn paths(ingress: &Value) -> Vec<(String, String, String)> {
    let of_rule = |rule: &Value| {
        let host = rule["host"].as_str().unwrap_or_default().to_owned();
        let paths = list_of(&rule["http"]["paths"]).iter();
        let each = paths.filter_map(|path| {
            let service = path["backend"]["service"]["name"].as_str()?;
            Some((host.clone(), path["path"].as_str().unwrap_or("/").to_owned(), service.to_owned()))
        });
        each.collect::<Vec<_>>()
    };
    list_of(&ingress["spec"]["rules"]).iter().flat_map(of_rule).collect()
}

impl Dialect for IngressNginx {
    const NAME: &'static str = "ingress-nginx";
    const GROUP: &'static str = "networking.k8s.io";
    const AMONG: bool = true;
    const RESOURCES: &'static [Resource] = &[Resource {
        word: "ingress",
        kind: "Ingress",
        plural: "ingresses",
        versions: &["networking.k8s.io/v1"],
    }];

    fn backend(namespace: &str, pool: &str) -> Result<Backend, String> {
        match pool.contains('/') {
            true => Err(format!("{pool:?}: an Ingress leads to Services of its own namespace only")),
            false => Backend::service(namespace, pool),
        }
    }

    fn rules(
        object: &Value,
        among: &[Value],
        pools: &BTreeMap<String, Backend>,
    ) -> Result<Vec<Rule>, String> {
        if !is_canary(object) {
            return Err(format!("it is no canary: name the Ingress that has {PREFIX}/canary: \"true\""));
        }
        // Whoever sends these goes to the canary, or does not, whatever the weight is.
        if let Some(key) =
            ["canary-by-header", "canary-by-cookie"].into_iter().find(|key| annotation(object, key).is_some())
        {
            return Err(format!("its annotation {PREFIX}/{key} comes before the weight: take it out"));
        }
        // A cookie keeps people on the side where they were, whatever the weight says, unless told otherwise.
        let sticky = |one: &&Value| annotation(one, "affinity").is_some();
        let all = || {
            among.iter().chain([object]).filter(|one| {
                paths(one).iter().any(|(h, p, _)| paths(object).iter().any(|(oh, op, _)| h == oh && p == op))
            })
        };
        if all().any(|one| sticky(&one))
            && !all().any(|one| annotation(one, "affinity-canary-behavior") == Some("legacy"))
        {
            return Err(format!(
                "{PREFIX}/affinity keeps people on the side where they were: set {PREFIX}/affinity-canary-behavior to \"legacy\""
            ));
        }
        let number = |key: &str, unsaid: u64| match annotation(object, key) {
            None => Ok(unsaid),
            Some(text) => {
                text.parse::<u64>().map_err(|_| format!("{PREFIX}/{key} is {text:?}, which is no number"))
            }
        };
        let total = number("canary-weight-total", 100)?.max(1);
        let weight = number("canary-weight", 0)?.min(total);
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let mains: Vec<_> = among.iter().filter(|one| !is_canary(one)).flat_map(paths).collect();
        let part = |service: &str, path: Option<String>, weight: u64| {
            let backend =
                Backend::Service { namespace: namespace.to_owned(), name: service.to_owned(), subset: None };
            let pool = pool_of(pools, &backend);
            Part { path, text: true, pool, backend, label: service.to_owned(), weight, total }
        };
        let mut rules = Vec::new();
        for (host, path, canary) in paths(object) {
            let name = format!("{host}{path}");
            let main = mains.iter().find(|(h, p, _)| *h == host && *p == path);
            let (_, _, main) = main
                .ok_or_else(|| format!("no other Ingress has {name}, so that it is a canary of nothing"))?;
            let at = format!("/metadata/annotations/{}", escaped(&format!("{PREFIX}/canary-weight")));
            let parts = vec![part(&canary, Some(at), weight), part(main, None, total - weight)];
            if parts.iter().any(|part| part.pool.is_some()) {
                rules.push(Rule { name, parts });
            }
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::traffic::kubernetes::route::rule;

    fn ingress(service: &str, annotations: &Value) -> Value {
        json!({"metadata": {"namespace": "shop", "annotations": annotations}, "spec": {"rules": [{"host": "shop.example.com",
            "http": {"paths": [{"path": "/", "backend": {"service": {"name": service}}}]}}]}})
    }

    fn pools() -> BTreeMap<String, Backend> {
        ["blue", "green"].map(|pool| (pool.to_owned(), Backend::service("shop", pool).unwrap())).into()
    }

    #[test]
    fn the_main_ingress_gets_what_the_canary_leaves() {
        let main = ingress("blue", &json!({}));
        let canary = |more: Value| {
            let mut annotations = json!({"nginx.ingress.kubernetes.io/canary": "true"});
            annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            ingress("green", &annotations)
        };
        let weighted = canary(json!({"nginx.ingress.kubernetes.io/canary-weight": "50",
                                     "nginx.ingress.kubernetes.io/canary-weight-total": "1000"}));
        let rules = IngressNginx::rules(&weighted, &[main.clone(), weighted.clone()], &pools()).unwrap();
        let (shares, _, strange) = rule::shares(&rules, &pools());
        assert_eq!((shares["blue"], shares["green"], strange), (95, 5, vec![]));
        let wanted = [("blue".to_owned(), 0), ("green".to_owned(), 100)].into();
        let written = rule::operations(&json!({}), &rules, &wanted).unwrap();
        let path = "/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight";
        assert_eq!(written, [json!({"op": "add", "path": path, "value": "1000"})]);

        let refused =
            |object: &Value, among: &[Value]| IngressNginx::rules(object, among, &pools()).unwrap_err();
        assert!(refused(&main, &[]).contains("it is no canary"));
        assert!(refused(&weighted, &[]).contains("a canary of nothing"));
        let mut sticky = main.clone();
        sticky["metadata"]["annotations"] = json!({"nginx.ingress.kubernetes.io/affinity": "cookie"});
        assert!(refused(&weighted, &[sticky.clone()]).contains("keeps people on the side"));
        sticky["metadata"]["annotations"]["nginx.ingress.kubernetes.io/affinity-canary-behavior"] =
            "legacy".into();
        assert!(IngressNginx::rules(&weighted, &[sticky], &pools()).is_ok());
        let header = canary(json!({"nginx.ingress.kubernetes.io/canary-by-header": "x"}));
        assert!(refused(&header, &[main]).contains("comes before the weight"));
    }
}
