//! A real Traefik that watches a folder of dynamic configuration.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{from_wheel, local};
use crate::process::{Process, free_port};

pub struct Traefik {
    pub front: u16,
    pub api: u16,
    folder: PathBuf,
    dynamic: PathBuf,
    process: Process,
}

/// The weighted service `checkout`, all traffic on `blue`, and its parts, whose health Traefik checks.
pub fn write_service(file: &Path, pools: &[(&str, Vec<SocketAddr>)]) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut text = "# The checkout.\nhttp:\n  routers:\n    checkout: { rule: \"PathPrefix(`/`)\", service: checkout, \
                    entryPoints: [front] }\n  services:\n    checkout:\n      weighted:\n        services:\n        - { name: \
                    blue, weight: 100 } # first\n        - name: green\n          weight: 0\n"
        .to_owned();
    for (name, members) in pools {
        let servers: Vec<_> = members.iter().map(|at| format!("{{ url: \"http://{at}\" }}")).collect();
        writeln!(
            text,
            "    {name}:\n      loadBalancer:\n        healthCheck: {{ path: /healthz, interval: 100ms, timeout: 90ms }}\n        \
             servers: [ {} ]",
            servers.join(", ")
        )
        .unwrap();
    }
    fs::write(file, text).unwrap();
}

impl Traefik {
    /// `dynamic` is the folder that it watches.
    pub async fn start(folder: &Path, dynamic: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let (front, api) = (free_port(), free_port());
        let text = format!(
            "entryPoints: {{ front: {{ address: \"127.0.0.1:{front}\" }}, traefik: {{ address: \"127.0.0.1:{api}\" }} }}\n\
             api: {{ insecure: true }}\nproviders: {{ providersThrottleDuration: 100ms, file: {{ directory: \"{}\", watch: true }} }}\n",
            dynamic.display()
        );
        fs::write(folder.join("traefik.yaml"), text).unwrap();
        let process = Self::run(folder, api, front).await;
        Self { front, api, folder: folder.to_owned(), dynamic: dynamic.to_owned(), process }
    }

    async fn run(folder: &Path, api: u16, front: u16) -> Process {
        let mut command = Command::new(from_wheel("bin/traefik"));
        command.arg(format!("--configFile={}", folder.join("traefik.yaml").display()));
        let mut process = Process::start("traefik", &mut command, folder);
        process.listening(local(api)).await;
        process.listening(local(front)).await;
        process
    }

    pub fn dynamic(&self) -> &Path {
        &self.dynamic
    }

    pub fn api(&self) -> SocketAddr {
        local(self.api)
    }

    pub fn front(&self) -> SocketAddr {
        local(self.front)
    }

    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = Self::run(&self.folder, self.api, self.front).await;
    }
}
