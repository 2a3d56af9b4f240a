//! Real programs, started on loopback ports and folders of the test's own.

pub mod alertmanager;
pub mod caddy;
pub mod envoy;
pub mod haproxy;
pub mod kubernetes;
pub mod nginx;
pub mod postgres;
pub mod prometheus;
pub mod registry;
pub mod traefik;

use std::{net::SocketAddr, path::PathBuf};

/// A program that comes as a Python wheel; `tests/run` fetches those.
fn from_wheel(path: &str) -> PathBuf {
    let folder = std::env::var_os("LASTGOOD_TEST_PROXIES").expect("tests/run names where the proxies are");
    PathBuf::from(folder).join(path)
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}
