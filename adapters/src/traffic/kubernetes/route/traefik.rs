//! Traefik's own kind: the weights of a TraefikService. Traefik writes no status there: that it follows is not read back.
//!
//! Formats: <https://doc.traefik.io/traefik/routing/providers/kubernetes-crd/#kind-traefikservice>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Backend, Dialect, Resource, Rule, rule};
use crate::traffic::kubernetes::list_of;

pub type Config = super::Config<TraefikCrd>;

#[derive(Debug, Clone, PartialEq)]
pub struct TraefikCrd;

impl Dialect for TraefikCrd {
    const NAME: &'static str = "traefik-crd";
    const GROUP: &'static str = "traefik.io";
    const RESOURCES: &'static [Resource] = &[Resource {
        word: "traefikservice",
        kind: "TraefikService",
        plural: "traefikservices",
        // Before Traefik 2.10 the group had the name of its company.
        versions: &["traefik.io/v1alpha1", "traefik.containo.us/v1alpha1"],
    }];

    fn backend(namespace: &str, pool: &str) -> Result<Backend, String> {
        Backend::service(namespace, pool)
    }

    fn rules(object: &Value, _: &[Value], pools: &BTreeMap<String, Backend>) -> Result<Vec<Rule>, String> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let services = list_of(&object["spec"]["weighted"]["services"]);
        if services.is_empty() {
            return Err("it has no weighted services".to_owned());
        }
        let service = |item: &Value| Backend::referenced(namespace, item);
        let name = "spec.weighted".to_owned();
        Ok(rule::read(name, "/spec/weighted/services", services, pools, 1, service).into_iter().collect())
    }
}
