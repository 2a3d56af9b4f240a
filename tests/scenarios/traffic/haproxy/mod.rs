//! Traffic moved through a real HAProxy, and every way in which that is known to go wrong.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use lastgood_adapters::{
    Fault,
    check::Verdict,
    traffic::{
        Move, Observation, Preflight, Progress, Said, Shifter,
        haproxy::{Config, HaProxy as Adapter},
    },
};
use lastgood_core::Shares;
use lastgood_tests::real::haproxy::{HaProxy, Setup, Upstream, fetch};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

mod instances;
mod persist;
mod reloads;
mod routing;
mod servers;

/// Pools of the given sizes, an HAProxy before them, all ending with the value.
struct World {
    blue: Vec<Upstream>,
    green: Vec<Upstream>,
    haproxy: HaProxy,
    folder: TempDir,
}

impl World {
    async fn new(blue: usize, green: usize) -> Self {
        Self::with(blue, green, |_, _| {}).await
    }

    async fn with(blue: usize, green: usize, change: impl FnOnce(&mut Setup, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (blue, green) = (pool("blue", blue).await, pool("green", green).await);
        let mut setup = Setup::new(&blue, &green);
        change(&mut setup, folder.path());
        let haproxy = HaProxy::start(folder.path(), setup).await;
        Self { blue, green, haproxy, folder }
    }

    fn map(&self, instances: &[String]) -> Adapter {
        switch(instances, &self.haproxy.map(), "be_green")
    }

    fn weights(&self, instances: &[String]) -> Adapter {
        let names = |of: &[Upstream]| of.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let pools = json!({"blue": names(&self.blue), "green": names(&self.green)});
        adapter(json!({
            "instances": instances, "timeout": "2s", "weights": {"backend": "be_weights", "pools": pools},
        }))
    }

    fn admin(&self) -> [String; 1] {
        [self.haproxy.socket("admin")]
    }
}

async fn pool(name: &str, size: usize) -> Vec<Upstream> {
    let mut members = Vec::new();
    for at in 1..=size {
        members.push(Upstream::start(&format!("{name}{at}")).await);
    }
    members
}

fn adapter(config: serde_json::Value) -> Adapter {
    Adapter::new(&serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn switch(instances: &[String], map: &str, green: &str) -> Adapter {
    let switch = json!({"map": map, "key": "checkout", "blue": "be_blue", "green": green});
    adapter(json!({"instances": instances, "timeout": "2s", "switch": switch}))
}

fn shares(blue: u8, green: u8) -> Shares {
    [("blue".to_owned(), blue), ("green".to_owned(), green)].into()
}

fn to(blue: u8, green: u8) -> Move {
    Move { shares: shares(blue, green), ..Move::default() }
}

async fn seen(adapter: &Adapter) -> Observation {
    adapter.observe().await.unwrap()
}

async fn settled(adapter: &Adapter, wanted: &Move) {
    match adapter.progress(wanted).await.unwrap() {
        Progress::Settled(_) => {}
        other => panic!("not settled: {other:?}"),
    }
}

async fn refused(adapter: &Adapter, wanted: &Move) -> String {
    match adapter.preflight(wanted).await.unwrap() {
        Preflight::Refused { reasons } => reasons.join("\n"),
        other => panic!("not refused: {other:?}"),
    }
}

async fn warnings(adapter: &Adapter, wanted: &Move) -> String {
    match adapter.preflight(wanted).await.unwrap() {
        Preflight::Ready { warnings } => warnings.join("\n"),
        other => panic!("not ready: {other:?}"),
    }
}

/// Who answers, in so many requests.
async fn served(port: u16) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for _ in 0..20 {
        let (status, body) = fetch(port, "/").await.unwrap();
        names.insert(if status == 200 { body } else { status.to_string() });
    }
    names
}

fn names<const N: usize>(of: [&str; N]) -> BTreeSet<String> {
    of.map(str::to_owned).into()
}

/// Clients that never pause; every answer but 200 is a failure.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU32>,
    bad: Arc<Mutex<Vec<String>>>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let (stop, good, bad) = <(Arc<AtomicBool>, Arc<AtomicU32>, Arc<Mutex<Vec<String>>>)>::default();
        let client = |_| {
            let (stop, good, bad) = (stop.clone(), good.clone(), bad.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match fetch(port, "/").await {
                        Ok((200, _)) => drop(good.fetch_add(1, Ordering::Relaxed)),
                        other => bad.lock().unwrap().push(format!("{other:?}")),
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        };
        let clients = (0..4).map(client).collect();
        Self { stop, good, bad, clients }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        assert_eq!(*self.bad.lock().unwrap(), Vec::<String>::new());
        assert!(self.good.load(Ordering::Relaxed) > 50, "hardly any load");
    }
}

/// Stands between the adapter and a socket: keeps what is said, and can lose the answer to a change.
struct Tap {
    socket: PathBuf,
    heard: Arc<Mutex<Vec<String>>>,
    lose: Arc<AtomicBool>,
    hang: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Tap {
    fn on(world: &World) -> Self {
        let socket = world.folder.path().join("tap.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let real = world.haproxy.folder.join("admin.sock");
        let (heard, lose, hang) = <(Arc<Mutex<Vec<String>>>, Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (log, losing, hanging) = (heard.clone(), lose.clone(), hang.clone());
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&real).await.unwrap();
                tokio::spawn(relay(client, server, log.clone(), losing.clone(), hanging.clone()));
            }
        });
        Self { socket, heard, lose, hang, task }
    }

    fn address(&self) -> [String; 1] {
        [format!("unix:{}", self.socket.display())]
    }

    fn changes(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|line| line.starts_with("set ") || line.starts_with("add ")).cloned().collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(
    mut client: UnixStream,
    mut server: UnixStream,
    heard: Arc<Mutex<Vec<String>>>,
    lose: Arc<AtomicBool>,
    hang: Arc<AtomicBool>,
) {
    let (mut line, mut answer) = ([0; 4096], vec![0; 65536]);
    let mut change = false;
    loop {
        tokio::select! {
            read = client.read(&mut line) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => {
                    let said = String::from_utf8_lossy(&line[..length]).trim().to_owned();
                    change = said.starts_with("set ") || said.starts_with("add ");
                    heard.lock().unwrap().extend(said.lines().map(str::to_owned));
                    server.write_all(&line[..length]).await.unwrap();
                }
            },
            read = server.read(&mut answer) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if change && lose.load(Ordering::Relaxed) => return,
                Ok(_) if change && hang.load(Ordering::Relaxed) => {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    return;
                }
                Ok(length) => if client.write_all(&answer[..length]).await.is_err() { return },
            },
        }
    }
}
