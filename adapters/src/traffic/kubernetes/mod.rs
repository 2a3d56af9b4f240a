//! Kubernetes: what its adapters share. Objects are read as JSON, a field at a time, and written as they were read: types of one
//! version would silently drop the fields of a newer one.

mod access;
mod cluster;
pub mod discover;
mod gitops;
mod image;
pub mod rollout;
pub mod route;
mod truce;

use cluster::{Cluster, Patch};
use serde_json::Value;

/// The items of an array; none where there is none.
fn list_of(value: &Value) -> &[Value] {
    value.as_array().map_or(&[][..], Vec::as_slice)
}

/// As Kubernetes names objects (RFC 1123): nothing that would mean something else in a path.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

/// Of a query.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
