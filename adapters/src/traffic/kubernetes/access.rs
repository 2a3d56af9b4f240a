//! Whether lastgood may do what an adapter needs: asked of the server, a verb at a time, so that what is missing can be named.

use serde_json::json;

use super::Cluster;
use crate::{Check, Fault};

/// One line of a Role.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    pub group: &'static str,
    pub resource: &'static str,
    pub verbs: &'static [&'static str],
    /// What can't be done without it. None: the adapter does not work without it at all.
    pub for_what: Option<&'static str>,
}

/// What is missing, as `verb resource.group`.
///
/// # Errors
/// When the server can't be asked.
pub async fn missing(cluster: &Cluster, namespace: &str, needed: &Needed) -> Result<Vec<String>, Fault> {
    let mut missing = Vec::new();
    // A part of an object (`pods/status`) is permitted by itself.
    let (resource, part) = needed.resource.split_once('/').unwrap_or((needed.resource, ""));
    for verb in needed.verbs {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": needed.group, "resource": resource, "subresource": part,
            }},
        });
        let answer =
            cluster.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
        if answer["status"]["allowed"] != true {
            let group = if needed.group.is_empty() { String::new() } else { format!(".{}", needed.group) };
            missing.push(format!("{verb} {}{group}", needed.resource));
        }
    }
    Ok(missing)
}

/// A line of `lastgood check` about permissions.
pub async fn check(cluster: &Cluster, namespace: &str, needed: &[Needed], role: &str) -> Check {
    let what = format!("permissions in {namespace} ({})", cluster.name());
    let advice = format!("compare its Role with {role}");
    let (mut bad, mut weak) = (Vec::new(), Vec::new());
    for one in needed {
        match missing(cluster, namespace, one).await {
            Ok(missing) => match one.for_what {
                None => bad.extend(missing),
                Some(why) if !missing.is_empty() => weak.push(format!("{}: {why}", missing.join(", "))),
                Some(_) => {}
            },
            Err(fault) => return Check::bad(what, fault.to_string(), "is the server reachable from here?"),
        }
    }
    if !bad.is_empty() {
        return Check::bad(what, format!("missing: {}", bad.join(", ")), advice);
    }
    if !weak.is_empty() {
        return Check::warning(what, format!("missing: {}", weak.join("; ")), advice);
    }
    Check::good(what, "all there".to_owned())
}
