//! The kinds of route, as their own documentation writes them.

use std::sync::Arc;

use lastgood_adapters::traffic::{
    Section, Shifter, gateway_api, ingress_nginx, istio, kubernetes_service, traefik_crd,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Kind;

fn built<C: Section + DeserializeOwned>(mut config: Value, more: Value) -> Arc<dyn Shifter> {
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    crate::rigs::built::<C>(config)
}

/// Pools that are Services.
fn services(config: Value, mistaken: bool) -> Value {
    let green = if mistaken { "checkout-teal" } else { "checkout-green" };
    let mut config = config;
    config["pools"] = json!({"blue": "checkout-blue", "green": green});
    config
}

fn part(weight: &Value) -> u8 {
    u8::try_from(weight.as_u64().unwrap()).unwrap()
}

macro_rules! role {
    ($name:literal) => {
        include_str!(concat!("../../../../deploy/kubernetes/", $name, ".yaml"))
    };
}

macro_rules! definition {
    ($kind:literal) => {
        include_str!(concat!("../../real/kubernetes/crds/", $kind, ".json"))
    };
}

pub struct Gateway;

impl Kind for Gateway {
    const ACKNOWLEDGES: bool = true;
    const ROLE: &'static str = role!("gateway-api");
    const DEFINITIONS: &'static [&'static str] = &[definition!("HTTPRoute")];
    const PATH: &'static str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/checkout";

    fn objects() -> Vec<(&'static str, Value)> {
        let to = |service: &str, weight: u8| json!({"name": service, "port": 80, "weight": weight});
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "checkout"},
            "spec": {
                "parentRefs": [{"name": "public"}], "hostnames": ["shop.example.com"],
                "rules": [
                    {"matches": [{"path": {"type": "PathPrefix", "value": "/pictures"}}],
                     "backendRefs": [{"name": "pictures", "port": 80}]},
                    {"backendRefs": [to("checkout-blue", 100), to("checkout-green", 0)]},
                ],
            },
        });
        vec![("/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes", route)]
    }

    fn adapter(config: Value, mistaken: bool) -> Arc<dyn Shifter> {
        built::<gateway_api::Config>(services(config, mistaken), json!({"route": "checkout"}))
    }

    fn blue(object: &Value) -> u8 {
        part(&object["spec"]["rules"][1]["backendRefs"][0]["weight"])
    }

    fn by_hand(object: &Value, blue: u8) -> Value {
        let mut rules = object["spec"]["rules"].clone();
        rules[1]["backendRefs"][0]["weight"] = blue.into();
        rules[1]["backendRefs"][1]["weight"] = (100 - blue).into();
        json!({"spec": {"rules": rules}})
    }

    fn status(object: &Value) -> Option<Value> {
        let condition = |kind: &str| {
            json!({"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
                   "observedGeneration": object["metadata"]["generation"]})
        };
        let parent = json!({"parentRef": {"name": "public"}, "controllerName": "example.com/gateway",
                            "conditions": [condition("Accepted"), condition("ResolvedRefs")]});
        Some(json!({"parents": [parent]}))
    }
}

pub struct Istio;

impl Kind for Istio {
    const ROLE: &'static str = role!("istio");
    const DEFINITIONS: &'static [&'static str] =
        &[definition!("VirtualService"), definition!("DestinationRule")];
    const PATH: &'static str = "/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices/checkout";

    fn objects() -> Vec<(&'static str, Value)> {
        let to = |subset: &str, weight: u8| json!({"destination": {"host": "checkout", "subset": subset}, "weight": weight});
        let service = json!({"metadata": {"name": "checkout"},
            "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80}]}});
        let subset = |name: &str| json!({"name": name, "labels": {"color": name}});
        let rule = json!({"apiVersion": "networking.istio.io/v1beta1", "kind": "DestinationRule", "metadata": {"name": "checkout"},
            "spec": {"host": "checkout.shop.svc.cluster.local", "subsets": [subset("blue"), subset("green")]}});
        let route = json!({"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
            "metadata": {"name": "checkout"},
            "spec": {"hosts": ["checkout"], "http": [{"route": [to("blue", 100), to("green", 0)]}]}});
        vec![
            ("/api/v1/namespaces/shop/services", service),
            ("/apis/networking.istio.io/v1beta1/namespaces/shop/destinationrules", rule),
            ("/apis/networking.istio.io/v1beta1/namespaces/shop/virtualservices", route),
        ]
    }

    fn adapter(config: Value, mistaken: bool) -> Arc<dyn Shifter> {
        let green = if mistaken { "checkout/teal" } else { "checkout/green" };
        let more = json!({"route": "checkout", "pools": {"blue": "checkout/blue", "green": green}});
        built::<istio::Config>(config, more)
    }

    fn blue(object: &Value) -> u8 {
        part(&object["spec"]["http"][0]["route"][0]["weight"])
    }

    fn by_hand(object: &Value, blue: u8) -> Value {
        let mut http = object["spec"]["http"].clone();
        http[0]["route"][0]["weight"] = blue.into();
        http[0]["route"][1]["weight"] = (100 - blue).into();
        json!({"spec": {"http": http}})
    }
}

pub struct IngressNginx;

const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";

impl Kind for IngressNginx {
    const ROLE: &'static str = role!("ingress-nginx");
    const PATH: &'static str = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/checkout-canary";

    fn objects() -> Vec<(&'static str, Value)> {
        let ingress = |name: &str, service: &str, annotations: Value| {
            let backend = json!({"service": {"name": service, "port": {"number": 80}}});
            let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
            json!({"metadata": {"name": name, "annotations": annotations},
                   "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example.com", "http": {"paths": [path]}}]}})
        };
        let canary = json!({"nginx.ingress.kubernetes.io/canary": "true", WEIGHT: "0"});
        let folder = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses";
        vec![
            (folder, ingress("checkout", "checkout-blue", json!({}))),
            (folder, ingress("checkout-canary", "checkout-green", canary)),
        ]
    }

    fn adapter(config: Value, mistaken: bool) -> Arc<dyn Shifter> {
        built::<ingress_nginx::Config>(services(config, mistaken), json!({"route": "checkout-canary"}))
    }

    fn blue(object: &Value) -> u8 {
        let weight = object["metadata"]["annotations"][WEIGHT].as_str().unwrap();
        100 - weight.parse::<u8>().unwrap()
    }

    fn by_hand(_: &Value, blue: u8) -> Value {
        json!({"metadata": {"annotations": {WEIGHT: (100 - blue).to_string()}}})
    }
}

pub struct Traefik;

impl Kind for Traefik {
    const ROLE: &'static str = role!("traefik-crd");
    const DEFINITIONS: &'static [&'static str] = &[definition!("TraefikService")];
    const PATH: &'static str = "/apis/traefik.io/v1alpha1/namespaces/shop/traefikservices/checkout";

    fn objects() -> Vec<(&'static str, Value)> {
        let to = |service: &str, weight: u8| json!({"name": service, "port": 80, "weight": weight});
        let service = json!({"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": {"name": "checkout"},
            "spec": {"weighted": {"services": [to("checkout-blue", 100), to("checkout-green", 0)]}}});
        vec![("/apis/traefik.io/v1alpha1/namespaces/shop/traefikservices", service)]
    }

    fn adapter(config: Value, mistaken: bool) -> Arc<dyn Shifter> {
        built::<traefik_crd::Config>(services(config, mistaken), json!({"route": "checkout"}))
    }

    fn blue(object: &Value) -> u8 {
        part(&object["spec"]["weighted"]["services"][0]["weight"])
    }

    fn by_hand(object: &Value, blue: u8) -> Value {
        let mut services = object["spec"]["weighted"]["services"].clone();
        services[0]["weight"] = blue.into();
        services[1]["weight"] = (100 - blue).into();
        json!({"spec": {"weighted": {"services": services}}})
    }
}

pub struct Service;

impl Kind for Service {
    const SPLITS: bool = false;
    const ROLE: &'static str = role!("kubernetes-service");
    const PATH: &'static str = "/api/v1/namespaces/shop/services/checkout";

    fn objects() -> Vec<(&'static str, Value)> {
        let service = json!({"metadata": {"name": "checkout"},
            "spec": {"selector": {"app": "checkout", "color": "blue"}, "ports": [{"port": 80}]}});
        vec![("/api/v1/namespaces/shop/services", service)]
    }

    fn adapter(config: Value, mistaken: bool) -> Arc<dyn Shifter> {
        let green = if mistaken { "color=teal" } else { "color=green" };
        let more = json!({"service": "checkout", "pools": {"blue": "color=blue", "green": green}});
        built::<kubernetes_service::Config>(config, more)
    }

    fn blue(object: &Value) -> u8 {
        if object["spec"]["selector"]["color"] == "blue" { 100 } else { 0 }
    }

    fn by_hand(_: &Value, blue: u8) -> Value {
        json!({"spec": {"selector": {"color": if blue == 100 { "blue" } else { "green" }}}})
    }
}
