//! A real nginx with one upstream, whose weights are in a file of their own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::local;
use crate::process::{Process, free_port, poll};

pub struct Nginx {
    pub front: u16,
    folder: PathBuf,
    process: Process,
}

impl Nginx {
    /// All traffic on the first members; the second ones are `down`.
    pub async fn start(folder: &Path, blue: &[SocketAddr], green: &[SocketAddr]) -> Self {
        fs::create_dir_all(folder).unwrap();
        let front = free_port();
        let line = |of: &[SocketAddr], end: &str| -> String {
            of.iter().map(|at| format!("    server {at} max_fails=0{end};\n")).collect()
        };
        let upstream = format!(
            "# The checkout.\nupstream checkout {{\n{}{}    keepalive 8;\n}}\nmap $host $lastgood_checkout {{ default \"blue=100 \
             green=0\"; }}\n",
            line(blue, ""),
            line(green, " down")
        );
        fs::write(folder.join("checkout-upstream.conf"), upstream).unwrap();
        let at = folder.display();
        let text = format!(
            "pid {at}/nginx.pid;\nerror_log {at}/error.log notice;\nworker_processes 2;\nevents {{ worker_connections 512; }}\nhttp \
             {{\n  access_log off;\n  client_body_temp_path {at}/body;\n  proxy_temp_path {at}/proxy;\n  fastcgi_temp_path \
             {at}/fastcgi;\n  uwsgi_temp_path {at}/uwsgi;\n  scgi_temp_path {at}/scgi;\n  include \
             {at}/checkout-upstream.conf;\n  server {{\n    listen 127.0.0.1:{front};\n    location / {{\n      proxy_pass \
             http://checkout;\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n    }}\n    location = \
             /lastgood/checkout {{ return 200 $lastgood_checkout; }}\n  }}\n}}\n"
        );
        fs::write(folder.join("nginx.conf"), text).unwrap();
        let process = Self::run(folder, front).await;
        Self { front, folder: folder.to_owned(), process }
    }

    async fn run(folder: &Path, front: u16) -> Process {
        let mut command = Command::new("nginx");
        command.args(Self::line(folder)).args(["-g", "daemon off;"]);
        let mut process = Process::start("nginx", &mut command, folder);
        process.listening(local(front)).await;
        process
    }

    fn line(folder: &Path) -> Vec<String> {
        let config = folder.join("nginx.conf");
        vec!["-p".into(), folder.display().to_string(), "-c".into(), config.display().to_string()]
    }

    /// `nginx` with what it needs to know this one by, and more arguments.
    pub fn command(&self, more: &[&str]) -> Vec<String> {
        let mut line = vec!["nginx".to_owned()];
        line.extend(Self::line(&self.folder));
        line.extend(more.iter().map(|word| (*word).to_owned()));
        line
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("checkout-upstream.conf")
    }

    pub fn front(&self) -> SocketAddr {
        local(self.front)
    }

    fn workers(&self) -> Vec<String> {
        let master = self.process.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        children.split_whitespace().map(str::to_owned).collect()
    }

    /// Another hand: its own file, and a reload, waited for until the former workers are gone.
    pub async fn by_hand(&self, change: impl FnOnce(String) -> String) {
        let former = self.workers();
        fs::write(self.file(), change(fs::read_to_string(self.file()).unwrap())).unwrap();
        self.process.signal("HUP");
        poll("the former workers to end", Duration::from_secs(10), || {
            (!self.workers().iter().any(|worker| former.contains(worker))).then_some(())
        })
        .await;
    }

    pub async fn restart(&mut self) {
        self.process.signal("QUIT");
        self.process.wait(Duration::from_secs(10)).await;
        self.process = Self::run(&self.folder, self.front).await;
    }
}
