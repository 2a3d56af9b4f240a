//! A real Caddy, Debian's 2.6 or a newer one from a wheel, with a `reverse_proxy` whose `@id` is `checkout`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{from_wheel, local};
use crate::process::{Process, free_port};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 2.6.2: no weights; upstreams are replaced.
    Debian,
    /// 2.11: weights.
    Wheel,
}

pub struct Caddy {
    pub front: u16,
    pub admin: u16,
    release: Release,
    folder: PathBuf,
    process: Process,
}

impl Caddy {
    /// All traffic on the first members. Its administration interface listens on `admin` and answers who asks for one of
    /// `origins`.
    pub async fn start(
        folder: &Path,
        release: Release,
        (admin, origins): (u16, &[SocketAddr]),
        blue: &[SocketAddr],
        green: &[SocketAddr],
    ) -> Self {
        fs::create_dir_all(folder).unwrap();
        let front = free_port();
        let dial =
            |of: &[SocketAddr]| of.iter().map(|at| json!({"dial": at.to_string()})).collect::<Vec<_>>();
        let mut handler = json!({"@id": "checkout", "handler": "reverse_proxy", "upstreams": dial(blue)});
        if release == Release::Wheel {
            let weights: Vec<_> = blue.iter().map(|_| 100).chain(green.iter().map(|_| 0)).collect();
            handler["upstreams"] = [dial(blue), dial(green)].concat().into();
            handler["load_balancing"] =
                json!({"selection_policy": {"policy": "weighted_round_robin", "weights": weights}});
        }
        let config: Value = json!({
            "admin": {"listen": format!("127.0.0.1:{admin}"), "config": {"persist": false},
                      "origins": origins.iter().map(ToString::to_string).collect::<Vec<_>>()},
            "apps": {"http": {"servers": {"front": {
                "listen": [format!("127.0.0.1:{front}")], "automatic_https": {"disable": true},
                "routes": [{"handle": [handler]}],
            }}}},
        });
        fs::write(folder.join("caddy.json"), config.to_string()).unwrap();
        let process = Self::run(folder, release, front, admin).await;
        Self { front, admin, release, folder: folder.to_owned(), process }
    }

    async fn run(folder: &Path, release: Release, front: u16, admin: u16) -> Process {
        let program = match release {
            Release::Debian => PathBuf::from("/usr/bin/caddy"),
            Release::Wheel => from_wheel("bin/caddy"),
        };
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(folder.join("caddy.json"));
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, folder);
        }
        let mut process = Process::start("caddy", &mut command, folder);
        process.listening(local(admin)).await;
        process.listening(local(front)).await;
        process
    }

    pub fn admin(&self) -> SocketAddr {
        local(self.admin)
    }

    pub fn front(&self) -> SocketAddr {
        local(self.front)
    }

    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = Self::run(&self.folder, self.release, self.front, self.admin).await;
    }
}
