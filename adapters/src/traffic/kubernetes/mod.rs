//! Kubernetes: what its adapters share. Objects are read as JSON, a field at a time, and written as they were read: types of one
//! version would silently drop the fields of a newer one.

mod access;
mod cluster;
mod gitops;
mod image;
pub mod rollout;

use cluster::{Cluster, Patch};
