//! A real Envoy before pools of servers: routed by weights in its configuration that the runtime can override, or by a route
//! configuration in a watched file.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{from_wheel, local};
use crate::process::{Process, free_port};

/// What the configuration is made of.
#[derive(Clone)]
pub struct Setup {
    /// Cluster and its members.
    pub clusters: Vec<(String, Vec<SocketAddr>)>,
    /// Weights come from this file; otherwise from the configuration, under `runtime_key_prefix: routing.checkout`.
    pub file: Option<PathBuf>,
    /// Whether the runtime can be written to.
    pub admin_layer: bool,
    pub front: u16,
    pub admin: u16,
}

impl Setup {
    pub fn new(clusters: &[(&str, Vec<SocketAddr>)], file: Option<PathBuf>) -> Self {
        let clusters = clusters.iter().map(|(name, members)| ((*name).to_owned(), members.clone())).collect();
        Self { clusters, file, admin_layer: true, front: free_port(), admin: free_port() }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "node: {{ id: test, cluster: test }}\n\
             admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }}\n",
            self.admin
        );
        if self.admin_layer {
            text += "layered_runtime: { layers: [ { name: admin, admin_layer: {} } ] }\n";
        }
        let routes = match &self.file {
            Some(file) => format!(
                "          rds: {{ route_config_name: checkout, config_source: {{ resource_api_version: V3, \
                 path_config_source: {{ path: {}, watched_directory: {{ path: {} }} }} }} }}\n",
                file.display(),
                file.parent().unwrap().display()
            ),
            None => format!("          route_config:\n{}", indent(&routes("routing.checkout"), 12)),
        };
        write!(
            text,
            "static_resources:\n  listeners:\n  - name: front\n    address: {{ socket_address: {{ address: 127.0.0.1, \
             port_value: {} }} }}\n    filter_chains:\n    - filters:\n      - name: \
             envoy.filters.network.http_connection_manager\n        typed_config:\n          \"@type\": \
             type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager\n          \
             stat_prefix: front\n{routes}          http_filters:\n          - name: envoy.filters.http.router\n            \
             typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}\n  clusters:\n",
            self.front
        )
        .unwrap();
        for (name, members) in &self.clusters {
            let endpoints: Vec<_> = members
                .iter()
                .map(|at| {
                    format!(
                        "{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }} }}",
                        at.port()
                    )
                })
                .collect();
            write!(
                text,
                // Workers hear of health at once, and not up to a second after the administration interface does.
                "  - name: {name}\n    connect_timeout: 1s\n    type: STATIC\n    load_assignment: {{ cluster_name: {name}, \
                 endpoints: [ {{ lb_endpoints: [ {} ] }} ] }}\n    health_checks: [ {{ timeout: 1s, interval: 0.1s, \
                 no_traffic_interval: 0.1s, unhealthy_threshold: 1, healthy_threshold: 1, http_health_check: {{ path: \
                 /healthz }} }} ]\n    common_lb_config: {{ healthy_panic_threshold: {{ value: 0 }}, update_merge_window: 0s }}\n",
                endpoints.join(", ")
            )
            .unwrap();
        }
        text
    }
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

/// A route configuration with all traffic on `blue`.
fn routes(prefix: &str) -> String {
    let prefix = if prefix.is_empty() { String::new() } else { format!("runtime_key_prefix: {prefix}, ") };
    format!(
        "name: checkout\nvirtual_hosts:\n- name: shop\n  domains: [\"*\"]\n  routes:\n  - match: {{ prefix: / }}\n    \
         route: {{ weighted_clusters: {{ {prefix}clusters: [ {{ name: blue, weight: 100 }}, {{ name: green, weight: 0 }} \
         ] }} }}\n"
    )
}

/// A file for `Setup::file`.
pub fn write_routes(file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let routes = indent(&routes(""), 2);
    let text = format!(
        "# Routes of the checkout.\nresources:\n- \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n{routes}"
    );
    fs::write(file, text).unwrap();
}

pub struct Envoy {
    pub setup: Setup,
    folder: PathBuf,
    process: Process,
}

impl Envoy {
    pub async fn start(folder: &Path, setup: Setup) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("envoy.yaml"), setup.text()).unwrap();
        let process = Self::run(folder, &setup).await;
        Self { setup, folder: folder.to_owned(), process }
    }

    async fn run(folder: &Path, setup: &Setup) -> Process {
        let mut command = Command::new(from_wheel("envoy/_bin/envoy"));
        command.arg("-c").arg(folder.join("envoy.yaml"));
        command.args(["--disable-hot-restart", "--concurrency", "2", "-l", "warning"]);
        let mut process = Process::start("envoy", &mut command, folder);
        process.listening(local(setup.admin)).await;
        process.listening(local(setup.front)).await;
        process
    }

    pub fn admin(&self) -> SocketAddr {
        local(self.setup.admin)
    }

    pub fn front(&self) -> SocketAddr {
        local(self.setup.front)
    }

    pub fn output(&self) -> String {
        self.process.output()
    }

    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = Self::run(&self.folder, &self.setup).await;
    }
}
