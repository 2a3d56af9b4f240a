//! A real HAProxy in front of small upstreams: one frontend routed by a map entry, one by server weights, and its own
//! metrics.

use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::process::{Process, free_port, poll};

/// A pool member that says its name. `/slow` takes 600 ms; `/broken` answers 500.
pub struct Upstream {
    pub name: String,
    pub port: u16,
    serving: JoinHandle<()>,
}

impl Upstream {
    pub async fn start(name: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = name.to_owned();
        let slow = said.clone();
        let app = Router::new()
            .route("/", get(move || async move { said }))
            .route(
                "/slow",
                get(move || async move {
                    tokio::time::sleep(Duration::from_millis(600)).await;
                    slow
                }),
            )
            .route("/broken", get(|| async { (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "broken") }));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { name: name.to_owned(), port, serving }
    }

    /// Refuses connections from now on.
    pub async fn stop(&mut self) {
        self.serving.abort();
        (&mut self.serving).await.ok();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What the generated configuration is made of.
#[derive(Clone)]
pub struct Setup {
    /// Server name and port, by pool.
    pub blue: Vec<(String, u16)>,
    pub green: Vec<(String, u16)>,
    /// Lines for the sections `global`, `defaults` and `backend be_weights`.
    pub global: String,
    pub defaults: String,
    pub be_weights: String,
    /// Where the map is, unless in the folder of this HAProxy.
    pub map: Option<PathBuf>,
    /// Routed by the map, 503 for a backend that doesn't exist.
    pub frontend: u16,
    /// Routed by weights in `be_weights`: blue servers begin with 100, green ones with 0.
    pub weighted: u16,
    /// Answers `/metrics` for Prometheus.
    pub metrics: u16,
    /// The Runtime API over TCP.
    pub admin: u16,
}

impl Setup {
    pub fn new(blue: &[Upstream], green: &[Upstream]) -> Self {
        let members = |of: &[Upstream]| of.iter().map(|one| (one.name.clone(), one.port)).collect();
        Self {
            blue: members(blue),
            green: members(green),
            global: String::new(),
            defaults: String::new(),
            be_weights: String::new(),
            map: None,
            frontend: free_port(),
            weighted: free_port(),
            metrics: free_port(),
            admin: free_port(),
        }
    }

    fn map(&self, folder: &Path) -> PathBuf {
        self.map.clone().unwrap_or_else(|| folder.join("active.map"))
    }

    fn write(&self, folder: &Path) -> String {
        let at = folder.display();
        let servers = |of: &[(String, u16)], weight: u16| -> String {
            let line = |(name, port): &(String, u16)| {
                format!("  server {name} 127.0.0.1:{port} check inter 50ms fall 1 rise 1 weight {weight}\n")
            };
            of.iter().map(line).collect()
        };
        let (blue, green) = (&self.blue, &self.green);
        format!(
            "global
  stats socket {at}/admin.sock mode 600 level admin
  stats socket {at}/user.sock mode 600 level user
  stats socket ipv4@127.0.0.1:{admin} level admin
{global}
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  retries 0
{defaults}
frontend by_map
  bind 127.0.0.1:{frontend}
  use_backend %[str(checkout),map({map},be_blue)]
frontend by_weight
  bind 127.0.0.1:{weighted}
  default_backend be_weights
frontend metrics
  bind 127.0.0.1:{metrics}
  http-request use-service prometheus-exporter if {{ path /metrics }}
backend be_blue
{}backend be_green
{}backend be_weights
{be_weights}
{}{}",
            servers(blue, 1),
            servers(green, 1),
            servers(blue, 100),
            servers(green, 0),
            map = self.map(folder).display(),
            admin = self.admin,
            frontend = self.frontend,
            weighted = self.weighted,
            metrics = self.metrics,
            global = self.global,
            defaults = self.defaults,
            be_weights = self.be_weights,
        )
    }
}

/// Ends with its value. The map `active.map` in `folder` begins with `checkout be_blue`.
pub struct HaProxy {
    pub folder: PathBuf,
    pub setup: Setup,
    process: Process,
}

impl HaProxy {
    pub async fn start(folder: &Path, setup: Setup) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::write(setup.map(folder), "checkout be_blue\n").unwrap();
        fs::write(folder.join("haproxy.cfg"), setup.write(folder)).unwrap();
        let process = Self::run(folder, &setup, "haproxy").await;
        let haproxy = Self { folder: folder.to_owned(), setup, process };
        // Ports accept connections before there is a worker to answer them.
        haproxy.await_that("a worker", || haproxy.asked("show info").is_some()).await;
        haproxy
    }

    /// Another one on the same configuration: it shares all ports, and takes the paths of the sockets over.
    pub async fn second(&self) -> Process {
        let before = self.worker();
        let process = Self::run(&self.folder, &self.setup, "second").await;
        self.await_that("the second process", || {
            self.asked("show info").is_some() && self.worker() != before
        })
        .await;
        process
    }

    async fn run(folder: &Path, setup: &Setup, name: &str) -> Process {
        let mut command = Command::new("haproxy");
        command.args(["-W", "-db", "-f"]).arg(folder.join("haproxy.cfg"));
        let mut process = Process::start(name, &mut command, folder);
        for port in [setup.frontend, setup.weighted, setup.metrics, setup.admin] {
            process.listening(SocketAddr::from(([127, 0, 0, 1], port))).await;
        }
        process
    }

    pub fn map(&self) -> String {
        self.setup.map(&self.folder).display().to_string()
    }

    /// The address of a Runtime API socket: `admin` or `user`.
    pub fn socket(&self, level: &str) -> String {
        format!("unix:{}", self.folder.join(format!("{level}.sock")).display())
    }

    pub fn admin_port(&self) -> String {
        format!("tcp:127.0.0.1:{}", self.setup.admin)
    }

    /// Another hand on the Runtime API.
    pub fn command(&self, command: &str) -> String {
        self.asked(command).unwrap_or_else(|| panic!("no answer to {command}:\n{}", self.process.output()))
    }

    /// `None` while nobody listens.
    fn asked(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.join("admin.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        // Even success ends in a line feed; nothing at all comes from a process that is going.
        if answer.is_empty() { None } else { Some(answer.trim().to_owned()) }
    }

    /// As `command`, for what must succeed.
    pub fn told(&self, command: &str) {
        assert_eq!(self.command(command), "", "{command}");
    }

    /// The process that answers on the socket, which is not the one that was started: that one only watches it.
    pub fn worker(&self) -> String {
        let info = self.command("show info");
        info.lines().find_map(|line| line.strip_prefix("Pid: ")).unwrap().to_owned()
    }

    /// A reload, waited for until the former worker is gone: before that, both answer.
    pub async fn reload(&self) {
        let former = self.worker();
        let reloads = || self.process.output().matches("Reloading HAProxy").count();
        let before = reloads();
        let mut sent = 0;
        self.await_that("a reload", || {
            // A signal that comes while the watching process still starts is lost.
            sent += 1;
            if reloads() == before && sent % 50 == 1 {
                self.process.signal("USR2");
            }
            !Path::new(&format!("/proc/{former}")).exists() && self.asked("show info").is_some()
        })
        .await;
    }

    async fn await_that(&self, what: &str, mut is: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !is() {
            assert!(Instant::now() < end, "waited in vain for {what}:\n{}", self.process.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a server's `srv_op_state` in `be_weights` and `be_blue` or `be_green` is as given (0 down, 2 up).
    pub async fn notices(&self, server: &str, operation: u8) {
        poll(&format!("{server} to be seen as {operation}"), Duration::from_secs(10), || {
            let state = self.command("show servers state");
            let mut rows = state.lines().filter(|line| line.split(' ').nth(3) == Some(server)).peekable();
            rows.peek()?;
            rows.all(|row| row.split(' ').nth(5) == Some(&operation.to_string())).then_some(())
        })
        .await;
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it, workers included, and starts it anew.
    pub async fn restart(&mut self) {
        let worker = self.worker();
        self.process.kill();
        poll("the worker to end", Duration::from_secs(10), || {
            (!Path::new(&format!("/proc/{worker}")).exists()).then_some(())
        })
        .await;
        self.process = Self::run(&self.folder, &self.setup, "haproxy").await;
        self.await_that("a worker", || self.asked("show info").is_some()).await;
    }
}

/// One request on a connection of its own: status and body, or what went wrong.
pub async fn fetch(port: u16, path: &str) -> Result<(u16, String), std::io::Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let broken = || std::io::Error::other(format!("no HTTP answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    Ok((status, body.to_owned()))
}
