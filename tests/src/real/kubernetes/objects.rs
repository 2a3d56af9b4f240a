//! Objects as a pipeline would write them.

use serde_json::{Value, json};

use crate::shop::artifact;

/// As a pipeline that pins would write it: tag and digest.
pub fn image(version: &str) -> String {
    format!("registry.example.com/shop/checkout:{version}@{}", artifact(version).digest)
}

pub fn deployment(replicas: u32, image: &str, env: &Value) -> Value {
    json!({
        "metadata": {"name": "checkout", "labels": {"app": "checkout"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "checkout"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 2}},
            "template": {
                "metadata": {"labels": {"app": "checkout"}},
                "spec": {"containers": [{"name": "app", "image": image, "env": env}]},
            },
        },
    })
}

/// The same workload as another kind: `statefulset` or `daemonset`.
pub fn as_kind(kind: &str, deployment: &Value) -> Value {
    let mut object = deployment.clone();
    let spec = object["spec"].as_object_mut().unwrap();
    spec.remove("strategy");
    if kind == "statefulset" {
        spec.insert("serviceName".to_owned(), "checkout".into());
    } else {
        spec.remove("replicas");
    }
    object
}

pub fn configmap(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "b"}})
}
