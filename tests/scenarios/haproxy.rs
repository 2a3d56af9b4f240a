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
                    heard.lock().unwrap().push(said);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_entry_is_switched_and_switched_back() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    let before = seen(&haproxy).await;
    assert_eq!(before.shares, shares(100, 0));
    assert_eq!((before.capacity["green"].alive, before.capacity["green"].all), (1, 1));
    assert_eq!((before.unreachable, before.disagreement), (Vec::new(), None));

    assert!(warnings(&haproxy, &to(0, 100)).await.contains("a reload forgets it"));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["green1"]));
    assert_eq!(haproxy.preflight(&to(0, 100)).await.unwrap(), Preflight::AlreadyThere);

    let undo = Move { shares: before.shares, ..to(0, 0) };
    haproxy.apply(&undo, &Said::default()).await.unwrap();
    settled(&haproxy, &undo).await;
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["blue1"]));
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_map_entry_is_added_once() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    world.haproxy.told(&format!("del map {} checkout", world.haproxy.map()));
    assert_eq!(seen(&haproxy).await.shares, shares(0, 0));
    assert!(warnings(&haproxy, &to(0, 100)).await.contains("has no entry checkout"));
    for _ in 0..3 {
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    }
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(world.haproxy.command(&format!("show map {}", world.haproxy.map())).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_does_not_exist_is_never_routed_to() {
    let world = World::new(1, 1).await;
    let haproxy = switch(&world.admin(), &world.haproxy.map(), "be_missing");
    assert!(refused(&haproxy, &to(0, 100)).await.contains("HAProxy has no backend be_missing"));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Invalid(_))));
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    // What would have happened: HAProxy takes the name, and serves nobody.
    world.haproxy.told(&format!("set map {} checkout be_missing", world.haproxy.map()));
    assert_eq!(seen(&haproxy).await.shares, shares(0, 0));
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["503"]));
    // And the way out.
    haproxy.apply(&to(100, 0), &Said::default()).await.unwrap();
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["blue1"]));

    let other = switch(&world.admin(), "/no/such.map", "be_green");
    assert!(refused(&other, &to(0, 100)).await.contains("Unknown map"));
    assert!(matches!(other.observe().await, Err(Fault::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weight_on_a_drained_server_is_not_taken_for_traffic() {
    let world = World::new(1, 1).await;
    let haproxy = world.weights(&world.admin());
    for command in ["blue1 state drain", "green1 state drain", "green1 weight 100"] {
        world.haproxy.told(&format!("set server be_weights/{command}"));
    }
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["503"]));
    let now = seen(&haproxy).await;
    assert_eq!(now.shares, shares(0, 0));
    assert_eq!(now.capacity["green"].alive, 0);
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["green1"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_is_raised_before_the_old_side_is_lowered_and_nothing_is_written_twice() {
    let world = World::new(2, 2).await;
    let tap = Tap::on(&world);
    let haproxy = world.weights(&tap.address());
    world.haproxy.told("set server be_weights/green2 state drain");
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    let first = tap.changes();
    let raised = first.iter().rposition(|line| line.contains("/green")).unwrap();
    let lowered = first.iter().position(|line| line.contains("/blue")).unwrap();
    assert!(raised < lowered, "{first:?}");
    assert!(first.contains(&"set server be_weights/green2 state ready".to_owned()), "{first:?}");

    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    haproxy.preflight(&to(100, 0)).await.unwrap();
    haproxy.check().await;
    assert_eq!(tap.changes(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_notice_no_flip() {
    let world = World::new(2, 2).await;
    let setup = &world.haproxy.setup;
    for (haproxy, port) in
        [(world.map(&world.admin()), setup.frontend), (world.weights(&world.admin()), setup.weighted)]
    {
        let load = Load::start(port);
        for flip in 0..10 {
            let wanted = if flip % 2 == 0 { to(0, 100) } else { to(100, 0) };
            haproxy.apply(&wanted, &Said::default()).await.unwrap();
            settled(&haproxy, &wanted).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        load.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_finish_where_they_began() {
    let world = World::new(1, 1).await;
    let setup = &world.haproxy.setup;
    for (haproxy, port) in
        [(world.map(&world.admin()), setup.frontend), (world.weights(&world.admin()), setup.weighted)]
    {
        let slow = tokio::spawn(fetch(port, "/slow"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
        assert_eq!(served(port).await, names(["green1"]));
        assert_eq!(slow.await.unwrap().unwrap(), (200, "blue1".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_in_between_follow_weights() {
    let world = World::new(2, 1).await;
    let haproxy = world.weights(&world.admin());
    haproxy.apply(&to(90, 10), &Said::default()).await.unwrap();
    settled(&haproxy, &to(90, 10)).await;
    assert_eq!(seen(&haproxy).await.shares, shares(90, 10));
    assert_eq!(haproxy.preflight(&to(90, 10)).await.unwrap(), Preflight::AlreadyThere);
    let map = world.map(&world.admin());
    assert!(refused(&map, &to(90, 10)).await.contains("can't split traffic"));
    assert!(matches!(map.apply(&to(90, 10), &Said::default()).await, Err(Fault::Invalid(_))));
    for senseless in [to(0, 0), to(100, 100), Move { shares: Shares::new(), ..to(0, 0) }] {
        assert!(matches!(haproxy.apply(&senseless, &Said::default()).await, Err(Fault::Invalid(_))));
        assert!(matches!(haproxy.progress(&senseless).await, Err(Fault::Invalid(_))));
        refused(&haproxy, &senseless).await;
    }
}

fn reload_warning(checks: &[lastgood_adapters::Check]) -> Option<String> {
    checks.iter().find(|line| line.what.ends_with(": reload")).map(|line| match &line.verdict {
        Verdict::Warning { seen, advice } => format!("{seen}; {advice}"),
        other => panic!("{other:?}"),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_forgets_the_map_and_is_warned_about() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    assert_eq!(reload_warning(&haproxy.check().await), None);
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    let warned = reload_warning(&haproxy.check().await).unwrap();
    assert!(warned.contains("says be_blue") && warned.contains("write \"checkout be_green\""), "{warned}");

    world.haproxy.reload().await;
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["blue1"]));
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));

    std::fs::write(world.haproxy.map(), "checkout be_green\n").unwrap();
    assert_eq!(warnings(&haproxy, &to(0, 100)).await, "");
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    world.haproxy.reload().await;
    settled(&haproxy, &to(0, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_restores_the_last_dump_of_weights_not_the_last_state() {
    let world = World::with(1, 1, |setup, folder| {
        setup.global = format!("  server-state-file {}/state", folder.display());
        setup.defaults = "  load-server-state-from-file global".to_owned();
    })
    .await;
    let haproxy = world.weights(&world.admin());
    let dump = || {
        let state = format!("{}\n", world.haproxy.command("show servers state"));
        std::fs::write(world.haproxy.folder.join("state"), state).unwrap();
    };
    dump();
    assert!(warnings(&haproxy, &to(0, 100)).await.contains("as last dumped to"));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    world.haproxy.reload().await;
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    dump();
    world.haproxy.reload().await;
    settled(&haproxy, &to(0, 100)).await;

    let plain = World::new(1, 1).await;
    let warned = reload_warning(&plain.weights(&plain.admin()).check().await).unwrap();
    assert!(warned.contains("no server state file is loaded"), "{warned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_instance_is_named_and_can_be_left_out() {
    let (world, mut other) = (World::new(1, 1).await, World::new(1, 1).await);
    // Both have to know the map by one name.
    let link = world.folder.path().join("other.sock");
    std::os::unix::fs::symlink(other.haproxy.folder.join("admin.sock"), &link).unwrap();
    let gone = format!("unix:{}", link.display());
    let instances = [world.haproxy.socket("admin"), gone.clone()];
    let haproxy = world.weights(&instances);
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));

    other.haproxy.told("set server be_weights/green1 weight 100");
    other.haproxy.told("set server be_weights/blue1 weight 0");
    let split = seen(&haproxy).await;
    assert_eq!(split.shares, shares(100, 100));
    assert!(split.disagreement.unwrap().contains("gives blue 100 %, but "));
    let Progress::Failed { detail, .. } = haproxy.progress(&to(0, 100)).await.unwrap() else {
        panic!("settled")
    };
    assert!(detail.contains("gives blue 100 %"), "{detail}");

    other.haproxy.kill();
    let half = seen(&haproxy).await;
    assert_eq!(half.unreachable.len(), 1);
    assert_eq!((half.unreachable[0].instance.as_str(), half.shares), (gone.as_str(), shares(100, 0)));
    let Preflight::Unreachable { instances } = haproxy.preflight(&to(0, 100)).await.unwrap() else {
        panic!("not named")
    };
    assert_eq!(instances[0].instance, gone);
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unavailable(_))));
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));

    let without = Move { without: vec![gone], ..to(0, 100) };
    assert!(matches!(haproxy.preflight(&without).await.unwrap(), Preflight::Ready { .. }));
    haproxy.apply(&without, &Said::default()).await.unwrap();
    settled(&haproxy, &without).await;
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Moving { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_unavailable() {
    let mut world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    world.haproxy.kill();
    assert!(matches!(haproxy.observe().await, Err(Fault::Unavailable(_))));
    assert!(matches!(haproxy.preflight(&to(0, 100)).await, Err(Fault::Unavailable(_))));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unavailable(_))));
    assert!(matches!(haproxy.check().await[0].verdict, Verdict::Bad { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_unknown_and_reading_back_tells() {
    let world = World::new(1, 1).await;
    let tap = Tap::on(&world);
    let haproxy = world.map(&tap.address());
    tap.lose.store(true, Ordering::Relaxed);
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unknown(_))));
    settled(&haproxy, &to(0, 100)).await;
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    assert_eq!(tap.changes().len(), 1);

    // The same when the answer never ends, within the time limit.
    tap.lose.store(false, Ordering::Relaxed);
    tap.hang.store(true, Ordering::Relaxed);
    let began = tokio::time::Instant::now();
    assert!(matches!(haproxy.apply(&to(100, 0), &Said::default()).await, Err(Fault::Unknown(_))));
    assert!(began.elapsed() < Duration::from_secs(4));
    settled(&haproxy, &to(100, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_socket_costs_no_more_than_the_time_limit() {
    let world = World::new(1, 1).await;
    let silent = world.folder.path().join("silent.sock");
    let _listener = UnixListener::bind(&silent).unwrap();
    let haproxy = world.map(&[format!("unix:{}", silent.display())]);
    let began = tokio::time::Instant::now();
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_target_is_refused() {
    let mut world = World::new(1, 1).await;
    world.green[0].stop().await;
    world.haproxy.notices("green1", 0).await;
    for haproxy in [world.map(&world.admin()), world.weights(&world.admin())] {
        assert!(refused(&haproxy, &to(0, 100)).await.contains("pool green is dead"));
        assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Invalid(_))));
        assert_eq!(seen(&haproxy).await.capacity["green"].alive, 0);
    }
    // The failing side crashed as a whole: it still is where traffic goes, and the way back is open.
    let mut crashed = World::new(1, 1).await;
    crashed.blue[0].stop().await;
    crashed.haproxy.notices("blue1", 0).await;
    for haproxy in [crashed.map(&crashed.admin()), crashed.weights(&crashed.admin())] {
        assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
        settled(&haproxy, &to(0, 100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_dies_after_the_shift_is_no_success() {
    let mut world = World::new(1, 1).await;
    let haproxy = world.weights(&world.admin());
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    world.green[0].stop().await;
    world.haproxy.notices("green1", 0).await;
    let Progress::Failed { detail, .. } = haproxy.progress(&to(0, 100)).await.unwrap() else {
        panic!("settled")
    };
    assert!(detail.contains("no server of green is up"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_target_is_refused_or_warned_about() {
    let mut world = World::new(4, 3).await;
    for haproxy in [world.map(&world.admin()), world.weights(&world.admin())] {
        assert!(warnings(&haproxy, &to(0, 100)).await.contains("fewer than before"));
    }
    for at in 1..3 {
        world.green[at].stop().await;
        world.haproxy.notices(&format!("green{}", at + 1), 0).await;
    }
    for haproxy in [world.map(&world.admin()), world.weights(&world.admin())] {
        let why = refused(&haproxy, &to(0, 100)).await;
        assert!(why.contains("1 of 3 servers") && why.contains("less than half"), "{why}");
    }
    // A tenth of the load is not too much for one of five.
    assert!(!warnings(&world.weights(&world.admin()), &to(90, 10)).await.contains("fewer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_is_not_ended_by_a_shift() {
    let world = World::new(1, 2).await;
    let haproxy = world.weights(&world.admin());
    world.haproxy.told("set server be_weights/green1 state maint");
    assert!(warnings(&haproxy, &to(0, 100)).await.contains("green1 stays in maintenance"));
    haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&haproxy, &to(0, 100)).await;
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["green2"]));
    world.haproxy.told("set server be_weights/blue1 state maint");
    assert!(refused(&haproxy, &to(100, 0)).await.contains("pool blue is dead"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_for_readers_is_refused_before_and_denied_after() {
    let world = World::new(1, 1).await;
    let readers = [world.haproxy.socket("user")];
    let haproxy = world.weights(&readers);
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    assert!(refused(&haproxy, &to(0, 100)).await.contains("needs \"admin\""));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Denied(_))));
    assert!(haproxy.check().await.iter().any(|line| matches!(line.verdict, Verdict::Bad { .. })));
    assert_eq!(seen(&haproxy).await.shares, shares(100, 0));
    // HAProxy 2.6 lets every level set maps.
    let map = world.map(&readers);
    map.apply(&to(0, 100), &Said::default()).await.unwrap();
    settled(&map, &to(0, 100)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_processes_behind_one_port_are_moved() {
    let world = World::new(1, 1).await;
    let mut second = world.haproxy.second().await;
    let port = [world.haproxy.admin_port()];
    for haproxy in [world.weights(&port), world.map(&port)] {
        assert!(warnings(&haproxy, &to(0, 100)).await.contains("2 processes answer"));
        haproxy.apply(&to(0, 100), &Said::default()).await.unwrap();
        settled(&haproxy, &to(0, 100)).await;
    }
    assert_eq!(served(world.haproxy.setup.weighted).await, names(["green1"]));
    assert_eq!(served(world.haproxy.setup.frontend).await, names(["green1"]));

    // One of them (whose the path of the socket is now) is told otherwise: seen, and not called settled.
    world.haproxy.told(&format!("set map {} checkout be_blue", world.haproxy.map()));
    let haproxy = world.map(&port);
    let split = seen(&haproxy).await;
    assert!(split.disagreement.unwrap().contains("(process "));
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
    second.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_weights_can_not_decide_is_refused() {
    let world = World::new(2, 1).await;
    let pools = json!({"blue": ["blue1"], "green": ["green1"]});
    let weights = json!({"backend": "be_weights", "pools": pools});
    let haproxy = adapter(json!({"instances": world.admin(), "weights": weights}));
    assert!(refused(&haproxy, &to(0, 100)).await.contains("blue2 carries traffic but is in no pool"));
    let pools = json!({"blue": ["blue1", "blue2"], "green": ["green7"]});
    let weights = json!({"backend": "be_weights", "pools": pools});
    let haproxy = adapter(json!({"instances": world.admin(), "weights": weights}));
    assert!(refused(&haproxy, &to(0, 100)).await.contains("HAProxy has no server green7"));
    let weights = json!({"backend": "be_none", "pools": {"blue": ["blue1"], "green": ["green1"]}});
    let haproxy = adapter(json!({"instances": world.admin(), "weights": weights}));
    assert!(matches!(haproxy.observe().await, Err(Fault::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_refuses_leaves_a_split_that_is_told() {
    let (world, other) = (World::new(1, 1).await, World::new(1, 1).await);
    let haproxy = world.weights(&[world.haproxy.socket("admin"), other.haproxy.socket("user")]);
    assert!(refused(&haproxy, &to(0, 100)).await.contains("user.sock: the socket's level"));
    assert!(matches!(haproxy.apply(&to(0, 100), &Said::default()).await, Err(Fault::Denied(_))));
    let split = seen(&haproxy).await;
    assert_eq!(split.shares, shares(100, 100));
    assert!(split.disagreement.is_some());
    assert!(matches!(haproxy.progress(&to(0, 100)).await.unwrap(), Progress::Failed { .. }));
    // Undo writes where it must, and nowhere else.
    haproxy.apply(&to(100, 0), &Said::default()).await.unwrap();
    settled(&haproxy, &to(100, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shift_over_a_reload_ends_as_one_or_the_other_and_clients_do_not_notice() {
    let world = World::new(1, 1).await;
    let haproxy = world.map(&world.admin());
    let load = Load::start(world.haproxy.setup.frontend);
    for flip in 0..3 {
        let wanted = if flip % 2 == 0 { to(0, 100) } else { to(100, 0) };
        let said = Said::default();
        let (_, applied) = tokio::join!(world.haproxy.reload(), haproxy.apply(&wanted, &said));
        // Whatever became of the answer: what is read back afterwards is what clients get.
        drop(applied);
        let green = seen(&haproxy).await.shares == shares(0, 100);
        let name = if green { "green1" } else { "blue1" };
        assert_eq!(served(world.haproxy.setup.frontend).await, names([name]));
        assert_eq!(matches!(haproxy.progress(&to(0, 100)).await, Ok(Progress::Settled(_))), green);
    }
    load.end().await;
    assert_eq!(fetch(world.haproxy.setup.metrics, "/metrics").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sticky_clients_are_warned_about_and_backups_refused() {
    let sticky = World::with(1, 1, |setup, _| {
        setup.be_weights = "  cookie SRV insert indirect dynamic\n  dynamic-cookie-key lastgood".to_owned();
    })
    .await;
    let warned = warnings(&sticky.weights(&sticky.admin()), &to(0, 100)).await;
    assert!(warned.contains("clients stick to blue1, green1"), "{warned}");
    let backup = World::with(1, 1, |setup, _| setup.be_weights = "  default-server backup".to_owned()).await;
    let why = refused(&backup.weights(&backup.admin()), &to(0, 100)).await;
    assert!(why.contains("green1 is a backup"), "{why}");
}
